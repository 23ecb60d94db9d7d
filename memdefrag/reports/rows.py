"""The rows of a report on an analysis, and the file they are written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memdefrag.base.errors import UsageError

COLUMNS = ("group", "tier", "score", "what", "id", "text", "why")
SUFFIXES = (".csv", ".html")


@dataclass(frozen=True, slots=True)
class Row:
    """One memory of a group, or of a contradiction.

    Attributes:
        group: number of the group, or of the contradiction.
        tier: "sure", "likely" or "contradiction".
        what: "keep", "merge" or "look".
        why: the reasons, in words.
    """

    group: int
    tier: str
    score: float
    what: str
    id: str
    text: str
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        return (str(self.group), self.tier, f"{self.score:.4f}", self.what, self.id, self.text, self.why)


@dataclass(frozen=True, slots=True)
class Report:
    """What an analysis found; `summary` says it in one sentence."""

    stores: tuple[str, ...]
    summary: str
    rows: Sequence[Row]


def require_known(path: Path) -> None:
    """Insist on a file name that says which format is wanted.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"The report {path} cannot be written.", todo=f"Name a file that ends in {' or '.join(SUFFIXES)}."
        )


def as_bytes(report: Report, path: Path) -> bytes:
    """The report in the format that the file name asks for."""
    from memdefrag.reports import csv_file, html_file

    return csv_file.as_bytes(report) if path.suffix.lower() == ".csv" else html_file.as_bytes(report)
