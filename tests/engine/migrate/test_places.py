"""Whether two addresses are one place, however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.engine.migrate.places import is_inside, is_same
from memdefrag.model.address import Address, parse


def at(path: Path, kind: str = "jsonl") -> Address:
    return Address(kind, str(path))


def test_a_file_is_itself_by_every_path_and_link(tmp_path: Path) -> None:
    file = tmp_path / "real.jsonl"
    file.write_text("{}\n")
    (tmp_path / "link.jsonl").symlink_to(file)
    (tmp_path / "hard.jsonl").hardlink_to(file)
    (tmp_path / "other.jsonl").write_text("{}\n")
    for name in ("link.jsonl", "hard.jsonl", "real.jsonl"):
        assert is_same(at(file), at(tmp_path / name, "memory-export").select("one"))
    assert not is_same(at(file), at(tmp_path / "other.jsonl"))


def test_what_is_not_there_yet_is_known_by_where_it_will_be(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert is_same(at(tmp_path / "real" / "new.jsonl"), at(tmp_path / "link" / "new.jsonl"))
    assert not is_same(at(tmp_path / "real" / "new.jsonl"), at(tmp_path / "new.jsonl"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hdev+http://127.0.0.1:8080", "hdev+http://localhost:8080/"),
        ("hdev+http://[::1]:8080", "hdev+http://127.0.0.1:8080"),
        ("hdev+http://host", "hdev+http://HOST:80"),
        ("hdev+https://host", "hdev+https://host:443/#memories"),
        ("bigmemory:postgresql://one@host/db", "bigmemory:postgresql://two@host:5432/db"),
    ],
)
def test_a_server_is_itself_by_every_name(one: str, other: str) -> None:
    assert is_same(parse(one), parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hdev+http://host:8080", "hdev+http://host:8081"),
        ("hdev+http://host", "hdev+http://other"),
        ("hdev+http://host/a", "hdev+http://host/b"),
        ("bigmemory:postgresql://host/one", "bigmemory:postgresql://host/two"),
        ("chroma+http://host:8000/?tenant=one", "chroma+http://host:8000/?tenant=two"),
        ("hdev+http://host", "jsonl:/host"),
    ],
)
def test_other_servers_are_other_places(one: str, other: str) -> None:
    assert not is_same(parse(one), parse(other))


def test_a_store_may_lie_in_the_folder_of_another(tmp_path: Path) -> None:
    (tmp_path / "outer").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outer")
    outer = at(tmp_path / "outer", "hdev")
    assert is_inside(at(tmp_path / "outer" / "deep" / "new.jsonl"), outer)
    assert is_inside(at(tmp_path / "link" / "new.jsonl"), outer)
    assert not is_inside(outer, at(tmp_path / "outer" / "new.jsonl"))
    assert not is_inside(outer, outer)
    assert not is_inside(at(tmp_path / "outer-too"), outer)
    assert not is_inside(parse("hdev+http://host"), outer)
