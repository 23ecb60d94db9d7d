"""A folder of hdev memories.

Nothing is staged: entries are written one by one, each file whole or not at all. An entry is there as soon and as
long as its text file is: metadata are written before the text and removed after it, so that whatever a crash leaves
is either the entry or no entry, at worst with the new metadata beside the old text, which the journal mends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from memdefrag.base import fsops
from memdefrag.base.errors import NotPermitted, UsageError
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.hashing import canonical_json
from memdefrag.model.plan import Changes, touched
from memdefrag.model.records import Key, MemoryRecord, Metadata
from memdefrag.stores.base import StoreSettings
from memdefrag.stores.hdev import config, names
from memdefrag.stores.hdev.folder import Entry, Folder, Listings, Walk, listed, pair, scratch_of, walk
from memdefrag.stores.hdev.keys import entry_name
from memdefrag.stores.hdev.store import ALWAYS, CAPABILITIES, COLLECTION, GLOBAL, NOTHING, Found, HdevStore, record_of

_LOOKED_AT = 2_000
_NAMED = 10


class HdevFiles(HdevStore):
    """A folder of text and metadata files."""

    kind: ClassVar[str] = "hdev"

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        self.root = address.path
        self._making = threading.Lock()
        self._listings = Listings(self.root)

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if path.is_file() and path.name in (GLOBAL + names.CONTENT, GLOBAL + names.METADATA):
            path = path.parent
        inside = path / "memory"
        if _is_opened(inside) and not _is_opened(path):
            path = inside
        return path if path.is_dir() and _holds_an_entry(path) else None

    @classmethod
    def located(cls, address: Address) -> Address:
        return super().located(address if address.location else address.at(config.load().folder))

    def key_for(self, collection: str, record: MemoryRecord) -> Key:
        # Names that hdev itself gave are told apart by who gave them, capitals and all.
        is_own = record.metadata.keys() >= set(ALWAYS)
        folds = not is_own and fsops.folds_case(self.root)
        return Key(COLLECTION, entry_name(record.key.id, folds=folds, windows=sys.platform == "win32"))

    @property
    def format(self) -> str:
        return "hdev memory folder" + (" (partly of before April 2025)" if self._holds_old else "")

    @property
    def capabilities(self) -> Capabilities:
        return replace(CAPABILITIES, writable=not self._holds_old)

    @cached_property
    def _holds_old(self) -> bool:
        """Whether there are entries of the older form; asked for every batch, looked up once."""
        return bool(self._old())

    def write(self, changes: Changes, progress: Progress) -> None:
        if not self.capabilities.writable:
            raise NotPermitted(f"{self.format} can only be read.", todo="Run hdev's own migration first.")
        if changes.collections:
            self._make_folder(self.root)
        try:
            super().write(changes, progress)
        finally:
            # Also after a failure: what stands in spite of it may count as written.
            inside = {self.root / names.content_file(key.id) for key in touched(changes) if not names.fault_of(key.id)}
            for folder in sorted({path.parent for path in inside}):
                if folder.is_dir():
                    fsops.fsync_dir(folder)

    def sweep(self, keys: Iterable[Key]) -> None:
        """Remove half written files, and metadata without a text."""
        entries = [key.id for key in keys]
        for within in {folder + slash for folder, slash, _ in (entry.rpartition("/") for entry in entries)}:
            others = pair(within, listed(self.root, within)[0]).others
            orphans = {names.metadata_file(entry) for entry in entries}.intersection(others)
            for leftover in (*scratch_of(others, entries), *orphans):
                fsops.remove(self.root / leftover)

    def names_and_empty_folders(self) -> tuple[list[str], list[str]]:
        """The names of all entries, readable or not, and the folders in which nothing lies."""
        return self._listed(), sorted(self._walk().empty)

    def is_folder(self, name: str) -> bool:
        """Whether a folder of this (sound) name lies in the store."""
        inside = (self.root / above for above in (name, *names.folders_of(name)))
        return (self.root / name).is_dir() and not any(path.is_symlink() for path in inside)

    def look(self, name: str) -> Found:
        """What stands under this (sound) name."""
        return self._look([name])[name]

    def looks(self, entries: Sequence[str]) -> Iterator[tuple[str, Found]]:
        """What stands under each of these (sound) names, read one after the other; every folder is listed once."""
        asked = Counter(name.rpartition("/")[0] for name in entries)
        paired: dict[str, Folder] = {}
        for name in entries:
            within, slash, last = name.rpartition("/")
            if within not in paired:
                files = listed(self.root, within + slash)[0]
                if asked[within] == 1:
                    # All that can share files with an entry begins as its text's file does.
                    files = [file for file in files if file.startswith(names.stem(last))]
                paired[within] = pair(within + slash, files)
            yield name, self._found(name, paired[within])

    def unreadable(self) -> list[tuple[Key, str]]:
        """Those whose text another one's has replaced are among them."""
        told = "shares the file {!r} with {!r}; hdev kept one text for both"
        replaced = [
            (Key(COLLECTION, other), told.format(entry.content, entry.name))
            for entry in self._entries().values()
            for other in entry.shared[1:]
        ]
        return [*super().unreadable(), *replaced]

    def without_metadata(self) -> list[str]:
        """The names of entries that hdev itself cannot read since their metadata are gone."""
        return [each.name for each in self._entries().values() if each.metadata is None and not each.is_old]

    def ignored(self) -> list[tuple[str, str]]:
        """The paths below the folder that make no entry, each with what it is."""
        found = self._walk()
        kinds = (
            ([*found.others, *self._foreign(found)], "is no memory, or an older copy of one"),
            (found.links, "is a link, which is not followed"),
            (found.empty, "is an empty folder"),
        )
        return [(path, what) for paths, what in kinds for path in sorted(paths)]

    def raw_files(self) -> list[Path]:
        return sorted(self.root.absolute() / name for name in self._walk().files)

    def refusal(self, record: MemoryRecord) -> str | None:
        name = record.key.id
        within, slash, last = name.rpartition("/")
        found = self._found(name, pair(within + slash, self._listings.beginning(within + slash, names.stem(last))))
        if found.fault or found.record:
            return found.fault
        try:
            self._require_room([name])
        except UsageError as error:
            return error.message
        return None

    def _listed(self) -> list[str]:
        return sorted(self._entries())

    def _look(self, entries: Sequence[str]) -> dict[str, Found]:
        return dict(self.looks(entries))

    def _found(self, name: str, folder: Folder) -> Found:
        """What stands under a name of this folder."""
        entry = folder.entries.get(name)
        if entry is None:
            content = names.content_file(name)
            owner = folder.owners.get(content)
            return NOTHING if owner is None else Found(None, f"would share the file {content!r} with {owner!r}")
        try:
            record = record_of(name, *self._read(entry))
        except _Unreadable as error:
            # An unrelated JSON file is no memory of the older form.
            return NOTHING if entry.is_old and error.is_foreign else Found(None, str(error))
        if entry.shared:
            others = ", ".join(other for other in entry.shared if other != name)
            return Found(record, f"shares the file {entry.content!r} with {others}; hdev kept the text written last")
        return Found(record)

    def _read(self, entry: Entry) -> tuple[str, Metadata]:
        """Text and metadata of an entry.

        Raises:
            _Unreadable: why it is none.
        """
        if entry.is_old:
            whole = self._json(entry.content)
            text = whole.get("content") if isinstance(whole, dict) else None
            metadata = whole.get("metadata", {}) if isinstance(whole, dict) else None
            if not isinstance(text, str):
                raise _Unreadable("is no memory", is_foreign=True)
        else:
            try:
                text = self._bytes(entry.content).decode("utf-8")
            except UnicodeDecodeError as error:
                raise _Unreadable("cannot be read: its text is not UTF-8") from error
            metadata = self._json(entry.metadata) if entry.metadata else {}
        if not isinstance(metadata, dict):
            raise _Unreadable("cannot be read: its metadata are no JSON object")
        return text, metadata

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self._bytes(path))
        except (ValueError, RecursionError) as error:
            raise _Unreadable(f"cannot be read: {path} is not JSON", is_foreign=True) from error

    def _bytes(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            raise _Unreadable(f"cannot be read: {error.strerror}") from error

    def _other_problems(self) -> list[str]:
        found, entries = self._walk(), self._entries()
        told = [f"{name!r} has no metadata file; hdev itself cannot read it." for name in self.without_metadata()]
        told += [
            f"{name!r} is hidden from hdev by the folder of the same name; its files are there."
            for name in sorted(entries)
            if (self.root / name).is_dir()
        ]
        old = self._old()
        others = [*found.others, *self._foreign(found)]
        kinds = (
            (old, "{} memories have the form of before April 2025. They are read, but nothing is written "
                  "to this folder before hdev's own migration has been run: {}."),
            (found.links, "{} links were not followed: {}."),
            (others, "{} files are no memories, or older copies of them, and were left out: {}."),
            (found.empty, "{} folders are empty: {}."),
        )
        return told + [text.format(len(items), _some(items)) for items, text in kinds if items]

    def _require_room(self, entries: Sequence[str]) -> None:
        for entry in entries:
            if not names.fits_this_system(entry):
                raise UsageError(f"{entry!r} has a part that Windows does not allow.")
            for path in (names.content_file(entry), names.metadata_file(entry)):
                if (self.root / path).is_symlink():
                    raise UsageError(f"{path!r} is a link; memdefrag does not write through it.")
            if os.path.lexists(self.root / names.content_file(entry)):
                raise UsageError(f"The file {names.content_file(entry)!r} stands where {entry!r} would.")
            for folder in names.folders_of(entry):
                place = self.root / folder
                if place.is_symlink() or (place.exists() and not place.is_dir()):
                    raise UsageError(f"{folder!r}, where {entry!r} would be, is no folder of the store.")

    def _put(self, record: MemoryRecord, present: MemoryRecord | None) -> None:
        entry, text = record.key.id, record.text or ""
        content, metadata = names.content_file(entry), names.metadata_file(entry)
        self._make_folder((self.root / content).parent)
        if present is None or canonical_json(present.metadata) != canonical_json(record.metadata):
            self._write_file(metadata, json.dumps(record.metadata, indent=2).encode("ascii"))
        if present is None or present.text != text:
            self._write_file(content, text.encode("utf-8"))

    def _delete(self, entry: str) -> None:
        old = Entry(entry, entry + names.LEGACY)
        content = self.root / names.content_file(entry)
        if (self.root / old.content).is_file() and self._is_old(old):
            # The migration left it behind; without the text beside it, it would be the memory again.
            fsops.remove(self.root / old.content)
        fsops.remove(content)
        fsops.remove(self.root / names.metadata_file(entry))

    def _write_file(self, path: str, data: bytes) -> None:
        """Put a file in place, with the permissions and the owner of what it replaces, or of its folder.

        Its folder is pushed to the disk at the end of the batch.
        """
        target = self.root / path
        with fsops.replacing(target, sync_folder=False) as scratch:
            fsops.fault_point(f"write {target.name}")
            with open(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, fsops.PRIVATE_FILE), "wb") as handle:
                handle.write(data)
            fsops.dress_like(scratch, target if target.exists() else target.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it that are missing, each like the one it lies in."""
        with self._making:
            if folder.is_dir():
                return
            for path in (*reversed(folder.parents), folder):
                if not path.exists():
                    path.mkdir()
                    fsops.dress_like(path, path.parent)
                    fsops.fsync_dir(path.parent)

    def _entries(self) -> dict[str, Entry]:
        """All entries; a JSON file counts as an old one only if it is one."""
        return {name: entry for name, entry in self._walk().entries.items() if not entry.is_old or self._is_old(entry)}

    def _foreign(self, found: Walk) -> list[str]:
        """JSON files that are no entries of the older form."""
        return [each.content for each in found.entries.values() if each.is_old and not self._is_old(each)]

    def _old(self) -> list[str]:
        return [name for name, entry in self._entries().items() if entry.is_old]

    def _is_old(self, entry: Entry) -> bool:
        try:
            self._read(entry)
        except _Unreadable as error:
            return not error.is_foreign
        return True

    def _is_surely_old(self, entry: Entry) -> bool:
        """Whether an old entry has the metadata that hdev gave to every one; other programs write JSON, too."""
        try:
            return not self._read(entry)[1].keys().isdisjoint(ALWAYS)
        except _Unreadable:
            return False

    def _walk(self) -> Walk:
        try:
            return walk(self.root)
        except PermissionError as error:
            raise NotPermitted(f"{error.filename} may not be read: {error.strerror}.") from error


class _Unreadable(Exception):
    """Why the files of an entry make no memory.

    Attributes:
        is_foreign: a JSON file that may have nothing to do with hdev.
    """

    def __init__(self, reason: str, *, is_foreign: bool = False) -> None:
        super().__init__(reason)
        self.is_foreign = is_foreign


def _is_opened(folder: Path) -> bool:
    """Whether hdev has opened this folder as its store."""
    return (folder / (GLOBAL + names.CONTENT)).is_file()


def _holds_an_entry(folder: Path) -> bool:
    """Whether a text with its metadata, or an old entry, lies among the first files of a folder.

    Texts alone are no sign: many programs keep notes in such files.
    """
    waiting, seen = [""], 0
    while waiting and seen < _LOOKED_AT:
        within = waiting.pop(0)
        files, folders, _ = listed(folder, within)
        seen += len(files) + len(folders)
        store = HdevFiles(Address("hdev", str(folder)), StoreSettings())
        for entry in pair(within, files).entries.values():
            if entry.metadata is not None or (entry.is_old and store._is_surely_old(entry)):
                return True
        waiting += [f"{within}{name}/" for name in folders]
    return False


def _some(items: Sequence[str]) -> str:
    more = len(items) - _NAMED
    return ", ".join(sorted(items)[:_NAMED]) + (f" and {more} more" if more > 0 else "")
