"""Many entries in one request: what memdefrag's own memory server offers beside hdev's protocol.

A server says so in the details of its health. ``POST /api/memory/entries`` with ``{"read": [path...]}`` is answered
by ``{"entries": [...]}``, what a GET says of each, in their order; as many of them as fit into one answer. With
``{"write": [{"path", "content", "metadata"}...]}`` it is answered by ``{"results": [...]}``, what a PUT says of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from memdefrag.base.errors import ServerRefused
from memdefrag.model.records import MemoryRecord

ENTRIES = "/api/memory/entries"
READ_AT_ONCE = 300
"""What a server gives in one answer at most."""
WRITTEN_AT_ONCE = 500
"""What a server takes in one request at most; where it writes its store as a whole, each costs one such write."""
BYTES = 8 << 20
"""What a server takes in one request."""
_AROUND = 100
"""Bytes of a request beside its entries."""


def is_offered(health: dict[str, Any]) -> bool:
    """Whether a server's health says that it takes many entries at once."""
    details = health.get("details")
    return isinstance(details, dict) and details.get("bulk") is True


def writes(records: Sequence[MemoryRecord]) -> Iterator[tuple[list[MemoryRecord], bytes]]:
    """The records in parts that one request can take, each with its body; those too large for any are left out."""
    part: list[MemoryRecord] = []
    items: list[bytes] = []
    size = 0
    for record in records:
        entry = {"path": record.key.id, "content": record.text, "metadata": record.metadata}
        item = json.dumps(entry).encode("ascii")
        if len(item) > BYTES - _AROUND:
            continue
        if part and (len(part) == WRITTEN_AT_ONCE or size + len(item) > BYTES - _AROUND):
            yield part, _body(items)
            part, items, size = [], [], 0
        part.append(record)
        items.append(item)
        size += len(item) + 1
    if part:
        yield part, _body(items)


def answers(said: Any, asked: Sequence[str]) -> list[dict[str, Any]]:
    """The answers to the first of the names that were asked for: to one at least.

    Raises:
        ServerRefused: they are no such answers.
    """
    is_list = isinstance(said, list) and 0 < len(said) <= len(asked)
    if not is_list or any(
        not isinstance(each, dict) or each.get("path") != name for each, name in zip(said, asked, strict=False)
    ):
        raise ServerRefused("The server answers a request for many entries with something else.")
    found: list[dict[str, Any]] = said
    return found


def _body(items: Sequence[bytes]) -> bytes:
    return b'{"write":[' + b",".join(items) + b"]}"
