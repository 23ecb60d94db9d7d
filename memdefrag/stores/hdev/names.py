"""Which names an entry may have, and which files it gets. Pure.

hdev makes the name of the text file by replacing the suffix: the entries ``v1.2`` and ``v1.3`` share the file
``v1.md``, and the one written last is the one kept. The metadata file has the whole name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import PurePosixPath

CONTENT, METADATA, LEGACY = ".md", ".metadata.json", ".json"
LONGEST_PART = 255 - len(METADATA)
"""Bytes; file systems allow 255, and a suffix must fit in."""

LONGEST = 3_000
"""Bytes of a whole name; with a folder before it, systems allow 4,096 at most."""
DEEPEST = 100
"""Parts of a name. Whoever shows names as a tree needs a limit."""

_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\x01-\x1f]|[. ]$')


def fault_of(entry: str) -> str | None:
    """Why nothing may be read or written under this name; None when it is sound.

    Names come from servers and other stores, and must not lead out of the folder.
    """
    if not entry:
        return "is empty"
    if "\0" in entry or "\\" in entry:
        return "has a character that no name may have"
    if entry.startswith("/") or _DRIVE.match(entry):
        return "is absolute"
    try:
        parts = [part.encode("utf-8") for part in entry.split("/")]
    except UnicodeEncodeError:
        return "is not Unicode"
    if any(part in (b"", b".", b"..") for part in parts):
        return "has an empty part, or one that leads elsewhere"
    if len(parts) > DEEPEST:
        return "lies in too many folders"
    if sum(map(len, parts)) + len(parts) > LONGEST:
        return "is too long"
    if any(len(part) > LONGEST_PART for part in parts):
        return "has a part that is too long"
    return None


def fits_this_system(entry: str) -> bool:
    """Whether files of this name can be made here; Windows has rules of its own."""
    return sys.platform != "win32" or not any(_NOT_ON_WINDOWS.search(part) for part in entry.split("/"))


def content_file(entry: str) -> str:
    """The path of an entry's text, below the folder: the last part's suffix replaced, if it has one."""
    folder, slash, last = entry.rpartition("/")
    return folder + slash + stem(last) + CONTENT


def metadata_file(entry: str) -> str:
    """The path of an entry's metadata, below the folder."""
    return entry + METADATA


def stem(last: str) -> str:
    """The last part of a name without its suffix; a leading or trailing dot begins none."""
    dot = last.rfind(".")
    return last[:dot] if 0 < dot < len(last) - 1 else last


def is_dotted(entry: str) -> bool:
    """Whether the text's file does not have the entry's name, so that hdev lists it under another."""
    return content_file(entry) != entry + CONTENT


def folders_of(entry: str) -> list[str]:
    """The folders an entry lies in, innermost first, without the store's own."""
    return [str(parent) for parent in PurePosixPath(entry).parents][:-1]


def clash(entries: Iterable[str], *, hides: bool = True) -> str | None:
    """Why these entries cannot all be made; None when they can.

    Args:
        hides: a folder makes an entry of its name unreachable, as it does for all who ask a server.
    """
    made: dict[str, str] = {}
    for entry in sorted(entries):
        other = made.setdefault(content_file(entry), entry)
        if other != entry:
            return f"{other!r} and {entry!r} would share one file, {content_file(entry)!r}"
    for entry in made.values() if hides else ():
        above = next((folder for folder in folders_of(entry) if folder + CONTENT in made), None)
        if above is not None:
            return f"{above!r} would be hidden by the folder that {entry!r} needs"
    return None
