"""JSON lines that were compressed, and headers of other versions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from memdefrag.base.errors import NotAStore, NotPermitted, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo
from memdefrag.stores.registry import open_store, resolve
from tests.stores.contract import everything
from tests.stores.test_jsonl import make, only

LINES = b"".join(b'{"id": "%d", "text": "Memory %d", "relations": [{"target": "0"}]}\n' % (n, n) for n in range(9000))


def zstd(data: bytes) -> bytes:
    """Two frames, as a program makes that appends."""
    half = len(data) // 2
    return b"".join(zstandard.compress(part) for part in (data[:half], data[half:]))


PACKERS = pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])


@PACKERS
def test_a_compressed_file_is_read_and_never_written(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "memories.jsonl.packed"
    packed = pack(LINES)
    path.write_bytes(packed)
    assert resolve(str(path)).kind == "jsonl"
    with open_store(str(path)) as store:
        assert [record.text for record in everything(store).values()] == [f"Memory {number}" for number in range(9000)]
        assert len(list(store.relations())) == 9000
        assert not store.capabilities.writable
        with pytest.raises(NotPermitted):
            store.write(Changes(), Progress())
    assert path.read_bytes() == packed


@PACKERS
@pytest.mark.parametrize("cut", [10, 2000, -1])
def test_a_compressed_file_that_was_cut_is_not_taken_for_a_shorter_one(
    tmp_path: Path, pack: Callable[[bytes], bytes], cut: int
) -> None:
    path = tmp_path / "memories.jsonl"
    path.write_bytes(pack(LINES)[:cut])
    with pytest.raises(StoreDamaged), open_store(str(path)) as store:
        everything(store)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"<html>"), zstd(b"\0" * 99), b"\x1f\x8bx", b"\x28\xb5\x2f\xfdx"],
    ids=["a page", "zeros", "cut gzip", "cut zstd"],
)
def test_other_compressed_files_are_no_stores(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.packed"
    path.write_bytes(content)
    with pytest.raises(NotAStore):
        resolve(str(path))


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    store = make(path, {"memdefrag": 2, "collection": "c"}, {"text": "t"})
    raw = path.read_bytes()
    for act in (store.collections, store.problems, lambda: store.write(Changes(), Progress())):
        with pytest.raises(UnsupportedFormat, match="format 2"):
            act()
    assert path.read_bytes() == raw


@pytest.mark.parametrize("version", [0, None, "1", [1]])
def test_a_header_without_a_newer_version_is_read(tmp_path: Path, version: object) -> None:
    assert only(make(tmp_path / "x.jsonl", {"memdefrag": version}, {"text": "t"})).text == "t"


def test_the_dimension_of_an_empty_collection_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    info = CollectionInfo("c", 0, 0, 0, 384, "ip", "m", {"half": "\ud83d"})
    with open_store(f"jsonl:{path}", must_exist=False) as store:
        store.write(Changes(collections=(info,)), Progress())
        assert store.collections() == [info]
    assert json.loads(path.read_bytes())["memdefrag"] == 1


def test_every_tag_is_given_back(tmp_path: Path) -> None:
    assert only(make(tmp_path / "x.jsonl", {"text": "t", "tags": ["", " a", "b,c"]})).tags == ("", " a", "b,c")
