"""Whatever was added, edited, merged, undone and redone: undoing all of it, the last first, gives the first state."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.history import StepState
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Drop, Merge, Plan, Ref, Result, Step, VectorRule, Write
from memdefrag.model.records import Key, MemoryRecord, Snapshot
from tests.conftest import fill
from tests.engine.stores import snapshot_of

WILLING = ApplyOptions(confirm_shrink=True)
SUFFIX = {"memory-export": "db", "jsonl": "jsonl"}
Model = dict[Key, tuple[str, bytes]]
"""By key: the record's hash, and the bits of its vector."""

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)
picks = st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True)


def model_of(snapshot: Snapshot) -> Model:
    return {
        record.key: (record_hash(record), b"" if record.embedding is None else record.embedding.tobytes())
        for record in snapshot
    }


class Machine(RuleBasedStateMachine):
    """A store beside a model of it: what it must hold, and what each step that counts had found."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.outer = os.environ[DATA_DIR_VARIABLE]
        os.environ[DATA_DIR_VARIABLE] = f"{self.scratch.name}/data"
        self.done: list[tuple[str, Model, Model]] = []
        """Steps in effect: id, what the store held before and after."""
        self.taken_back: list[tuple[str, Model, Model]] = []
        self.count = 0

    def teardown(self) -> None:
        try:
            while self.done:
                self._undo()
            assert model_of(snapshot_of(self.address)) == self.first
        finally:
            os.environ[DATA_DIR_VARIABLE] = self.outer
            self.scratch.cleanup()

    @initialize(said=st.lists(texts, min_size=5, max_size=8))
    def begin(self, said: list[str]) -> None:
        file = Path(self.scratch.name, f"store.{SUFFIX[self.kind]}")
        records = [self._made(text) for text in said]
        self.address = Address(self.kind, str(fill(Address(self.kind, str(file)), records)))
        self.first = self.held = model_of(snapshot_of(self.address))

    @rule(text=texts)
    def add(self, text: str) -> None:
        """Bring a memory in from a file."""
        record = self._made(text)
        file = Path(self.scratch.name, f"{record.key.id}.jsonl")
        fill(Address("jsonl", str(file)), [record])
        [found] = snapshot_of(Address("jsonl", str(file)))
        self._do([Write(Ref.of(found), found.key)], source=f"jsonl:{file}")

    @rule(text=texts, which=st.integers(0, 9))
    def edit(self, text: str, which: int) -> None:
        record = self._present()[which % len(self.held)]
        said = Result(text, ("edited",), record.created, 1.8e9, None, {**record.metadata, "edited": self.count})
        self._do([Write(Ref.of(record), record.key, Ref.of(record).hash, said)])

    @precondition(lambda self: len(self.held) > 4)
    @rule(text=texts, which=picks)
    def merge(self, text: str, which: list[int]) -> None:
        present = self._present()
        one, *others = dict.fromkeys(number % len(present) for number in which)
        survivor = present[one]
        said = Result(text, survivor.tags, survivor.created, 1.8e9, None, survivor.metadata, VectorRule.MEAN)
        if others:
            self._do([Merge(Ref.of(survivor), tuple(Ref.of(present[other]) for other in others), said)])

    @precondition(lambda self: len(self.held) > 3)
    @rule(which=st.integers(0, 9))
    def drop(self, which: int) -> None:
        self._do([Drop(Ref.of(self._present()[which % len(self.held)]))])

    @precondition(lambda self: self.done)
    @rule()
    def undo(self) -> None:
        self._undo()

    @precondition(lambda self: self.taken_back)
    @rule()
    def redo(self) -> None:
        id, before, after = self.taken_back.pop()
        report = apply(history.redo_plan(history.find(id)), WILLING)
        assert report.skipped == ()
        self.done.append((id, before, after))
        self.held = after

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        if hasattr(self, "address"):
            assert model_of(snapshot_of(self.address)) == self.held
            found = history.states(self.address)
            assert all(found[id] is StepState.APPLIED for id, _, _ in self.done)
            assert all(found[id] is StepState.UNDONE for id, _, _ in self.taken_back)

    def _undo(self) -> None:
        id, before, after = self.done.pop()
        assert history.latest(self.address).id == id
        report = apply(history.undo_plan(history.find(id)), WILLING)
        assert report.skipped == ()
        self.taken_back.append((id, before, after))
        self.held = before

    def _do(self, steps: list[Step], source: str | None = None) -> None:
        plan = Plan(source=source or str(self.address), target=str(self.address), steps=tuple(steps))
        report = apply(plan, WILLING)
        assert report.skipped == ()
        after = model_of(snapshot_of(self.address))
        assert after != self.held
        self.done.append((str(report.step), self.held, after))
        self.taken_back.clear()
        self.held = after

    def _present(self) -> list[MemoryRecord]:
        return sorted(snapshot_of(self.address), key=lambda record: record.key)

    def _made(self, text: str) -> MemoryRecord:
        self.count += 1
        vector = np.random.default_rng(self.count).standard_normal(4).astype(np.float32)
        made = MemoryRecord(Key("memories", f"id{self.count}"), text, {"number": self.count}, vector)
        return replace(made, created=1.7e9 + self.count)


@pytest.mark.case(45)
@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_all_of_it_can_be_taken_back(kind: str) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type(f"Machine_{kind}", (Machine,), {"kind": kind})
    exploring = "MEMDEFRAG_EXPLORE" in os.environ
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30 if exploring else 4,
            stateful_step_count=8,
            phases=list(Phase) if exploring else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
