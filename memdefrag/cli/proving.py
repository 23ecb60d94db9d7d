"""The options of commands that merge: what searches must still find afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from memdefrag.engine.search_proof import ProofOptions

FIRST, MIN_RECALL = 5, 0.99
"""As in `engine.search_proof`, which loads too much for a start."""


@dataclass(frozen=True)
class Proving:
    """The options of every command that merges."""

    queries: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your own queries, one per line (or JSON lines): what they find must stay."),
    ] = None
    recall_at: Annotated[
        int, typer.Option("--recall-at", min=1, max=1000, metavar="K", help="Found means: among the first K.")
    ] = FIRST
    min_recall: Annotated[
        float,
        typer.Option(
            "--min-recall", min=0.0, max=1.0, metavar="SHARE",
            help="Refuse to write if less of what searches find now would be found; 0 never refuses.",
        ),
    ] = MIN_RECALL  # fmt: skip

    def options(self, *, by_words: bool = False) -> ProofOptions:
        """What the engine takes.

        Args:
            by_words: load no model for the person's queries.

        Raises:
            UsageError: the file of queries cannot be used.
        """
        from memdefrag.engine.own_queries import read
        from memdefrag.engine.search_proof import ProofOptions

        queries = read(self.queries.expanduser()) if self.queries else ()
        return ProofOptions(self.recall_at, self.min_recall, queries, by_words)
