"""Plans carried out in one transaction of a real database: old or new, whatever happens."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest

from memdefrag.base.errors import MemdefragError, StoreInUse
from memdefrag.base.progress import Progress, Tick
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history, recover
from memdefrag.engine.apply import NEW_IN_PLACE, apply
from memdefrag.engine.backups import shelf
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.verify import verify
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Drop, Plan, Ref, Write
from memdefrag.model.records import Key, State
from memdefrag.model.report import ApplyReport
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.postgres import transaction
from memdefrag.stores.registry import open_store
from tests.engine.stores import fill_store, merge_plan, snapshot_of
from tests.faults import ledger, worker
from tests.faults.harness import in_child
from tests.stores.postgres.conftest import bigmemory_url, federated_url, server
from tests.stores.postgres.proxy import losing_commit
from tests.stores.postgres.server import Server

__all__ = ["bigmemory_url", "federated_url", "server"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the server is reached by a socket in a folder")

COUNT = 12


@pytest.fixture
def big(bigmemory_url: str) -> Address:
    return fill_store(Address("bigmemory", bigmemory_url), COUNT)


def content_of(address: Address) -> str:
    return content_hash(snapshot_of(address).records)


def commits(address: Address) -> set[str]:
    """The transactions that wrote the rows that there are."""
    with psycopg.connect(address.location) as session:
        return {row[0] for row in session.execute("SELECT xmin::text FROM memories")}


def wipe(address: Address) -> None:
    with psycopg.connect(address.location) as session:
        session.execute("TRUNCATE memories CASCADE")


def test_a_merge_marks_its_members_as_deleted_in_one_transaction(big: Address) -> None:
    before = commits(big)
    report = apply(merge_plan(big))
    assert (report.merged, report.written, report.removed, report.skipped) == (3, 6, 3, ())
    after = snapshot_of(big)
    assert [record.state for record in after].count(State.DELETED) == 3
    assert len(after) == COUNT
    assert len(commits(big) - before) == 1


def test_undo_brings_every_row_back(big: Address) -> None:
    before = content_of(big)
    apply(merge_plan(big))
    assert content_of(big) != before
    apply(history.undo_plan(history.latest(big.whole())))
    assert content_of(big) == before


def test_a_dropped_memory_is_marked_as_deleted_and_comes_back(big: Address) -> None:
    record = snapshot_of(big).by_key[Key("memories", "id000")]
    apply(Plan(source=str(big), target=str(big), steps=(Drop(Ref.of(record)),)))
    with open_store(big) as store:
        [marked] = store.fetch([record.key])
    assert marked.state is State.DELETED
    apply(history.undo_plan(history.latest(big.whole())))
    with open_store(big) as store:
        assert store.fetch([record.key]) == [record]


def test_the_backup_before_it_holds_everything(big: Address) -> None:
    before = content_of(big)
    report = apply(merge_plan(big))
    assert report.backup is not None
    backup = shelf.find(report.backup)
    verify(backup, Progress())
    with open_store(f"backup:{report.backup}") as store:
        assert content_hash(read_snapshot(store).records) == before


def test_a_backup_is_of_one_moment_while_the_assistant_writes(big: Address) -> None:
    written: list[str] = []

    def interfere(tick: Tick) -> None:
        if tick.phase == "Backing up" and not written:
            written.append(tick.phase)
            with psycopg.connect(big.location) as session:
                session.execute("UPDATE memories SET content = 'written meanwhile'")

    before = content_of(big)
    with open_store(big) as store:
        made = create(store, None, "by hand", Progress(interfere))
    assert written
    assert content_of(parse(f"backup:{made.id}")) == before
    assert content_of(big) != before


def test_modules_are_merged_each_for_itself(federated_url: str) -> None:
    address = Address("federated", federated_url)
    with psycopg.connect(federated_url) as session:
        for number in range(4):
            session.execute(
                'INSERT INTO work_memories (id, "userId", content, "updatedAt") VALUES (%s, %s, %s, now())',
                [f"m{number}", "u", f"Fact {number // 2}"],
            )
    before = content_of(address)
    report = apply(merge_plan(address, pairs=1))
    assert (report.merged, report.removed, len(snapshot_of(address))) == (1, 1, 3)
    apply(history.undo_plan(history.latest(address.whole())))
    assert content_of(address) == before


def test_what_a_step_added_is_gone_after_its_undo(big: Address, jsonl_file: Path) -> None:
    before = content_of(big)
    source = snapshot_of(Address("jsonl", str(jsonl_file)))
    [record, *_] = source.records
    write = Write(Ref.of(record), Key("memories", "new"))
    apply(Plan(source=source.address, target=str(big), steps=(write,)))
    assert len(snapshot_of(big)) == COUNT + 1
    apply(history.undo_plan(history.latest(big.whole())))
    assert content_of(big) == before


@pytest.mark.case(18)
def test_a_row_changed_since_the_plan_leaves_its_step_out(big: Address) -> None:
    plan = merge_plan(big)
    with psycopg.connect(big.location) as session:
        session.execute("UPDATE memories SET content = 'newer' WHERE id = 'id000'")
    report = apply(plan)
    assert report.merged == 2
    assert [skipped.record for skipped in report.skipped] == ["memories/id000"]
    with open_store(big) as store:
        [kept] = store.fetch([Key("memories", "id000")])
    assert (kept.text, kept.state) == ("newer", State.LIVE)


@pytest.mark.case(17)
def test_a_busy_table_leaves_everything_as_it_was(big: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "LOCK_SECONDS", 0.2)
    before = content_of(big)
    with psycopg.connect(big.location, application_name="assistant") as other:
        other.execute("UPDATE memories SET access_count = 1 WHERE id = 'id011'")
        with pytest.raises(StoreInUse, match="assistant") as caught:
            apply(merge_plan(big))
        other.rollback()
    assert "not changed" in caught.value.safe
    assert content_of(big) == before
    assert_tidy()


@pytest.mark.case(40)
def test_a_backend_killed_before_the_commit_is_rolled_back(server: Server, big: Address) -> None:
    before = content_of(big)

    def kill(tick: Tick) -> None:
        if tick.phase != "Committing" or killed:
            return
        with psycopg.connect(big.location) as session:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'memdefrag' "
                "AND state = 'idle in transaction' AND backend_xid IS NOT NULL"
            )
            [(pid,)] = session.execute(query).fetchall()
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)

    killed: list[int] = []
    with pytest.raises(MemdefragError):
        apply(merge_plan(big), progress=Progress(kill))
    assert killed
    server.wait()
    recover.recover_all()
    assert content_of(big) == before
    assert_tidy()


@pytest.mark.case(40)
@pytest.mark.parametrize("deliver", [True, False])
def test_a_lost_answer_to_commit_is_settled_by_looking(server: Server, big: Address, deliver: bool) -> None:
    before = content_of(big)
    plan = merge_plan(big)
    apply_through = partial(_through_proxy, server.folder, plan, big, deliver)
    if deliver:
        report = apply_through()
        assert report.merged == 3
        assert content_of(big) != before
    else:
        with pytest.raises(MemdefragError) as caught:
            apply_through()
        assert NEW_IN_PLACE not in caught.value.safe
        assert content_of(big) == before


def _through_proxy(folder: Path, plan: Plan, address: Address, deliver: bool) -> ApplyReport:
    with losing_commit(folder, deliver=deliver) as other:
        there = str(address).replace(str(folder), str(other))
        return apply(replace(plan, source=there, target=there))


@pytest.mark.case(40)
@pytest.mark.slow
def test_a_crash_anywhere_leaves_old_or_new_rows(big: Address, tmp_path: Path) -> None:
    deed = partial(worker.carry_out, merge_plan(big))
    before = content_of(big)
    listing = tmp_path / "points"
    assert in_child(f"list:{listing}", deed) == worker.DONE
    after = content_of(big)
    points = listing.read_text().splitlines()
    around = points.index("commit of the transaction") + 1
    outcomes = set()
    last = len(points)
    everywhere = range(1, last + 1) if ledger.ALL_POINTS else (1, around // 2, *range(around - 2, around + 3), last - 4)
    for point in everywhere:
        wipe(big)
        fill_store(big, COUNT)
        assert content_of(big) == before
        ended = in_child(f"kill:{point}", deed)
        # Later runs pass fewer points: some folders are there already.
        assert ended == -signal.SIGKILL or point > last - 6
        recover.recover_all()
        found = content_of(big)
        assert found in (before, after), f"neither old nor new after {points[point - 1]!r}"
        assert_tidy()
        outcomes.add(found == after)
    assert outcomes == {True, False}


def assert_tidy() -> None:
    assert catalogue.unfinished_jobs() == {}
    assert list((data_dir() / "jobs").glob("*/*")) == []


def test_the_address_of_the_history_is_the_one_given(big: Address) -> None:
    apply(merge_plan(big))
    assert [parse(step.store) for step in history.steps(big.whole())] == [big.whole()]
