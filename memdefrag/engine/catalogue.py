"""The append-only log of all that ever happened to stores: jobs, backups, outcomes.

One JSON object per line in ``<data dir>/catalogue.jsonl``; a torn line is ignored. Nothing is
rewritten, so two processes may append at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memdefrag.base.fsops import append_durable, make_private_dir
from memdefrag.base.settings import data_dir
from memdefrag.model.address import Address

Event = dict[str, Any]


def record(event: str, **fields: Any) -> None:
    """Append one event, with the time."""
    make_private_dir(data_dir())
    line = json.dumps({"event": event, "time": utc_now(), **fields}, ensure_ascii=True)
    append_durable(_path(), line.encode() + b"\n")


def events() -> Iterator[Event]:
    """All events, oldest first."""
    if not _path().exists():
        return
    with _path().open("rb") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                yield event


def unfinished_jobs() -> dict[str, Event]:
    """Jobs that began and were not tidied up after, by id."""
    jobs: dict[str, Event] = {}
    for event in events():
        if event["event"] == "job":
            jobs[event["id"]] = event
        elif event["event"] == "tidied":
            jobs.pop(event["id"], None)
    return jobs


def outcomes() -> dict[str, str]:
    """What became of each finished job: "applied", "discarded" or "failed", by id."""
    return {event["id"]: event["outcome"] for event in events() if {"id", "outcome"} <= event.keys()}


def order() -> dict[str, int]:
    """Where each job's and backup's id is first named. Names and times lie when a clock was set back; this does not."""
    first: dict[str, int] = {}
    for position, event in enumerate(events()):
        if isinstance(event.get("id"), str):
            first.setdefault(event["id"], position)
    return first


def utc_now() -> str:
    """The time as ISO text with microseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> str:
    """A name for a job or backup: the time, and what tells apart those that a coarse or set-back clock calls alike."""
    return f"{re.sub(r'[-:.]', '', utc_now())}-{secrets.token_hex(4)}"


def store_id(store: Address) -> str:
    """A folder name for all that belongs to a store: readable, and unique by its real path or its URL."""
    place = store.whole().location
    name = re.sub(r"[^\w.-]+", "_", place.rpartition("/")[2]) or "store"
    return f"{name[:40]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _path() -> Path:
    return data_dir() / "catalogue.jsonl"
