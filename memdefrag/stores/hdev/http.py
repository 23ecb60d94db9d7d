"""The hdev memory server: the same entries, one request each.

Protocol (hdev's memory-server): an answer of status 200 may say ``"success": false``, which is a failure; a PUT
merges the metadata given over those that are there; a DELETE of a folder's name deletes all below it. There is no
listing with contents, so that reading all takes one request for each entry and folder; only memdefrag's own server
takes many at once (`bulk`). What the server says is not believed: every name is checked before it is asked for, every
write is read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from memdefrag.base import secrets
from memdefrag.base.errors import NotAStore, ServerRefused, ServerUnreachable, UsageError
from memdefrag.base.http import Client, Options
from memdefrag.base.settings import redact, server_timeout
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import RecordsRefused, StoreSettings
from memdefrag.stores.hdev import bulk, config, names
from memdefrag.stores.hdev.listing import Listing, is_cut, items_in, names_in
from memdefrag.stores.hdev.store import ALWAYS, AT_ONCE, COLLECTION, NOTHING, Found, HdevStore, fit, record_of

KEY_VARIABLES = (config.KEY_VARIABLE,)
ENTRY, TREE, HEALTH = "/api/memory/entry/", "/api/memory/tree", "/api/health"
MOST_FOLDERS = 100_000
"""More than that no memory server has; one that makes them up would be asked for ever."""
_MANY = 20
"""From so many names on, a look at the tree is worth its while."""
_TOLD_CHARACTERS = 300


class HdevHttp(HdevStore):
    """The entries of a memory server over plain http: one on this machine, or in a network of one's own."""

    kind: ClassVar[str] = "hdev+http"
    most_at_once: ClassVar[int] = 300
    hides: ClassVar[bool] = True

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        told = config.load()
        key = secrets.find(address.url, *KEY_VARIABLES) or told.key_for(address.url)
        options = Options.of_environment()
        # What was said on this occasion goes before what hdev's configuration says.
        silence = server_timeout() or told.timeout or options.silence
        self._offered: set[str] = set()
        self._last_listing = Listing()
        self._offered_folders: set[str] = set()
        self._client = Client(address.url, key, replace(options, silence=silence))

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        return None

    @classmethod
    def located(cls, address: Address) -> Address:
        """The address; that of the configured server where none is named.

        Raises:
            UsageError: none is configured.
        """
        if address.location:
            return address
        url = config.load().url
        if not url:
            raise UsageError(
                "No memory server was named, and hdev's configuration names none.",
                todo=f"Give its address, such as hdev+http://localhost:8080, or set {config.URL_VARIABLE}.",
            )
        return Address(f"hdev+{url.partition(':')[0]}", url.partition(":")[2])

    @property
    def format(self) -> str:
        return "hdev memory server"

    @property
    def exists(self) -> bool:
        """Always true: a server that does not answer is an error, never an empty store.

        Raises:
            ServerUnreachable, ServerRefused: it does not answer, or not to us.
            NotAStore: something else listens there.
        """
        health = self._asked("GET", HEALTH)
        if not isinstance(health.get("healthy"), bool):
            raise NotAStore(f"{self._client.base} is no hdev memory server.", todo="Check the address.")
        if not health["healthy"]:
            raise ServerRefused(f"{self._client.base} is not well: {health.get('message')}.")
        return True

    def raw_files(self) -> list[Path]:
        return []

    def close(self) -> None:
        self._client.close()

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As for files; but the server knows one kind of line break, and adds metadata that are missing."""
        fitted, losses = fit(record)
        text = (fitted.text or "").replace("\r\n", "\n").replace("\r", "\n")
        if text != fitted.text:
            losses = (*losses, "the kind of line breaks")
        added = {name: 1 if name == "version" else None for name in ALWAYS if name not in fitted.metadata}
        return replace(fitted, text=text, metadata={**fitted.metadata, **added}), losses

    def refusal(self, record: MemoryRecord) -> str | None:
        """Beside those listed last and offered since: the server gives out no entry beside a folder of its name."""
        entry, folders, there = record.key.id, names.folders_of(record.key.id), self._last_listing
        if entry in dict(self._faulty or ()):
            return "is there already and cannot be read"
        above = next((folder for folder in folders if folder in self._offered or folder in there.entries), None)
        if above is not None:
            return f"would hide {above!r} behind a folder of the same name"
        if entry in self._offered_folders or entry in there.folders:
            return "would be hidden by the folder of the same name"
        self._offered.add(entry)
        self._offered_folders.update(folders)
        return None

    def unreadable(self) -> list[tuple[Key, str]]:
        unread = super().unreadable()
        return [*unread, *((Key(COLLECTION, name), why) for name, why in self._last_listing.unseen())]

    def _listed(self) -> list[str]:
        self._last_listing = self._listing()
        return sorted(self._last_listing.entries)

    def _listing(self) -> Listing:
        """All names: those of the tree, and those of each folder, since the tree shows `a` and `a/` as one."""
        found = Listing()
        shown = dict(names_in(self._tree(), found.hostile))
        folders = {"", *(name for name, below in shown.items() if below)}
        seen: set[str] = set()
        leaves: set[str] = set()
        while folders - seen:
            asked = sorted(folders - seen)
            if len(folders) > MOST_FOLDERS:
                raise ServerRefused(f"{self._client.base} lists ever more folders: {len(folders):,} by now.")
            seen |= folders
            for folder, answer in zip(asked, self._entries(asked), strict=True):
                if not isinstance(answer.get("items"), list):
                    found.silent.add(folder)
                    continue
                for name, is_folder in items_in(folder, answer, found.hostile):
                    (folders if is_folder else leaves).add(name)
        found.hidden, found.folders = leaves & folders, folders
        # An empty folder looks like an entry in the tree; the folder that it lies in tells them apart.
        found.entries = (leaves | (shown.keys() - folders)) - found.hidden
        return found

    def _tree(self) -> dict[str, Any]:
        tree = self._asked("GET", TREE, query={"depth": "-1"})
        items = tree.get("items")
        if tree.get("success") is not True or not isinstance(items, dict):
            raise ServerRefused(f"{self._client.base} does not list its memories: {tree.get('error')}.")
        return items

    def _look_for(self, entries: Sequence[str]) -> dict[str, Found]:
        """One request tells which of many are not there at all; a tree with something left out does not."""
        if len(entries) < _MANY or self._takes_many:
            return self._look(entries)
        tree = self._tree()
        if is_cut(tree):
            return self._look(entries)
        shown = dict(names_in(tree, set()))
        found = self._look([entry for entry in entries if entry in shown])
        return {entry: found.get(entry, NOTHING) for entry in entries}

    def _look(self, entries: Sequence[str]) -> dict[str, Found]:
        return {entry: _found(entry, answer) for entry, answer in zip(entries, self._entries(entries), strict=True)}

    def _other_problems(self) -> list[str]:
        return [f"{name!r} {why}." for name, why in self._listing().unseen()]

    def _require_room(self, entries: Sequence[str]) -> None:
        for entry in entries:
            if names.is_dotted(entry):
                raise UsageError(
                    f"{entry!r} has a dot in its last part: the server would store it under another name "
                    "and never list it."
                )
        above = sorted({folder for entry in entries for folder in names.folders_of(entry)})
        for folder, found in self._look(above).items():
            if found.record is not None:
                raise UsageError(f"{folder!r} would be hidden by the folder of the same name that is needed.")

    @cached_property
    def _takes_many(self) -> bool:
        """Whether the server answers requests for many entries; asked once."""
        return bulk.is_offered(self._asked("GET", HEALTH))

    def _put_all(self, entries: Sequence[tuple[MemoryRecord, MemoryRecord | None]]) -> None:
        """Many at once where the server takes them; those of which it says nothing go one by one.

        Raises:
            RecordsRefused: all were written but some, which the server says it does not take.
        """
        said: dict[str, str | None] = {}
        if len(entries) > AT_ONCE and self._takes_many:
            fitting = [record for record, present in entries if not _loses_metadata(record, present)]
            for part, body in bulk.writes(fitting):
                said |= self._written_together(part, body)
        refused = {Key(COLLECTION, name): reason for name, reason in said.items() if reason is not None}

        def put(entry: tuple[MemoryRecord, MemoryRecord | None]) -> None:
            try:
                self._put(*entry)
            except _NotTaken as refusal:
                refused[entry[0].key] = refusal.reason

        self._each(put, [entry for entry in entries if entry[0].key.id not in said])
        if refused:
            key, reason = next(iter(refused.items()))
            raise RecordsRefused(f"The server did not write {key.id!r}: {reason}.", refused)

    def _written_together(self, part: Sequence[MemoryRecord], body: bytes) -> dict[str, str | None]:
        """Of each name what the server says: None: it is written; else why not. Where it gives no reason, nothing."""
        asked = [record.key.id for record in part]
        try:
            results = bulk.answers(self._asked("POST", bulk.ENTRIES, body=body).get("results"), asked)
        except (NotAStore, ServerRefused):
            self._takes_many = False
            return {}
        told = {
            name: None if result.get("success") is True else _reason(result)
            for name, result in zip(asked, results, strict=False)
        }
        return {name: reason for name, reason in told.items() if reason != ""}

    def _put(self, record: MemoryRecord, present: MemoryRecord | None) -> None:
        entry = record.key.id
        if _loses_metadata(record, present):
            # The server merges metadata; what is to be gone from them goes only with the entry.
            self._delete(entry)
        with self._judged_by_reading(entry, record_hash(record)):
            answer = self._asked("PUT", _path(entry), body={"content": record.text, "metadata": record.metadata})
            if answer.get("success") is not True:
                raise _NotTaken(entry, _reason(answer) or "it does not say why")

    def _delete(self, entry: str) -> None:
        """Remove an entry; never a folder, which would go with all that is in it."""
        [answer] = self._entries([entry])
        if answer.get("type") == "directory":
            raise ServerRefused(f"{entry!r} has become a folder; it was not deleted.")
        with self._judged_by_reading(entry, None):
            answer = self._asked("DELETE", _path(entry))
            if answer.get("success") is not True:
                raise ServerRefused(f"The server did not remove {entry!r}: {answer.get('error')}.")

    @contextmanager
    def _judged_by_reading(self, entry: str, wanted: str | None) -> Iterator[None]:
        """Let a request that failed count as done if the entry has the wanted hash (None: is gone) after it.

        A lost answer or a fault after the work looks like any other failure.
        """
        try:
            yield
        except (ServerUnreachable, ServerRefused):
            found = self._look([entry])[entry]
            if found.fault or (record_hash(found.record) if found.record else None) != wanted:
                raise

    def _entries(self, asked: Sequence[str]) -> list[dict[str, Any]]:
        """The server's answers for these names, many in a request or some at a time."""
        if len(asked) > AT_ONCE and self._takes_many:
            with suppress(NotAStore, ServerRefused):
                return self._entries_together(asked)
            self._takes_many = False
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda entry: self._asked("GET", _path(entry)), asked))

    def _entries_together(self, asked: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < len(asked):
            part = asked[len(found) : len(found) + bulk.READ_AT_ONCE]
            found += bulk.answers(self._asked("POST", bulk.ENTRIES, body={"read": part}).get("entries"), part)
        return found

    def _asked(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """The JSON object that answers a request.

        Raises:
            NotAStore: the server has no such route.
            ServerRefused: it says no, or answers with something else.
        """
        answer = self._client.request(method, path, query=query, body=body)
        if answer.status in (404, 405):
            raise NotAStore(f"{self._client.base} is no hdev memory server.", todo="Check the address.")
        said = answer.json()
        if answer.status != 200 or not isinstance(said, dict):
            raise ServerRefused(f"{self._client.base} answers {answer.status} to {method} {path}.")
        return said


class _NotTaken(ServerRefused):
    """The server answers that it does not take an entry."""

    def __init__(self, entry: str, reason: str) -> None:
        super().__init__(f"The server did not write {entry!r}: {reason}.")
        self.reason = reason


class HdevHttps(HdevHttp):
    """The same over https."""

    kind: ClassVar[str] = "hdev+https"


def _path(entry: str) -> str:
    return ENTRY + "/".join(quote(part, safe="") for part in entry.split("/"))


def _reason(answer: dict[str, Any]) -> str:
    """Why a server did not do it, in its own words, short and without a full stop."""
    return redact(" ".join(str(answer.get("error") or "").split()))[:_TOLD_CHARACTERS].rstrip(".")


def _loses_metadata(record: MemoryRecord, present: MemoryRecord | None) -> bool:
    """Whether metadata that are there are to be gone."""
    return present is not None and bool(present.metadata.keys() - record.metadata.keys())


def _found(entry: str, answer: dict[str, Any]) -> Found:
    """What the server's answer says of an entry."""
    if answer.get("type") == "directory":
        return Found(None, "is a folder on the server")
    text, metadata, error = answer.get("content"), answer.get("metadata"), str(answer.get("error")).replace("\\", "/")
    if answer.get("success") is not True:
        gone = error == f"Memory entry content at {names.content_file(entry)} does not exist"
        return NOTHING if gone else Found(None, f"cannot be read: {error}")
    if not isinstance(text, str) or not isinstance(metadata, dict):
        return Found(None, "cannot be read: the server's answer lacks its text or its metadata")
    return Found(record_of(entry, text, metadata))
