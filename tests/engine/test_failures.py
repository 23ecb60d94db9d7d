"""What is said of a failure of the system is what happened."""

from __future__ import annotations

import errno

import pytest

from memdefrag.base.errors import MemdefragError, NoSpace, NotPermitted, StoreChanged, WriteError
from memdefrag.engine.failures import disk_error


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.ENOSPC, NoSpace, "The disk is full at a.md."),
        (errno.EROFS, NotPermitted, "The system refuses to write at a.md: its words."),
        (errno.ENOENT, StoreChanged, "A file went away: a.md."),
        (errno.EIO, WriteError, "The disk failed at a.md: its words."),
    ],
)
def test_a_failure_is_named_by_its_cause(number: int, kind: type[MemdefragError], told: str) -> None:
    found = disk_error(OSError(number, "its words", "a.md"), "Nothing was changed.")
    assert (type(found), found.message, found.safe) == (kind, told, "Nothing was changed.")
