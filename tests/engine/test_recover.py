"""What an interrupted write left behind is settled by what stands there, and never blocks a restore."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from pathlib import Path

import psutil
import pytest

from memdefrag.base.errors import StoreDamaged, StoreInUse, UnfinishedJob
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import catalogue, history, owner, recover
from memdefrag.engine.apply import apply
from memdefrag.engine.commit import state_hash
from memdefrag.engine.journal import Job, JobState
from memdefrag.engine.owner import Owner
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from memdefrag.model.plan import Plan, StoreStep
from tests.engine.stores import make_store, merge_plan, snapshot_of

GONE = {"pid": 2**22 + 1, "process_created": 0.0}


@pytest.fixture
def address(tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    return make_store("jsonl", tmp_path / "place")


def interrupted(address: Address, state: JobState, **facts: str) -> Job:
    """A job whose process died after announcing a state."""
    job = Job(address.path.resolve())
    catalogue.record("job", id="1", path=str(job.target), store=str(address), **GONE)
    job.begin(id="1", kind="file", source_hash=state_hash(job.target, Commit.FILE), **GONE)
    job.note(state, **facts)
    return job


def test_before_the_swap_the_copy_is_thrown_away(address: Address) -> None:
    job = interrupted(address, JobState.VERIFIED, new_hash="x")
    [outcome] = recover.recover_all()
    assert (outcome.outcome, job.folder.exists()) == ("discarded", False)
    assert len(snapshot_of(address)) == 20
    assert recover.recover_all() == []


def test_a_missing_store_is_rolled_forward(address: Address) -> None:
    job = Job(address.path.resolve())
    interrupted(address, JobState.VERIFIED)
    job.new.write_bytes(b'{"text": "new"}\n')
    job.note(JobState.SWAP, new_hash=state_hash(job.new, Commit.FILE))
    address.path.rename(job.old)
    [outcome] = recover.recover_all()
    assert outcome.outcome == "applied"
    assert address.path.read_bytes() == b'{"text": "new"}\n'


def test_a_store_that_is_neither_is_not_touched(address: Address) -> None:
    job = interrupted(address, JobState.SWAP, new_hash="x", backup="b")
    address.path.write_bytes(b'{"text": "something else"}\n')
    with pytest.raises(StoreDamaged, match="neither"):
        recover.recover_all()
    assert address.path.read_bytes() == b'{"text": "something else"}\n'
    assert job.folder.exists()


def test_a_store_that_is_neither_can_be_restored_and_nothing_is_thrown_away(address: Address) -> None:
    report = apply(merge_plan(address))
    interrupted(address, JobState.SWAP, new_hash="x", backup=str(report.backup))
    address.path.write_bytes(b'{"text": "something else"}\n')
    plan = Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,))
    apply(plan)
    assert len(snapshot_of(address)) == 20
    assert [path.name for path in address.path.parent.glob("*.memdefrag-kept-*")]
    assert catalogue.unfinished_jobs() == {}
    apply(merge_plan(address))


def test_a_job_whose_process_lives_is_left_alone(address: Address) -> None:
    job = Job(address.path.resolve())
    job.begin(id="1", kind="file", source_hash="x", pid=1, process_created=psutil.Process(1).create_time())
    with pytest.raises(StoreInUse, match="process 1"):
        recover.require_none(job)
    assert recover.recover_path(job.target) is None
    assert job.folder.exists()


@pytest.mark.case(19)
def test_a_job_whose_owner_holds_its_lock_is_left_alone_and_taken_over_when_it_died(address: Address) -> None:
    job, owner = Job(address.path.resolve()), Owner("1")
    catalogue.record("job", id="1", path=str(job.target), **owner.facts)
    job.begin(id="1", kind="file", source_hash="x", **owner.facts)
    assert recover.recover_all() == []
    with pytest.raises(StoreInUse):
        apply(merge_plan(address))
    owner.leave()
    assert [each.outcome for each in recover.recover_all()] == ["discarded"]
    assert not job.folder.exists()
    apply(merge_plan(address))


def test_two_do_not_settle_one_job_at_a_time(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    job = interrupted(address, JobState.VERIFIED)
    monkeypatch.setattr(owner, "LOCK_DEADLINE_SECONDS", 0.1)
    with owner.settling(job.folder), pytest.raises(StoreInUse, match="Another memdefrag"):
        recover.recover_all()
    assert job.folder.exists()
    [outcome] = recover.recover_all()
    assert outcome.id == "1"


def test_the_job_that_another_began_after_settling_is_left_alone(address: Address) -> None:
    job = interrupted(address, JobState.VERIFIED)
    with pytest.MonkeyPatch.context() as patch:

        def late(place: Path) -> AbstractContextManager[None]:
            patch.undo()
            recover.recover_all()
            job.begin(id="2", **Owner("2").facts)
            return owner.settling(place)

        patch.setattr(owner, "settling", late)
        assert recover.recover_all() == []
    assert job.facts()["id"] == "2"


def test_whoever_comes_second_leaves_the_job_of_the_first_alone(address: Address) -> None:
    job, first = Job(address.path.resolve()), Owner("1")
    job.begin(id="1", kind="file", source_hash="x", **first.facts)
    with pytest.MonkeyPatch.context() as patch:
        # It had looked just before the first one began.
        patch.setattr(recover, "require_none", lambda _: None)
        with pytest.raises(StoreInUse, match="Another memdefrag"):
            apply(merge_plan(address))
    assert job.facts()["id"] == "1"
    assert catalogue.unfinished_jobs() == {}
    first.leave()


def test_the_lock_named_in_a_strangers_journal_is_not_opened(address: Address, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    Job(address.path.resolve()).begin(id="1", lock=str(precious), **GONE)
    with pytest.raises(UnfinishedJob):
        apply(merge_plan(address))
    assert precious.read_text() == "mine"


def two_renames(address: Address) -> Job:
    """A job that died between the renames where folders cannot be exchanged in one step."""
    job = half_swapped(address, swapped=False)
    job.target.rename(job.old)
    return job


def test_what_was_written_in_the_last_moment_before_a_rename_comes_back(address: Address) -> None:
    job = two_renames(address)
    late = job.old.read_bytes() + b'{"text": "late"}\n'
    job.old.write_bytes(late)
    assert [each.outcome for each in recover.recover_all()] == ["discarded"]
    assert job.target.read_bytes() == late


@pytest.mark.case(46)
def test_a_store_made_between_two_renames_is_set_aside(address: Address) -> None:
    job = two_renames(address)
    job.target.write_bytes(b'{"id": "fresh", "text": "made by a program that found nothing"}\n')
    [outcome] = recover.recover_all()
    assert outcome.outcome == "applied"
    assert any(record.text == "merged" for record in snapshot_of(address).records)
    [aside] = address.path.parent.glob("*aside*")
    assert "made by a program" in aside.read_text()
    assert str(aside) in str(outcome)


def test_a_store_that_holds_our_memories_is_no_intruder(address: Address) -> None:
    job = two_renames(address)
    job.target.write_bytes(job.old.read_bytes()[:-1] + b" \n")
    with pytest.raises(StoreDamaged):
        recover.recover_all()
    assert job.old.exists() and job.new.exists()


def test_an_interrupted_job_is_named(address: Address) -> None:
    job = interrupted(address, JobState.STARTED)
    with pytest.raises(UnfinishedJob):
        recover.require_none(job)


def half_swapped(address: Address, *, swapped: bool) -> Job:
    """A job that died around the exchange."""
    job = Job(address.path.resolve())
    source = state_hash(job.target, Commit.FILE)
    job.begin(id="1", kind=Commit.FILE, source_hash=source, **GONE)
    catalogue.record("job", id="1", path=str(job.target), **GONE)
    job.new.write_bytes(job.target.read_bytes() + b'{"text": "merged"}\n')
    job.note(JobState.SWAP, new_hash=state_hash(job.new, Commit.FILE))
    if swapped:
        old, new = job.target.read_bytes(), job.new.read_bytes()
        job.target.write_bytes(new)
        job.new.write_bytes(old)
    return job


@pytest.mark.parametrize(("swapped", "outcome"), [(True, "applied"), (False, "discarded")])
def test_a_store_used_since_the_crash_is_recognised(address: Address, swapped: bool, outcome: str) -> None:
    job = half_swapped(address, swapped=swapped)
    used = job.target.read_bytes() + b'{"text": "since"}\n'
    job.target.write_bytes(used)
    assert [found.outcome for found in recover.recover_all()] == [outcome]
    assert job.target.read_bytes() == used
    assert not job.folder.exists()


@pytest.mark.parametrize(("swapped", "outcome"), [(True, "applied"), (False, "discarded")])
def test_a_database_used_since_the_crash_is_recognised(tmp_path: Path, swapped: bool, outcome: str) -> None:
    address = make_store("memory-export", tmp_path)
    job, before = Job(address.path.resolve()), address.path.read_bytes()
    source = state_hash(job.target, Commit.SQLITE)
    backup = apply(merge_plan(address)).backup
    job.begin(id="1", kind=Commit.SQLITE, source_hash=source, **GONE)
    catalogue.record("job", id="1", path=str(job.target), **GONE)
    job.new.write_bytes(address.path.read_bytes())
    job.note(JobState.SWAP, new_hash=state_hash(job.new, Commit.SQLITE), backup=backup)
    if not swapped:
        address.path.write_bytes(before)
    with closing(sqlite3.connect(address.path)) as connection, connection:
        connection.execute("UPDATE memories SET content = 'Edited since' WHERE id = 'id019'")
    used = address.path.read_bytes()
    assert [found.outcome for found in recover.recover_all()] == [outcome]
    assert address.path.read_bytes() == used
    assert not job.folder.exists()


def test_a_store_that_nothing_explains_is_not_touched(address: Address) -> None:
    job = half_swapped(address, swapped=True)
    job.new.write_bytes(b"neither")
    job.target.write_bytes(b"nor")
    with pytest.raises(StoreDamaged):
        recover.recover_all()
    assert job.new.read_bytes() == b"neither"


def test_one_damaged_store_does_not_stop_the_others(address: Address, tmp_path: Path) -> None:
    job = half_swapped(address, swapped=True)
    job.new.write_bytes(b"neither")
    job.target.write_bytes(b"nor")
    other = make_store("jsonl", tmp_path)
    Job(other.path).begin(id="2", **GONE)
    catalogue.record("job", id="2", path=str(other.path), **GONE)
    with pytest.raises(StoreDamaged):
        recover.recover_all()
    assert not Job(other.path).folder.exists()


def test_a_job_of_another_data_folder_can_be_recovered(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = half_swapped(address, swapped=False)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "other data"))
    with pytest.raises(UnfinishedJob):
        apply(merge_plan(address))
    recover.recover_all()
    assert not job.folder.exists()
    apply(merge_plan(address))


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_job_folder_without_a_journal_can_be_recovered(address: Address, content: bytes | None) -> None:
    apply(merge_plan(address, 1))
    folder = Job(address.path).folder
    if content is None:
        folder.write_text("a file")
    else:
        folder.mkdir()
        (folder / "journal").write_bytes(content)
    with pytest.raises(UnfinishedJob):
        apply(merge_plan(address, 1))
    recover.recover_all()
    assert not folder.exists()
    assert catalogue.unfinished_jobs() == {}
    assert len(history.steps(address)) == 1
    assert history.undo_plan(history.latest(address)).steps


def test_a_strangers_journal_cannot_remove_the_history(address: Address) -> None:
    apply(merge_plan(address, 1))
    Job(address.path).begin(id="*", **GONE)
    with pytest.raises(UnfinishedJob):
        apply(merge_plan(address, 1))
    recover.recover_all()
    assert len(history.steps(address)) == 1


def test_a_journal_of_another_kind_is_told(address: Address) -> None:
    job = half_swapped(address, swapped=False)
    job.note(JobState.SWAP, kind="unheard of")
    with pytest.raises(StoreDamaged, match="journal"):
        recover.recover_all()


def test_a_store_whose_disk_is_away_is_waited_for(address: Address, tmp_path: Path) -> None:
    half_swapped(address, swapped=True)
    shutil.move(address.path.parent, tmp_path / "unplugged")
    assert recover.recover_all() == []
    shutil.move(tmp_path / "unplugged", address.path.parent)
    assert [found.outcome for found in recover.recover_all()] == ["applied"]
    assert any(record.text == "merged" for record in snapshot_of(address).records)


def test_a_running_memdefrag_is_left_alone_though_the_clock_was_set(address: Address) -> None:
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "memdefrag"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        Job(address.path.resolve()).begin(id="1", pid=child.pid, process_created=1.0)
        with pytest.raises(StoreInUse):
            apply(merge_plan(address))
        assert recover.recover_path(address.path.resolve()) is None
        child.stdin.close()
