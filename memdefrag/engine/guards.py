"""What is asked before a store is touched: is there room, may it be written, is so much meant to disappear."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import psutil

from memdefrag.analysis.embedding.windows import is_long, window_of
from memdefrag.base.errors import ConfirmationNeeded, NoSpace, NotPermitted, UsageError
from memdefrag.base.fsops import free_bytes
from memdefrag.base.settings import data_dir
from memdefrag.base.wording import count
from memdefrag.base.wording import size as in_words
from memdefrag.engine import in_use
from memdefrag.model.plan import Changes
from memdefrag.model.records import Key, Snapshot
from memdefrag.stores.base import Store

SPACE_FACTOR = 2.2
BACKUP_FACTOR = 1.1
SPACE_RESERVE = 64 << 20
SHRINK_GUARD = 0.30
_NETWORK = ("nfs", "cifs", "smb", "sshfs", "9p", "afs", "ceph", "gluster", "davfs", "webdav", "ncp", "lustre")


def require_place(store: Store, target: Path, *, new: bool) -> None:
    """Insist that a result can be put at `target`, and that there is room for it, its copy and the backup.

    Args:
        new: the store is left alone, and a new one made at `target`.

    Raises:
        UsageError, StoreInUse, NotPermitted, NoSpace: naming what stands in the way.
    """
    if new and target.exists():
        raise UsageError(f"{target} exists already; --output wants a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    files = store.raw_files() if store.exists else []
    if not new:
        in_use.require_free(files)
        require_writable(files)
        if not store.capabilities.commit.is_live:
            require_replaceable(target)
    size = sum(path.stat().st_size for path in files)
    require_space(target.parent, int(size * SPACE_FACTOR))
    require_space(data_dir(), int(size * BACKUP_FACTOR))


def require_space(folder: Path, needed: int) -> None:
    """Insist on room for `needed` bytes and a reserve.

    Raises:
        NoSpace: with both numbers.
    """
    free, wanted = free_bytes(folder), needed + SPACE_RESERVE
    if free < wanted:
        raise NoSpace(f"{folder} has {in_words(free)} free; {in_words(wanted)} are needed.")


def require_writable(files: Sequence[Path]) -> None:
    """Insist that each file may be written.

    Raises:
        NotPermitted: naming the first that may not.
    """
    locked = next((path for path in files if not os.access(path, os.W_OK)), None)
    if locked is not None:
        raise NotPermitted(f"{locked} is read-only.")


def require_replaceable(folder: Path) -> None:
    """Refuse early what the swap could not put in place, or should not.

    Raises:
        NotPermitted: a mount point, or a link inside.
    """
    if folder.is_mount():
        raise NotPermitted(
            f"{folder} is a disk or volume of its own, which nothing can be exchanged with.",
            todo="Write the result elsewhere (--output FOLDER), or keep the store in a folder of that volume.",
        )
    link = next((path for path in folder.rglob("*") if path.is_symlink()), None)
    if link is not None:
        raise NotPermitted(
            f"{link} is a link; neither a backup nor the new folder would hold it.",
            todo="Put the files themselves there, or move the link out of the folder.",
        )


def network_warning(path: Path) -> str | None:
    """What to tell about a store on a network file system, whose locks and syncs promise little; None for a disk."""
    inside = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    if not inside:
        return None
    nearest = max(inside, key=lambda part: len(Path(part.mountpoint).parts))
    if not any(word in nearest.fstype.lower() for word in _NETWORK):
        return None
    return (
        f"{path} lies on a network file system ({nearest.fstype}): another computer may write it unseen, and a power "
        "cut may cost what was just written. Stop everything that uses the store, or work on a local copy."
    )


def long_texts(before: Snapshot, changes: Changes, units: Iterable[Sequence[Key]]) -> str | None:
    """What to tell about merged texts that are longer than the model reads at once; None where all are short.

    Args:
        units: the keys of each step; of a merge several, the survivor first.
    """
    survivors = {unit[0] for unit in units if len(unit) > 1}
    models = {info.name: info.model for info in before.collections}
    merged = [put.record for put in changes.put if put.record.key in survivors]
    long = [record for record in merged if is_long(record.text, models.get(record.key.collection))]
    if not long:
        return None
    window = min(window_of(models.get(record.key.collection)) for record in long)
    are = count(len(long), "merged text is", "merged texts are")
    return (
        f"{are} longer than the {window} tokens that the model reads at once, so that "
        f"searches may find the end less well; the first is {long[0].key}."
    )


def require_agreement(removed: int, total: int, ticked: int | None) -> None:
    """Removing much is either what the person saw, or an accident.

    Args:
        ticked: how many removals the person agreed to in the review; None where nobody was asked.

    Raises:
        ConfirmationNeeded: more than 30 % of the store disappear, or more than was agreed to.
    """
    if ticked is not None and removed > ticked:
        raise ConfirmationNeeded(
            f"The plan removes {count(removed, 'memory', 'memories')}, but only {ticked:,} were agreed to.",
            todo="Look at the plan; if that is what you want, add --confirm-shrink.",
        )
    if removed > max(1, SHRINK_GUARD * total):
        raise ConfirmationNeeded(
            f"The plan removes {removed:,} of {total:,} records.",
            todo="Look at the plan; if that is what you want, add --confirm-shrink.",
        )


def require_no_loss(lost: Collection[object], known: int, backup: str) -> None:
    """A store that lost much since its last backup, and not by us, is not to be tidied: it is to be looked at.

    Args:
        lost: what the backup holds and nothing accounts for; `known`: all that it holds.

    Raises:
        ConfirmationNeeded: more than 30 % are gone.
    """
    if len(lost) > max(1, SHRINK_GUARD * known):
        raise ConfirmationNeeded(
            f"{len(lost):,} of the {known:,} memories in the last backup are no longer in the store, and nothing that "
            "memdefrag did explains it.",
            todo=f"Look at it first: memdefrag backup show {backup}. If that is as it should be, add --confirm-shrink.",
        )
