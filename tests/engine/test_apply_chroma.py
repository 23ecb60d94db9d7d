"""The whole protocol on real Chroma folders, written and then opened by the real libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import NotPermitted, StoreInUse, UsageError, WriterNeeded
from memdefrag.base.fsops import ExchangeUnsupported
from memdefrag.base.progress import Progress
from memdefrag.engine import commit, history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.journal import Job
from memdefrag.engine.writers import WriterOptions, choose
from memdefrag.model.address import Address
from memdefrag.model.plan import Merge, Plan, Ref, Result, StoreStep, VectorRule
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma.local import ChromaLocal
from memdefrag.stores.registry import open_store
from tests.stores.chroma.folders import BIG, OLD_PYTHON, PLAIN, made, made_by_old_chroma, traces

ASK = """
import json, sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1])
collection = client.get_collection(sys.argv[2], embedding_function=None)
collection.add(ids=["added later"], documents=["new"], embeddings=[json.loads(sys.argv[3])])
found = collection.query(query_embeddings=[json.loads(sys.argv[3])], n_results=1)
print(json.dumps({"count": collection.count(), "id": str(collection.id), "first": found["ids"][0][0],
                  "metadata": collection.metadata}))
"""


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return Address("chroma", str(made().copy(tmp_path / "place" / "chroma_db")))


@pytest.fixture
def old_address(tmp_path: Path) -> Address:
    return Address("chroma", str(made_by_old_chroma().copy(tmp_path / "place" / "chroma_db")))


def snapshot_of(address: Address) -> Snapshot:
    with open_store(address) as store:
        return read_snapshot(store)


def mergeable(snapshot: Snapshot, count: int) -> list[MemoryRecord]:
    return [r for r in snapshot.records if r.key.collection == BIG and r.text and r.embedding is not None][:count]


def plan_for(address: Address, pairs: int = 3) -> Plan:
    records = mergeable(snapshot_of(address), 2 * pairs)
    steps = []
    for one, other in zip(records[::2], records[1::2], strict=True):
        result = Result(
            f"{one.text} {other.text}", one.tags, one.created, one.updated, one.uri, one.metadata, VectorRule.MEAN
        )
        steps.append(Merge(Ref.of(one), (Ref.of(other),), result))
    return Plan(source=str(address), target=str(address), steps=tuple(steps), settings={"reason": "optimize"})


def ask(python: str, address: Address, collection: str, vector: list[float]) -> dict[str, object]:
    """What the real library answers when it opens, adds to and queries the folder."""
    command = [python, "-c", ASK, str(address.path), collection, json.dumps(vector)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_dry_run_leaves_no_trace(address: Address) -> None:
    before = traces(address.path.parent)
    assert apply(plan_for(address), ApplyOptions(dry_run=True)).removed == 3
    assert traces(address.path.parent) == before


def test_merged_folder_opens_and_everything_else_survives(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(plan_for(address))
    after = snapshot_of(address)
    assert (report.merged, len(after)) == (3, len(before) - 3)
    assert [path.name for path in address.path.parent.iterdir()] == ["chroma_db"]
    for info in before.collections:
        found = after.collection(info.name)
        assert found is not None
        assert (found.settings["id"], found.settings["metadata"]) == (info.settings["id"], info.settings["metadata"])
    info = before.collection(BIG)
    assert info is not None and info.dimension
    answer = ask(sys.executable, address, BIG, [0.5] * info.dimension)
    assert (answer["id"], answer["first"]) == (info.settings["id"], "added later")


def test_undo_keeps_what_the_assistant_added_since(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(plan_for(address))
    info = before.collection(BIG)
    assert info is not None and info.dimension
    ask(sys.executable, address, BIG, [0.5] * info.dimension)
    apply(history.undo_plan(history.find(str(report.step))))
    after = snapshot_of(address).by_key
    assert len(after) == len(before) + 1
    for key, record in before.by_key.items():
        assert Ref.of(after[key]) == Ref.of(record)
        if record.embedding is not None:
            np.testing.assert_allclose(after[key].embedding, record.embedding, atol=1e-5)


def test_compacting_shrinks_the_folder_and_keeps_everything(address: Address) -> None:
    before = snapshot_of(address)
    plan = replace(plan_for(address, pairs=20), store_steps=(StoreStep.REBUILD,))
    report = apply(plan, ApplyOptions(confirm_shrink=True))
    after = snapshot_of(address)
    assert report.compacted
    assert report.bytes_after is not None and report.bytes_after < report.bytes_before
    assert len(after) == len(before) - 20
    assert [info.settings["id"] for info in after.collections] == [info.settings["id"] for info in before.collections]
    info = before.collection(PLAIN)
    assert info is not None and info.dimension
    assert ask(sys.executable, address, PLAIN, [0.25] * info.dimension)["first"] == "added later"


@pytest.mark.old_chroma
def test_an_older_folder_is_not_touched_without_a_choice(old_address: Address) -> None:
    before = traces(old_address.path.parent)
    with pytest.raises(WriterNeeded, match="would upgrade it") as raised:
        apply(plan_for(old_address))
    assert traces(old_address.path.parent) == before
    for way in ("--chroma-python", "--make-environment", "--output", "--upgrade-format"):
        assert way in raised.value.todo


@pytest.mark.old_chroma
def test_an_older_folder_is_written_by_its_own_library(old_address: Address) -> None:
    before = snapshot_of(old_address)
    options = ApplyOptions(writer=WriterOptions(python=OLD_PYTHON))
    report = apply(plan_for(old_address), options)
    with open_store(old_address) as store:
        assert store.capabilities.written_by is not None
    info = before.collection(BIG)
    assert info is not None and info.dimension
    answer = ask(str(OLD_PYTHON), old_address, BIG, [0.5] * info.dimension)
    assert (answer["id"], answer["first"]) == (info.settings["id"], "added later")
    undone = apply(history.undo_plan(history.find(str(report.step))))
    assert undone.skipped == ()
    assert len(snapshot_of(old_address)) == len(before) + 1


@pytest.mark.old_chroma
def test_the_python_may_be_named_from_where_one_stands(
    old_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(OLD_PYTHON.parent)
    with open_store(old_address) as store:
        chosen = choose(store, WriterOptions(python=Path(OLD_PYTHON.name)), Progress())
    assert chosen.chroma_python == OLD_PYTHON


@pytest.mark.old_chroma
def test_a_python_with_another_chromadb_is_refused(old_address: Address) -> None:
    with pytest.raises(UsageError, match="no chromadb that writes this folder"):
        apply(plan_for(old_address), ApplyOptions(writer=WriterOptions(python=Path(sys.executable))))


@pytest.mark.old_chroma
def test_an_upgrade_alone_is_carried_out_too(old_address: Address) -> None:
    before = snapshot_of(old_address)
    nothing = Plan(source=str(old_address), target=str(old_address))
    report = apply(nothing, ApplyOptions(writer=WriterOptions(upgrade=True)))
    with open_store(old_address) as store:
        assert store.capabilities.written_by is None
    after = snapshot_of(old_address)
    assert before.fingerprint and after.fingerprint and after.fingerprint.content == before.fingerprint.content
    assert history.find(str(report.step)).whole_store


@pytest.mark.old_chroma
def test_output_leaves_the_older_folder_alone(old_address: Address, tmp_path: Path) -> None:
    before = snapshot_of(old_address)
    untouched = traces(old_address.path)
    options = ApplyOptions(writer=WriterOptions(output=tmp_path / "new_db"))
    report = apply(plan_for(old_address), options)
    assert traces(old_address.path) == untouched
    assert len(snapshot_of(old_address.at(tmp_path / "new_db"))) == len(before) - 3
    assert any("MCP_MEMORY_CHROMA_PATH" in step for step in report.next_steps)


@pytest.mark.old_chroma
def test_undoing_an_upgrade_brings_back_the_old_files(old_address: Address) -> None:
    before = {name: data for name, (data, _) in traces(old_address.path).items()}
    report = apply(plan_for(old_address), ApplyOptions(writer=WriterOptions(upgrade=True)))
    with open_store(old_address) as store:
        assert store.capabilities.written_by is None
    apply(history.undo_plan(history.find(str(report.step))))
    assert {name: data for name, (data, _) in traces(old_address.path).items()} == before


def test_a_folder_open_in_the_real_library_is_refused(address: Address) -> None:
    hold = (
        "import chromadb, sys; c = chromadb.PersistentClient(sys.argv[1]);"
        "c.list_collections(); print(flush=True); sys.stdin.read()"
    )
    plan = plan_for(address)
    command = [sys.executable, "-c", hold, str(address.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        with pytest.raises(StoreInUse, match=str(child.pid)):
            apply(plan)
        child.stdin.close()


def test_two_renames_where_the_exchange_is_not_known(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(one: Path, other: Path) -> None:
        raise ExchangeUnsupported

    monkeypatch.setattr(commit, "exchange", unsupported)
    count = len(snapshot_of(address))
    apply(plan_for(address))
    assert len(snapshot_of(address)) == count - 3
    assert not Job(address.path).folder.exists()


@pytest.mark.old_chroma
def test_restoring_an_older_folder_needs_no_library(old_address: Address) -> None:
    before = {name: data for name, (data, _) in traces(old_address.path).items()}
    report = apply(plan_for(old_address), ApplyOptions(writer=WriterOptions(upgrade=True)))
    plan = Plan(source=f"backup:{report.backup}", target=str(old_address), store_steps=(StoreStep.REPLACE,))
    apply(plan)
    assert {name: data for name, (data, _) in traces(old_address.path).items()} == before


def test_an_index_that_lost_its_way_is_built_anew(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    rebuilt: list[Path] = []
    honest = ChromaLocal.lost_in_search, ChromaLocal.rebuild

    def lost(self: ChromaLocal, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        if self.path == address.path:
            return honest[0](self, records, progress)
        asked.append(bool(rebuilt))
        return [record.key for record in records] if not rebuilt else honest[0](self, records, progress)

    def rebuild(self: ChromaLocal, progress: Progress) -> None:
        rebuilt.append(self.path)
        honest[1](self, progress)

    monkeypatch.setattr(ChromaLocal, "lost_in_search", lost)
    monkeypatch.setattr(ChromaLocal, "rebuild", rebuild)
    count = len(snapshot_of(address))
    apply(plan_for(address))
    assert (asked, len(rebuilt)) == ([False, True], 1)
    assert len(snapshot_of(address)) == count - 3


def test_what_an_index_never_found_is_no_loss(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    never = set(list(snapshot_of(address).by_key)[::2])
    asked: list[Path] = []

    def lost(self: ChromaLocal, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        asked.append(self.path)
        return [record.key for record in records if record.key in never]

    monkeypatch.setattr(ChromaLocal, "lost_in_search", lost)
    monkeypatch.setattr(ChromaLocal, "rebuild", lambda *_: pytest.fail("there was nothing to mend"))
    apply(plan_for(address))
    assert len(asked) == 2 and asked[1] == address.path


def test_a_folder_with_a_link_is_not_written(address: Address) -> None:
    (address.path / "link").symlink_to("chroma.sqlite3")
    before = traces(address.path)
    with pytest.raises(NotPermitted, match="link"):
        apply(plan_for(address))
    assert traces(address.path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_folder_keeps_its_permissions(address: Address) -> None:
    address.path.chmod(0o700)
    (address.path / "chroma.sqlite3").chmod(0o660)
    apply(plan_for(address))
    assert address.path.stat().st_mode & 0o777 == 0o700
    assert (address.path / "chroma.sqlite3").stat().st_mode & 0o777 == 0o660


def test_a_backup_takes_the_place_of_a_damaged_folder(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(plan_for(address))
    (address.path / "chroma.sqlite3").write_bytes(b"<html>")
    apply(Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,)))
    assert snapshot_of(address).by_key.keys() == before.by_key.keys()
