"""memdefrag backup: create, list, show, verify, drill. (restore, prune, export and import stand in their own files.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.cli import backup_keeping, restoring
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.engine.backups.shelf import Backup

BackupId = Annotated[str, typer.Argument(metavar="ID", help="Its id (or the beginning of it) from backup list.")]
OnlyOf = Annotated[str | None, typer.Argument(metavar="STORE", help="Only backups of this store.")]
OneOf = Annotated[str | None, typer.Argument(metavar="ID", help="This one instead of the newest of each store.")]
Deep = Annotated[bool, typer.Option("--deep", help="Also restore it into a scratch folder and compare every memory.")]


def add_to(app: typer.Typer) -> None:
    """Register the group of commands."""
    group = typer.Typer(help="Make, list, check and restore backups of whole stores.")
    command(group, "create")(create)
    command(group, "list")(list_backups)
    command(group, "show")(show_backup)
    command(group, "verify")(verify)
    command(group, "drill")(drill)
    command(group, "restore")(restoring.restore)
    backup_keeping.add_to(group)
    app.add_typer(group, name="backup")


def create(run: Run, store: Store) -> None:
    """Back a whole store up and read the backup back. A program may go on using the store."""
    from memdefrag.cli import show

    made = back_up(run, store)
    run.answer({"backup": made.as_dict()}, *show.backup_made(made))


def back_up(run: Run, store: str) -> Backup:
    """Make a backup of a store, which a program may go on using, and read it back."""
    from memdefrag.engine.backups.create import create as back_up
    from memdefrag.engine.steady import State, steadily
    from memdefrag.stores.base import Store as OpenStore

    def work(opened: OpenStore, state: State) -> Backup:
        run.keep_log()
        run.tell_state(state)
        return back_up(opened, None, "by hand", run.progress, state=state)

    return steadily(store, run.progress, work)


def list_backups(run: Run, store: OnlyOf = None) -> None:
    """List backups, newest first; those that are damaged, too."""
    from memdefrag.base.settings import data_dir
    from memdefrag.cli import show_backups
    from memdefrag.engine.backups.shelf import all_backups, damaged_backups
    from memdefrag.model.address import parse

    of = parse(store) if store else None
    damaged = damaged_backups(of)
    bad = {each.id for each in damaged}
    found = [each for each in all_backups(of) if each.id not in bad]
    total, folder = sum(each.size for each in found), data_dir() / "backups"
    answer = {
        "backups": [each.as_dict() for each in found],
        "damaged": [each.as_dict() for each in damaged],
        "total_bytes": total,
        "folder": str(folder),
    }
    run.answer(answer, *show_backups.listed(found, damaged, total, folder))


def show_backup(run: Run, id: BackupId) -> None:
    """Show what a backup says of itself: of what it was made, when, with what, and whether it was verified."""
    from memdefrag.cli import show_backups
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.backups.verify import last_verified

    found = find(id)
    verified = last_verified(found)
    answer = {**found.as_dict(), "verified": verified, "manifest": found.manifest}
    run.answer({"backup": answer}, *show_backups.facts(found, verified))


def verify(run: Run, id: BackupId, deep: Deep = False) -> None:
    """Read every byte of a backup, compare it with its checksums, and read its memories."""
    from dataclasses import asdict

    from memdefrag.cli import show_backups
    from memdefrag.engine.backups.shelf import find
    from memdefrag.engine.backups.verify import verify as read_back

    found = find(id)
    restored = read_back(found, run.progress, deep=deep)
    how = "its store opens and holds the same memories" if deep else "every byte is what it was"
    tried = asdict(restored) if restored else None
    answer = {"backup": found.as_dict(), "deep": deep, "whole": True, "restored": tried}
    search = [show_backups.searched(restored)] if restored else []
    run.answer(answer, f"Backup {found.id} is whole: {how}.", *search)


def drill(run: Run, id: OneOf = None) -> None:
    """Restore the newest backup of each store on trial, into a scratch folder, and report. Worth doing monthly."""
    from memdefrag.cli import show_backups
    from memdefrag.engine.backups.drill import drill as restore_on_trial
    from memdefrag.engine.backups.shelf import find

    done = restore_on_trial(run.progress, find(id) if id else None)
    run.answer(
        {"drilled": [each.as_dict() for each in done]},
        *show_backups.drilled(done),
        failures=any(each.damage for each in done),
    )
