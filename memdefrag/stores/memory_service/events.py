"""The service's log of changes, from which its other machines learn of them.

Every change is a row of ``sync_events`` with a hybrid logical clock that never runs back; the last value is kept in
``metadata``. Only a log that is in use is continued. From the service's ``_append_sync_event`` (version 12.4).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from memdefrag.model.records import MemoryRecord, Metadata, State
from memdefrag.stores.memory_service.layout import EVENTS, Layout
from memdefrag.stores.sqlite_safe import quote

Execute = Callable[[str, tuple[Any, ...]], Any]

_NOBODY = "unknown"
"""Whom the service names where it was not told who changes something."""

_CLOCK = ("sync_hlc_physical", "sync_hlc_logical")


def tell(execute: Execute, layout: Layout, old: MemoryRecord | None, new: MemoryRecord | None) -> None:
    """Say in the log what became of a memory, if there is something to say and a log that is in use."""
    if not layout.events:
        return
    was, is_there = (record is not None and record.state is not State.DELETED for record in (old, new))
    record = new or old
    if record is None or not (was or is_there):
        return
    hash = record.key.id
    if not is_there:
        deleted = (new.extras.get("deleted_at") if new else None) or time.time()
        _append(execute, layout, "delete", hash, {"content_hash": hash, "deleted_at": deleted})
    elif not was:
        _append(execute, layout, "create", hash, _created(execute, record), record)
    elif old is not None and (updates := _updates(old, record)):
        payload = {"content_hash": hash, "updates": updates, "updated_at": record.updated or time.time()}
        _append(execute, layout, "update_metadata", hash, payload)


def _created(execute: Execute, record: MemoryRecord) -> Metadata:
    """What a machine that does not have the memory yet needs of it."""
    payload = {
        "content_hash": record.key.id,
        "content": record.text,
        "memory_type": record.extras.get("memory_type"),
        "tags": list(record.tags),
        "created_at": record.created,
        "updated_at": record.updated,
        "metadata": record.metadata,
        "store": record.key.collection,
        "recreate_of": "",
    }
    # A deletion that was told wins over a later creation, unless this names it.
    dominant = execute(
        f"SELECT event_id, hlc_physical, hlc_logical, agent_id FROM {EVENTS} WHERE content_hash = ? "
        "AND op = 'delete' ORDER BY hlc_physical DESC, hlc_logical DESC, agent_id, event_id LIMIT 1",
        (record.key.id,),
    ).fetchone()
    if dominant:
        payload |= {"recreate_of": dominant[0], "recreate_of_hlc": list(dominant[1:])}
    return payload


def _updates(old: MemoryRecord, new: MemoryRecord) -> Metadata:
    """What the log has words for of the difference; a changed text is not among that."""
    updates: Metadata = {}
    if old.tags != new.tags:
        updates["tags"] = list(new.tags)
    if old.metadata != new.metadata:
        updates["metadata"] = new.metadata
    for name in ("memory_type", "superseded_by"):
        if old.extras.get(name) != new.extras.get(name):
            updates[name] = new.extras.get(name)
    return updates


def _append(
    execute: Execute, layout: Layout, op: str, hash: str, payload: Metadata, created: MemoryRecord | None = None
) -> None:
    now = time.time()
    clock = _tick(execute, now)
    said: dict[str, Any] = {
        "schema_version": 1,
        "agent_id": _NOBODY,
        "event_id": str(uuid.uuid4()),
        "op": op,
        "content_hash": hash,
        "payload": json.dumps(payload),
        "created_at": now,
        "created_at_iso": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "hlc_physical": clock[0],
        "hlc_logical": clock[1],
    }
    if created is not None and created.embedding is not None and "embedding_dim" in layout.events:
        model = execute(
            f"SELECT embedding_model FROM {EVENTS} WHERE op = 'create' AND embedding_dim = ? ORDER BY seq DESC LIMIT 1",
            (len(created.embedding),),
        ).fetchone()
        said |= {"embedding_model": model[0] if model else None, "embedding_dim": len(created.embedding)}
    said = {name: value for name, value in said.items() if name in layout.events}
    names, marks = ", ".join(quote(name) for name in said), ", ".join("?" for _ in said)
    execute(f"INSERT INTO {EVENTS} ({names}) VALUES ({marks})", tuple(said.values()))


def _count(told: Any) -> int:
    """A number that is kept as text; what is none counts as zero, as for a clock that was never read."""
    return int(told) if str(told).isascii() and str(told).isdecimal() else 0


def _tick(execute: Execute, now: float) -> tuple[int, int]:
    """The next value of the clock: the present millisecond, or one step beyond the last value."""
    told = dict(execute("SELECT key, value FROM metadata WHERE key IN (?, ?)", _CLOCK).fetchall())
    last = _count(told.get(_CLOCK[0])), _count(told.get(_CLOCK[1]))
    present = int(now * 1000)
    clock = (present, 0) if present > last[0] else (last[0], last[1] + 1)
    for name, value in zip(_CLOCK, clock, strict=True):
        execute("INSERT OR REPLACE INTO metadata (key, value) VALUES (?, ?)", (name, str(value)))
    return clock
