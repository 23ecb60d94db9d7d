"""What the command line prints: answers on stdout, everything else on stderr.

Memory texts are untrusted: whatever a terminal would obey is made visible before it is printed, and rich's
markup is never read from them.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from memdefrag.base.errors import MemdefragError
from memdefrag.base.settings import redact
from memdefrag.base.wording import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

PREVIEW = 100
"""Characters of a memory that a list shows."""

NAMES = ("Id", "Step", "Backup")
"""Columns whose cells are typed into the next command."""

WIDTH_OF_FILES = 200
"""Characters of a line where the output is not a terminal."""


@cache
def stdout() -> Console:
    """The console for answers."""
    return _console(stderr=False)


@cache
def stderr() -> Console:
    """The console for progress, questions, hints and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    at_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if at_terminal else WIDTH_OF_FILES
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def make_streams_safe() -> None:
    """Let characters that the terminal's encoding lacks become escapes instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def preview(text: str | None, length: int = PREVIEW) -> str:
    """The beginning of a memory on one line, harmless."""
    if text is None:
        return "(no text)"
    flat = " ".join(plain(text[: length * 4]).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def styled(text: str, style: str = "") -> Text:
    """Text for rich that is shown as it is."""
    from rich.text import Text

    return Text(plain(text), style)


def table(*headings: str, rows: Iterable[Iterable[object]] = ()) -> Table:
    """A table without frames, ready for copying; numbers are right-aligned."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    lines = [list(row) for row in rows]
    for position, heading in enumerate(headings):
        numeric = bool(lines) and all(isinstance(line[position], int | float) for line in lines)
        # Names that are to be pasted stay in one line, whatever becomes of the others.
        whole = heading in NAMES
        made.add_column(heading, justify="right" if numeric else "left", overflow="fold", no_wrap=whole)
    for line in lines:
        made.add_row(*(styled(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in line))
    return made


def as_typed(*words: object) -> str:
    """A command of this program as a shell takes it, whatever is in the names."""
    return shlex.join(["memdefrag", *map(str, words)])


def print_answer(*parts: RenderableType) -> None:
    """Print for a person, on stdout."""
    for part in parts:
        stdout().print(styled(part) if isinstance(part, str) else part)


def print_json(answer: dict[str, Any]) -> None:
    """Print the one JSON object of a command, in ASCII, so that no text can do anything to a terminal."""
    sys.stdout.write(json.dumps(answer, indent=2, default=str) + "\n")
    sys.stdout.flush()


def note(text: str, style: str = "") -> None:
    """One line on stderr."""
    stderr().print(styled(redact(text), style))


def print_error(error: MemdefragError, *, as_json: bool, log: object = None) -> None:
    """Say what failed, what is safe and what to do."""
    if as_json:
        told = {name: redact(value) if isinstance(value, str) else value for name, value in error.as_dict().items()}
        print_json({"error": {**told, "log": str(log)} if log else told})
        return
    note(f"Error: {error.message}", "bold red")
    for line in (error.safe, error.todo, f"Log: {log}" if log else ""):
        if line:
            note(line)
