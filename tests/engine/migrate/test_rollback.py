"""A migration whose comparison fails is taken back; where that fails, too, both is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memdefrag.base.errors import MemdefragError, ServerUnreachable
from memdefrag.engine import history
from memdefrag.engine.apply import apply
from memdefrag.engine.migrate import proof, run
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import Checked, MigrateOptions
from memdefrag.model.plan import Plan
from memdefrag.model.records import Key, MemoryRecord
from tests.engine.migrate.kinds import FILES, NAME, NO_MODEL, make
from tests.engine.stores import snapshot_of

TAKEN_BACK = MigrateOptions(rollback_on_failure=True)


@pytest.fixture
def source(tmp_path: Path) -> Address:
    return make(Address("jsonl", str(tmp_path / "source.jsonl")), [memory(id) for id in "abc"])


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The comparison always finds something."""
    monkeypatch.setattr(proof, "checked", lambda *_, **__: Checked(3, 0, 0, 0, 3, ("forged",)))
    return monkeypatch


def memory(id: str) -> MemoryRecord:
    return MemoryRecord(Key(NAME, id), f"Memory {id}", {}, created=1.7e9)


@pytest.mark.parametrize("kind", ["jsonl", "memory-export", "memory-service", "hdev"])
def test_a_store_that_was_made_holds_nothing_of_it_and_can_be_filled_again(
    tmp_path: Path, source: Address, failing: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "there").mkdir()
    target = Address(kind, str(tmp_path / "there" / FILES[kind]))
    report = migrate(source, target, TAKEN_BACK, NO_MODEL)
    assert report.rolled_back
    assert target.location in "".join(report.next_steps)
    assert snapshot_of(target).records == ()
    failing.undo()
    assert migrate(source, target, None, NO_MODEL).copied == 3


def test_what_stands_in_the_way_is_told_with_what_was_found(
    tmp_path: Path, source: Address, failing: pytest.MonkeyPatch
) -> None:
    target = make(Address("jsonl", str(tmp_path / "target.jsonl")), [memory("old")])

    def dies(plan: Plan, *rest: Any, **more: Any) -> Any:
        if plan.settings["reason"] == "undo":
            raise ServerUnreachable("It is gone.", todo="Start it.")
        return apply(plan, *rest, **more)

    failing.setattr(run, "apply", dies)
    with pytest.raises(MemdefragError, match="It is gone") as failed:
        migrate(source, target, TAKEN_BACK, NO_MODEL)
    [step] = history.steps(target)
    assert "forged" in failed.value.message
    assert failed.value.todo == f"Start it. Then take it back: memdefrag undo {step.id}"
