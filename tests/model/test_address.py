"""One string names a store everywhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.model.address import Address, parse

NAMES = st.text(alphabet="abcdefgh0123 ._-/äß", min_size=1).filter(str.strip)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("chroma:/a/b#c", Address("chroma", "/a/b", "c")),
        ("chroma:/a/b", Address("chroma", "/a/b")),
        ("memory-export:x.db", Address("memory-export", "x.db")),
        ("/a/b", Address("", "/a/b")),
        ("/a/b#c", Address("", "/a/b", "c")),
        ("C:\\memories", Address("", "C:\\memories")),
    ],
)
def test_parse(text: str, address: Address) -> None:
    assert parse(text) == address


@given(NAMES, st.none() | st.text(alphabet="abc_-", min_size=1))
def test_text_form_reads_back(location: str, collection: str | None) -> None:
    address = Address("chroma", "/nowhere/" + location, collection)
    assert parse(str(address)) == address


def test_an_existing_path_with_a_hash_sign_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "odd#name"
    path.mkdir()
    assert parse(str(path)) == Address("", str(path))
    assert parse(f"chroma:{path}") == Address("chroma", str(path))


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "location"), [("sqlite:///data/m.db", "data/m.db"), ("sqlite:////srv/m.db", "/srv/m.db")]
)
def test_the_enhanced_memory_systems_own_names_are_understood(text: str, location: str) -> None:
    assert parse(text) == Address("enhanced", location)
