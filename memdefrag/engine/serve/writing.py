"""The one writer of a served store. What is asked while a write is under way is carried out together, next."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import (
    MemdefragError,
    NotPermitted,
    PlanInvalid,
    StoreChanged,
    UsageError,
    VerificationFailed,
)
from memdefrag.engine.serve.entries import Entries
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Put
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.store import Found, record_of

AT_ONCE = 500
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


_Asked = tuple[Wish, "Future[bool]"]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a wish comes down to: something to write, or something to remove."""

    name: str
    put: Put | None = None
    delete: Sequence[MemoryRecord] = ()
    is_folder: bool = False


class Missing(UsageError):
    """What is to be removed is not there."""


class Writer:
    """Carries out the wishes of many threads one after the other, several at once where they do not meet."""

    def __init__(self, entries: Entries) -> None:
        self._entries, self.location = entries, entries.location
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[_Asked] = []

    def carry_out(self, wishes: Sequence[Wish]) -> list[Future[bool]]:
        """Do all of it; what came of each: whether it was about a folder, or why it was not done (`Missing`: there is
        nothing of that name to remove).

        Raises:
            NotPermitted: the store can only be read.
        """
        if not self._entries.writable:
            raise NotPermitted(f"This store ({self._entries.backend}) can only be read.")
        ours: list[_Asked] = [(wish, Future()) for wish in wishes]
        with self._guard:
            self._waiting += ours
        while not all(done.done() for _, done in ours):
            with self._turn:
                batch = self._next()
                if batch:
                    self._carry_out(batch)
        return [done for _, done in ours]

    def _next(self) -> list[_Asked]:
        """The longest beginning of what waits that touches nothing twice."""
        with self._guard:
            batch: list[_Asked] = []
            taken: set[str] = set()
            above: set[str] = set()
            for wish, done in self._waiting[:AT_ONCE]:
                files, folders = {wish.name, names.content_file(wish.name)}, names.folders_of(wish.name)
                if not taken.isdisjoint([*files, *folders]) or wish.name in above:
                    break
                taken |= files
                above.update(folders)
                batch.append((wish, done))
            del self._waiting[: len(batch)]
            return batch

    def _carry_out(self, batch: Sequence[_Asked]) -> None:
        """Do all that can be done together; each of the others is told why not.

        Where that fails as a whole, one half is tried and then the other, so that one cannot spoil the others; but not
        where all would fail alike, which may take long each time.
        """
        try:
            orders = self._orders(batch)
            refused = self._written([order for order in orders.values() if isinstance(order, _Order)])
        except Exception as error:
            if len(batch) > 1 and _is_of_one(error):
                middle = len(batch) // 2
                self._carry_out(batch[:middle])
                self._carry_out(batch[middle:])
                return
            for _, done in batch:
                done.set_exception(_as_ours(error))
            return
        for wish, done in batch:
            order = orders[wish.name]
            if isinstance(order, UsageError):
                done.set_exception(order)
            elif wish.name in refused:
                done.set_exception(UsageError(refused[wish.name]))
            else:
                done.set_result(order.is_folder)

    def _written(self, orders: Sequence[_Order]) -> Mapping[str, str]:
        """Write all of it; the names of those that the store did not take, each with the reason."""
        put = [order.put for order in orders if order.put]
        delete = [record for order in orders for record in order.delete]
        refused = self._entries.write(put, delete) if put or delete else {}
        for order in orders:
            if order.is_folder:
                self._entries.tidy(order.name)
        return refused

    def _orders(self, batch: Sequence[_Asked]) -> dict[str, _Order | UsageError]:
        """What each wish comes down to; or why it cannot be carried out."""
        wishes = [wish for wish, _ in batch]
        folders = {wish.name for wish in wishes if self._entries.is_folder(wish.name)}
        there = dict(self._entries.looks([wish.name for wish in wishes if wish.name not in folders]))
        above = {folder for wish in wishes if wish.content is not None for folder in names.folders_of(wish.name)}
        looks = self._entries.looks(sorted(each for each in above if not self._entries.is_folder(each)))
        hidden = {folder for folder, found in looks if found.record}
        orders: dict[str, _Order | UsageError] = {}
        for wish in wishes:
            try:
                orders[wish.name] = self._order(wish, there.get(wish.name), hidden)
            except UsageError as refusal:
                orders[wish.name] = refusal
        return orders

    def _order(self, wish: Wish, found: Found | None, hidden: Collection[str]) -> _Order:
        """What a wish comes down to.

        Args:
            found: what stands under its name; None: a folder.
            hidden: entries that a folder of their name would hide.

        Raises:
            UsageError: it cannot be carried out.
        """
        name = wish.name
        if wish.content is None and found is None:
            below = self._entries.looks(self._entries.index().below(name))
            return _Order(name, delete=[each for one in below if (each := _sound(*one))], is_folder=True)
        if found is None:
            raise UsageError(f"{name!r} is a folder; an entry of that name could not be read again.")
        present = _sound(name, found)
        if wish.content is not None:
            if buried := next((folder for folder in names.folders_of(name) if folder in hidden), None):
                raise UsageError(f"{buried!r} is an entry, which a folder of that name would hide.")
            return _Order(name, _new(name, wish.content, wish.metadata or {}, present))
        if present is None:
            raise Missing(f"Memory entry at {name} does not exist")
        return _Order(name, delete=[present])


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


def _is_of_one(error: Exception) -> bool:
    """Whether a failure may go back to one entry among many."""
    of_one = UsageError | StoreChanged | VerificationFailed | PlanInvalid
    return isinstance(error, of_one) or not isinstance(error, MemdefragError)


def _as_ours(error: Exception) -> Exception:
    """The failure as something that may be told to a client: never more than its kind where it is none of ours."""
    if isinstance(error, MemdefragError):
        return error
    return UsageError(f"The store could not be written ({type(error).__name__}).")
