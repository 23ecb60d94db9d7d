"""The program `memdefrag`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import memdefrag
from memdefrag.base.errors import Cancelled, UsageError
from memdefrag.cli import (
    answer,
    apart,
    backup,
    calibrate,
    demo,
    exchange,
    junk,
    keyring,
    migrate,
    migrate_memory,
    optimize,
    output,
    profile,
    read,
    secrets,
    serve,
    window,
    write,
)

app = typer.Typer(
    name="memdefrag",
    help="Find memories that say the same thing, merge them, and always be able to go back.\n\n"
    "Without a command the window opens.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_UsageErrors: tuple[type[Any], ...] = typer.BadParameter.__bases__
"""The library's base of all mistakes in a command line; it has no public name."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memdefrag {memdefrag.__version__}")
        raise typer.Exit


@app.callback()
def _entry(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


for module in (
    window, demo, read, junk, apart, calibrate, optimize, write, answer, exchange, migrate, migrate_memory, backup,
    keyring, profile, serve,
):  # fmt: skip
    module.add_to(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return the exit code. Never raises."""
    return run_app(app, list(sys.argv[1:] if argv is None else argv) or ["open"], "memdefrag")


def run_app(app: typer.Typer, arguments: Sequence[str], name: str) -> int:
    """Run a program made of `command`s and return the exit code; `name` is what it calls itself."""
    arguments, hints = secrets.strip_process(arguments)
    as_json = "--json" in arguments
    output.make_streams_safe()
    for hint in () if {"--quiet", "-q"} & {*arguments} else hints:
        output.note(hint)
    try:
        program = typer.main.get_command(app)
        return int(program.main(args=list(arguments), prog_name=name, standalone_mode=False) or 0)
    except _UsageErrors as error:
        return _wrong_usage(error, as_json)
    except (typer.Abort, KeyboardInterrupt):
        output.print_error(Cancelled(), as_json=as_json)
        return Cancelled.exit_code


def _wrong_usage(error: Exception, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "memdefrag"
    told = UsageError(error.format_message().replace("Value error, ", ""), todo=f"See {path} --help.")  # type: ignore[attr-defined]
    output.print_error(told, as_json=as_json)
    return told.exit_code
