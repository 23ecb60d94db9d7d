"""A migration that is killed at any moment and gone on with ends as one that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from memdefrag.base.errors import ServerUnreachable, UnfinishedJob
from memdefrag.base.http import Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history, recover, resume
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.journal import Job
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.faults import ledger, worker
from tests.faults.harness import _context, in_child
from tests.faults.migrating import Migration, content, equal
from tests.stores.hdev.server import Faults, serving

KILLS = 20 if ledger.ALL_POINTS else 5
MANY = 4 if ledger.ALL_POINTS else 1
SIZES = {"chroma": (500 * MANY, 50), "hdev": (80 * MANY, 10), "server": (40 * MANY, 5)}
"""Records of each migration, and how many are written at once."""

INFO = CollectionInfo("memories", 0, 0, 0, metric="cosine", settings={"metadata": {"hnsw:space": "cosine"}})
OLD = 10


def fill(address: Address, count: int, *, first: int = 0) -> Address:
    """Memories that every store can hold as they are."""
    rng = np.random.default_rng(first)
    name = "memories"
    with open_store(address, must_exist=False) as store:
        puts = []
        for number in range(first, first + count):
            vector = rng.standard_normal(16).astype(np.float32)
            record = MemoryRecord(Key(name, f"id{number:05}"), f"Fact {number}", {"weight": number / 8}, vector)
            puts.append(Put(store.fit(record)[0], None))
        store.write(Changes(put=tuple(puts), collections=(INFO,)), Progress())
    return address


@pytest.fixture(params=["chroma", "hdev", "server"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def migration(kind: str, place: Path, tmp_path: Path) -> Iterator[Migration]:
    """From a file into a store that holds a few other memories already."""
    count, batch = SIZES[kind]
    source = fill(Address("jsonl", str(tmp_path / "source.jsonl")), count, first=1_000)
    target = fill(Address("chroma" if kind == "chroma" else "hdev", str(place / "store")), OLD)
    if kind != "server":
        yield Migration(source, target, batch, {"MEMDEFRAG_CHROMA_BATCH": str(batch)})
        return
    with serving(target.path) as running:
        yield Migration(source, parse(running.address), batch)


@pytest.fixture
def pristine(migration: Migration, place: Path) -> Callable[[], None]:
    """Makes everything as it was."""
    kept = place.with_name("pristine")
    data_dir().mkdir(parents=True, exist_ok=True)
    shutil.copytree(place, kept / "place")
    shutil.copytree(data_dir(), kept / "data")

    def reset() -> None:
        for folder, name in ((place, "place"), (data_dir(), "data")):
            shutil.rmtree(folder)
            shutil.copytree(kept / name, folder)

    return reset


def job_of(migration: Migration) -> Job:
    local = migration.target.kind == "chroma"
    return Job(migration.target.path) if local else Job.of_live(migration.target)


def killed(migration: Migration, done: int) -> None:
    """The migration, dead when so many were told to be written."""
    assert in_child("", partial(migration.begin, done)) == -signal.SIGKILL


def killed_after(migration: Migration, seconds: float) -> None:
    """The migration, dead so long after its job began."""
    process = _context.Process(target=worker.run, args=(str(data_dir()), "", migration.begin_forked))
    process.start()
    while process.is_alive() and not job_of(migration).folder.exists():
        time.sleep(0.001)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()


def assert_tidy(migration: Migration, place: Path) -> None:
    assert catalogue.unfinished_jobs() == {}
    assert not job_of(migration).folder.exists()
    assert [path.name for path in place.iterdir()] == ["store"]
    told = {step.folder.name for step in history.steps()}
    assert {path.name for path in (data_dir() / "history").glob("*/*")} == told


def test_a_migration_killed_at_random_moments_ends_as_one_that_was_not(
    migration: Migration, kind: str, place: Path, pristine: Callable[[], None]
) -> None:
    began = time.monotonic()
    assert in_child("", migration.begin_forked) == worker.DONE
    seconds = time.monotonic() - began
    wanted = content(migration.target)
    assert len(wanted) == OLD + SIZES[kind][0]
    chance = random.Random(kind)
    for number in range(KILLS):
        pristine()
        killed_after(migration, chance.uniform(0, seconds))
        assert in_child("", migration.go_on_forked) == worker.DONE
        assert equal(content(migration.target), wanted), f"kill {number} of {kind}"
        assert_tidy(migration, place)
        ledger.count(f"migration into {kind}, gone on with", ledger.NEW)


def test_what_was_written_before_is_not_written_again(migration: Migration, kind: str, place: Path) -> None:
    count, batch = SIZES[kind]
    killed(migration, count // 2)
    told: list[int] = []
    migration.go_on(Progress(lambda tick: told.append(tick.total or 0) if tick.phase.startswith("Writing") else None))
    assert told and max(told) <= count // 2 + batch
    assert len(content(migration.target)) == OLD + count
    assert_tidy(migration, place)


def test_all_of_it_is_one_step_that_undo_takes_back(migration: Migration, kind: str) -> None:
    before = content(migration.target)
    killed(migration, SIZES[kind][0] // 2)
    [report] = migration.go_on()
    assert report.written == SIZES[kind][0]
    assert [step.id for step in history.steps()] == [report.step]
    apply(history.undo_plan(history.steps()[0]), ApplyOptions(confirm_shrink=True))
    assert equal(content(migration.target), before)


def test_it_waits_for_the_person_who_can_also_take_it_back(migration: Migration, kind: str, place: Path) -> None:
    before = content(migration.target)
    killed(migration, SIZES[kind][0] // 2)
    left = resume.pending(migration.target)
    assert left and (left.source, left.target) == (str(migration.source), str(migration.target))
    [waiting] = recover.recover_all()
    ways = f"Go on with `memdefrag migrate {migration.source} {migration.target} --resume`, or take it back"
    assert waiting.outcome == recover.WAITING and ways in str(waiting)
    with pytest.raises(UnfinishedJob) as refused:
        apply(migration.plan())
    assert ways in refused.value.todo
    [settled] = recover.recover_all(asked=True)
    assert settled.outcome == recover.DISCARDED
    assert resume.pending(migration.target) is None
    assert equal(content(migration.target), before)
    assert_tidy(migration, place)


@pytest.mark.parametrize("kind", ["chroma"], indirect=True)
def test_what_chromadb_left_torn_is_begun_anew(migration: Migration, kind: str, place: Path) -> None:
    count, _ = SIZES[kind]
    killed(migration, count // 2)
    for file in job_of(migration).new.rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    [report] = migration.go_on()
    assert report.written == count
    assert len(content(migration.target)) == OLD + count
    assert_tidy(migration, place)


@pytest.mark.parametrize("kind", ["chroma"], indirect=True)
def test_a_copy_of_what_the_store_no_longer_is_is_thrown_away(migration: Migration, kind: str, place: Path) -> None:
    count, _ = SIZES[kind]
    killed(migration, count // 2)
    fill(migration.target, 5, first=500)
    assert resume.left_copy(job_of(migration)) == {}
    assert not job_of(migration).folder.exists()
    migration.go_on()
    assert len(content(migration.target)) == OLD + 5 + count
    assert_tidy(migration, place)


@pytest.mark.parametrize("kind", ["hdev", "server"], indirect=True)
def test_what_somebody_changed_meanwhile_stays_and_is_told(migration: Migration, kind: str, place: Path) -> None:
    count, _ = SIZES[kind]
    killed(migration, count // 2)
    key = Key("memories", "id01000")
    with open_store(migration.target) as store:
        [record] = store.fetch([key])
        store.write(Changes(put=(Put(replace(record, text="theirs"), record_hash(record)),)), Progress())
    [report] = migration.go_on()
    assert [each.record for each in report.skipped] == [str(key)]
    assert content(migration.target).by_key[key].text == "theirs"
    assert report.written == count - 1
    assert_tidy(migration, place)


@pytest.mark.parametrize("kind", ["chroma"], indirect=True)
def test_the_process_of_chromadb_ends_with_the_one_that_started_it(migration: Migration, kind: str) -> None:
    killed(replace(migration, lone=True), SIZES[kind][0] // 2)
    staged = str(job_of(migration).new)

    def writing() -> list[int]:
        return [process.pid for process in psutil.process_iter() if staged in held(process)]

    until = time.monotonic() + 30
    while writing() and time.monotonic() < until:
        time.sleep(0.05)
    assert writing() == []


def held(process: psutil.Process) -> str:
    """The files that a process has open, in one text; none where it may not be asked."""
    try:
        return " ".join(file.path for file in process.open_files())
    except psutil.Error:
        return ""


def test_a_server_that_goes_away_can_be_gone_on_with(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = Options(silence=0.4, answer=0.6, retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(Options, "of_environment", lambda: impatient)
    source = fill(Address("jsonl", str(tmp_path / "source.jsonl")), 20, first=1_000)
    fill(Address("hdev", str(place / "store")), OLD)
    with serving(place / "store") as running:
        migration = Migration(source, parse(running.address), 5)
        running.faults = Faults(dies_at=8)
        with pytest.raises(ServerUnreachable) as told:
            apply(migration.plan(), ApplyOptions(pace=Pace(batch=5)))
        assert told.value.safe == resume.KEPT and "--resume" in told.value.todo
        running.faults = Faults()
        assert OLD < len(content(migration.target)) < OLD + 20
        migration.go_on()
        assert len(content(migration.target)) == OLD + 20
        assert_tidy(migration, place)


@pytest.mark.parametrize("kind", ["chroma", "hdev"], indirect=True)
def test_a_step_that_was_saved_by_halves_is_saved_again(
    migration: Migration, tmp_path: Path, pristine: Callable[[], None]
) -> None:
    listing = tmp_path / "points"
    assert in_child(f"list:{listing}", migration.begin_forked) == worker.DONE
    points = listing.read_text().splitlines()
    saved = next(number for number, name in reversed(list(enumerate(points, 1))) if name == "fsync step.json")
    wanted = content(migration.target)
    pristine()
    assert in_child(f"kill:{saved + 1}", migration.begin_forked) == -signal.SIGKILL
    assert resume.pending(migration.target) is not None
    assert in_child("", migration.go_on_forked) == worker.DONE
    assert equal(content(migration.target), wanted)
