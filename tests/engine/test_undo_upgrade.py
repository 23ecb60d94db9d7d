"""An upgraded Chroma folder goes back to the chromadb that made it, byte for byte; what came since is not lost."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.shelf import find
from memdefrag.engine.history import StepState
from memdefrag.engine.restore import added_since, taken_away_by
from memdefrag.engine.writers import WriterOptions
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan, Ref, Result, Write
from tests.engine.test_apply_chroma import ask, plan_for, snapshot_of
from tests.stores.chroma.folders import BIG, OLD_PYTHON, PLAIN, made_by_old_chroma

pytestmark = pytest.mark.old_chroma
UPGRADE = ApplyOptions(writer=WriterOptions(upgrade=True))
OLD = ApplyOptions(writer=WriterOptions(python=OLD_PYTHON))


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return Address("chroma", str(made_by_old_chroma().copy(tmp_path / "place" / "chroma_db")))


def files(address: Address) -> dict[str, str]:
    """Every file with its SHA-256."""
    paths = [path for path in address.path.rglob("*") if path.is_file()]
    return {str(path.relative_to(address.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def upgraded(address: Address) -> history.HistoryStep:
    """Merge and upgrade for good; then its assistant, upgraded too, adds a memory."""
    step = history.find(str(apply(plan_for(address), UPGRADE).step))
    ask(sys.executable, address, BIG, vector(address))
    return step


def vector(address: Address, collection: str = BIG) -> list[float]:
    info = snapshot_of(address).collection(collection)
    assert info is not None and info.dimension
    return [0.5] * info.dimension


@pytest.mark.case(44)
def test_undoing_an_upgrade_gives_back_every_byte_and_then_what_came_since(address: Address, tmp_path: Path) -> None:
    original, before = files(address), snapshot_of(address)
    step = upgraded(address)
    upgraded_files = files(address)
    assert upgraded_files != original
    apply(history.undo_plan(step), ApplyOptions(dry_run=True))
    assert files(address) == upgraded_files
    report = apply(history.undo_plan(step))
    assert files(address) == original
    assert history.state(step) is StepState.UNDONE
    assert report.added_since == 1
    copy = address.at(shutil.copytree(address.path, tmp_path / "opened"))
    assert ask(str(OLD_PYTHON), copy, BIG, vector(address))["first"] == "added later"

    plan = added_since(taken_away_by(find(str(report.backup))), snapshot_of(address))
    [write] = plan.steps
    assert isinstance(write, Write) and write.key.id == "added later"
    assert apply(plan, OLD).skipped == ()
    after = snapshot_of(address)
    assert len(after) == len(before) + 1
    assert after.by_key[write.key].text == "new"
    assert ask(str(OLD_PYTHON), address, PLAIN, vector(address, PLAIN))["first"] == "added later"


@pytest.mark.slow
def test_an_upgrade_is_redone_with_what_its_undo_took_away(address: Address) -> None:
    step = upgraded(address)
    now = files(address)
    apply(history.undo_plan(step))
    report = apply(history.redo_plan(step))
    assert files(address) == now
    assert report.added_since == 0
    assert history.state(step) is StepState.APPLIED


@pytest.mark.slow
def test_an_edit_since_the_upgrade_is_offered_too(address: Address) -> None:
    step = upgraded(address)
    snapshot = snapshot_of(address)
    edited = next(record for record in snapshot if record.key.collection == BIG and record.text)
    said = Result("Edited", edited.tags, edited.created, edited.updated, edited.uri, edited.metadata)
    write = Write(Ref.of(edited), edited.key, Ref.of(edited).hash, said)
    apply(Plan(source=str(address), target=str(address), steps=(write,)))
    report = apply(history.undo_plan(step))
    offered = history.added(history.find(str(report.step)))
    assert {ref.key.id for ref in offered} == {"added later", edited.key.id}

