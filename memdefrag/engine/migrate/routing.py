"""Which collection of the target each collection of the source goes into. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memdefrag.base.errors import CollectionNeeded, CollectionNotFound
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import CollectionInfo

_CHROMA_SETTINGS = ("metadata", "configuration", "schema", "embedding_function")


@dataclass(frozen=True, slots=True)
class Route:
    """Names in the source to names in the target, and what the target has of those.

    Attributes:
        new: collections to be made, in the source's order.
        present: those that are there, by name.
    """

    names: Mapping[str, str]
    new: tuple[CollectionInfo, ...]
    present: Mapping[str, CollectionInfo]

    def collection(self, source: str) -> str:
        """The target's name for a collection of the source."""
        return self.names[source]

    def metric(self, collection: str) -> str | None:
        """By what a collection of the target measures, or will; None: the target has no such collection."""
        return next((info.metric for info in (*self.present.values(), *self.new) if info.name == collection), None)

    def dimension(self, collection: str) -> int | None:
        """The length of the vectors that a collection of the target holds already; None: any."""
        info = self.present.get(collection)
        return info.dimension if info else None


def route(
    source: Sequence[CollectionInfo],
    target: Sequence[CollectionInfo],
    options: MigrateOptions,
    *,
    chosen: str | None = None,
    fixed: str | None = None,
    makes: bool = True,
    shared: tuple[str, ...] = (),
) -> Route:
    """Decide where each collection of the source goes.

    Args:
        chosen: the collection that the target's address names.
        fixed: the only collection that the target's format has.
        makes: whether collections can be made in the target.
        shared: the target's `Capabilities.shared_metrics`.

    Raises:
        CollectionNotFound: one that is to be renamed is not in the source, or one that the target would have to
            have is not there.
        CollectionNeeded: the target has several fixed ones and none is named.
    """
    have = {info.name: info for info in target}
    unknown = options.rename.keys() - {info.name for info in source}
    if unknown:
        raise CollectionNotFound(
            f"There is no collection {min(unknown)!r} to rename.",
            todo=f"Collections of the source: {_listed(info.name for info in source)}.",
        )
    one = options.target_collection or chosen or fixed
    if one is None and not makes and not all(options.rename.get(info.name, info.name) in have for info in source):
        if len(have) != 1:
            raise CollectionNeeded(
                "The target's collections are made by its own program, and the source's have other names.",
                todo=f"Name one with --target-collection: {_listed(have)}.",
            )
        [one] = have
    names = {info.name: one or options.rename.get(info.name, info.name) for info in source}
    missing = [name for name in dict.fromkeys(names.values()) if name not in have]
    if missing and not makes and not fixed:
        raise CollectionNotFound(
            f"There is no collection {missing[0]!r} in the target, whose own program makes them.",
            todo=f"Collections of the target: {_listed(have)}.",
        )
    first = {names[info.name]: info for info in reversed(source)}
    made = [_like(first[name], name, settings=not fixed) for name in missing]
    if shared:
        metric = _shared_metric([*have.values()] or made, shared)
        made = [replace(info, metric=metric) for info in made]
    return Route(names, tuple(made), have)


def _shared_metric(infos: Sequence[CollectionInfo], possible: tuple[str, ...]) -> str:
    """The one metric of all these collections; where they have several or one that cannot be, the usual one."""
    told = {info.metric for info in infos}
    return told.pop() if len(told) == 1 and told <= set(possible) else possible[0]


def _like(info: CollectionInfo, name: str, *, settings: bool) -> CollectionInfo:
    """A collection to be made like this one: metric, model and, where they mean something elsewhere, settings.

    Formats of one collection keep none of these.
    """
    if not settings:
        return CollectionInfo(name, 0, 0, 0, info.dimension)
    told = {key: value for key, value in info.settings.items() if key in _CHROMA_SETTINGS}
    if not told:
        told = {"metadata": {"hnsw:space": info.metric}}
    return replace(info, name=name, count=0, live=0, with_embedding=0, settings=told)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
