"""memdefrag demo: the whole job on a private copy of invented memories."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
