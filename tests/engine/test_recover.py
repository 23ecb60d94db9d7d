"""What an interrupted write left behind is settled by what stands there, and never blocks a restore."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from memdefrag.base.errors import StoreDamaged, StoreInUse, UnfinishedJob
from memdefrag.engine import catalogue, recover
from memdefrag.engine.apply import apply
from memdefrag.engine.commit import state_hash
from memdefrag.engine.journal import Job, JobState
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


def test_an_interrupted_job_is_named(address: Address) -> None:
    job = interrupted(address, JobState.STARTED)
    with pytest.raises(UnfinishedJob):
        recover.require_none(job)
