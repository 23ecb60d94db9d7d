"""What a step saves for its undo."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import BackupDamaged
from memdefrag.engine import history
from memdefrag.engine.apply import apply
from tests.engine.stores import make_store, merge_plan, snapshot_of


def half(data: bytes) -> bytes:
    return data[: data.index(b"\n") + 1]


def another(data: bytes) -> bytes:
    return data.replace(b"e", b"f", 1)


@pytest.mark.parametrize("damage", [half, another, None])
@pytest.mark.parametrize("name", ["before.jsonl", "after.jsonl", "images.json"])
def test_a_damaged_image_is_not_undone_by_halves(tmp_path: Path, name: str, damage: object) -> None:
    address = make_store("jsonl", tmp_path)
    apply(merge_plan(address))
    step = history.latest(address)
    image = step.folder / name
    if callable(damage):
        image.write_bytes(damage(image.read_bytes()))
    else:
        image.unlink()
    with pytest.raises(BackupDamaged, match=step.id):
        apply(history.undo_plan(step))
    assert len(snapshot_of(address)) == 17
