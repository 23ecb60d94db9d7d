"""memdefrag secret: save, list, forget: keys of servers in the system's keyring."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from memdefrag.cli.run import Run, command

Server = Annotated[str, typer.Argument(metavar="SERVER", help="Its address, as the other commands take it.")]


def add_to(app: typer.Typer) -> None:
    """Register the group of commands."""
    group = typer.Typer(help="Keep the keys and passwords of servers in the system's keyring.")
    command(group, "save", recovers=False)(save)
    command(group, "list", recovers=False)(list_saved)
    command(group, "forget", recovers=False)(forget)
    app.add_typer(group, name="secret")


def save(run: Run, server: Server) -> None:
    """Ask for a server's key or password (or read a line from stdin) and keep it in the keyring."""
    from memdefrag.base import secrets
    from memdefrag.model.profiles import expanded

    place = secrets.normalised(expanded(server))
    secrets.save(place, asked(run, place))
    run.answer({"saved": place}, f"The key for {place} is in the system's keyring.")


def asked(run: Run, place: str) -> str:
    """The key or password that the person types, unseen, or that stands in a line on stdin.

    Raises:
        UsageError: there is none.
    """
    from getpass import getpass

    from memdefrag.base.errors import UsageError

    secret = getpass(f"Key or password for {place}: ") if run.interactive else sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise UsageError("No key was given.")
    return secret


def list_saved(run: Run) -> None:
    """List the servers whose keys are in the keyring; never the keys."""
    from memdefrag.base import secrets

    places = sorted(secrets.saved())
    run.answer({"servers": places}, "\n".join(places) or "No key is kept.")


def forget(run: Run, server: Server) -> None:
    """Take a server's key out of the keyring."""
    from memdefrag.base import secrets
    from memdefrag.model.profiles import expanded

    place = secrets.normalised(expanded(server))
    gone = secrets.forget(place)
    run.answer({"forgotten": place if gone else None}, f"The key for {place} {'is gone' if gone else 'was not kept'}.")
