"""What a finished migration wrote down is there for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import StoreDamaged, WriteError
from memdefrag.base.settings import data_dir
from memdefrag.engine.migrate import ledger
from memdefrag.model.address import Address
from memdefrag.model.records import Key

ONE, OTHER = Address("jsonl", "/a"), Address("jsonl", "/b")
NOTES = {Key("c", "é #1"): ledger.Written("1" * 64, Key("d", "x\ny"), "2" * 64, True)}


def test_what_was_saved_is_loaded() -> None:
    ledger.save(ONE, OTHER, NOTES)
    assert ledger.load(ONE, OTHER) == NOTES


def test_every_pair_of_stores_has_notes_of_its_own() -> None:
    ledger.save(ONE, OTHER, NOTES)
    assert ledger.load(OTHER, ONE) is None


def test_newer_notes_take_the_place_of_older_ones() -> None:
    ledger.save(ONE, OTHER, NOTES)
    ledger.save(ONE, OTHER, {})
    assert ledger.load(ONE, OTHER) == {}


@pytest.mark.parametrize("said", [b"", b"[1]", b"[" * 100_000, b"\xff", b"{}", b'{"memdefrag_migration": 2}'])
def test_what_is_no_ledger_is_refused(said: bytes) -> None:
    notes().write_bytes(said)
    with pytest.raises(StoreDamaged, match="damaged"):
        ledger.load(ONE, OTHER)


def test_damaged_notes_are_refused() -> None:
    path = notes()
    path.write_bytes(path.read_bytes()[:-70])
    with pytest.raises(StoreDamaged, match="damaged"):
        ledger.load(ONE, OTHER)


def test_notes_of_another_version_are_told_as_such() -> None:
    path = notes()
    path.write_bytes(path.read_bytes().replace(b'"memdefrag_migration": 2', b'"memdefrag_migration": 3'))
    with pytest.raises(StoreDamaged, match="another memdefrag"):
        ledger.load(ONE, OTHER)


def test_what_stands_in_the_place_of_the_notes_is_told() -> None:
    path = notes()
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreDamaged, match="cannot be read"):
        ledger.load(ONE, OTHER)
    with pytest.raises(WriteError) as failed:
        ledger.save(ONE, OTHER, NOTES)
    assert "is copied" in failed.value.safe


def notes() -> Path:
    """The file of notes between the two."""
    ledger.save(ONE, OTHER, NOTES)
    [path] = (data_dir() / "migrations").iterdir()
    return path
