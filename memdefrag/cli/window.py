"""memdefrag open: the window."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from memdefrag.base.errors import UnsupportedEnvironment
from memdefrag.cli.run import Run, command

StoreToOpen = Annotated[str | None, typer.Argument(metavar="STORE", help="A store to open in it.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "open", recovers=False)(open_store)


def open_store(run: Run, store: StoreToOpen = None) -> None:
    """Open the window, with a store in it."""
    require_display()
    from memdefrag.gui.app import main

    # Qt's loop never comes back to Python for a handler of ours; a write that is cut off is recovered.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run.exit_code = main(["memdefrag", *([store] if store else [])])


def require_display() -> None:
    """Insist that a window can be shown.

    Raises:
        UnsupportedEnvironment: there is no display here.
    """
    if sys.platform in ("win32", "darwin"):
        return
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise UnsupportedEnvironment(
            "There is no display here, so the window cannot open.",
            safe="Nothing was done.",
            todo="The same can be done with commands: memdefrag inspect STORE, analyze STORE, optimize STORE, "
            "undo last STORE; memdefrag demo shows how; memdefrag --help lists them all.",
        )
