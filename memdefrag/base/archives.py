"""Unpacking archives of strangers: everything is looked at before the first byte is written.

Read are zip files, tar files (plain, .gz, .zst) and single .gz files, told apart by their content. The formats:
APPNOTE.TXT of PKWARE (zip), POSIX.1-2017 pax (tar), RFC 1952 (gzip), RFC 8878 (zstd).
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import struct
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

import zstandard

from memdefrag.base.errors import BackupDamaged, NoSpace, NotAStore, NotPermitted, UsageError
from memdefrag.base.fsops import PRIVATE_DIR, PRIVATE_FILE, fault_point, free_bytes, make_private_dir, remove

BLOCK = 1 << 20
"""Bytes read at once; a tar header that is longer is refused."""

MOST_EXPANDED = 200
"""An archive that unpacks to more than so many times its own size is a bomb, ..."""

HARMLESS_BYTES = 16 << 20
"""... unless it stays as small as this."""

MEMBER_OVERHEAD = 2_048
"""Bytes of headers and padding that a tar file spends on a usual member, at most."""

DIRECTORY_ENTRY = 600
"""Bytes of a zip file's directory that a member takes, at most on average."""

LONGEST_NAME, LONGEST_PART = 1_000, 255
"""Bytes of a member's name, and of one part of it; file systems take no more."""

_ZIP, _GZIP, _ZSTD = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_TAR_BLOCK = 512
_DRIVE = re.compile(r"[A-Za-z]:")
_WINDOWS_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(?:\..*)?", re.I)
_TAR_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """A file (or folder) of an archive: its cleaned relative name and its size in bytes when unpacked."""

    name: str
    size: int
    is_folder: bool = False


class Readable(Protocol):
    """All that is asked of a content."""

    def read(self, size: int, /) -> bytes: ...


Found = tuple[Member, Callable[[], Readable | None]]
"""A member as the archive names it, and what opens its content."""


def extract(archive: Path, target: Path, *, max_bytes: int, max_members: int = 10_000) -> list[Path]:
    """Unpack `archive` into the empty (or missing) folder `target`; files get mode 0600, folders 0700.

    Nothing is written unless every member's name, kind and size is in order. What is unpacked is not yet pushed
    to the disk.

    Returns:
        The unpacked files, in the archive's order.

    Raises:
        BackupDamaged: it is no archive, or damaged, or holds what it must not: names that leave the folder or
            stand for the same file, links, devices, too many members, too many bytes.
        NotAStore, NotPermitted: it is not there, or may not be read.
        NoSpace: the disk cannot take what it holds.
        UsageError: `target` is not empty.
    """
    with _translated(archive), open(archive, "rb") as handle:
        limit = min(max_bytes, max(HARMLESS_BYTES, MOST_EXPANDED * os.fstat(handle.fileno()).st_size))
        planned = _checked(archive, (member for member, _ in _members(archive, handle, limit, max_members)),
                           limit, max_members)
        if free_bytes(target) < sum(member.size for member in planned):
            raise NoSpace(f"There is no room in {target} for what {archive} holds.")
        if any(make_private_dir(target).iterdir()):
            raise UsageError(f"{target} is not empty.")
        try:
            return list(_unpacked(archive, target, planned, _members(archive, handle, limit, max_members)))
        except BaseException:
            for left in target.iterdir():
                remove(left)
            raise


def refusal(name: str, *, windows: bool = sys.platform == "win32") -> str | None:
    """Why a member of this name must not be unpacked (on Windows: more reasons), in words; None if it may."""
    parts = name.split("/")
    try:
        encoded = [part.encode() for part in parts]
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if name.startswith("/") or "\\" in name or any(_DRIVE.match(part) for part in parts):
        return "an absolute path, a drive letter or a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return "a path that leaves its folder"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "a control character in a name"
    if max(map(len, encoded)) > LONGEST_PART or len(name.encode()) > LONGEST_NAME:
        return "a name that is too long"
    if windows and any(
        part[-1] in ". " or set(part) & set('<>:"|?*') or _WINDOWS_DEVICE.fullmatch(part) for part in parts
    ):
        return "a name that Windows keeps for itself"
    return None


def _checked(archive: Path, members: Iterable[Member], max_bytes: int, max_members: int) -> list[Member]:
    """The members under their clean names, if all of them may be unpacked side by side."""
    checked: list[Member] = []
    spelled: dict[str, tuple[str, bool]] = {}
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size
        if count > max_members:
            raise _refused(archive, f"more than {max_members} members")
        if total > max_bytes:
            raise _refused(archive, f"more than {max_bytes} bytes, or far more than its own size promises")
        clean = _clean(member)
        if clean.name == "." and member.is_folder:
            continue
        reason = refusal(clean.name) or _clash(clean, spelled)
        if reason:
            raise _refused(archive, f"{reason}: {member.name[:200]!r}")
        checked.append(clean)
    return checked


def _clean(member: Member) -> Member:
    """The member without the ``./`` that tar puts before names and the ``/`` that ends a folder's."""
    name = member.name.removesuffix("/") if member.is_folder else member.name
    return Member(name.removeprefix("./") or ".", member.size, member.is_folder)


def _clash(member: Member, spelled: dict[str, tuple[str, bool]]) -> str | None:
    """Why a file system somewhere could not hold the member beside those already `spelled` (which it joins)."""
    parts = member.name.split("/")
    for depth in range(1, len(parts) + 1):
        path, is_folder = "/".join(parts[:depth]), depth < len(parts) or member.is_folder
        key = _folded(path)
        if key in spelled and not (is_folder and spelled[key] == (path, True)):
            return "one name twice, or names that differ only in case"
        spelled[key] = (path, is_folder)
    return None


def _folded(name: str) -> str:
    """One string for all spellings that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _unpacked(archive: Path, target: Path, planned: list[Member], members: Iterator[Found]) -> Iterator[Path]:
    """Write the planned members, one after the other, and give their paths."""
    wanted = iter(planned)
    for found, opened in members:
        clean = _clean(found)
        if clean.name == "." and clean.is_folder:
            continue
        if clean != next(wanted, None):
            raise BackupDamaged(f"{archive} was changed while it was unpacked.", todo="Try again.")
        path = target.joinpath(*clean.name.split("/"))
        path.parent.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        if clean.is_folder:
            path.mkdir(mode=PRIVATE_DIR, exist_ok=True)
            continue
        fault_point(f"unpack {path.name}")
        if _copied(opened(), path) != clean.size:
            raise BackupDamaged(f"{archive} is damaged: {clean.name} has not the size that is noted for it.")
        yield path


def _copied(source: Readable | None, path: Path) -> int:
    """Copy to a file that must be new, block by block; the number of bytes."""
    copied = 0
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, PRIVATE_FILE)) as file:
        while source and (block := source.read(BLOCK)):
            copied += file.write(block)
    return copied


def _members(archive: Path, handle: BinaryIO, max_bytes: int, max_members: int) -> Iterator[Found]:
    """What the archive names, in its order; each content must be read before the next member is asked for."""
    handle.seek(0)
    head = handle.read(_TAR_BLOCK)
    handle.seek(0)
    if head.startswith(_ZIP):
        yield from _zip_members(archive, _Careful(archive, handle, max_members * DIRECTORY_ENTRY))
        return
    budget = max_bytes + BLOCK + max_members * MEMBER_OVERHEAD
    if head.startswith(_GZIP):
        opened = partial(_Forward, archive, budget, lambda: gzip.GzipFile(fileobj=_rewound(handle)))
    elif head.startswith(_ZSTD):
        unpack = partial(zstandard.ZstdDecompressor().stream_reader, read_across_frames=True, closefd=False)
        opened = partial(_Forward, archive, budget, lambda: unpack(_rewound(handle)))
    else:
        opened = partial(_Forward, archive, budget, lambda: _rewound(handle))
    if _begins_tar(opened().read(_TAR_BLOCK)):
        yield from _tar_members(archive, opened())
    elif head.startswith(_GZIP):
        size = sum(map(len, iter(partial(opened().read, BLOCK), b"")))
        yield Member(archive.name.removesuffix(".gz") or "content", size), opened
    else:
        raise BackupDamaged(f"{archive} is no zip, tar or gz archive.")


def _zip_members(archive: Path, handle: _Careful) -> Iterator[Found]:
    with zipfile.ZipFile(cast("IO[bytes]", handle)) as packed:
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, f"a link or a device: {info.filename!r}")
            if info.flag_bits & 1:
                raise _refused(archive, f"a file that asks for a password: {info.filename!r}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(archive, f"an unusual compression: {info.filename!r}")
            if "\0" in info.orig_filename or "\\" in info.orig_filename:
                raise _refused(archive, f"a backslash or a control character in a name: {info.orig_filename!r}")
            yield Member(info.filename, info.file_size, info.is_dir()), partial(packed.open, info)


def _tar_members(archive: Path, stream: _Forward) -> Iterator[Found]:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as packed:
        for info in packed:
            if not info.isdir() and (info.type not in _TAR_FILES or info.issparse()):
                raise _refused(archive, f"a link, a device or a file with holes: {info.name!r}")
            size = 0 if info.isdir() else info.size
            yield Member(info.name, size, info.isdir()), partial(packed.extractfile, info)
    if stream.ended:
        raise BackupDamaged(f"{archive} is damaged: its end is missing.")
    while stream.read(BLOCK):
        pass  # The sum that gzip checks comes last.


def _begins_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _rewound(handle: BinaryIO) -> BinaryIO:
    handle.seek(0)
    return handle


class _Careful:
    """A file that never hands over more at once than `most` bytes, whatever its headers make a reader ask for."""

    def __init__(self, archive: Path, file: BinaryIO, most: int) -> None:
        self._archive, self._file, self._most = archive, file, max(most, BLOCK)
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise _refused(self._archive, f"a header of {size} bytes")
        return self._file.read(self._most if size < 0 else size)


class _Forward:
    """A stream that is only read forward, in blocks, and not beyond `budget` bytes.

    Attributes:
        ended: a reader asked for more than there was.
    """

    def __init__(self, archive: Path, budget: int, opened: Callable[[], Readable]) -> None:
        self._archive, self._budget, self._stream = archive, budget, opened()
        self._position, self.ended = 0, False

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= BLOCK:
            raise _refused(self._archive, f"a header of {size} bytes")
        data = self._stream.read(size)
        self._position += len(data)
        self.ended |= len(data) < size
        if self._position > self._budget:
            raise _refused(self._archive, "far more bytes than its size promises")
        return data

    def seek(self, position: int) -> int:
        if position < self._position:
            raise _refused(self._archive, "a header that points backwards")
        while self._position < position and self.read(min(BLOCK, position - self._position)):
            pass
        return self._position


def _refused(archive: Path, what: str) -> BackupDamaged:
    return BackupDamaged(
        f"{archive} was refused: it holds {what}.",
        safe="Nothing was unpacked.",
        todo="Use the archive only if you know who made it; memdefrag's own exports never hold such a thing.",
    )


@contextmanager
def _translated(archive: Path) -> Iterator[None]:
    """Turn the errors of the unpacking libraries and of the file system into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotAStore(f"There is nothing at {error.filename}.") from error
    except (PermissionError, IsADirectoryError) as error:
        raise NotPermitted(f"{error.filename or archive} may not be read or written: {error.strerror}.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"There is no room for what {archive} holds.") from error
        raise BackupDamaged(f"{archive} could not be unpacked: {error}.", safe="Nothing was unpacked.") from error
    except (
        tarfile.TarError, zipfile.BadZipFile, zstandard.ZstdError, zlib.error, EOFError, ValueError, LookupError,
        struct.error, OverflowError, NotImplementedError, RecursionError,
    ) as error:
        raise BackupDamaged(f"{archive} is damaged: {error}.", safe="Nothing was unpacked.") from error
