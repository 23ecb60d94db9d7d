"""What was written into a folder is on the disk before the batch counts as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import StoreChanged
from memdefrag.stores.hdev.files import HdevFiles
from tests.stores.hdev.folders import delete, entry, put, record


def points(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(fsops.FAULT_VARIABLE, f"list:{tmp_path / 'log'}")
    return tmp_path / "log"


def test_every_folder_is_pushed_once_after_all_its_files(tmp_path: Path, log: Path) -> None:
    root = tmp_path / "memory"
    for folder in ("a", "b"):
        entry(root, f"{folder}/there")
    put(root, *(record(f"{folder}/{number}") for folder in "ab" for number in range(10)))
    seen = points(log)
    pushed = [point for point in seen if point.startswith("fsync folder")]
    assert pushed == ["fsync folder a", "fsync folder b"]
    assert seen[-2:] == pushed
    assert sum(point.startswith("rename") for point in seen) == 40


def test_the_text_comes_after_its_metadata(tmp_path: Path, log: Path) -> None:
    root = tmp_path / "memory"
    root.mkdir()
    put(root, record("a"))
    renamed = [point.rpartition(" ")[2] for point in points(log) if point.startswith("rename")]
    assert renamed == ["a.metadata.json", "a.md"]


def test_what_was_removed_is_pushed_too(tmp_path: Path, log: Path) -> None:
    root = tmp_path / "memory"
    for name in ("a/one", "a/two"):
        entry(root, name)
    delete(root, "a/one", "a/two")
    assert [point for point in points(log) if point.startswith("fsync")] == ["fsync folder a"]


def test_a_batch_that_failed_is_pushed_as_far_as_it_came(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "memory"
    entry(root, "a/there")
    write = HdevFiles._put

    def failing(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        raise StoreChanged("after the work")

    monkeypatch.setattr(HdevFiles, "_put", failing)
    with pytest.raises(StoreChanged):
        put(root, record("a/new"))
    assert points(log)[-1] == "fsync folder a"
