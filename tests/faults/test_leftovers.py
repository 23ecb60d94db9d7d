"""What other programs, earlier crashes and other versions left beside a store is read as its owner would read it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from memdefrag.base.errors import MemdefragError, StoreChanged, WriterNeeded
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, recover
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.files import extract
from memdefrag.engine.backups.shelf import all_backups
from memdefrag.engine.commit import state_hash
from memdefrag.engine.journal import Job
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from memdefrag.model.plan import Changes, Plan, Put
from memdefrag.model.records import Key
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma.tables import FILE
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan
from tests.faults import protocols, worker
from tests.faults.harness import in_child, same, snapshot_of
from tests.stores.chroma.folders import made_by_old_chroma, traces

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")

DIE_IN_TRANSACTION = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=1")
connection.execute("PRAGMA cache_spill=1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE spilled (x)")
connection.executemany("INSERT INTO spilled VALUES (?)", [("x" * 2000,)] * 500)
os.kill(os.getpid(), signal.SIGKILL)
"""


def hot_journal(path: Path) -> None:
    """A writer died with half its transaction in the file."""
    subprocess.run([sys.executable, "-c", DIE_IN_TRANSACTION, str(path)], check=False)
    assert path.with_name(path.name + "-journal").stat().st_size


def truncated_log(path: Path) -> None:
    protocols.leave_log(path)
    log = path.with_name(path.name + "-wal")
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 2 // 3])


def foreign_log(path: Path) -> None:
    """The log of another database lies beside this one."""
    other = path.with_name("other.db")
    shutil.copy(path, other)
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("UPDATE memories SET content = 'of another time'")
        connection.execute("VACUUM")
    protocols.leave_log(other)
    shutil.move(f"{other}-wal", f"{path}-wal")
    for left in path.parent.glob("other.db*"):
        left.unlink()


@pytest.mark.case(15)
@pytest.mark.parametrize("leave", [hot_journal, truncated_log, foreign_log, protocols.leave_log])
def test_a_log_or_journal_counts_for_what_sqlite_makes_of_it(
    place: Path, tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    address = make_store("memory-export", place)
    leave(address.path)
    truth = Address("memory-export", str(as_sqlite_reads_it(address.path, tmp_path / "truth")))
    before = traces(place)
    found = snapshot_of(address)
    assert traces(place) == before
    assert same(found, replace(snapshot_of(truth), address=found.address))
    apply(merge_plan(address))
    apply(merge_plan(truth))
    assert same(snapshot_of(address), snapshot_of(truth))
    assert integrity(address.path) == "ok"


def as_sqlite_reads_it(path: Path, folder: Path) -> Path:
    """A private copy in one file, made by SQLite from a copy with all sidecars."""
    copied = shutil.copytree(path.parent, folder / "with sidecars") / path.name
    single = folder / path.name
    with closing(sqlite3.connect(copied)) as source, closing(sqlite3.connect(single)) as target:
        source.backup(target)
    return single


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


@pytest.mark.case(16)
def test_a_backup_holds_what_only_the_log_knew(place: Path, tmp_path: Path) -> None:
    address = make_store("memory-export", place)
    script = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute('UPDATE memories SET content = ? WHERE id = ?', ('only in the log', sys.argv[2])); c.commit();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(address.path), "id019"], check=False)
    apply(merge_plan(address))
    [backup] = all_backups()
    restored = tmp_path / "restored" / address.path.name
    restored.parent.mkdir()
    extract(backup, restored, Progress())
    assert snapshot_of(address.at(restored)).by_key[Key("memories", "id019")].text == "only in the log"


@pytest.mark.case(11)
@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_a_damaged_journal_is_taken_for_an_earlier_state(place: Path, kind: str) -> None:
    """Before the swap any damage of the journal means: not begun. The store is the old one, so that is true."""
    address = make_store(kind, place)
    plan, before = merge_plan(address), snapshot_of(address)
    listing = place.parent / "points"
    in_child(f"list:{listing}", carrying_out(plan))
    points = listing.read_text().splitlines()
    journal_lines = [number for number, name in enumerate(points, 1) if name == "append journal"]
    shutil.rmtree(data_dir())
    shutil.rmtree(place)
    place.mkdir()
    address = make_store(kind, place)
    for cut in range(1, 200, 23):
        in_child(f"kill:{journal_lines[-2]}", carrying_out(plan))
        journal = Job(address.path).folder / "journal"
        content = journal.read_bytes()
        journal.write_bytes(content[:-cut] if cut % 2 else content[:cut] + b"\xff" + content[cut + 1 :])
        recover.recover_all()
        recover.recover_path(address.path)
        assert same(snapshot_of(address), before)
        assert [path.name for path in place.iterdir()] == [address.path.name]
        assert catalogue.unfinished_jobs() == {}


def carrying_out(plan: Plan) -> Callable[[], object]:
    return partial(worker.carry_out, plan)


@pytest.mark.case(18)
@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_a_store_changed_between_plan_and_apply_keeps_what_came(place: Path, kind: str) -> None:
    address = make_store(kind, place)
    plan = merge_plan(address)
    first = plan.steps[0].survivor
    record = replace(snapshot_of(address).by_key[first.key], text="changed meanwhile")
    added = replace(record, key=Key("memories", "added"), text="added meanwhile")
    with open_store(address) as store:
        store.write(Changes(put=(Put(record, first.hash), Put(added, None))), Progress())
    report = apply(plan)
    after = snapshot_of(address).by_key
    assert (report.merged, len(report.skipped)) == (2, 1)
    assert after[first.key].text == "changed meanwhile"
    assert after[added.key].text == "added meanwhile"


@pytest.mark.case(18)
def test_a_chroma_folder_changed_during_the_work_keeps_what_came(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memdefrag.stores.chroma.local import ChromaLocal

    address = protocols.make_chroma(place)
    plan, before, honest = merge_plan(address), snapshot_of(address), ChromaLocal.write

    def write_beside(self: ChromaLocal, changes: Changes, progress: Progress) -> None:
        honest(self, changes, progress)
        add = (
            "import sys, chromadb; c = chromadb.PersistentClient(sys.argv[1]);"
            "c.get_collection('memories', embedding_function=None)"
            ".add(ids=['late'], documents=['late'], embeddings=[[1.0] * 8])"
        )
        subprocess.run([sys.executable, "-c", add, str(address.path)], check=True)

    monkeypatch.setattr(ChromaLocal, "write", write_beside)
    with pytest.raises(StoreChanged):
        apply(plan)
    assert set(snapshot_of(address).by_key) == set(before.by_key) | {Key("memories", "late")}
    assert [path.name for path in place.iterdir()] == [address.path.name]


@pytest.mark.case(24)
def test_an_id_that_occurs_twice_loses_neither_memory(place: Path) -> None:
    address = make_store("jsonl", place, 4)
    lines = address.path.read_text().splitlines()
    twin = json.loads(lines[-1]) | {"text": "another memory under the same id"}
    address.path.write_text("\n".join([*lines, json.dumps(twin)]) + "\n")
    found = snapshot_of(address)
    assert len(found) == 5
    with open_store(address) as store:
        assert any("id003" in problem for problem in store.problems()), store.problems()
    apply(merge_plan(address, 1))
    texts = [record.text for record in snapshot_of(address).records]
    assert "another memory under the same id" in texts
    assert len(texts) == 4


@pytest.mark.case(44)
@pytest.mark.old_chroma
def test_an_older_chroma_folder_is_read_but_never_upgraded_unasked(tmp_path: Path) -> None:
    address = Address("chroma", str(made_by_old_chroma().copy(tmp_path / "place" / "chroma_db")))
    before = traces(address.path.parent)
    assert len(snapshot_of(address)) > 100
    record = snapshot_of(address).records[0]
    with open_store(address) as store:
        plan = Plan(source=str(address), target=str(address), steps=merge_plan(address, 1).steps)
        assert store.capabilities.written_by and read_snapshot(store).by_key[record.key] == record
    with pytest.raises(WriterNeeded):
        apply(plan)
    assert traces(address.path.parent) == before


@pytest.mark.case(44)
def test_a_newer_chroma_folder_is_not_written(place: Path) -> None:
    """A migration this program does not know means: somebody newer owns it."""
    address = protocols.make_chroma(place)
    plan = merge_plan(address)
    with closing(sqlite3.connect(address.path / FILE)) as connection:
        connection.execute(
            "INSERT INTO migrations SELECT dir, 99, '00099-future.sqlite.sql', sql, hash FROM migrations "
            "WHERE dir = 'metadb' LIMIT 1"
        )
        connection.commit()
    before = state_hash(address.path, Commit.DIRECTORY)
    with pytest.raises(MemdefragError):
        apply(plan, ApplyOptions())
    assert state_hash(address.path, Commit.DIRECTORY) == before
    assert [path.name for path in place.iterdir()] == [address.path.name]
