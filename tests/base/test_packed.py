"""Compressed files are known by two sums: of what went in, and of what stands on the disk."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from memdefrag.base.errors import BackupDamaged, Cancelled
from memdefrag.base.packed import BLOCK, Packed, check_sum, pack, unpack
from memdefrag.base.progress import Cancel, Progress

DATA = b"What was said. " * 200_000


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    return pack(source, tmp_path, "below/it", Progress())


def resummed(packed: Packed, path: Path) -> Packed:
    """The entry of somebody who forged the file and its outer sum."""
    data = path.read_bytes()
    return replace(packed, zsize=len(data), zsha256=hashlib.sha256(data).hexdigest())


def test_what_went_in_comes_out_in_blocks(tmp_path: Path, packed: Packed) -> None:
    check_sum(tmp_path, packed)
    blocks = list(unpack(tmp_path, packed))
    assert b"".join(blocks) == DATA
    assert max(map(len, blocks)) <= BLOCK
    assert (packed.size, packed.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert Packed.of(packed.as_dict()) == packed


def test_the_file_is_plain_zstd(tmp_path: Path, packed: Packed) -> None:
    with packed.within(tmp_path).open("rb") as raw:
        assert zstandard.ZstdDecompressor().stream_reader(raw).read() == DATA


@pytest.mark.case(14)
@pytest.mark.parametrize("extra", [b"x", b"\x28", b"\x28\xb5\x2f\xfd", b"\0" * 100])
def test_anything_behind_the_end_is_found(tmp_path: Path, packed: Packed, extra: bytes) -> None:
    path = packed.within(tmp_path)
    path.write_bytes(path.read_bytes() + extra)
    with pytest.raises(BackupDamaged):
        check_sum(tmp_path, packed)


@pytest.mark.case(14)
@pytest.mark.parametrize("left", [0, 5, 0.5, -5])
def test_a_cut_frame_is_found_even_with_a_forged_sum(tmp_path: Path, packed: Packed, left: float) -> None:
    path = packed.within(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data)) if isinstance(left, float) else left])
    with pytest.raises(BackupDamaged):
        check_sum(tmp_path, packed)
    with pytest.raises(BackupDamaged):
        forged = resummed(packed, path)
        check_sum(tmp_path, forged)
        list(unpack(tmp_path, forged))


@pytest.mark.case(31)
def test_a_bomb_is_left_when_it_grows_larger_than_the_manifest_says(tmp_path: Path, packed: Packed) -> None:
    path = packed.within(tmp_path)
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(200 << 20)))
    given = 0
    with pytest.raises(BackupDamaged):
        for block in unpack(tmp_path, resummed(packed, path)):
            given += len(block)
    assert given <= packed.size


def test_no_file_is_written_over(tmp_path: Path, packed: Packed) -> None:
    with pytest.raises(FileExistsError):
        pack(tmp_path / "source", tmp_path, packed.path, Progress())


def test_packing_stops_when_asked(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        pack(tmp_path / "source", tmp_path, "out", Progress(cancel=cancel))
