"""The one writer of a served store. What is asked while a write is under way is carried out together, next."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import MemdefragError, NotPermitted, UsageError
from memdefrag.engine.serve.entries import Entries
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Put
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.store import Found, record_of

AT_ONCE = 300
"""Wishes that are carried out together; as many as one request may bring."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one request wants under a (sound) name: an entry, or (content None) nothing.

    Attributes:
        metadata: laid over those that are there.
    """

    name: str
    content: str | None = None
    metadata: Metadata | None = None


class Missing(UsageError):
    """What is to be removed is not there."""


class Writer:
    """Carries out the wishes of many threads one after the other, several at once where they do not meet."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[tuple[Wish, Future[bool]]] = []

    def carry_out(self, wishes: Sequence[Wish]) -> list[Future[bool]]:
        """Do all of it; what came of each: whether it was about a folder, or why it was not done (`Missing`: there is
        nothing of that name to remove).

        Raises:
            NotPermitted: the store can only be read.
        """
        if not self._entries.writable:
            raise NotPermitted(f"This store ({self._entries.backend}) can only be read.")
        ours: list[tuple[Wish, Future[bool]]] = [(wish, Future()) for wish in wishes]
        with self._guard:
            self._waiting += ours
        while not all(done.done() for _, done in ours):
            with self._turn:
                batch = self._next()
                if batch:
                    self._carry_out(batch)
        return [done for _, done in ours]

    def _next(self) -> list[tuple[Wish, Future[bool]]]:
        """The longest beginning of what waits that touches nothing twice."""
        with self._guard:
            batch: list[tuple[Wish, Future[bool]]] = []
            taken: set[str] = set()
            above: set[str] = set()
            for wish, done in self._waiting[:AT_ONCE]:
                folders = names.folders_of(wish.name)
                if wish.name in taken or wish.name in above or not taken.isdisjoint(folders):
                    break
                taken.add(wish.name)
                above.update(folders)
                batch.append((wish, done))
            del self._waiting[: len(batch)]
            return batch

    def _carry_out(self, batch: Sequence[tuple[Wish, Future[bool]]]) -> None:
        """Do all together; where that fails one half and then the other, so that one cannot spoil the others."""
        try:
            answers = self._written([wish for wish, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(_as_ours(error))
                return
            middle = len(batch) // 2
            self._carry_out(batch[:middle])
            self._carry_out(batch[middle:])
        else:
            for (_, done), answer in zip(batch, answers, strict=True):
                done.set_result(answer)

    def _written(self, wishes: Sequence[Wish]) -> list[bool]:
        put: list[Put] = []
        delete: list[MemoryRecord] = []
        folders = [wish.content is None and self._entries.is_folder(wish.name) for wish in wishes]
        there = self._there(wishes)
        for wish, is_folder in zip(wishes, folders, strict=True):
            if wish.content is not None:
                put.append(_new(wish.name, wish.content, wish.metadata or {}, there[wish.name]))
            elif is_folder:
                below = self._entries.looks(self._entries.index().below(wish.name))
                delete += [found for each in below if (found := _sound(*each))]
            else:
                found = there[wish.name]
                if found is None:
                    raise Missing(f"Memory entry at {wish.name} does not exist")
                delete.append(found)
        if put or delete:
            self._entries.write(put, delete)
        for wish, is_folder in zip(wishes, folders, strict=True):
            if is_folder:
                self._entries.tidy(wish.name)
        return folders

    def _there(self, wishes: Sequence[Wish]) -> dict[str, MemoryRecord | None]:
        """What stands now under the names of wishes that can be carried out.

        Raises:
            UsageError: one cannot.
        """
        put = [wish.name for wish in wishes if wish.content is not None]
        for name in put:
            if self._entries.is_folder(name):
                raise UsageError(f"{name!r} is a folder; an entry of that name could not be read again.")
        above = sorted({folder for name in put for folder in names.folders_of(name)})
        for folder, found in self._entries.looks([each for each in above if not self._entries.is_folder(each)]):
            if found.record:
                raise UsageError(f"{folder!r} is an entry, which a folder of that name would hide.")
        asked = [wish.name for wish in wishes if wish.content is not None or not self._entries.is_folder(wish.name)]
        return {name: _sound(name, found) for name, found in self._entries.looks(asked)}


def _new(name: str, content: str, given: Metadata, old: MemoryRecord | None) -> Put:
    """The entry as it is to be: hdev counts its versions, and lets the request have the last word."""
    now, metadata = repr(time.time()), dict(old.metadata) if old else {}
    version = metadata.get("version")
    made: dict[str, Any] = {"updated": now, "version": version + 1 if type(version) is int else 1}
    if old is None:
        made["created"] = now
    return Put(record_of(name, content, {**metadata, **made, **given}), record_hash(old) if old else None)


def _sound(name: str, found: Found) -> MemoryRecord | None:
    """The record that was found, if any.

    Raises:
        UsageError: something is there that must be left alone.
    """
    if found.fault:
        raise UsageError(f"{name!r} {found.fault}; it was left alone.")
    return found.record


def _as_ours(error: Exception) -> Exception:
    """The failure as something that may be told to a client: never more than its kind where it is none of ours."""
    if isinstance(error, MemdefragError):
        return error
    return UsageError(f"The store could not be written ({type(error).__name__}).")
