"""Links between memories as JSON, on the line of the memory they start from or on a line of their own.

A link is ``{"target", "type", "strength", "metadata", "created_at"}``, of which only `target` must be there, in the
list `relations` of its memory; keys that are none of these belong to its metadata. A link that starts from no memory of
the file is a line ``{"relation": {"source", "target", …}}``. An end is the id of a memory of the same collection,
``{"collection", "id"}``, or ``{"reference"}`` for what is no memory.
"""

from __future__ import annotations

from typing import Any

from memdefrag.model.records import Key, Metadata, Relation
from memdefrag.model.service_metadata import moment
from memdefrag.stores.interchange import whole

LINK, LINKS = "relation", "relations"
_KNOWN = frozenset({"source", "target", "type", "strength", "metadata", "created_at"})


def entry(relation: Relation, home: str | None) -> Metadata:
    """What the line of its memory says of a link. `home`: the collection that needs not be named."""
    fields = {
        "target": _named(relation.target, home),
        "type": relation.type,
        "strength": relation.strength,
        "metadata": relation.metadata,
        "created_at": relation.created,
    }
    return {name: value for name, value in fields.items() if value not in (None, {})}


def apart(relation: Relation) -> Metadata:
    """A link as a line of its own."""
    return {LINK: {"source": _named(relation.source, None), **entry(relation, None)}}


def link(fields: Any, home: str, source: Key | None = None) -> Relation | None:
    """The link that an entry tells, which starts from `source` where it names no source; None: not to be understood.

    Args:
        home: the collection of ends that name none.
    """
    if not isinstance(fields, dict):
        return None
    start = source or _end(fields.get("source"), home)
    target = _end(fields.get("target"), home)
    kind, strength = fields.get("type", "related"), fields.get("strength")
    metadata, created = fields.get("metadata") or {}, fields.get("created_at")
    understood = (
        isinstance(kind, str)
        and type(strength) in (int, float, type(None))
        and isinstance(metadata, dict)
        and (created is None or moment(created) is not None)
    )
    if start is None or target is None or not understood:
        return None
    unknown = {name: value for name, value in fields.items() if name not in _KNOWN}
    weight = None if strength is None else float(strength)
    return Relation(start, target, kind, weight, {**unknown, **metadata}, moment(created))


def _named(end: Key | str, home: str | None) -> Any:
    if isinstance(end, Key):
        return end.id if end.collection == home else {"collection": end.collection, "id": end.id}
    return {"reference": end}


def _end(value: Any, home: str) -> Key | str | None:
    """One end of a link; None where it names nothing."""
    if isinstance(value, dict):
        reference, home = value.get("reference"), value.get("collection", home)
        if isinstance(reference, str):
            return reference
        value = value.get("id")
    if type(value) not in (str, int) or value == "" or not isinstance(home, str):
        return None
    return Key(whole(home), whole(str(value)))
