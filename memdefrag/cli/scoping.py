"""The options that say which memories are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import CollectionNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memdefrag.analysis.scope import Scope
    from memdefrag.model.records import Snapshot


@dataclass(frozen=True)
class Scoping:
    """Which memories are looked at; all others take no part and stay as they are."""

    collection: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only memories of this collection; may be repeated.")
    ] = None
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Only with this tag; may be repeated.")] = None
    type: Annotated[list[str] | None, typer.Option(metavar="TYPE", help="Only of this kind; may be repeated.")] = None
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Only from there, * for any letters; may be repeated."),
    ] = None
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only created on this day or later.")] = None
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Only created on this day or before.")] = None

    def scope(self) -> Scope:
        """The conditions for an analysis.

        Raises:
            UsageError: a date is none.
        """
        from memdefrag.analysis.scope import Scope, moment_of

        return Scope(
            tags=frozenset(self.tag or ()),
            types=frozenset(self.type or ()),
            sources=frozenset(self.source or ()),
            collections=frozenset(self.collection or ()),
            since=moment_of(self.since) if self.since else None,
            until=moment_of(self.until, after=True) if self.until else None,
        )

    def require_collections(self, snapshots: Sequence[Snapshot]) -> None:
        """Insist on the collections that are named.

        Raises:
            CollectionNotFound: no store has one of them.
        """
        there = sorted({info.name for snapshot in snapshots for info in snapshot.collections})
        for name in self.collection or ():
            if name not in there:
                raise CollectionNotFound(f"There is no collection {name!r}.", todo=f"There are: {', '.join(there)}.")
