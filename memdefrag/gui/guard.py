"""Refuse to start the window on a Qt that would crash it, before any of Qt is loaded.

PySide6 6.12 gives a reference to None away in every call that returns nothing. From Python 3.12 on None is never
freed; before that, it is after some 5,000 calls, and the interpreter aborts: seconds into using the window.
"""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec

from memdefrag.base.errors import UnsupportedEnvironment

_NEEDS_IMMORTAL_NONE = (6, 12)
_NONE_IS_IMMORTAL = (3, 12)
# Either may be what was installed; the second brings the first along, except in some distributions.
_DISTRIBUTIONS = ("PySide6-Essentials", "PySide6", "shiboken6")


def require_working_qt() -> None:
    """Raise `UnsupportedEnvironment` where the window cannot run; call it before importing PySide6."""
    if find_spec("PySide6") is None:
        raise UnsupportedEnvironment(
            "The window needs PySide6, which is not installed.",
            todo="Run: python -m pip install 'PySide6-Essentials>=6.8,<6.12'. The command line works without it.",
        )
    version = installed_version()
    if version is not None and is_fatal(version, sys.version_info[:2]):
        running = "{}.{}".format(*sys.version_info[:2])
        raise UnsupportedEnvironment(
            f"PySide6 {version} crashes Python {running} after a few seconds of use.",
            todo="Run: python -m pip install 'PySide6-Essentials<6.12', or use Python 3.12 or newer.",
        )


def installed_version() -> str | None:
    """The version of PySide6, read without importing it; None where nothing tells, as in a frozen program."""
    for name in _DISTRIBUTIONS:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def is_fatal(pyside: str, python: tuple[int, int]) -> bool:
    major, minor = pyside.split(".")[:2]
    return (int(major), int(minor)) >= _NEEDS_IMMORTAL_NONE and python < _NONE_IS_IMMORTAL
