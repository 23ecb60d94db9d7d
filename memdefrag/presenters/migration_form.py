"""What the person says about a migration: as it stands in the fields, and as the engine takes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from memdefrag.base.errors import UsageError
from memdefrag.model.address import parse
from memdefrag.model.migration import GENTLE, Conflict, Depth, MetadataMap, MigrateOptions, Pace, Selection

CONFLICTS = {
    "skip": "leave the target's alone",
    "overwrite": "write over the target's",
    "newest": "keep the one that was changed last",
    "keep-both": "keep both, under two names",
}
"""The values of `model.migration.Conflict`, and what they go by."""

NEW_KINDS = {
    "chroma": "Chroma folder",
    "memory-service": "Memory Service database",
    "hdev": "hdev folder",
    "jsonl": "JSON lines file",
    "parquet": "Parquet file",
    "memory-export": "Memory Defragmenter export",
}
"""What can be made where nothing is yet."""

SUFFIXES = {"memory-service": ".db", "jsonl": ".jsonl", "parquet": ".parquet", "memory-export": ".db"}


@dataclass(frozen=True, slots=True)
class Form:
    """Everything is as it was typed; several with commas between them.

    Attributes:
        sources: addresses or paths, read one after another.
        left_out: source and collection of those that take no part.
        renames: source, collection, and what it is called in the target.
        one: the collection where all go; empty: each into one of its own name.
        where: ``KEY=VALUE`` pairs; `tags`: those that a memory must have.
        mapping: the file that says how metadata are changed.
        re_embed: the model that makes all vectors anew; empty: the source's are kept.
        batch, delay, rate: memories in one request, seconds between two, memories in a second at most; empty: as it
            goes best. `gentle` chooses the first two.
        timeout: seconds of silence after which a server is given up; empty: the usual.
        full: compare all once more in the end, not a sample.
    """

    sources: tuple[str, ...] = ()
    target: str = ""
    left_out: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, str, str], ...] = ()
    one: str = ""
    conflict: str = "skip"
    prefix: str = ""
    where: str = ""
    tags: str = ""
    since: str = ""
    mapping: str = ""
    skip_duplicates: bool = False
    re_embed: str = ""
    gentle: bool = False
    batch: str = ""
    delay: str = ""
    rate: str = ""
    timeout: str = ""
    full: bool = False
    rollback: bool = False

    def as_dict(self) -> dict[str, Any]:
        """To be remembered as JSON."""
        return asdict(self)


class Leg(NamedTuple):
    """One source's part of a migration."""

    source: str
    options: MigrateOptions


def remembered(said: Mapping[str, Any]) -> Form:
    """The form that `Form.as_dict` told; what is missing or strange in it stands as in an empty one."""
    usual = Form()
    kept: dict[str, Any] = {}
    for field in fields(Form):
        value, default = said.get(field.name), getattr(usual, field.name)
        if isinstance(default, tuple) and isinstance(value, list | tuple):
            kept[field.name] = tuple(tuple(each) if isinstance(each, list | tuple) else str(each) for each in value)
        elif type(value) is type(default):
            kept[field.name] = value
    return Form(**kept)


def legs(form: Form, collections: Mapping[str, Sequence[str]]) -> list[Leg]:
    """One migration for each source, or for each collection of it where some take no part.

    Args:
        collections: names, by source.

    Raises:
        UsageError: something in the fields cannot be understood, or nothing is left to be copied.
    """
    options = _options(form)
    found = []
    for source in form.sources:
        names = collections.get(source, ())
        taken = [name for name in names if (source, name) not in form.left_out]
        renames = {} if form.one.strip() else {old: new for store, old, new in form.renames if store == source}
        if len(taken) == len(names):
            found.append(Leg(source, _renaming(options, renames, names)))
        else:
            address = parse(source)
            chosen = [str(address.select(name)) if address.kind else f"{source}#{name}" for name in taken]
            found += [
                Leg(each, _renaming(options, renames, [name])) for each, name in zip(chosen, taken, strict=True)
            ]
    if not found:
        raise UsageError("No collection takes part.", todo="Tick at least one.")
    return found


def _renaming(options: MigrateOptions, renames: Mapping[str, str], names: Sequence[str]) -> MigrateOptions:
    said = {name: renames[name].strip() for name in names if renames.get(name, "").strip() not in ("", name)}
    return replace(options, rename=said)


def _options(form: Form) -> MigrateOptions:
    from memdefrag.engine.migrate import mapping

    since = _since(form.since) if form.since.strip() else None
    selection = Selection(form.prefix, _where(form.where), frozenset(_several(form.tags)), since)
    return MigrateOptions(
        conflict=Conflict(form.conflict),
        selection=selection,
        metadata=mapping.load(Path(form.mapping).expanduser()) if form.mapping.strip() else MetadataMap(),
        target_collection=form.one.strip() or None,
        re_embed=form.re_embed.strip() or None,
        skip_duplicates=form.skip_duplicates,
        verify=Depth.FULL if form.full else Depth.SAMPLE,
        pace=_pace(form),
        rollback_on_failure=form.rollback,
    )


def _pace(form: Form) -> Pace:
    rate = _number(form.rate, 0.01) if form.rate.strip() else None
    timeout = _number(form.timeout, 1.0) if form.timeout.strip() else None
    if form.gentle:
        return replace(GENTLE, max_rate=rate, timeout=timeout)
    batch = int(_number(form.batch, 1)) if form.batch.strip() else None
    return Pace(batch, _number(form.delay, 0.0) if form.delay.strip() else 0.0, rate, timeout)


def _number(text: str, least: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number < float("inf"):
        raise UsageError(f"{text!r} is no number from {least:g} on.", todo="Mend it, or leave the field empty.")
    return number


def _several(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _since(text: str) -> float:
    from memdefrag.engine.migrate.selection import parse_since

    try:
        return parse_since(text)
    except UsageError as error:
        raise UsageError(f"{text!r} is no date, no moment and no span of time.", todo=error.todo) from error


def _where(text: str) -> dict[str, str]:
    from memdefrag.engine.migrate.selection import parse_where

    try:
        return parse_where(_several(text))
    except UsageError as error:
        message = f"{text!r} does not say which metadata: {error.message.removeprefix('--where ')}"
        raise UsageError(message, todo="Say KEY=VALUE.") from error
