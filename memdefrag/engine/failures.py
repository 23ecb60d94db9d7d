"""What a person is told when the disk or the system fails in the middle of the work."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from memdefrag.base.errors import MemdefragError, NoSpace, NotPermitted, StoreChanged, WriteError


def disk_error(error: OSError, safe: str) -> MemdefragError:
    """The system's failure in our words; `safe` is what is true of the store now."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoSpace(f"The disk is full{where}.", safe=safe)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotPermitted(f"The system refuses to write{where}: {error.strerror}.", safe=safe)
    if error.errno == errno.ENOENT:
        return StoreChanged(f"A file went away: {error.filename}.", safe=safe, todo="Try again.")
    return WriteError(f"The disk failed{where}: {error.strerror}.", safe=safe, todo="Check the disk, then try again.")


@contextmanager
def disk_errors_told(safe: str) -> Iterator[None]:
    """Turns the system's failures inside the block, or in the function it decorates, into ours."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, safe) from error


def told_with(error: BaseException, safe: str) -> BaseException:
    """The same failure, told with what is true of the store now."""
    if isinstance(error, OSError):
        return disk_error(error, safe)
    if isinstance(error, MemdefragError):
        error.safe = safe
    return error
