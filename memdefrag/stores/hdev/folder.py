"""Which files of a folder make an entry. Links are never followed, and nothing is left out without a word.

Layout (hdev's filesystem backend): ``a/b.md`` with ``a/b.metadata.json``. Before April 2025 an entry was one file,
``a/b.json``, an object with ``content`` and ``metadata``; hdev's own migration leaves these files behind.
"""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from memdefrag.stores.hdev import names

_SCRATCH = re.compile(r"\.(?P<of>.+)\.\d+\.partial")
_SETTLED = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system (FAT's). A folder that changed since may change unseen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The files of one entry, as paths below the store's folder.

    Attributes:
        content: the text's file; of an old entry its only file.
        metadata: None where there is none.
        shared: all entries that hdev wrote into the same text file, where they are several.
    """

    name: str
    content: str
    metadata: str | None = None
    shared: tuple[str, ...] = ()

    @property
    def is_old(self) -> bool:
        """Whether it has the one-file form of before April 2025 only."""
        return self.content.endswith(names.LEGACY)


@dataclass(frozen=True)
class Folder:
    """One folder's entries by name, whose file is whose, and what is in it besides."""

    entries: dict[str, Entry]
    others: tuple[str, ...] = ()

    @cached_property
    def owners(self) -> dict[str, str]:
        """The entry of each text file."""
        return {entry.content: entry.name for entry in self.entries.values()}


@dataclass(slots=True)
class Walk:
    """All that lies below a store's folder, as paths relative to it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def walk(root: Path) -> Walk:
    """Look at every file below `root`.

    Raises:
        PermissionError: a folder may not be read.
    """
    found = Walk()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        files, folders, links = listed(root, folder)
        paired = pair(folder, files)
        found.entries |= paired.entries
        found.others += paired.others
        found.files += [folder + name for name in files]
        found.links += [folder + name for name in links]
        if not (files or folders or links) and folder:
            found.empty.append(folder.rstrip("/"))
        waiting += [f"{folder}{name}/" for name in folders]
    return found


def listed(root: Path, folder: str) -> tuple[list[str], list[str], list[str]]:
    """Names of the regular files, the folders and the links (or devices) in a folder; none where it is none.

    Args:
        folder: "" or a path below `root` that ends with a slash. No part of it may be a link.
    """
    files, folders, links = [], [], []
    if any((root / above).is_symlink() for above in names.folders_of(folder + "x")):
        return [], [], []
    try:
        with os.scandir(root / folder) as found:
            for item in sorted(found, key=lambda item: item.name):
                if item.is_file(follow_symlinks=False):
                    files.append(item.name)
                elif item.is_dir(follow_symlinks=False):
                    folders.append(item.name)
                else:
                    links.append(item.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], [], []
    return files, folders, links


class Listings:
    """The files of folders, listed again only where something came or went since: thousands can be asked about."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[int, list[str]]] = {}

    def beginning(self, folder: str, stem: str) -> list[str]:
        """The names of the regular files in a folder that begin so; `folder` as in `listed`."""
        try:
            changed = (self._root / folder).stat().st_mtime_ns
        except OSError:
            return []
        then, files = self._known.get(folder, (None, []))
        if then != changed:
            files = listed(self._root, folder)[0]
            if changed < time.time_ns() - _SETTLED:
                self._known[folder] = changed, files
        following = map(files.__getitem__, range(bisect_left(files, stem), len(files)))
        return list(takewhile(lambda name: name.startswith(stem), following))


def pair(folder: str, files: Iterable[str]) -> Folder:
    """Put the files of one folder together to entries. Pure.

    A text whose own metadata file is missing belongs to the entry that hdev would have cut to this file's name:
    ``v1.md`` to ``v1.2.metadata.json``.
    """
    present = set(files)
    by_content: dict[str, list[str]] = {}
    for name in sorted(present):
        if name.endswith(names.METADATA):
            owner = name.removesuffix(names.METADATA)
            by_content.setdefault(names.content_file(owner), []).append(owner)
    entries, used = {}, set()
    for name in sorted(present):
        if name.endswith(names.CONTENT) and name != names.CONTENT:
            owners = by_content.get(name) or [_own_name(name)]
            entry = _entry(folder, owners, present)
            if names.fault_of(entry.name) is None:
                entries[entry.name] = entry
                used |= {name, *(owner + names.METADATA for owner in owners)}
    for name in sorted(present - used):
        old = folder + name.removesuffix(names.LEGACY)
        may_be_old = name.endswith(names.LEGACY) and not name.endswith(names.METADATA) and name != names.LEGACY
        if may_be_old and old not in entries and names.fault_of(old) is None:
            entries[old] = Entry(old, folder + name)
            used.add(name)
    return Folder(entries, tuple(folder + name for name in sorted(present - used)))


def scratch_of(others: Iterable[str], entries: Iterable[str]) -> Iterator[str]:
    """Of the other files, the half written ones that a crash left of these entries."""
    wanted = {path for entry in entries for path in (names.content_file(entry), names.metadata_file(entry))}
    for path in others:
        folder, slash, last = path.rpartition("/")
        match = _SCRATCH.fullmatch(last)
        if match and folder + slash + match["of"] in wanted:
            yield path


def _entry(folder: str, owners: list[str], present: set[str]) -> Entry:
    """The entry of a text file that these names claim."""
    name = folder + owners[0]
    metadata = names.metadata_file(name) if names.metadata_file(owners[0]) in present else None
    shared = tuple(folder + owner for owner in owners) if len(owners) > 1 else ()
    return Entry(name, names.content_file(name), metadata, shared)


def _own_name(content: str) -> str:
    """The name under which hdev finds a text file that no metadata claims."""
    name = content.removesuffix(names.CONTENT)
    return name if names.content_file(name) == content else content
