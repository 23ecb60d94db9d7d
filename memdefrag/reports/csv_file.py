"""Reports as CSV (RFC 4180) that a spreadsheet can open without obeying what a memory says.

A spreadsheet takes a cell that begins with = + - @, a tab or a line end for a formula, whatever its quotes; an
apostrophe before it makes it text (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io

from memdefrag.reports.rows import COLUMNS, Report

_OBEYED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_bytes(report: Report) -> bytes:
    """The rows as UTF-8 with a byte order mark, which spreadsheets need to read it as such."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([neutral(cell) for cell in row.cells] for row in report.rows)
    return out.getvalue().encode("utf-8-sig", "replace")


def neutral(cell: str) -> str:
    """The cell as a spreadsheet shows it; text that it would calculate gets an apostrophe before it."""
    shown = cell.replace("\0", "\ufffd")
    return f"'{shown}" if shown.startswith(_OBEYED) else shown
