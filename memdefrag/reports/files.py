"""The file that a report is written to."""

from __future__ import annotations

from pathlib import Path

from memdefrag.base.errors import UsageError
from memdefrag.reports import csv_file, html_file
from memdefrag.reports.rows import Report

SUFFIXES = (".csv", ".html")


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
    return csv_file.as_bytes(report) if path.suffix.lower() == ".csv" else html_file.as_bytes(report)
