"""memdefrag backup: create, list, verify, restore."""

from __future__ import annotations

from typing import Annotated

import typer

from memdefrag.cli.applying import Writing, answer, carry_out
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command

BackupId = Annotated[str, typer.Argument(metavar="ID", help="Its id (or the beginning of it) from backup list.")]
OnlyOf = Annotated[str | None, typer.Argument(metavar="STORE", help="Only backups of this store.")]
Deep = Annotated[bool, typer.Option("--deep", help="Also restore it into a scratch folder and compare every memory.")]


def add_to(app: typer.Typer) -> None:
    """Register the group of commands."""
    group = typer.Typer(help="Make, list, check and restore backups of whole stores.")
    command(group, "create")(create)
    command(group, "list")(list_backups)
    command(group, "verify")(verify)
    command(group, "restore")(restore)
    app.add_typer(group, name="backup")


def create(run: Run, store: Store) -> None:
    """Back a whole store up and read the backup back."""
    from memdefrag.cli import show
    from memdefrag.engine.backups.create import create as back_up
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    with open_store(store) as opened:
        run.keep_log()
        made = back_up(opened, read_snapshot(opened, run.progress), "by hand", run.progress)
    run.answer({"backup": made.as_dict()}, *show.backup_made(made))


def list_backups(run: Run, store: OnlyOf = None) -> None:
    """List backups, newest first."""
    from memdefrag.cli import show
    from memdefrag.engine.backups.shelf import all_backups
    from memdefrag.model.address import parse

    found = all_backups(parse(store) if store else None)
    run.answer({"backups": [each.as_dict() for each in found]}, *show.backups(found))


def verify(run: Run, id: BackupId, deep: Deep = False) -> None:
    """Read every byte of a backup and compare it with its checksums."""
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.backups.verify import verify as read_back

    found = find(id)
    read_back(found, run.progress, deep=deep)
    how = "its store opens and holds the same memories" if deep else "every byte is what it was"
    run.answer({"backup": found.as_dict(), "deep": deep, "whole": True}, f"Backup {found.id} is whole: {how}.")


def restore(run: Run, writing: Writing, id: BackupId) -> None:
    """Make the whole store what it was when the backup was made; what stands there now is backed up first."""
    from memdefrag.engine.backups.shelf import find
    from memdefrag.model.plan import Plan, StoreStep

    found = find(id)
    plan = Plan(
        source=f"backup:{found.id}",
        target=found.address,
        store_steps=(StoreStep.REPLACE,),
        settings={"reason": "restore"},
    )
    answer(run, carry_out(run, plan, writing))
