"""Whatever is done in whatever order, crashes included, the store holds what a plain dictionary would hold."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import catalogue, history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups import shelf
from memdefrag.engine.exchange import export_store, import_store
from memdefrag.engine.restore import restore_plan
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Merge, Plan, Put, Ref, Result, VectorRule
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.model.report import ApplyReport
from memdefrag.stores.registry import open_store
from tests.engine.stores import SUFFIX, make_store
from tests.faults import ledger, worker
from tests.faults.harness import in_child, snapshot_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server"),
    pytest.mark.timeout(3000),
    pytest.mark.case(45),
]

Texts = dict[str, str]
ANY = ApplyOptions(confirm_shrink=True)
PICK = st.integers(0, 1_000)
POINTS = st.integers(1, 100) | st.integers(82, 96)
"""A fault point of the work; those of the second kind lie around the commit."""


class Store(RuleBasedStateMachine):
    """A store, and beside it what a plain dictionary of id and text would hold."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="memdefrag-machine-"))
        os.environ[DATA_DIR_VARIABLE] = str(self.folder / "data")
        (self.folder / "place").mkdir()
        self.address = make_store(self.kind, self.folder / "place", 6)
        self.texts: Texts = self.present()
        self.steps: dict[str, tuple[Texts, Texts]] = {}
        self.undone: dict[str, set[str]] = {}
        self.backups: list[Texts] = []
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def present(self) -> Texts:
        return {record.key.id: record.text or "" for record in snapshot_of(self.address).records}

    def new_text(self, what: str) -> str:
        self.count += 1
        return f"{what} {self.count}"

    def picked(self, number: int) -> MemoryRecord:
        records = sorted(snapshot_of(self.address).records, key=lambda record: record.key)
        return records[number % len(records)]

    def note(self, step: str | None, after: Texts) -> None:
        """Remember what a step changed, and that the dictionary changed so, too."""
        touched = {id for id in {*self.texts, *after} if self.texts.get(id) != after.get(id)}
        before = self.texts
        if step:
            self.steps[step] = tuple({id: of[id] for id in touched if id in of} for of in (before, after))  # type: ignore[assignment]
        self.texts = after

    @rule(number=PICK)
    def assistant_adds(self, number: int) -> None:
        record = self.picked(number)
        added = replace(record, key=Key("memories", self.new_text("new")), text=self.new_text("added"))
        self.write(Put(added, None))
        self.texts = self.texts | {added.key.id: added.text or ""}

    @rule(number=PICK)
    def assistant_edits(self, number: int) -> None:
        record = self.picked(number)
        self.write(Put(replace(record, text=self.new_text("edited")), Ref.of(record).hash))
        self.texts = self.texts | {record.key.id: f"edited {self.count}"}

    def write(self, put: Put) -> None:
        with open_store(self.address) as store:
            store.write(Changes(put=(put._replace(record=store.fit(put.record)[0]),)), Progress())

    def merge_plan(self, one: int, other: int) -> Plan | None:
        survivor, member = self.picked(one), self.picked(other)
        if survivor.key == member.key:
            return None
        text = self.new_text("merged")
        result = Result(text, survivor.tags, survivor.created, None, metadata=survivor.metadata, vector=VectorRule.KEEP)
        step = Merge(Ref.of(survivor), (Ref.of(member),), result)
        where = str(self.address)
        return Plan(source=where, target=where, steps=(step,), settings={"reason": "optimize"})

    def merged(self, plan: Plan) -> Texts:
        [step] = plan.steps
        assert isinstance(step, Merge)
        gone = {ref.key.id for ref in step.members}
        return {id: text for id, text in self.texts.items() if id not in gone} | {
            step.survivor.key.id: step.result.text or ""
        }

    @rule(one=PICK, other=PICK)
    def merge(self, one: int, other: int) -> None:
        plan = self.merge_plan(one, other)
        if plan:
            self.note(apply(plan, ANY).step, self.merged(plan))

    @rule(one=PICK, other=PICK, point=POINTS, fault=st.sampled_from(["kill", "enospc", "eio"]))
    def crash(self, one: int, other: int, point: int, fault: str) -> None:
        plan = self.merge_plan(one, other)
        if not plan:
            return
        in_child(f"{fault}:{point}", partial(worker.carry_out, plan))
        worker.settle(self.address.path)
        found, old, new = self.present(), self.texts, self.merged(plan)
        outcome = ledger.OLD if found == old else ledger.NEW if found == new else ledger.BROKEN
        ledger.count(f"random sequences ({self.kind})", outcome)
        assert outcome != ledger.BROKEN
        if found == new:
            self.note(history.steps(self.address)[0].id, new)

    def undoable(self) -> bool:
        return any(step in self.steps for step in self.open_steps())

    def open_steps(self) -> list[str]:
        found = history.states(self.address)
        return [step for step, state in found.items() if state is history.StepState.APPLIED]

    @precondition(undoable)
    @rule()
    def undo(self) -> None:
        step = history.latest(self.address)
        if step.id not in self.steps:
            return
        before, after = self.steps[step.id]
        changed = {id for id in {*before, *after} if self.texts.get(id) == after.get(id)}
        changed -= self.undone.get(step.id, set())
        self.undone.setdefault(step.id, set()).update(changed)
        apply(history.undo_plan(step), ANY)
        self.texts = replaced(self.texts, changed, before)

    @rule()
    def redo(self) -> None:
        steps = [step for step in history.redoable(self.address) if step.id in self.steps]
        if not steps:
            return
        before, after = self.steps[steps[0].id]
        undone = self.undone[steps[0].id]
        changed = {id for id in undone if self.texts.get(id) == before.get(id)}
        undone -= changed
        apply(history.redo_plan(steps[0]), ANY)
        self.texts = replaced(self.texts, changed, after)

    @rule()
    def back_up(self) -> None:
        worker.back_up(self.address)
        self.backups.append(self.texts)

    @precondition(lambda self: self.backups)
    @rule(number=PICK)
    def restore(self, number: int) -> None:
        by_hand = [each for each in reversed(shelf.all_backups()) if each.manifest["reason"] == "by hand"]
        chosen = number % len(self.backups)
        report: ApplyReport = apply(restore_plan(by_hand[chosen], snapshot_of(self.address)), ANY)
        assert report.backup
        self.texts, self.steps = self.backups[chosen], {}

    @rule(number=PICK)
    def export_edit_and_import(self, number: int) -> None:
        other = {"jsonl": "memory-export", "memory-export": "jsonl"}[self.kind]
        file = Address(other, str(self.folder / f"exported {self.count}{SUFFIX[other]}"))
        export_store(str(self.address), file)
        assert {record.key.id: record.text for record in snapshot_of(file).records} == self.texts
        record = sorted(snapshot_of(file).records, key=lambda each: each.key)[number % len(self.texts)]
        edited = replace(record, text=self.new_text("edited outside"))
        with open_store(file) as store:
            store.write(Changes(put=(Put(edited, Ref.of(record).hash),)), Progress())
        report = import_store(str(file), self.address, options=ANY)
        self.note(report.step, self.texts | {record.key.id: edited.text or ""})

    @invariant()
    def the_store_holds_what_the_dictionary_holds(self) -> None:
        assert self.present() == self.texts

    @invariant()
    def nothing_is_left(self) -> None:
        assert [path.name for path in self.address.path.parent.iterdir()] == [self.address.path.name]
        assert catalogue.unfinished_jobs() == {}


def replaced(texts: Texts, ids: set[str], by: Texts) -> Texts:
    """The dictionary with what `by` says of the ids; what it does not say is absent."""
    return {id: text for id, text in texts.items() if id not in ids} | {id: by[id] for id in ids if id in by}


@pytest.mark.parametrize("kind", ["jsonl", "memory-export"])
def test_any_sequence_is_as_a_dictionary_says(kind: str) -> None:
    machine: Callable[[], Store] = type(f"Store_{kind}", (Store,), {"kind": kind})
    examples, steps = (40, 30) if ledger.ALL_POINTS else (4, 10)
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck), deadline=None
    )
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]
