"""memdefrag profile: add, list, remove: servers by name, so that ``profile:NAME`` names them everywhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from memdefrag.cli.keyring import asked
from memdefrag.cli.output import as_typed
from memdefrag.cli.run import Run, command

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the server is called from now on.")]
Server = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="As the other commands take it, such as chroma+https://HOST:8000#NOTES")
]
WithKey = Annotated[
    bool,
    typer.Option("--with-key", help="Also ask for its key (or read a line from stdin), for the system's keyring."),
]


def add_to(app: typer.Typer) -> None:
    """Register the group of commands."""
    group = typer.Typer(help="Give servers names: profile:NAME is such a server, wherever a store is named.")
    command(group, "add", recovers=False)(add)
    command(group, "list", recovers=False)(list_kept)
    command(group, "remove", recovers=False)(remove)
    app.add_typer(group, name="profile")


def add(run: Run, name: Name, server: Server, with_key: WithKey = False) -> None:
    """Keep a server by a name, in place of the one that had it. A key goes into the system's keyring alone."""
    from memdefrag.base import secrets
    from memdefrag.base.errors import MemdefragError
    from memdefrag.model import profiles
    from memdefrag.model.address import parse

    kept = profiles.save(profiles.of(name, parse(server)))
    typed = secrets.kept(kept.place)
    key = asked(run, kept.place) if with_key and not typed else typed and typed.reveal()
    if key:
        try:
            secrets.save(kept.place, key)
        except MemdefragError as error:
            error.safe = f"{profiles.PREFIX}{kept.name} is kept by name, without its key."
            raise
    named = f"{profiles.PREFIX}{kept.name}"
    said = "Its key is in the system's keyring." if key else f"If it wants a key: {as_typed('secret', 'save', named)}"
    run.answer(
        {"profile": asdict(kept), "address": kept.address, "key_saved": bool(key)},
        f"{named} is {kept.address} from now on.",
        said,
    )


def list_kept(run: Run) -> None:
    """List the servers that have a name; never their keys."""
    from memdefrag.base import secrets
    from memdefrag.model import profiles

    kept, keyed = profiles.load(), secrets.saved()
    told = [
        {"name": each.name, "address": each.address, "key_saved": secrets.normalised(each.place) in keyed}
        for each in kept
    ]
    lines = [
        f"{profiles.PREFIX}{each['name']}  {each['address']}{'  (key in the keyring)' if each['key_saved'] else ''}"
        for each in told
    ]
    run.answer({"profiles": told}, "\n".join(lines) or "No server has a name.")


def remove(run: Run, name: Name) -> None:
    """Forget a name and, unless another name is for the same server, its key."""
    from memdefrag.model import profiles

    name = name.removeprefix(profiles.PREFIX)
    gone = profiles.forget(name)
    run.answer({"removed": name if gone else None}, f"{profiles.PREFIX}{name} {'is gone' if gone else 'was not kept'}.")
