"""A migration that is killed at any moment, with all that it started, and gone on with ends as one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.engine import catalogue
from memdefrag.engine.journal import Job
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash, relation_hash
from memdefrag.model.migration import MigrateOptions, Pace
from memdefrag.model.records import Key, MemoryRecord, Relation
from tests.cli.conftest import command_line
from tests.engine.migrate.kinds import NAME, NO_MODEL, make
from tests.engine.migrate.servers import Places, new_places
from tests.engine.serve.running import program
from tests.engine.stores import snapshot_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are killed"),
    pytest.mark.timeout(1_800),
]

ALL = os.environ.get("MEMDEFRAG_FAULTS") == "all"
COUNT, KILLS = (2_000, 20) if ALL else (100, 1)
BATCH = COUNT // 10
KINDS = ("jsonl", "chroma", "chroma+http", "served")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with new_places(tmp_path_factory.mktemp("kill")) as made:
        yield made


@contextmanager
def target(place: Places, kind: str) -> Iterator[Address]:
    """An empty store; a folder that is served by a program of its own where that is asked for."""
    if kind != "served":
        yield place(kind)
        return
    folder = place("hdev")
    folder.path.mkdir()
    with program("serve", folder, data=folder.path.with_name("served")) as served:
        yield parse(f"hdev+{served.url}")


@pytest.fixture
def source(tmp_path: Path) -> Address:
    rng = np.random.default_rng(7)
    records = [
        MemoryRecord(
            Key(NAME, f"id{number:04}"), f"Fact {number} über Tee", {"n": number, "deep": {"x": [number]}},
            rng.standard_normal(16).astype(np.float32), ("t",), created=1.7e9 + number, owner="o",
        )
        for number in range(COUNT)
    ]  # fmt: skip
    links = [Relation(one.key, other.key) for one, other in pairwise(records)]
    return make(Address("jsonl", str(tmp_path / "source.jsonl")), records, links)


def content(address: Address) -> tuple[str, list[str]]:
    found = snapshot_of(address)
    assert len(found.records) == len(found.by_key)
    return content_hash(found.records), sorted(map(relation_hash, found.relations))


def start(source: Address, target: Address, *more: str) -> subprocess.Popen[str]:
    """The command, in a process group of its own."""
    line = command_line("migrate", source, target, "--no-model", "--yes", "--json", "--batch-size", BATCH, *more)
    return subprocess.Popen(
        line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=os.environ
    )


def jobs_of(target: Address) -> tuple[Path, Path]:
    """The folders that a write into it has meanwhile, live or staged."""
    return Job.of_live(target).folder, Job(target.path).folder


def killed(source: Address, target: Address, seconds: float, *, early: bool) -> bool:
    """Begin and kill, so long after the first write was announced, or after the start; whether it was in time."""
    process = start(source, target)
    while not early and process.poll() is None and not any(job.exists() for job in jobs_of(target)):
        time.sleep(0.002)
    time.sleep(seconds)
    in_time = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL) if in_time else None
    process.communicate()
    return in_time


def resumed(source: Address, target: Address) -> dict[str, Any]:
    process = start(source, target, "--resume")
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    return dict(json.loads(out))


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_migration_ends_as_one_that_was_not(place: Places, source: Address, kind: str) -> None:
    with target(place, kind) as unkilled:
        began = time.monotonic()
        migrate(source, unkilled, MigrateOptions(pace=Pace(batch=BATCH)), NO_MODEL)
        seconds = time.monotonic() - began
        wanted = content(unkilled)
    chance, latest, in_time = random.Random(kind), seconds / 2, 0
    for number in count():
        if number >= KILLS and in_time:
            break
        with target(place, kind) as there:
            early = number % 4 == 3
            was_in_time = killed(source, there, chance.uniform(0, latest), early=early)
            in_time += was_in_time
            latest *= 1 if was_in_time else 0.5
            report = resumed(source, there)
            assert content(there) == wanted, f"kill {number} of {kind}"
            assert (report["failed"], report["conflicts"], report["found"]) == (0, 0, COUNT)
            # What was written before the interruption is copied, too; unless all was done when the kill came.
            assert report["copied"] in (0, COUNT)
            assert report["verified"] is (report["copied"] == COUNT)
            assert catalogue.unfinished_jobs() == {}
            assert not any(job.exists() for job in jobs_of(there))
