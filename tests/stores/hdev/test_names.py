"""Names lead nowhere but into the store, and no two share a file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from memdefrag.stores.hdev import names

texts = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12)
paths = st.lists(texts, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    "entry",
    ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\0b", "a\\b", "C:x", "c:/x",
     "\udcff", "x" * 300, "a/" + "é" * 130],
)  # fmt: skip
def test_hostile_names_are_told(entry: str) -> None:
    assert names.fault_of(entry) is not None


@pytest.mark.parametrize(
    "entry", ["a", "a/b/c", "notes with spaces/list", "ünïcødé", ".hidden", "v1.2", "note.md", "...", "ab:c", "?#%"]
)
def test_ordinary_names_are_sound(entry: str) -> None:
    assert names.fault_of(entry) is None


@given(st.one_of(paths, st.text(max_size=20)))
@example("..\\x")
def test_a_sound_name_stays_below_the_folder(entry: str) -> None:
    if names.fault_of(entry) is None:
        root = PurePosixPath("/store")
        for path in (names.content_file(entry), names.metadata_file(entry)):
            assert (root / path).is_relative_to(root)
            assert ".." not in (root / path).parts
            assert Path(root / path).resolve().is_relative_to("/store")


@pytest.mark.parametrize(
    ("entry", "content"),
    [("a", "a.md"), ("a/b", "a/b.md"), ("rel/v1.2", "rel/v1.md"), ("note.md", "note.md"), (".hidden", ".hidden.md"),
     ("a.b/c", "a.b/c.md"), ("a.", "a..md"), ("x.tar.gz", "x.tar.md")],
)  # fmt: skip
def test_the_text_lies_where_hdev_puts_it(entry: str, content: str) -> None:
    assert names.content_file(entry) == content
    assert names.metadata_file(entry) == entry + ".metadata.json"
    if not entry.endswith("."):  # Python 3.14 takes another view of a dot at the end than those before it.
        assert PurePosixPath(entry).with_suffix(".md").as_posix() == content


@given(paths)
def test_a_name_without_a_suffix_is_its_files_name(entry: str) -> None:
    assume(names.fault_of(entry) is None)
    assert names.is_dotted(entry) == (names.content_file(entry) != f"{entry}.md")
    assert names.is_dotted(entry) <= ("." in entry.rpartition("/")[2])


@pytest.mark.parametrize(
    "entries", [["v1.2", "v1.3"], ["v1", "v1.2"], ["a", "a/b"], ["a", "a/b/c"], ["x/n.md", "x/n"]]
)
def test_entries_that_cannot_stand_together(entries: list[str]) -> None:
    assert names.clash(entries) is not None
    assert names.clash(reversed(entries)) is not None
    for entry in entries:
        assert names.clash([entry]) is None


def test_entries_that_can() -> None:
    assert names.clash(["a", "b", "c/a", "c/b", "v1.2", "v2.2"]) is None
