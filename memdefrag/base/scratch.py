"""Private folders for copies that nobody shall find later: they hold what people told their assistant."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_PREFIX = "memdefrag-scratch-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder (0700) of the system's temporary place, removed at the end with all that is in it.

    What a killed process left there goes when the next one asks for a folder.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@cache
def _sweep() -> None:
    import psutil

    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)) and not left.is_symlink():
            # Another user's cannot be removed, and is not ours to remove.
            shutil.rmtree(left, ignore_errors=True)
