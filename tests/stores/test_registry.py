from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import NotAStore, UsageError
from memdefrag.model.address import Address
from memdefrag.stores.registry import kinds, open_store, resolve, resolve_new


def test_an_address_is_absolute_wherever_it_was_typed(jsonl_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(jsonl_file.parent)
    wanted = Address("jsonl", str(jsonl_file))
    for typed in (jsonl_file.name, f"jsonl:{jsonl_file.name}", f"./{jsonl_file.name}"):
        assert resolve(typed) == resolve_new(typed) == wanted


def test_a_collection_stays_selected(jsonl_file: Path) -> None:
    assert resolve(f"{jsonl_file}#memories") == Address("jsonl", str(jsonl_file), "memories")


@pytest.mark.parametrize(
    ("name", "kind"), [("new.jsonl", "jsonl"), ("new.NDJSON", "jsonl"), ("new.db", "memory-export")]
)
def test_what_is_not_there_yet_is_told_by_its_suffix(tmp_path: Path, name: str, kind: str) -> None:
    assert resolve_new(str(tmp_path / name)) == Address(kind, str(tmp_path / name))


def test_a_suffix_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say"):
        resolve_new(str(tmp_path / "new.xyz"))


def test_something_unknown_is_never_taken_for_a_place_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "page.db").write_text("<html>", encoding="utf-8")
    with pytest.raises(NotAStore):
        resolve_new(str(tmp_path / "page.db"))


NO_PATHS = {"backup", "bigmemory", "federated", "chroma+http", "chroma+https", "hdev+http", "hdev+https"}


@pytest.mark.parametrize("kind", sorted({*kinds()} - NO_PATHS))
def test_what_is_missing_is_named_by_its_kind(kind: str, tmp_path: Path) -> None:
    with pytest.raises(NotAStore) as caught:
        open_store(f"{kind}:{tmp_path / 'absent'}")
    assert ("Chroma" in caught.value.todo) == (kind == "chroma")
    assert caught.value.todo.startswith("Name ")


@pytest.mark.parametrize("kind", sorted({*kinds()} - NO_PATHS - {"chroma", "enhanced-jsonl"}))
@pytest.mark.parametrize("must_exist", [True, False])
def test_a_folder_is_no_file_and_a_file_no_folder(kind: str, must_exist: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "folder").mkdir()
    other = "file" if kind == "hdev" else "folder"
    with pytest.raises(NotAStore, match=f"is a {other}") as caught:
        open_store(Address(kind, str(tmp_path / other)), must_exist=must_exist)
    assert caught.value.todo.startswith("Name ")
