"""How metadata are changed on the way from one store to another. Pure, but for reading the file that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from memdefrag.base import foreign_json
from memdefrag.base.errors import NotPermitted, UsageError
from memdefrag.model.codec import OWN_KEYS
from memdefrag.model.migration import MetadataMap
from memdefrag.model.records import MemoryRecord, Metadata
from memdefrag.model.service_metadata import CREATED_KEYS, TAG_KEYS, UPDATED_KEYS, read

_SECTIONS = ("drop", "rename", "set")
_TODO = 'It looks like {"drop": ["KEY"], "rename": {"OLD": "NEW"}, "set": {"KEY": VALUE}}; each part may be absent.'


def load(path: Path) -> MetadataMap:
    """Read a mapping file: a JSON object ``{"drop": [KEY…], "rename": {OLD: NEW…}, "set": {KEY: VALUE…}}``.

    Raises:
        NotPermitted: the file may not be read.
        UsageError: there is none, or it says something else; names the key.
    """
    try:
        return parse(path.read_bytes())
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error
    except OSError as error:
        raise UsageError(f"The mapping {path} cannot be read: {error.strerror}.", todo=_TODO) from error
    except UsageError as error:
        raise UsageError(f"The mapping {path}: {error.message}", todo=error.todo) from error


def parse(data: bytes) -> MetadataMap:
    """Check a mapping's JSON.

    Raises:
        UsageError: not JSON, or not of the form that `load` tells; names the key.
    """
    try:
        said = foreign_json.parse(data, parse_constant=_no_number)
    except ValueError as error:
        raise UsageError(f"it is not JSON: {error}.", todo=_TODO) from error
    if not isinstance(said, dict):
        raise UsageError("it is not a JSON object.", todo=_TODO)
    unknown = sorted(said.keys() - {*_SECTIONS})
    if unknown:
        raise UsageError(f"it has no part {unknown[0]!r}; the parts are {', '.join(_SECTIONS)}.", todo=_TODO)
    drop, rename, fixed = _drop(said.get("drop", [])), _rename(said.get("rename", {})), _set(said.get("set", {}))
    _check_own([*drop, *rename, *rename.values(), *fixed])
    both = sorted(drop & rename.keys())
    if both:
        raise UsageError(f"{both[0]!r} is both dropped and renamed.", todo="Say one of the two.")
    return MetadataMap(drop, rename, fixed)


def mapped(record: MemoryRecord, map: MetadataMap) -> MemoryRecord:
    """The record with its metadata changed.

    A memory keeps its tags and times when the keys that told them go (the target tells them in its own way); where the
    mapping gives it a key that tells others, it gets those.
    """
    if not (map.drop or map.rename or map.set):
        return record
    metadata = _changed(record.metadata, map)
    given = {map.rename[key] for key in record.metadata if key in map.rename} | map.set.keys()
    before, after = read(record.metadata), read(metadata)

    def follows(keys: tuple[str, ...], name: str) -> Any:
        told, tells = getattr(before, name), getattr(after, name)
        return tells if tells != told and given & {*keys} else getattr(record, name)

    return replace(
        record,
        metadata=metadata,
        tags=follows(TAG_KEYS, "tags"),
        created=follows(CREATED_KEYS, "created"),
        updated=follows(UPDATED_KEYS, "updated"),
        state=after.state if after.state is not before.state else record.state,
    )


def _changed(metadata: Metadata, map: MetadataMap) -> Metadata:
    kept = {key: value for key, value in metadata.items() if key not in map.drop}
    stay = {key: value for key, value in kept.items() if key not in map.rename}
    renamed = {map.rename[key]: value for key, value in kept.items() if key in map.rename}
    return {**stay, **renamed, **map.set}


def _drop(said: Any) -> frozenset[str]:
    if not isinstance(said, list) or not all(isinstance(key, str) for key in said):
        raise UsageError("'drop' is not a list of keys.", todo=_TODO)
    return frozenset(said)


def _rename(said: Any) -> Mapping[str, str]:
    if not isinstance(said, dict):
        raise UsageError("'rename' is not an object of old and new keys.", todo=_TODO)
    sources: dict[str, str] = {}
    for old, new in said.items():
        if not isinstance(new, str) or not new:
            raise UsageError(f"'rename' gives {old!r} no name, but {new!r}.", todo=_TODO)
        if new in sources:
            raise UsageError(f"'rename' makes {new!r} of both {sources[new]!r} and {old!r}.", todo="Drop one of them.")
        sources[new] = old
    return said


def _set(said: Any) -> Metadata:
    if not isinstance(said, dict):
        raise UsageError("'set' is not an object of keys and values.", todo=_TODO)
    return said


def _check_own(keys: list[str]) -> None:
    """What memdefrag notes about a memory says where it came from: nobody renames it by accident."""
    own = sorted(key for key in keys if key.startswith(OWN_KEYS))
    if own:
        raise UsageError(f"{own[0]!r} is memdefrag's own note; keys that begin with {OWN_KEYS} stay as they are.")


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
