"""The journal survives torn lines and refuses a second job."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import UnfinishedJob
from memdefrag.engine.journal import Job, JobState


def journal_of(job: Job) -> Path:
    return job.folder / "journal"


def test_later_facts_win(tmp_path: Path) -> None:
    job = Job(tmp_path / "store")
    job.begin(id="1", kind="file")
    job.note(JobState.BACKED_UP, backup="b")
    assert job.facts() == {"state": "backed-up", "id": "1", "kind": "file", "backup": "b"}


def test_a_second_job_is_refused(tmp_path: Path) -> None:
    Job(tmp_path / "store").begin(id="1")
    with pytest.raises(UnfinishedJob):
        Job(tmp_path / "store").begin(id="2")


@given(st.data())
@settings(max_examples=60)
def test_damage_hides_the_line_and_all_after_it(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    job = Job(tmp_path_factory.mktemp("job") / "store")
    job.begin(id="1")
    ends = [journal_of(job).stat().st_size]
    for state in (JobState.BACKED_UP, JobState.STAGED, JobState.VERIFIED):
        job.note(state)
        ends.append(journal_of(job).stat().st_size)
    content = bytearray(journal_of(job).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    journal_of(job).write_bytes(content)
    states = [None, "started", "backed-up", "staged", "verified"]
    assert job.facts().get("state") == states[sum(end <= at for end in ends)]


@given(st.integers(0, 200))
@settings(max_examples=30)
def test_a_torn_last_line_is_ignored(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    job = Job(tmp_path_factory.mktemp("job") / "store")
    job.begin(id="1")
    whole = journal_of(job).stat().st_size
    job.note(JobState.BACKED_UP)
    content = journal_of(job).read_bytes()
    journal_of(job).write_bytes(content[: max(whole, len(content) - 1 - cut)])
    assert job.facts()["state"] == "started"


def test_removal_takes_the_folder(tmp_path: Path) -> None:
    job = Job(tmp_path / "store")
    job.begin(id="1")
    job.remove()
    assert not job.folder.exists()
    assert job.facts() == {}
