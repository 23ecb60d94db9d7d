"""Which folders are hdev's, of what age, and which of their files are no entries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from memdefrag.base.errors import NotPermitted
from memdefrag.model.address import Address
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.registry import resolve
from tests.stores.hdev.folders import TIMES, delete, entry, open_folder, texts


def old_entry(root: Path, name: str, text: str = "old words") -> None:
    path = root / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"content": text, "metadata": TIMES}), "utf-8")


def test_old_entries_are_read_but_their_folder_is_not_written(root: Path) -> None:
    old_entry(root, "a/b")
    entry(root, "c")
    store = open_folder(root)
    assert texts(root) == {"a/b": "old words", "c": "text"}
    assert not store.capabilities.writable
    assert any("before April 2025" in problem and "a/b" in problem for problem in store.problems())
    with pytest.raises(NotPermitted):
        delete(root, "c")
    assert resolve(str(root)).kind == "hdev"


def test_what_the_migration_left_does_not_come_back(root: Path) -> None:
    old_entry(root, "a")
    entry(root, "a", "new words")
    (root / "b.json").write_text("[1]")
    entry(root, "b")
    assert texts(root) == {"a": "new words", "b": "text"}
    assert open_folder(root).capabilities.writable
    delete(root, "a", "b")
    assert texts(root) == {}
    assert [path.name for path in root.iterdir()] == ["b.json"]


@pytest.mark.parametrize("made", ["root", "parent", "global"])
def test_a_folder_is_recognised_from_near_by(tmp_path: Path, made: str) -> None:
    root = tmp_path / ".hdev" / "memory"
    entry(root, "deep/er/a")
    entry(root, "global")
    given = {"root": root, "parent": root.parent, "global": root / "global.md"}[made]
    assert resolve(str(given)) == Address("hdev", str(root))


def test_a_folder_of_notes_is_not_taken_for_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    assert HdevFiles.detect(tmp_path) is None


def test_a_real_folder_is_read_whole(shared: Path, tmp_path: Path) -> None:
    root = shutil.copytree(shared / "fixtures/hdev_fs", tmp_path / "memory", copy_function=shutil.copy)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    found = texts(root)
    assert len(found) == len([path for path in before if path.suffix == ".md"]) == 78
    assert found["personal/unicode-ünïcødé"] == (root / "personal/unicode-ünïcødé.md").read_text("utf-8")
    [problem] = open_folder(root).problems()
    assert "same moment" in problem
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_real_old_folder_is_read_whole(shared: Path) -> None:
    assert set(texts(shared / "fixtures/hdev_legacy")) == {"global", "people/bob", "projects/alpha"}


@pytest.mark.parametrize("text", ['{"content": "page"}', '{"content": "x", "metadata": {}}', "[]", '{"metadata": {}}'])
def test_json_and_notes_of_other_programs_are_no_store(root: Path, text: str) -> None:
    (root / "page.json").write_text(text)
    (root / "README.md").write_text("notes")
    assert HdevFiles.detect(root) is None


def test_an_old_entry_makes_a_store(root: Path) -> None:
    (root / "a.json").write_text(json.dumps({"content": "x", "metadata": TIMES}))
    assert HdevFiles.detect(root) == root


def test_what_is_no_entry_is_listed(root: Path) -> None:
    entry(root, "good")
    entry(root, "bare", metadata=None)
    (root / "UPPER.MD").write_text("x")
    (root / "settings.json").write_text("{}")
    (root / "orphan.metadata.json").write_text("{}")
    (root / "empty").mkdir()
    (root / "link.md").symlink_to(root / "good.md")
    store = open_folder(root)
    assert store.without_metadata() == ["bare"]
    assert {path: what.partition(",")[0] for path, what in store.ignored()} == {
        "UPPER.MD": "is no memory",
        "orphan.metadata.json": "is no memory",
        "settings.json": "is no memory",
        "link.md": "is a link",
        "empty": "is an empty folder",
    }
