"""The bytes of a file of lines, also of one that was compressed with gzip (RFC 1952) or zstd (RFC 8878)."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from memdefrag.base.errors import StoreDamaged

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 18


def is_compressed(path: Path) -> bool:
    """Whether the file's first bytes are those of a gzip or zstd file."""
    with path.open("rb") as raw:
        return raw.read(len(_ZSTD)).startswith((_GZIP, _ZSTD))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked.

    Raises:
        StoreDamaged: it cannot be unpacked, or ends before its end; also later, while it is read.
    """
    try:
        with path.open("rb") as raw:
            head = raw.peek(len(_ZSTD))
            if head.startswith(_GZIP):
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield io.BufferedReader(unpacked, _BLOCK)
            elif head.startswith(_ZSTD):
                yield io.BufferedReader(_Zstd(raw), _BLOCK)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise StoreDamaged(f"{path} cannot be unpacked to its end: {error}.") from error


class _Zstd(io.RawIOBase):
    """Unpacks frame after frame; unlike the library's own reader it tells a file that was cut off."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = memoryview(b"")
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._frame.unused_data or self._packed.read(_BLOCK // 4)
            if not data:
                if self._begun and not self._frame.eof:
                    raise EOFError("the end is missing")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = True
            self._ready = memoryview(self._frame.decompress(data))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
