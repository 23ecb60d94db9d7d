"""A job's folder may come with files from a stranger: it is never believed further than that store."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.errors import MemdefragError, StoreDamaged, UnfinishedJob
from memdefrag.base.settings import resource
from memdefrag.engine import catalogue, images, recover
from memdefrag.engine.journal import Job
from memdefrag.model.address import Address
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill

pytestmark = pytest.mark.case(34)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A stranger's store with an empty job's folder beside it."""
    folder = tmp_path / "from-a-stranger"
    folder.mkdir()
    made = Job(Path(shutil.copy(resource("demo.jsonl"), folder)))
    for place in (made.new, made.old):
        place.parent.mkdir(parents=True)
    return made


def forge(job: Job, *bodies: bytes) -> None:
    lines = [b"%08x %s\n" % (zlib.crc32(body), body) for body in bodies]
    (job.folder / "journal").write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"5", b"null", b'{"state": "bogus"}', b'{"state": 5}', b'{"state": "started", "pid": "x"}',
     b'{"state": "started", "pid": -1}', b'{"state": "started", "pid": 1e400}', b'{"state": "started", "id": ["a"]}',
     b'{"state": "swap", "source_hash": {}}', b'{"id": "../../x"}', b"[" * 5000, b'{"state": ["swap"]}', b"{broken"],
)  # fmt: skip
def test_a_line_that_we_did_not_write_stops_everything_with_a_reason(job: Job, body: bytes) -> None:
    before = job.target.read_bytes()
    forge(job, body)
    for look in (job.facts, lambda: recover.require_none(job), lambda: recover.recover_path(job.target)):
        with pytest.raises(StoreDamaged, match="is not one this memdefrag wrote"):
            look()
    assert job.target.read_bytes() == before and job.folder.is_dir()


@pytest.mark.parametrize(
    "body",
    [b'{"state": "swap"}', b'{"state": "swap", "kind": "file", "source_hash": "0", "new_hash": "1"}',
     b'{"state": "swap", "kind": "nothing", "id": "a"}', b'{"state": "started", "pid": 1}'],
)  # fmt: skip
def test_a_well_formed_forgery_changes_no_store(job: Job, body: bytes) -> None:
    before = job.target.read_bytes()
    forge(job, body)
    with pytest.raises(UnfinishedJob):
        recover.require_none(job)
    try:
        recover.recover_path(job.target)
    except MemdefragError as error:
        assert error.exit_code < 70
    assert job.target.read_bytes() == before


def test_a_stranger_s_journal_writes_into_no_other_store(
    job: Job, tmp_path: Path, records: list[MemoryRecord]
) -> None:
    victim = Address("hdev", str(tmp_path / "my-memories"))
    named = [replace(record, key=Key("memories", f"note-{n}"), embedding=None) for n, record in enumerate(records)]
    fill(victim, named)
    with open_store(victim) as store:
        mine = read_snapshot(store).by_key
    evil = {key: replace(record, text="forged") for key, record in mine.items()}
    images.save(job.folder, mine, evil, mine)
    facts = {"state": "swap", "kind": "in-place", "store": str(victim), "id": catalogue.new_id(), "pid": 2**31 - 1}
    forge(job, json.dumps(facts).encode())
    with pytest.raises(UnfinishedJob):
        recover.require_none(job)
    with pytest.raises(StoreDamaged, match="is not one this memdefrag wrote"):
        recover.recover_all()
    with open_store(victim) as store:
        assert read_snapshot(store).by_key == mine


@pytest.mark.skipif("os.name == 'nt'")
def test_a_job_s_folder_that_is_a_link_is_not_followed(job: Job, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(job.folder, elsewhere)
    (elsewhere / "kept").write_text("mine")
    job.folder.symlink_to(elsewhere)
    with pytest.raises(UnfinishedJob):
        recover.require_none(job)
    recover.recover_all()
    assert (elsewhere / "kept").read_text() == "mine"
    assert not job.folder.is_symlink()
