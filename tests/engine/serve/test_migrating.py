"""Migrating into a store that is given out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import ServerRefused
from memdefrag.engine import history
from memdefrag.engine.migrate.run import migrate
from memdefrag.engine.serve import entries, writing
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions, Outcome, Pace
from memdefrag.model.records import Key, MemoryRecord, Metadata
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.serve.running import given_out
from tests.stores.hdev import server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(40):
        server.put(tmp_path / "source", f"n/{number}", {"content": f"text {number}"})
    return tmp_path / "source"


def link(root: Path, name: str) -> None:
    """A link where an entry would be: nothing lists it, and nobody may write there."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / f"{name}.md").symlink_to(root.parent / "elsewhere.md")


@pytest.mark.parametrize("refused", ["n/0", "n/17"])
@pytest.mark.parametrize("many", [True, False])
def test_an_entry_that_the_server_refuses_is_named_and_the_rest_is_written(
    source: Path, tmp_path: Path, refused: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one, too, which goes alone to see whether the server takes anything."""
    if not many:
        monkeypatch.setattr("memdefrag.stores.hdev.bulk.is_offered", lambda health: False)
    root = tmp_path / "served"
    link(root, refused)
    with given_out(f"hdev:{root}") as url:
        report = migrate(f"hdev:{source}", f"hdev+{url}")
        with pytest.raises(ServerRefused, match="is a link"):
            migrate(f"hdev:{source}", f"hdev+{url}")
    [failed] = [entry for entry in report.entries if entry.outcome is Outcome.FAIL]
    assert failed.source.id == refused
    assert "is a link" in failed.reason
    assert len(list(root.rglob("*.metadata.json"))) == 39
    assert report.checked is not None and report.checked.differences == ()
    assert not (tmp_path / "elsewhere.md").exists()


def test_what_is_refused_takes_all_back_where_that_is_wanted(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "served"
    link(root, "n/17")
    with given_out(f"hdev:{root}") as url:
        report = migrate(f"hdev:{source}", f"hdev+{url}", MigrateOptions(rollback_on_failure=True))
    assert report.rolled_back
    assert list(root.rglob("*.metadata.json")) == []


def test_a_server_that_takes_nothing_is_a_failure(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "served"
    for number in range(40):
        link(root, f"n/{number}")
    with given_out(f"hdev:{root}") as url, pytest.raises(ServerRefused, match="is a link"):
        migrate(f"hdev:{source}", f"hdev+{url}")
    assert list(root.rglob("*.metadata.json")) == []


def test_a_server_that_takes_nothing_is_not_asked_for_all(source: Path, tmp_path: Path) -> None:
    options = MigrateOptions(pace=Pace(batch=5))
    (tmp_path / "served").mkdir()
    with server.serving(tmp_path / "served") as running:
        running.faults.full = True
        with pytest.raises(ServerRefused, match="the disk is full"):
            migrate(f"hdev:{source}", running.address, options)
        assert len(running.written()) == 1 + 5


def test_what_a_server_refuses_and_changes_all_the_same_takes_everything_back(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "served"
    root.mkdir()
    real = server.put

    def half(place: Path, entry: str, body: dict[str, Any]) -> dict[str, Any]:
        if entry != "n/7":
            return real(place, entry, body)
        real(place, entry, {**body, "content": "half"})
        return {"path": entry, "success": False, "message": None, "error": "half of it"}

    monkeypatch.setattr(server, "put", half)
    with server.serving(root) as running, pytest.raises(ServerRefused, match="half of it"):
        migrate(f"hdev:{source}", running.address)
    assert [path.name for path in root.rglob("*.md")] == ["7.md"]  # Neither the old nor ours; it may be somebody's.


def test_a_store_that_is_written_whole_is_written_once_for_many(source: Path, tmp_path: Path) -> None:
    place = Address("jsonl", str(tmp_path / "served.jsonl"))
    fill(place, [])
    with given_out(str(place)) as url:
        report = migrate(f"hdev:{source}", f"hdev+{url}")
    assert report.failed == 0
    assert len(read_snapshot(open_store(place)).records) == 40
    assert [step.written for step in history.steps(place)] == [39, 1]
    assert writing.AT_ONCE >= 500


@pytest.mark.parametrize(("kind", "name"), [("memory-service", "s.db"), ("memory-export", "s.db")])
def test_what_a_served_database_would_write_in_its_own_way_is_refused_and_the_rest_reads_back(
    tmp_path: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata that the database makes by itself are none of the entry's."""
    real = entries.of
    vectors = np.ones((1, 4), np.float32)
    monkeypatch.setattr(entries, "of", lambda store: real(store, lambda texts, there: vectors.repeat(len(texts), 0)))
    said: dict[str, Metadata] = {"plain": {"k": [1]}, "tagged": {}, "dead": {"deleted_at": 5.0}}
    tags = {"tagged": ("x, y",)}
    source, served = Address("jsonl", str(tmp_path / "source.jsonl")), Address(kind, str(tmp_path / name))
    fill(source, [MemoryRecord(Key("memories", id), id, said[id], tags=tags.get(id, ("Z",))) for id in said])
    fill(served, [MemoryRecord(Key("memories", "f" * 64), "There.", embedding=np.ones(4, np.float32))])
    with given_out(str(served)) as url:
        report = migrate(source, f"hdev+{url}")
    refused = {"memory-service": {"tagged"}, "memory-export": {"dead"}}[kind]
    assert {entry.source.id for entry in report.entries if entry.outcome is Outcome.FAIL} == refused
    assert report.copied == 2 and report.checked is not None and report.checked.differences == ()
