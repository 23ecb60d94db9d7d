"""What is asked before a store is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from memdefrag.base.errors import ConfirmationNeeded, NoSpace, NotPermitted
from memdefrag.engine import guards
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.plan import Changes, Merge, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from tests.engine.stores import make_store, merge_plan


class Partition(NamedTuple):
    mountpoint: str
    fstype: str


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system calls a network file system, on a disk of the machine."""
    share = tmp_path / "share"
    share.mkdir()
    parts = [Partition("/", "ext4"), Partition(str(share), "nfs4"), Partition("/mnt", "cifs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda *, all: parts)
    return share


def test_a_network_file_system_is_warned_of_by_its_name(mounted: Path) -> None:
    warning = guards.network_warning(mounted / "deep" / "store.db")
    assert warning is not None and "nfs4" in warning
    assert guards.network_warning(mounted.parent / "store.db") is None


def test_the_report_of_a_write_holds_the_warning(mounted: Path) -> None:
    address = make_store("jsonl", mounted)
    assert any("network" in warning for warning in apply(merge_plan(address)).warnings)


def test_merged_texts_beyond_the_models_window_are_warned_of(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    plan = merge_plan(address)
    assert not any("tokens" in warning for warning in apply(plan, ApplyOptions(dry_run=True)).warnings)
    first = plan.steps[0]
    assert isinstance(first, Merge)
    long = replace(first, result=replace(first.result, text="The garden gate is painted green. " * 60))
    report = apply(replace(plan, steps=(long, *plan.steps[1:])), ApplyOptions(dry_run=True))
    [warning] = [warning for warning in report.warnings if "tokens" in warning]
    assert "1 merged text is longer than the 256 tokens" in warning and str(first.survivor.key) in warning


def test_a_model_that_reads_more_is_warned_of_later() -> None:
    records = [MemoryRecord(Key("notes", name), "The garden gate is painted green. " * 60) for name in "ab"]
    units = [tuple(record.key for record in records)]
    changes = Changes((Put(records[0], ""),), (Ref(records[1].key, ""),))

    def warning(model: str) -> str | None:
        info = CollectionInfo("notes", 2, 2, 0, model=model)
        return guards.long_texts(Snapshot("x", (info,), tuple(records)), changes, units)

    assert warning("all-mpnet-base-v2") is not None
    assert warning("text-embedding-3-small") is None


def test_space_is_asked_for_with_a_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "free_bytes", lambda path: 100_000_000)
    guards.require_space(tmp_path, 100_000_000 - guards.SPACE_RESERVE)
    with pytest.raises(NoSpace, match="100 MB free"):
        guards.require_space(tmp_path, 100_000_001 - guards.SPACE_RESERVE)


@pytest.mark.parametrize(("removed", "total", "ticked"), [(1, 1, None), (30, 100, None), (30, 100, 30), (0, 0, 0)])
def test_what_is_little_and_agreed_to_passes(removed: int, total: int, ticked: int | None) -> None:
    guards.require_agreement(removed, total, ticked)


@pytest.mark.parametrize(("removed", "total", "ticked"), [(31, 100, None), (31, 100, 31), (5, 100, 4), (2, 3, None)])
def test_much_or_more_than_agreed_is_asked_about(removed: int, total: int, ticked: int | None) -> None:
    with pytest.raises(ConfirmationNeeded, match=str(removed)) as asked:
        guards.require_agreement(removed, total, ticked)
    assert "--confirm-shrink" in asked.value.todo


def test_a_link_inside_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "inside").symlink_to("/etc")
    with pytest.raises(NotPermitted, match="inside is a link"):
        guards.require_replaceable(tmp_path / "store")
