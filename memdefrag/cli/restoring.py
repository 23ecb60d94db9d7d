"""memdefrag backup restore: a whole store, or chosen memories of it; and what a command says before files go back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import Cancelled, StoreError, UsageError
from memdefrag.cli import show
from memdefrag.cli.applying import Writing, answer, carry_out
from memdefrag.cli.run import Run

if TYPE_CHECKING:
    from memdefrag.engine.backups.shelf import Backup
    from memdefrag.engine.restore import Foreseen
    from memdefrag.model.plan import Plan
    from memdefrag.model.records import Key, Snapshot
    from memdefrag.model.report import ApplyReport

BackupId = Annotated[str, typer.Argument(metavar="ID", help="Its id (or the beginning of it) from backup list.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="MEMORY", help="Only this memory: ID or COLLECTION/ID; may be repeated."),
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="MEMORY", help="Only what a merge put into this memory, and itself.")
]
Where = Annotated[str | None, typer.Option("--where", metavar="TEXT", help="Only memories whose text says this.")]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only memories that have this tag.")]
To = Annotated[
    Path | None,
    typer.Option("--to", metavar="PATH", help="Unpack it to this new folder or file, and leave the store alone."),
]
Added = Annotated[
    bool, typer.Option("--added", help="Only what came since the state that an undo or restore put back.")
]


def restore(
    run: Run,
    writing: Writing,
    id: BackupId,
    only: Only = None,
    group: Group = None,
    where: Where = None,
    tag: Tag = None,
    added: Added = False,
    to: To = None,
) -> None:
    """Make the whole store what it was when the backup was made, or bring chosen memories of it back."""
    from memdefrag.engine import restore as engine
    from memdefrag.engine.backups.shelf import find

    if added and (only or group or where or tag):
        raise UsageError("--added chooses by itself; leave the other conditions out.")
    backup = find(id)
    if to:
        if added or only or group or where or tag or writing.dry_run:
            raise UsageError("--to takes the whole backup out; leave the other conditions out.")
        beside(run, backup, to)
        return
    present = read(run, backup.address)
    if added:
        plan = engine.added_since(engine.taken_away_by(backup), _required(present, backup), run.progress)
    else:
        keys = _keys(run, backup, only, group) if only or group else None
        plan = engine.restore_plan(backup, present, keys=keys, where=where, tag=tag, progress=run.progress)
    if not plan.store_steps:
        _required(present, backup)
    replace(run, writing, plan, present)


def beside(run: Run, backup: Backup, target: Path) -> None:
    """Unpack a backup to a new place and count what is there."""
    from memdefrag.base.wording import count
    from memdefrag.engine.backups.beside import restore_to

    run.keep_log()
    made = restore_to(backup, target, run.progress)
    told = f"{made.address} holds {count(made.records, 'memory', 'memories')}; the store itself was not touched."
    lost = [f"The file cannot hold: {what} ({number:,} times)" for what, number in made.losses.items()]
    run.answer({"unpacked": made.as_dict()}, told, *lost)


def replace(run: Run, writing: Writing, plan: Plan, present: Snapshot | None = None) -> None:
    """Carry out a plan that may put other files in a store's place. What that will do to its memories is said
    beforehand, and asked where somebody is there.

    Args:
        present: what the store holds; None: it is read here, if it can be.

    Raises:
        Cancelled: the person does not want that.
    """
    from memdefrag.engine.restore import foresee
    from memdefrag.model.plan import StoreStep

    if StoreStep.REPLACE not in plan.store_steps:
        answer(run, carry_out(run, plan, writing))
        return
    present = present or read(run, plan.target)
    foreseen = foresee(plan, present, run.progress) if present else None
    told = show.foreseen(foreseen)
    if not writing.dry_run:
        run.note(told)
        if run.interactive and run.ask("Go on (y/n)").lower() not in ("y", "yes"):
            raise Cancelled
    report = _counted(carry_out(run, plan, writing), plan, foreseen, present)
    answer(
        run, report, *([told] if writing.dry_run else []), foreseen=dataclasses.asdict(foreseen) if foreseen else None
    )


def _counted(report: ApplyReport, plan: Plan, foreseen: Foreseen | None, present: Snapshot | None) -> ApplyReport:
    """Files that change places write no single memory; the person is told what becomes of the memories in them."""
    from memdefrag.engine.backups.shelf import find

    after = find(plan.source.partition(":")[2]).records
    if foreseen:
        written = foreseen.changing + foreseen.coming
        return dataclasses.replace(report, records_after=after, written=written, removed=foreseen.going)
    return report if present else dataclasses.replace(report, records_after=after, written=after)


def read(run: Run, store: str) -> Snapshot | None:
    """What a store holds now; None where that cannot be read."""
    from memdefrag.stores.base import read_snapshot
    from memdefrag.stores.registry import open_store

    try:
        with open_store(store) as opened:
            return read_snapshot(opened, run.progress)
    except StoreError:
        return None


def _required(present: Snapshot | None, backup: Backup) -> Snapshot:
    if present is None:
        raise UsageError(
            f"{backup.address} cannot be read, so that no single memory can be written into it.",
            todo=f"Restore all of it: memdefrag backup restore {backup.id}.",
        )
    return present


def _keys(run: Run, backup: Backup, only: list[str] | None, group: str | None) -> set[Key]:
    """The memories that are meant, by ids that must say clearly which."""
    from memdefrag.engine import history
    from memdefrag.engine.restore import content, merged_with
    from memdefrag.model.address import parse

    held = content(backup, run.progress)
    keys = {_key(held, name) for name in only or ()}
    if group:
        key = _key(held, group)
        made = [step for step in history.steps(parse(backup.address)) if step.backup == backup.id]
        if not made:
            raise UsageError(f"Backup {backup.id} was made before no merge.", todo="Name memories with --only.")
        keys.update(merged_with(made[0], key))
    return keys


def _key(held: Snapshot, name: str) -> Key:
    found = [key for key in held.by_key if name in (key.id, str(key))]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'No'} memories of the backup are named {name!r}.",
            todo="Say COLLECTION/ID." if found else "memdefrag search backup:ID QUERY looks for one.",
        )
    return found[0]
