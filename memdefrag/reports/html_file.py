"""Reports as one HTML page that loads nothing and runs nothing."""

from __future__ import annotations

from html import escape

from memdefrag.reports.rows import COLUMNS, Report

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>memdefrag: what says the same thing</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #999; padding: 0.3em 0.6em; text-align: left; vertical-align: top; }
td { white-space: pre-wrap; overflow-wrap: anywhere; }
</style>
</head>
<body>
"""
_SPACES = "\t\n"


def as_bytes(report: Report) -> bytes:
    """The rows as a table, in UTF-8."""
    stores = "".join(f"<li>{_text(store)}</li>" for store in report.stores)
    heads = "".join(f"<th>{_text(name)}</th>" for name in COLUMNS)
    rows = "\n".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row.cells) + "</tr>" for row in report.rows)
    page = f"{_HEAD}<ul>{stores}</ul>\n<p>{_text(report.summary)}</p>\n<table>\n<tr>{heads}</tr>\n{rows}\n</table>\n"
    return f"{page}</body>\n</html>\n".encode("utf-8", "replace")


def _text(said: str) -> str:
    """Text that is shown as it is; its direction ends where it ends."""
    shown = "".join(char if char >= " " or char in _SPACES else "\ufffd" for char in said)
    return f'<bdi dir="auto">{escape(shown)}</bdi>'
