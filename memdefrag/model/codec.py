"""Making a record fit into a store that can hold less than its own did, and saying what gets lost.

A metadata value that the target has no type for becomes the string ``memdefrag:json:<JSON>``; where the record goes
on from there, `meant` makes it itself again. A person's own string of this form is told from ours by the store that it
stands in: what a store can hold is never kept there as such a string. Where it goes into a store in which it would be
taken for ours, `guarded` makes it the JSON of a string. So metadata are neither lost nor made into something else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.model.service_metadata import TAG_KEYS, Meaning, read, restate

ESCAPE = "memdefrag:json:"
OWN_KEYS = "memdefrag_"
"""What we note about a merge reads back as it was noted, whatever it is stored as: no loss to tell of."""

_LARGEST_INT = 2**63
NARROWEST = Capabilities(
    Commit.FILE, list_values=False, nested_values=False, null_text=False, null_vector=False, uri=False
)


def fit(record: MemoryRecord, capabilities: Capabilities) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The record exactly as the store will give it back, and what of it gets lost, in words.

    Fitting a fitted record again changes nothing. A missing vector is a loss where the store wants one, but
    none is invented.
    """
    losses: list[str] = []
    record = _fit_body(record, capabilities, losses)
    metadata = _fit_metadata(record.metadata, capabilities, losses)
    if not capabilities.tags_in_metadata:
        return record if metadata is record.metadata else replace(record, metadata=metadata), tuple(losses)
    tags = tuple([tag for tag in record.tags if tag])
    meant = read(metadata)
    if (tags, record.created, record.updated) != (meant.tags, meant.created, meant.updated):
        metadata = restate(metadata, tags=tags, created=record.created, updated=record.updated)
        meant = read(metadata)
    if not capabilities.extras and record.state is not meant.state:
        losses.append(f"the state {record.state.value!r}")
    if metadata is record.metadata and _says(record, meant):
        return record, tuple(losses)
    return replace(record, metadata=metadata, **meant._asdict()), tuple(losses)


def _says(record: MemoryRecord, meant: Meaning) -> bool:
    """Whether a record says exactly that, types included."""
    said = (record.tags, record.created, record.updated, record.state)
    return said == meant and list(map(type, said)) == list(map(type, meant))


def unfit(metadata: Metadata) -> Metadata:
    """The metadata with every escaped value restored, whatever store they stand in; guarded strings stay guarded."""
    return {
        key: value if _is_escaped(told := _meant(value, NARROWEST)) else told for key, value in metadata.items()
    }


def meant(metadata: Metadata, capabilities: Capabilities) -> Metadata:
    """What the metadata of such a store mean; the very same object where that is what they say."""
    if not any(map(_is_escaped, metadata.values())):
        return metadata
    return {key: _meant(value, capabilities) for key, value in metadata.items()}


def guarded(metadata: Metadata, capabilities: Capabilities) -> Metadata:
    """Metadata that mean what they say, so that such a store's `fit` takes them for that; mostly the same object."""
    if not any(map(_is_escaped, metadata.values())):
        return metadata
    return {key: _guarded(value, capabilities) for key, value in metadata.items()}


def _fit_body(record: MemoryRecord, capabilities: Capabilities, losses: list[str]) -> MemoryRecord:
    """Everything but the metadata."""
    if record.text is None and not capabilities.null_text:
        losses.append("the absence of a text (an empty one is written)")
        record = replace(record, text="")
    if not capabilities.raw_bytes:
        text = None if record.text is None else clean(record.text)
        tags = tuple([clean(tag) for tag in record.tags])
        uri = clean(record.uri) if record.uri and capabilities.uri else record.uri
        if text != record.text or tags != record.tags or uri != record.uri:
            losses.append("bytes that are not UTF-8 (replaced by question marks)")
            record = replace(record, text=text, tags=tags, uri=uri)
    if record.embedding is not None and not np.isfinite(record.embedding).all():
        losses.append("a vector with values that are no numbers")
        record = replace(record, embedding=None)
    if record.embedding is not None and not capabilities.vectors:
        losses.append("the vector")
        record = replace(record, embedding=None)
    if record.embedding is None and not capabilities.null_vector:
        losses.append("the absence of a vector (one must be made)")
    if record.uri is not None and not capabilities.uri:
        losses.append("the uri")
        record = replace(record, uri=None)
    if not capabilities.extras and (record.owner is not None or record.extras):
        if record.owner is not None:
            losses.append("the owner")
        losses += [f"the value of {name!r}" for name in record.extras]
        record = replace(record, owner=None, extras={})
    return record


def _fit_metadata(metadata: Metadata, capabilities: Capabilities, losses: list[str]) -> Metadata:
    """What of the metadata the store gives back; the very same object where that is all of it."""
    fitted = {}
    for key, value in metadata.items():
        escaped = _is_escaped(value)
        if escaped:
            value = _meant(value, capabilities)
        if _holds(value, capabilities):
            fitted[key] = _guarded(value, capabilities) if escaped else value
        elif key in TAG_KEYS and capabilities.tags_in_metadata and isinstance(value, list):
            fitted[key] = json.dumps(read({key: value}).tags)
        else:
            fitted[key] = _escaped(value)
            if fitted[key] != metadata[key] and not key.startswith(OWN_KEYS):
                losses.append(f"the type of {key!r} (kept as JSON text)")
    return metadata if all(value is metadata[key] for key, value in fitted.items()) else fitted


def _holds(value: Any, capabilities: Capabilities) -> bool:
    """Whether the store has a type for the value."""
    if isinstance(value, str):
        return (capabilities.raw_bytes or is_clean(value)) and (capabilities.zero_bytes or "\0" not in value)
    if isinstance(value, bool):
        return True
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return capabilities.nested_values or -_LARGEST_INT <= value < _LARGEST_INT
    if capabilities.nested_values:
        items = (*value, *value.values()) if isinstance(value, dict) else value or ()
        return all(_holds(item, capabilities) for item in items)
    return (
        capabilities.list_values
        and isinstance(value, list)
        and len({type(item) for item in value}) == 1
        and all(isinstance(item, str | int | float) and _holds(item, capabilities) for item in value)
    )


def _meant(value: Any, capabilities: Capabilities) -> Any:
    """What a value in such a store stands for: itself, but for what we could not write there otherwise."""
    if not _is_escaped(value):
        return value
    try:
        told = json.loads(value[len(ESCAPE) :])
    except (ValueError, RecursionError):
        return value
    if _is_escaped(told):
        return told if _meant(told, capabilities) is not told else value
    # A store that holds some lists now may have held none when it was written.
    return value if _holds(told, capabilities if capabilities.nested_values else NARROWEST) else told


def _guarded(value: Any, capabilities: Capabilities) -> Any:
    """The value, as JSON text where such a store's reader would take it for something else."""
    return value if _meant(value, capabilities) is value else _escaped(value)


def _escaped(value: Any) -> str:
    return ESCAPE + json.dumps(value, separators=(",", ":"))


def _is_escaped(value: Any) -> bool:
    """Whether a value looks like one of ours."""
    return isinstance(value, str) and value.startswith(ESCAPE)


def is_clean(text: str) -> bool:
    """Whether UTF-8 can write a text."""
    return text.isascii() or clean(text) == text


def clean(text: str) -> str:
    """The text with everything that UTF-8 cannot write replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
