"""Hashes that decide whether two memories are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from memdefrag.model.records import FileStamp, MemoryRecord, Relation

_MODULUS = 1 << 256
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def text_hash(text: str) -> str:
    """SHA-256 hex of a text's UTF-8 bytes (undecodable bytes as the reader kept them)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One byte string per JSON value: sorted keys, no spaces, types told apart (1, 1.0 and true differ)."""
    return _encode(value).encode("utf-8", "surrogatepass")


def record_hash(record: MemoryRecord) -> str:
    """SHA-256 hex of everything a memory says: text, uri, metadata, tags, times, state, extras.

    The vector is left out: metrics such as cosine do not give back the stored bits. So is the key.
    """
    if record.hashed is None:
        object.__setattr__(record, "hashed", hashlib.sha256(_content(record)).hexdigest())
    return str(record.hashed)


def content_hash(records: Iterable[MemoryRecord]) -> str:
    """Order-independent hash of a set of records, keys included: sum of SHA-256 modulo 2^256, as hex."""
    total = 0
    for record in records:
        digest = hashlib.sha256(canonical_json(list(record.key)) + _content(record)).digest()
        total += int.from_bytes(digest, "big")
    return f"{total % _MODULUS:064x}"


@dataclass(frozen=True)
class Fingerprint:
    """Tells whether a store is still the one that was read.

    `files` says so byte for byte (empty for servers), `content` in meaning: the order-independent hash of all
    records (`content_hash`), computed when it is asked for.
    """

    files: tuple[FileStamp, ...]
    records: tuple[MemoryRecord, ...] = field(repr=False)

    @cached_property
    def content(self) -> str:
        return content_hash(self.records)


def relation_hash(relation: Relation) -> str:
    """SHA-256 hex of everything a link says: its ends, type, strength, metadata and time."""
    said = [relation.source, relation.target, relation.type, relation.strength, relation.metadata, relation.created]
    return hashlib.sha256(canonical_json(said)).hexdigest()


def _content(record: MemoryRecord) -> bytes:
    return canonical_json(
        [
            record.text,
            record.uri,
            record.metadata,
            sorted(record.tags),
            record.created,
            record.updated,
            record.owner,
            record.state,
            record.extras,
        ]
    )
