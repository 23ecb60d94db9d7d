"""The only code that renames or fsyncs, with a named fault point before every step that changes the disk.

`fault_point` is where the fault tests kill the process or make the disk fail: with ``MEMDEFRAG_FAULT`` set to
``kill:N``, ``enospc:N`` or ``eio:N`` the N-th point strikes; with ``list:FILE`` every point's name is
appended to FILE. Unset, a point costs one dictionary look-up.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from memdefrag.base.errors import NotPermitted, StoreDamaged

FAULT_VARIABLE = "MEMDEFRAG_FAULT"
_FAULTS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_points_passed = 0

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600


class ExchangeUnsupported(OSError):
    """This file system cannot exchange two names in one step."""


def fault_point(name: str) -> None:
    """A place where the fault tests may stop the world. `name` says what is about to happen."""
    order = os.environ.get(FAULT_VARIABLE)
    if not order:
        return
    global _points_passed
    _points_passed += 1
    kind, _, value = order.partition(":")
    if kind == "list":
        with open(value, "a", encoding="utf-8") as listing:
            listing.write(name + "\n")
    elif _points_passed == int(value):
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(_FAULTS[kind], f"injected before {name}")


def make_private_dir(path: Path) -> Path:
    """Make a folder (and its missing parents) that only its owner can enter."""
    for folder in (*reversed(path.parents), path):
        folder.mkdir(exist_ok=True, mode=PRIVATE_DIR)
    return path


def fsync_file(path: Path) -> None:
    """Push a file's bytes to the disk. A failure is final: the kernel may have dropped the pages."""
    fault_point(f"fsync {path.name}")
    with open(path, "r+b") as handle:
        os.fsync(handle.fileno())


def fsync_dir(path: Path) -> None:
    """Push a folder's entries to the disk (Windows has no such call)."""
    fault_point(f"fsync folder {path.name}")
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget_cached(root: Path) -> None:
    """Let the system forget what it keeps in memory of the files below `root`: they are read from the disk next.

    Only what was pushed to the disk is forgotten, and only where the system has such a call (Linux).
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for path in root.rglob("*"):
        if path.is_file():
            with open(path, "rb") as handle:
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fsync_tree(root: Path) -> None:
    """Push every file and folder below `root`, and `root`, to the disk, leaves first."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in sorted(names):
            fsync_file(Path(folder, name))
        fsync_dir(Path(folder))


def rename(source: Path, target: Path, *, sync: bool = True) -> None:
    """Rename durably. `target` must not exist, unless both are files, which are then replaced.

    Args:
        sync: False: the caller pushes the folders to the disk himself (`fsync_dir`), once for many files.

    Raises:
        NotPermitted: `target` is a device or the like (/dev/null), which a file must not replace.
    """
    _require_ordinary(target)
    fault_point(f"rename {source.name} -> {target.name}")
    if source.is_file():
        os.replace(source, target)
    else:
        os.rename(source, target)
    if not sync:
        return
    fsync_dir(target.parent)
    if source.parent != target.parent:
        fsync_dir(source.parent)


def exchange(one: Path, other: Path) -> None:
    """Let two existing paths trade places in a single step (renameat2, or renamex_np on macOS).

    Raises:
        ExchangeUnsupported: the system or the file system cannot; nothing was changed.
    """
    fault_point(f"exchange {one.name} <-> {other.name}")
    if sys.platform == "win32":
        raise ExchangeUnsupported(errno.ENOSYS, "no exchange on this system")
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(os.fsencode(one), os.fsencode(other), _RENAME_SWAP)
    else:
        raise ExchangeUnsupported(errno.ENOSYS, "no exchange on this system")
    if failed:
        raise ExchangeUnsupported(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    fsync_dir(one.parent)
    if one.parent != other.parent:
        fsync_dir(other.parent)


def probe_writable(folder: Path) -> None:
    """Write, push to the disk, rename and remove a small file: a folder that lets all that pass takes a store, too.

    Raises:
        NotPermitted, OSError: it does not.
    """
    scratch = folder / f".memdefrag-probe-{os.getpid()}"
    try:
        with replacing(scratch) as made:
            made.write_bytes(b"probe")
    except PermissionError as error:
        raise NotPermitted(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(PermissionError):
            remove(scratch)


@contextmanager
def replacing(path: Path, *, sync_folder: bool = True) -> Iterator[Path]:
    """Yield a scratch path beside `path`; on success its content durably takes the place of `path`.

    Args:
        sync_folder: as `sync` of `rename`; the bytes are pushed to the disk before the renaming in any case.

    Raises:
        NotPermitted: `path` is a device or the like (/dev/null), which a file must not replace.
    """
    _require_ordinary(path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield scratch
        fsync_file(scratch)
        rename(scratch, path, sync=sync_folder)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def written_anew(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write into; on success it durably takes the place of `path` and has its permissions.

    Where nothing stands at `path`, only its owner may read the new file.

    Raises:
        NotPermitted: as `replacing`.
    """
    with replacing(path) as scratch:
        fault_point(f"write {path.name}")
        mode = path.stat().st_mode & 0o777 if path.exists() else PRIVATE_FILE
        with open(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "wb") as out:
            yield out


def write_durable(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Put `data` at `path`, whole or not at all."""
    with replacing(path) as scratch:
        fault_point(f"write {path.name}")
        with open(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "wb") as handle:
            handle.write(data)


def append_durable(path: Path, line: bytes, mode: int = PRIVATE_FILE) -> None:
    """Append one line to a log and push it to the disk. A line that a crash left torn stays the only one lost."""
    fault_point(f"append {path.name}")
    created = not path.exists()
    before = b"\n" if not created and _is_torn(path) else b""
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, mode), "ab") as handle:
        handle.write(before + line)
        handle.flush()
        os.fsync(handle.fileno())
    if created:
        fsync_dir(path.parent)


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as handle:
        if handle.seek(0, os.SEEK_END) == 0:
            return False
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) != b"\n"


def folds_case(folder: Path) -> bool:
    """Whether the file system of a folder (that may not be there yet) takes names for one that differ in capitals."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    named = next((path for path in (there, *there.parents) if path.name.swapcase() != path.name), None)
    if named is None:
        return sys.platform in ("win32", "darwin")
    other = named.with_name(named.name.swapcase())
    return other.exists() and os.path.samefile(named, other)


def copy_file(source: Path, target: Path) -> None:
    """Copy bytes, times and mode of a regular file; never follows a link.

    Raises:
        StoreDamaged: `source` is a link or no regular file.
    """
    if not stat.S_ISREG(source.lstat().st_mode):
        raise StoreDamaged(f"{source} is not a regular file (a link?); it was not followed.")
    fault_point(f"copy {source.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def dress_like(made: Path, model: Path) -> None:
    """Give a file, or a folder with all below, the permissions and the owner of what it is going to replace.

    What is new in a folder gets those of the folder. Its owner can always read and write.
    """
    for path in (made, *made.rglob("*")):
        like = model / path.relative_to(made)
        status = (like if like.exists() else model).stat()
        allowed = 0o777 if path.is_dir() else (0o777 if like.is_file() else 0o666)
        path.chmod(stat.S_IMODE(status.st_mode) & allowed | (PRIVATE_DIR if path.is_dir() else PRIVATE_FILE))
        if sys.platform != "win32" and (path.stat().st_uid, path.stat().st_gid) != (status.st_uid, status.st_gid):
            # Only root may give files away; others keep what they were allowed to write.
            with suppress(PermissionError):
                os.chown(path, status.st_uid, status.st_gid)


def remove(path: Path) -> None:
    """Remove a file or a whole folder if it is there.

    Raises:
        NotPermitted: it is a device or the like (/dev/null).
    """
    _require_ordinary(path)
    fault_point(f"remove {path.name}")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _require_ordinary(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise NotPermitted(f"{path} is neither a file nor a folder; nothing may take its place.", todo="Name a file.")


def file_sha256(path: Path) -> str:
    """SHA-256 hex of a file's bytes.

    Raises:
        NotPermitted: the file may not be read.
    """
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error


def bytes_of(path: Path) -> int:
    """The size of a file, or of all files below a folder; 0 where there is nothing."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def free_bytes(path: Path) -> int:
    """Free space on the file system of `path` (of its nearest existing parent)."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
