"""What one memory system keeps in a column of its own, others keep in the metadata: the same things, by name. Pure.

A record comes from another system with what that had columns for in its extras. In a system without such columns it
belongs into the metadata, where the people and programs of that system look for it; and back again.

Memory Service kept everything in the metadata while it used ChromaDB; its last version of that time (7.6) read and
wrote ``content_hash, memory_type, timestamp, created_at_iso, tags``. What those say stands in columns of its database.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from memdefrag.model.hashing import canonical_json
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.model.service_metadata import TAG_KEYS, kind_of, read, restate

COLUMNS = {
    "memory_type": ("memory_type", "type"),
    "title": ("title",),
    "summary": ("summary",),
    "source": ("source",),
    "access_level": ("access_level",),
}
"""Columns that some system has, and the keys of metadata that say the same."""

OWN = "service_metadata"
"""The extra that keeps what the metadata of a database of Memory Service said of its own accord."""

LONGEST_TITLE = 80
UNTITLED = "(untitled)"

_HASH = re.compile("[0-9a-f]{64}")
_KIND = "memory_type"


def in_columns(record: MemoryRecord, columns: Collection[str]) -> MemoryRecord:
    """The record for a system that has these of the `COLUMNS`: what they say in its extras, the rest in its metadata.

    The metadata keeps what it says. A title that is only how the text begins is not taken over from a column.
    """
    if not columns and not record.extras:
        return record
    extras, metadata = dict(record.extras), dict(record.metadata)
    for name, keys in COLUMNS.items():
        said = next((metadata[key] for key in keys if metadata.get(key) and isinstance(metadata[key], str)), None)
        if name in columns:
            if said is not None and not extras.get(name):
                extras[name] = said
        elif isinstance(extras.get(name), str):
            value = extras.pop(name)
            if value != said and not (name == "title" and value == title_of(record.text)):
                metadata[name] = value
    return replace(record, metadata=metadata, extras=extras)


def title_of(text: str | None) -> str:
    """A title for a memory that has none: how it begins."""
    lines = (line.strip() for line in (text or "").splitlines())
    return next((line for line in lines if line), UNTITLED)[:LONGEST_TITLE].rstrip()


def as_in_chroma(record: MemoryRecord) -> MemoryRecord:
    """The record for a store that keeps all in the metadata; one of Memory Service's as its Chroma versions wrote it.

    What the metadata said of its own accord, and would not be told from what is added, is noted in the extras.
    """
    of_service = _HASH.fullmatch(record.key.id) and "content_hash" not in record.metadata
    meant = read(record.metadata).tags
    if meant != record.tags and service_tags(meant) == record.tags:
        record = replace(record, tags=meant)
    if not of_service:
        return in_columns(record, ())
    said = _said(record)
    extras = {name: value for name, value in record.extras.items() if name != OWN}
    stated = in_columns(replace(record, extras=extras), ())
    metadata = {**said, **stated.metadata}
    own = {
        name: value for name, value in sorted(record.metadata.items())
        if _is_same(said, name, metadata[name]) or (name in TAG_KEYS and isinstance(value, list))
    }  # fmt: skip
    return replace(stated, metadata=metadata, extras={**stated.extras, OWN: own} if own else stated.extras)


def as_in_database(record: MemoryRecord) -> MemoryRecord:
    """The record with what its Chroma metadata says in the places of Memory Service's database; the inverse.

    Only metadata that `as_in_chroma` would write again is left out; any other stays to the letter.
    """
    metadata, extras = record.metadata, dict(record.extras)
    own = extras.pop(OWN, None)
    record = in_columns(replace(record, extras=extras), (_KIND,))
    said = _said(record)
    record = replace(record, tags=service_tags(record.tags))
    whole = said.keys() <= metadata.keys() and metadata["content_hash"] == record.key.id
    if not (whole and _HASH.fullmatch(record.key.id)):
        return record
    rest = {name: value for name, value in record.metadata.items() if not _is_same(said, name, value)}
    if isinstance(own, dict):
        rest |= {name: value for name, value in own.items() if _is_unedited(name, value, metadata)}
    return replace(record, metadata=rest)


def service_tags(tags: Collection[str]) -> tuple[str, ...]:
    """Tags as the service's database spells them."""
    spelled = dict.fromkeys(tag.strip().lower().replace(",", "-") for tag in tags)
    return tuple(tag for tag in spelled if tag)


def _said(record: MemoryRecord) -> Metadata:
    """What the service's last Chroma version would have written of a memory."""
    kind = record.extras.get(_KIND) or kind_of(record.metadata)
    times = restate({}, tags=record.tags, created=record.created or None, updated=record.updated or None)
    return {"content_hash": record.key.id, _KIND: kind if isinstance(kind, str) else "", "tags": "", **times}


def _is_same(said: Metadata, name: str, value: Any) -> bool:
    return name in said and canonical_json(said[name]) == canonical_json(value)


def _is_unedited(name: str, own: Any, metadata: Metadata) -> bool:
    """Whether tags that were noted are still those of the metadata; the words for other things may differ."""
    return name not in TAG_KEYS or read({name: own}).tags == read({name: metadata.get(name)}).tags
