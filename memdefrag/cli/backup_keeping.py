"""memdefrag backup: prune, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memdefrag.cli.run import Run, command

BackupId = Annotated[str, typer.Argument(metavar="ID", help="Its id (or the beginning of it) from backup list.")]
Named = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Backups to remove although the rules would keep them."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go and why the rest stays; remove nothing.")]
ArchiveFile = Annotated[Path, typer.Argument(metavar="FILE", help="A new file that ends in .tar.zst or .zip.")]
Foreign = Annotated[
    Path, typer.Argument(metavar="FILE", help="What backup export wrote, or a backup that another program made.")
]


def add_to(group: typer.Typer) -> None:
    """Register the commands in the group of `backup`."""
    command(group, "prune")(prune)
    command(group, "export")(export)
    command(group, "import")(import_)


def prune(run: Run, ids: Named = None, dry_run: DryRun = False) -> None:
    """Remove backups that are no longer needed: never the first, the newest verified, or one an undo needs."""
    from memdefrag.cli import show
    from memdefrag.engine.backups import retention

    if not dry_run:
        run.keep_log()
    done = retention.prune(dry_run, ids or (), run.progress)
    for backup in done.removed:
        run.detail(f"{'would remove' if dry_run else 'removed'} {backup.id} of {backup.store}")
    answer = {"prune": done.as_dict(), "budget": retention.budget().as_dict()}
    run.answer(answer, *show.pruned(done), *show.budget(), failures=any(name in done.kept for name in ids or ()))


def export(run: Run, id: BackupId, file: ArchiveFile) -> None:
    """Put a whole backup into one file, for another disk or computer, and read the file back."""
    from memdefrag.base.wording import size
    from memdefrag.engine.backups import archive
    from memdefrag.engine.backups.shelf import find

    run.keep_log()
    found = find(id)
    written = archive.export(found, file, run.progress)
    answer = {"backup": found.as_dict(), "file": str(written), "bytes": written.stat().st_size}
    run.answer(
        answer,
        f"Backup {found.id} is in {written} ({size(written.stat().st_size)}), which was read back.",
        "It holds the memories in plain: keep it where nobody else reads it.",
    )


def import_(run: Run, file: Foreign) -> None:
    """Take a backup in: an exported one, or one of Memory Defragmenter, Memory Service or Enhanced Memory."""
    from memdefrag.cli import show
    from memdefrag.engine.backups.foreign import take_in

    run.keep_log()
    done = take_in(file, run.progress)
    run.answer({"imported": done.as_dict()}, *show.imported(done))
