"""What the fault tests injected and what came of it, one line for each protocol."""

from __future__ import annotations

import os
from collections import Counter

ALL_POINTS = bool(os.environ.get("MEMDEFRAG_FAULTS"))
"""Every point of every protocol (``scripts/test --faults``), instead of a selection around the commit."""

OLD, NEW, BROKEN = "old", "new", "broken"

_outcomes: dict[str, Counter[str]] = {}


def count(protocol: str, outcome: str) -> None:
    """One fault was injected, and the store is exactly old, exactly new, or broken."""
    _outcomes.setdefault(protocol, Counter())[outcome] += 1


def table() -> list[str]:
    """The lines of the table; none when nothing was injected."""
    if not _outcomes:
        return []
    total = sum(_outcomes.values(), Counter())
    rows = [("protocol", "faults", "exactly old", "exactly new", "broken")]
    rows += [_row(name, counted) for name, counted in sorted(_outcomes.items())]
    rows += [_row("all", total)]
    return ["{:<44}{:>8}{:>13}{:>13}{:>9}".format(*row) for row in rows]


def _row(name: str, counted: Counter[str]) -> tuple[str, ...]:
    return (name, str(counted.total()), *(str(counted[outcome]) for outcome in (OLD, NEW, BROKEN)))
