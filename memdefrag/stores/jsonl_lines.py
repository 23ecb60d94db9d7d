"""Lines of a JSON lines file as records, and records as lines.

A line is ``{"id", "text", "metadata", "tags", "created_at", "updated_at", "embedding", "uri", "relations", "extras"}``,
of which only `text` must be there; beside them `collection`, `owner` and `state` where they say something. Keys
that are none of these belong to the record's extras. Where tags or times are absent, what the metadata means
by Memory Service's rules counts. Links are told by `stores.jsonl_links`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json

from memdefrag.base import foreign_json
from memdefrag.model.hashing import canonical_json
from memdefrag.model.records import Key, MemoryRecord, Metadata, Relation, State, Vector
from memdefrag.model.service_metadata import content_hash, moment, read
from memdefrag.stores.interchange import DEFAULT_COLLECTION, HEADER, unique, whole
from memdefrag.stores.jsonl_file import opened
from memdefrag.stores.jsonl_links import LINK, LINKS, apart, entry, link

_FIELDS = frozenset(
    {"id", "text", "metadata", "tags", "created_at", "updated_at", "embedding", "uri", "extras"}
    | {"collection", "owner", "state", LINKS}
)
_TOLD_BY_METADATA = ("tags", "created_at", "updated_at")
_BOM = b"\xef\xbb\xbf"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        raw: its bytes with the line end, kept for lines that are not changed.
        fields: its JSON object; None where it is none.
        record: the memory it holds, if any.
        faults: what is wrong with it.
        header: whether it is the file's first line that describes collections.
        renamed: the record's id is not the one the line gives, since an earlier line has that too.
        links: the links it tells: those of its record, or the one it consists of.
    """

    number: int
    raw: bytes
    fields: Metadata | None = None
    record: MemoryRecord | None = None
    faults: tuple[str, ...] = ()
    header: bool = False
    renamed: bool = False
    links: tuple[Relation, ...] = ()


def read_lines(path: Path) -> Iterator[Line]:
    """All lines that are not blank, in order. No line makes this fail.

    Raises:
        StoreDamaged: the file is compressed and cannot be unpacked to its end.
    """
    default, first = DEFAULT_COLLECTION, True
    seen: set[Key] = set()
    with opened(path) as lines:
        for number, raw in enumerate(lines, 1):
            content = raw.removeprefix(_BOM) if number == 1 else raw
            if not content.strip():
                continue
            faults: list[str] = []
            fields = _parse(content, faults)
            if first and fields is not None and HEADER in fields and "text" not in fields:
                default = str(fields.get("collection") or DEFAULT_COLLECTION)
                yield Line(number, raw, fields, header=True)
            elif fields is not None and LINK in fields and "text" not in fields:
                relation = link(fields[LINK], default)
                faults += [] if relation else ["a link that cannot be understood"]
                yield Line(number, raw, fields, faults=tuple(faults), links=(relation,) if relation else ())
            elif fields is None or "text" not in fields:
                yield Line(number, raw, fields, faults=tuple(faults or ["no text"]))
            else:
                record = _record(fields, default, faults)
                named = Key(whole(record.key.collection), whole(record.key.id))
                if named != record.key:
                    faults.append(f"an id or collection that is not UTF-8 (named {named.id!r} here)")
                key = unique(named, seen)
                if key != named:
                    faults.append(f"the id {named.id!r} a second time (named {key.id!r} here)")
                seen.add(key)
                links = _links(fields, key, faults) if LINKS in fields else ()
                renamed = key != record.key
                yield Line(number, raw, fields, record.with_key(key), tuple(faults), renamed=renamed, links=links)
            first = False


def new_line(record: MemoryRecord, default: str, links: Iterable[Relation] = ()) -> bytes:
    """A line for a record and the links that start from it; `default` is the collection that needs not be named."""
    fields = {**_fields(record, default), "extras": record.extras}
    if not record.extras:
        del fields["extras"]
    entries = [entry(relation, record.key.collection) for relation in links]
    if entries:
        fields[LINKS] = entries
    return dump(fields, record.embedding)


def link_line(relation: Relation) -> bytes:
    """A line for a link that starts from no memory of the file."""
    return dump(apart(relation))


def changed_line(line: Line, record: MemoryRecord, default: str, links: list[Any] | None = None) -> bytes:
    """The line with those fields replaced that say something else now; all others keep their form.

    Args:
        links: the entries of the list `relations` from now on; None: as they are.
    """
    assert line.fields is not None and line.record is not None
    fields, old = dict(line.fields), _fields(line.record, default)
    if line.renamed or fields.get("id") in (None, ""):
        # An id that the text gave it would change with the text.
        del old["id"]
    if not _equal(line.record.metadata, record.metadata):
        for name in [name for name in _TOLD_BY_METADATA if fields.get(name) is None]:
            del old[name]
    if line.record.state is not record.state:
        fields.pop("state", None)
    for name, value in _fields(record, default).items():
        if not _equal(old.pop(name, _ABSENT), value):
            fields[name] = value
    for name in old:
        fields.pop(name, None)
    if not _equal(line.record.extras, record.extras):
        _replace_extras(fields, record.extras)
    if links is not None:
        fields[LINKS] = links
        if not links:
            del fields[LINKS]
    if _same_vector(line.record.embedding, record.embedding):
        return dump(fields)
    fields.pop("embedding", None)
    return dump(fields, record.embedding)


def _parse(raw: bytes, faults: list[str]) -> Metadata | None:
    """The line's JSON object. NaN and Infinity, which are no JSON, are read and reported."""
    try:
        fields = _value(raw, faults)
    except ValueError:
        faults[:] = ["no JSON"]
        return None
    if not isinstance(fields, dict):
        faults[:] = ["no JSON object"]
        return None
    return fields


def _value(raw: bytes, faults: list[str]) -> Any:
    if raw.count(b"[") + raw.count(b"{") <= foreign_json.DEEPEST:
        # Strict JSON, which nearly every line is, is read twice as fast by this.
        with suppress(ValueError):
            return from_json(raw, allow_inf_nan=False)

    def constant(name: str) -> float:
        faults.append(f"{name}, which is not JSON")
        return float(name)

    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        faults.append("bytes that are not UTF-8")
        text = raw.decode("utf-8", "surrogateescape")
    return foreign_json.parse(text, parse_constant=constant)


def _record(fields: Metadata, default: str, faults: list[str]) -> MemoryRecord:
    """The memory of a line that has a text. Fields of the wrong type are reported and count as absent."""
    extras = dict(_typed(fields, "extras", dict, faults) or {})
    text = _typed(fields, "text", str, faults)
    metadata = _typed(fields, "metadata", dict, faults) or {}
    meant = read(metadata)
    state = _typed(fields, "state", str, faults)
    extras.update((name, value) for name, value in fields.items() if name not in _FIELDS)
    id, collection = fields.get("id"), _typed(fields, "collection", str, faults)
    record = MemoryRecord(
        Key(default if collection is None else collection, "" if id is None else str(id)),
        text,
        metadata,
        _vector(fields.get("embedding"), faults),
        meant.tags if fields.get("tags") is None else _tags(fields["tags"]),
        _typed(fields, "uri", str, faults),
        _time(fields, "created_at", meant.created, faults),
        _time(fields, "updated_at", meant.updated, faults),
        _typed(fields, "owner", str, faults),
        State(state) if state in tuple(State) else meant.state,
        extras,
    )
    return record if record.key.id else record.with_key(Key(record.key.collection, content_hash(text or "")))


def _links(fields: Metadata, source: Key, faults: list[str]) -> tuple[Relation, ...]:
    """The links that start from the memory of a line."""
    found = [link(told, source.collection, source) for told in _typed(fields, LINKS, list, faults) or ()]
    if None in found:
        faults.append("a link that cannot be understood")
    return tuple([relation for relation in found if relation is not None])


def _tags(told: Any) -> tuple[str, ...]:
    if isinstance(told, list) and all(type(tag) is str for tag in told):
        return tuple(told)
    return read({"tags": told}).tags


def _typed(fields: Metadata, name: str, kind: type[Any], faults: list[str]) -> Any:
    """The field if it is of that type; None where it is absent, null or of another."""
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        faults.append(f"a field {name!r} of the wrong type")
        return None
    return value


def _time(fields: Metadata, name: str, meant: float | None, faults: list[str]) -> float | None:
    if name not in fields:
        return meant
    value = moment(fields[name])
    if value is None and fields[name] is not None:
        faults.append(f"a time {name!r} that cannot be understood")
    return value


def _vector(values: Any, faults: list[str]) -> Vector | None:
    if values is None or values == []:
        return None
    try:
        with np.errstate(over="ignore"):
            vector = np.array(values, np.float32)
    except (ValueError, TypeError, OverflowError):
        vector = np.zeros((0, 0), np.float32)
    if vector.ndim != 1:
        faults.append("a vector that cannot be read")
        return None
    if not np.isfinite(vector).all():
        faults.append("a vector with values that are no numbers")
    elif not vector.any():
        faults.append("a vector of zeros")
    return vector


def _fields(record: MemoryRecord, default: str) -> Metadata:
    """What a line says of a record, but for its vector and extras."""
    fields: Metadata = {
        "id": record.key.id,
        "text": record.text,
        "metadata": record.metadata,
        "tags": list(record.tags),
        "created_at": record.created,
        "updated_at": record.updated,
        "uri": record.uri,
    }
    if record.key.collection != default:
        fields["collection"] = record.key.collection
    if record.owner is not None:
        fields["owner"] = record.owner
    if record.state is not read(record.metadata).state:
        fields["state"] = record.state.value
    return fields


def _replace_extras(fields: Metadata, extras: Metadata) -> None:
    """Put changed extras into a line: at the top where they stood there, else under `extras`."""
    top = [name for name in fields if name not in _FIELDS]
    for name in top:
        if name in extras:
            fields[name] = extras[name]
        else:
            del fields[name]
    fields["extras"] = {name: value for name, value in extras.items() if name not in top}


def dump(fields: Metadata, embedding: Vector | None = None) -> bytes:
    """The line's bytes; `embedding` is added in digits that give back each float32 exactly."""
    text = json.dumps(fields, ensure_ascii=False)
    if embedding is not None:
        text = f'{text[:-1]}, "embedding": {_digits(embedding)}}}'
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(json.loads(text)).encode() + b"\n"


def _digits(vector: Vector) -> str:
    if not np.isfinite(vector).all() or (np.signbit(vector) & (vector == 0)).any():
        return json.dumps(vector.tolist())
    return "[" + ",".join(["%.9g"] * len(vector)) % tuple(vector.tolist()) + "]"


def _equal(one: Any, other: Any) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return canonical_json(one) == canonical_json(other)


def _same_vector(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)
