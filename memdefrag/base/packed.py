"""Compressed files whose bytes are known by their sums: of what went in, and of what stands on the disk.

The files are plain zstd frames (RFC 8878) with zstd's own checksum, so that ``zstd -d`` opens them, too.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import zstandard

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.fsops import PRIVATE_FILE, file_sha256
from memdefrag.base.progress import Progress

COMPRESSION_LEVEL = 1
"""Of zstd. On a Chroma folder of 379 MB (vectors hardly compress) level 3 takes twice as long for 1.2 % less."""
BLOCK = 1 << 20
SUFFIX = ".zst"
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


@dataclass(frozen=True, slots=True)
class Packed:
    """What a compressed file holds (`path` without the suffix, relative to its folder) and its sums, in hex.

    `size`, `sha256` and `mode` are those of the file that went in, `zsize` and `zsha256` of the compressed one.
    """

    path: str
    size: int
    sha256: str
    mode: int
    zsize: int
    zsha256: str

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Packed:
        """An entry of a manifest."""
        return cls(**{name: entry[name] for name in cls.__slots__})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def within(self, folder: Path) -> Path:
        """The compressed file."""
        return folder / (self.path + SUFFIX)


class Packer:
    """Writes a new compressed file below `folder`; after the `with` block `packed` tells its sums."""

    packed: Packed

    def __init__(self, folder: Path, path: str, mode: int = PRIVATE_FILE) -> None:
        self._name, self._mode, self._target = path, mode, folder / (path + SUFFIX)
        self._size, self._sum = 0, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._sum.update(data)
        self._size += len(data)
        self._writer.write(data)

    def __enter__(self) -> Self:
        self._target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._out = _SummedFile(os.fdopen(os.open(self._target, _NEW_FILE, PRIVATE_FILE), "wb"))
        compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
        self._writer = compressor.stream_writer(cast(BinaryIO, self._out), closefd=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._out.raw:
            if kind is None:
                self._writer.flush(zstandard.FLUSH_FRAME)
        self.packed = Packed(
            self._name, self._size, self._sum.hexdigest(), self._mode, self._out.size, self._out.sum.hexdigest()
        )


class _SummedFile:
    """A file that keeps the sum of what is written to it."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw, self.size, self.sum = raw, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        self.size += len(data)
        return self.raw.write(data)

    def flush(self) -> None:
        self.raw.flush()


def pack(source: Path, folder: Path, path: str, progress: Progress) -> Packed:
    """Compress a file. Looks for a stop, but tells no progress, so that it may run in a thread of its own."""
    with source.open("rb") as reader, Packer(folder, path, source.stat().st_mode & 0o777) as packer:
        while block := reader.read(BLOCK):
            progress.check()
            packer.write(block)
    return packer.packed


def check_sum(folder: Path, packed: Packed) -> None:
    """Compare the compressed file on the disk with its sum.

    Raises:
        BackupDamaged: it is not there or not the same.
    """
    path = packed.within(folder)
    try:
        whole = path.stat().st_size == packed.zsize and file_sha256(path) == packed.zsha256
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read: {error.strerror}.") from error
    if not whole:
        raise BackupDamaged(f"{path} does not match its checksum.")


def unpack(folder: Path, packed: Packed) -> Iterator[bytes]:
    """The bytes that went in, at most `BLOCK` at a time; whoever uses them waits for the end.

    Raises:
        BackupDamaged: what comes out is not what went in; raised at the latest at the end.
    """
    path = packed.within(folder)
    digest, size = hashlib.sha256(), 0
    with unpacking(path) as reader:
        while block := reader.read(BLOCK):
            digest.update(block)
            size += len(block)
            if size > packed.size:
                break
            yield block
    if size != packed.size or digest.hexdigest() != packed.sha256:
        raise BackupDamaged(f"{path} does not hold what its checksum says.")


@contextmanager
def unpacking(path: Path) -> Iterator[io.BufferedReader]:
    """A stream of what a compressed file holds.

    Raises:
        BackupDamaged: it cannot be read or is no compressed file, also later, while it is read.
    """
    try:
        with path.open("rb") as raw:
            decompressor = zstandard.ZstdDecompressor()
            with decompressor.stream_reader(raw, read_across_frames=True, closefd=False) as reader:
                yield io.BufferedReader(cast(io.RawIOBase, reader), BLOCK)
    except (OSError, zstandard.ZstdError) as error:
        raise BackupDamaged(f"{path} cannot be read: {error}.") from error
