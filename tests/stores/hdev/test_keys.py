"""Every id gets a sound name of its own, on every system."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memdefrag.base import fsops
from memdefrag.model.address import Address
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import StoreSettings
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.hdev.keys import _NOT_ON_WINDOWS, LONGEST_NAME, entry_name, id_of

pieces = st.sampled_from(
    ["a", "A", ".", "..", "/", "\\", "%", "%2e", "%2E", "2", "e", "~", "~0123456789abcdef", "C:", "con", ".md", " ",
     "\0", "é", "e\u0301", "\ud800", "?", "x" * 150, "ß", "~e3b0c44298fc1c14"]
)  # fmt: skip
ids = st.lists(pieces, max_size=7).map("".join) | st.text(max_size=30)


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


@given(ids, st.booleans(), st.booleans())
@example("", False, False)
@example("a" * 300, True, True)
@example("/".join("a" * 400), True, False)
@example("/".join(["ab"] * 600), False, False)
def test_every_id_gets_a_sound_name(id: str, folds: bool, windows: bool) -> None:
    name = entry_name(id, folds=folds, windows=windows)
    assert names.fault_of(name) is None
    assert not names.is_dotted(name)
    assert len(name.encode()) <= LONGEST_NAME + 17
    assert entry_name(id, folds=folds, windows=windows) == name
    if windows:
        assert not any(_NOT_ON_WINDOWS.search(part) for part in name.split("/"))


@given(ids, ids, st.booleans())
@example("v1.2", "v1%2e2", True)
@example("v1%2E2", "v1%2e2", True)
@example("", "~e3b0c44298fc1c14", False)
@example("a//b", "a/%2fb", False)
@example("Foo", "foo", True)
@example("é", "e\u0301", True)
@example("A" * 300, "a" * 300, True)
def test_no_two_ids_share_a_name(one: str, other: str, windows: bool) -> None:
    if one != other:
        assert entry_name(one, windows=windows) != entry_name(other, windows=windows)
        assert folded(entry_name(one, folds=True, windows=windows)) != folded(
            entry_name(other, folds=True, windows=windows)
        )


@given(ids)
def test_what_was_written_otherwise_comes_back(id: str) -> None:
    name = entry_name(id)
    is_hashed = not id or len(id.encode("utf-8", "surrogatepass")) > 70
    assert id_of(name) == id or (is_hashed and name[-17] == "~")


@pytest.mark.parametrize(
    "name", ["a/b", "notes with spaces/list", "ünïcødé/日本", "100%", ".hidden", "Foo/README", "q?uestion#1", "a.b/c"]
)
def test_a_sound_name_is_kept(name: str) -> None:
    assert entry_name(name) == name


@pytest.mark.parametrize(
    ("id", "name"),
    [("v1.2", "v1%2e2"), ("..", "%2e%2e"), ("a\\b", "a%5cb"), ("/etc", "%2fetc"), ("a/", "a%2f"), ("C:x", "C%3ax"),
     ("%2e", "%252e"), ("a.md/b", "a%2emd/b"), ("\0", "%00")],
)  # fmt: skip
def test_what_cannot_stand_is_written_as_in_urls(id: str, name: str) -> None:
    assert entry_name(id) == name
    assert id_of(name) == id


@pytest.mark.parametrize("id", ["con", "NUL", "com1/a", "aux.x/b", "a?", "b ", "a|b", "con."])
def test_names_that_windows_does_not_allow(id: str) -> None:
    assert entry_name(id) == id or "." in id
    name = entry_name(id, windows=True)
    assert name != id
    assert id_of(name) == id


def test_a_folder_asks_its_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HdevFiles(Address("hdev", str(tmp_path / "memory")), StoreSettings())
    foreign = MemoryRecord(Key("x", "Foo"), "text")
    own = MemoryRecord(Key("x", "Foo"), "text", {"created": "1.5", "updated": "1.5", "version": 1})
    monkeypatch.setattr(fsops, "folds_case", lambda folder: False)
    assert store.key_for("x", foreign) == Key("memories", "Foo")
    monkeypatch.setattr(fsops, "folds_case", lambda folder: True)
    assert store.key_for("x", foreign).id == "Foo~1cbec737f863e492"
    assert store.key_for("x", own).id == "Foo"


def test_whether_a_file_system_folds_is_found_out_without_writing(tmp_path: Path) -> None:
    (tmp_path / "Aa").mkdir()
    folds = (tmp_path / "aA").exists()
    assert fsops.folds_case(tmp_path / "Aa" / "not" / "there") is folds
    assert fsops.folds_case(tmp_path / "Aa") is folds
    if not folds:
        (tmp_path / "aA").mkdir()
        assert fsops.folds_case(tmp_path / "Aa") is False
