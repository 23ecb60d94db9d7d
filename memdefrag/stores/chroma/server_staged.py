"""A collection on a Chroma server gives its name to another one that was made beside it.

A collection's metric and the length of its vectors are settled when it is made; so another metric or another model
means another collection. A server has no transaction over two renames: between them the name is free, and a program
that asks to have its collection made gets a new, empty one. Where the renames stand is told by the id of the old
collection, which no rename changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from memdefrag.base.errors import MemdefragError, ServerRefused, ServerUnreachable, StoreDamaged
from memdefrag.base.fsops import fault_point
from memdefrag.model.records import CollectionInfo
from memdefrag.stores.chroma.server_api import Place, Server
from memdefrag.stores.chroma.write import creation

MARK = "--memdefrag-"

_RACES = 5


@dataclass(frozen=True, slots=True)
class Switch:
    """Which collection is to give up its name, and the names that the others have meanwhile.

    Attributes:
        live: its name, as the store lists it.
        id: its id on the server.
        job: tells these names from those of other jobs.
    """

    live: str
    id: str
    job: str

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Switch:
        """As a journal's facts have it."""
        return cls(str(facts["collection"]), str(facts["collection_id"]), str(facts["token"]))

    @property
    def facts(self) -> dict[str, str]:
        return {"collection": self.live, "collection_id": self.id, "token": self.job}

    @property
    def staged(self) -> str:
        return f"{self.live}{MARK}{self.job}"

    @property
    def old(self) -> str:
        return f"{self.live}{MARK}old-{self.job}"

    @property
    def aside(self) -> str:
        return f"{self.live}{MARK}aside-{self.job}"


def planned(info: CollectionInfo, name: str, metric: str, function: Any) -> CollectionInfo:
    """The settings of a collection for another one of that name and metric. Pure.

    Args:
        function: the embedding-function entry; None: none.
    """
    told = creation(info)
    metadata = {key: value for key, value in told["metadata"].items() if key != "hnsw:space"}
    if told["index"]:
        settings: dict[str, Any] = {"metadata": metadata, "configuration": {"hnsw": {**told["index"], "space": metric}}}
    else:
        settings = {"metadata": {**metadata, "hnsw:space": metric}}
    return replace(info, name=name, metric=metric, settings={**settings, "embedding_function": function})


def switch(server: Server, names: Switch) -> bool:
    """Let the staged collection have the name, or, where it is gone, give the old one its name back. Repeatable.

    A collection that a program makes under the name meanwhile is moved aside, with all that is in it.

    Returns:
        Whether the name now means the new collection.

    Raises:
        StoreDamaged: the old collection is gone; nothing was touched.
        ServerUnreachable, ServerRefused: the server fails; it can be tried again.
    """
    trouble: MemdefragError | None = None
    for _ in range(_RACES):
        places = {place.collection.name: place for place in server.places()}
        source = next((place for place in places.values() if place.collection.id == names.id), None)
        if source is None:
            raise StoreDamaged(f"The collection {names.live!r} that was to be replaced is gone from {server.base}.")
        step = _next(names, source, places)
        if isinstance(step, bool):
            return step
        place, name = step
        fault_point(f"rename {place.collection.name} to {name}")
        try:
            server.rename(place, name.rpartition("/")[2])
        except (ServerRefused, ServerUnreachable) as error:
            # Somebody may have taken the name just now, or the answer was lost: the next look tells.
            trouble = error
    assert trouble is not None
    raise trouble


def discard(server: Server, names: Switch) -> None:
    """Remove the staged collection, which nobody but us knows of. It must not have been switched yet."""
    place = next((place for place in server.places() if place.collection.name == names.staged), None)
    if place is not None and place.collection.id != names.id:
        server.drop(place)


def _next(names: Switch, source: Place, places: Mapping[str, Place]) -> bool | tuple[Place, str]:
    """The next collection to be renamed, and how; or how it ended. Pure."""
    staged, live = places.get(names.staged), places.get(names.live)
    if source.collection.name == names.live:
        return (source, names.old) if staged else False
    if not staged and live:
        return True
    if live:
        return live, names.aside
    return (staged, names.live) if staged else (source, names.live)
