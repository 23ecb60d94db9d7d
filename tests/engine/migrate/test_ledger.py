"""What a finished migration wrote down is there for the next one."""

from __future__ import annotations

import pytest

from memdefrag.base.errors import StoreDamaged
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


def test_damaged_notes_are_refused() -> None:
    ledger.save(ONE, OTHER, NOTES)
    [path] = (data_dir() / "migrations").iterdir()
    path.write_bytes(path.read_bytes()[:-70])
    with pytest.raises(StoreDamaged, match="damaged"):
        ledger.load(ONE, OTHER)
