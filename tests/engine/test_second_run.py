"""What surely says the same is merged in one go: looked at again, nothing sure is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.merge import SurvivorRule
from memdefrag.engine.planning import build_plan, sure_choices
from memdefrag.engine.resolve import resolve
from memdefrag.model.address import Address
from memdefrag.model.plan import expected
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store

NOW = 1_750_000_000.0
DIMENSION = 8
FACTS = (
    "Maria works at the hospital in Berlin",
    "The server listens on port 8080",
    "The backup runs every night and is kept for a week",
)
WORDINGS = (
    "{}",
    "{}.",
    "Note: {}",
    "[2024-03-01] {}",
    "{}, as she said herself",
    "{} and nobody minds the noise",
    "{} (mentioned again)",
    "Not really: {}",
    "{} since 2019",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("store") / "memories.jsonl"
    with open_store(Address("jsonl", str(path)), must_exist=False) as opened:
        yield opened


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Wordings of a few facts, with vectors that are near where the fact is the same, or without any."""
    said = draw(st.lists(st.tuples(st.sampled_from(range(len(FACTS))), st.sampled_from(WORDINGS)), max_size=12))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    spread = draw(st.sampled_from([None, 0.0, 0.1]))
    records = []
    for number, (fact, wording) in enumerate(said):
        vector = None
        if spread is not None:
            vector = np.eye(DIMENSION, dtype=np.float32)[fact] + rng.normal(0, spread, DIMENSION).astype(np.float32)
        text = wording.format(FACTS[fact])
        records.append(MemoryRecord(Key("notes", f"id{number:02}"), text, embedding=vector, created=NOW - number))
    count = len(records)
    info = CollectionInfo("notes", count, count, 0 if spread is None else count, None if spread is None else DIMENSION)
    return Snapshot("jsonl:notes", (info,), tuple(records))


def tidied(snapshot: Snapshot, store: Store) -> tuple[Snapshot, int]:
    """The snapshot after all that is sure was merged, and in how many steps."""
    found = analyze([snapshot])
    plan = build_plan(found, sure_choices(found, SurvivorRule.OLDEST), now=NOW, settings={})
    changes = resolve(plan, store, snapshot, snapshot, None).changes
    return replace(snapshot, records=tuple(expected(snapshot, changes).values())), len(plan.steps)


@given(snapshots())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_second_run_changes_nothing(store: Store, snapshot: Snapshot) -> None:
    once, _ = tidied(snapshot, store)
    again, steps = tidied(once, store)
    assert steps == 0
    assert again == once


def test_the_first_run_does_merge(store: Store) -> None:
    texts = [FACTS[0], f"Note: {FACTS[0]}", FACTS[1]]
    records = tuple(MemoryRecord(Key("notes", str(n)), text, created=NOW) for n, text in enumerate(texts))
    once, steps = tidied(Snapshot("jsonl:notes", (CollectionInfo("notes", 3, 3, 0, None),), records), store)
    assert steps == 1
    assert len(once.records) == 2
