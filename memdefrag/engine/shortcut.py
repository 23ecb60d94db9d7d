"""An undo or redo of what was done last need not write record by record: a backup already holds the result.

Only where nothing at all has happened to the store since, down to the last byte (of SQLite files: the last row).
The plan stays the same, and what the backup's files hold is compared with it like any written copy.
"""

from __future__ import annotations

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.engine import history, step_files
from memdefrag.engine.backups.files import check_sums
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.model.address import parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Plan
from memdefrag.model.records import Key, Snapshot


def ready_made(plan: Plan, changes: Changes, present: Snapshot, state: str, progress: Progress) -> Backup | None:
    """The backup whose files are what the plan promises; None where there is none, or it cannot be used.

    Args:
        changes: what the plan comes down to.
        present: what the store holds now.
        state: the same, as `commit.state_hash` tells; empty for a store that is written live.
    """
    last = next(iter(history.steps(parse(plan.target).whole())), None)
    if last is None or not last.backup or not state or last.left != state or plan.store_steps:
        return None
    undoes, redoes = (plan.settings.get(name) for name in ("undoes", "redoes"))
    if undoes != last.id and (redoes is None or redoes != last.undoes):
        return None
    try:
        history.require_whole(last)
        if not _takes_back(changes, last):
            return None
        backup = find(last.backup)
        check_sums(backup, progress)
    except MemdefragError:
        return None
    lacks_none = all(info.name in backup.manifest["collections"] for info in present.collections)
    return backup if backup.raw and lacks_none else None


def _takes_back(changes: Changes, last: history.HistoryStep) -> bool:
    """Whether the changes make each record and link what it was before that step: no others, and not only some."""
    made: dict[Key, str | None] = {put.record.key: record_hash(put.record) for put in changes.put}
    made.update((ref.key, None) for ref in changes.delete)
    made.update((link.key, link.after) for link in step_files.touched_links(changes))
    return made == {entry.key: entry.before for entry in step_files.touched(last.folder)}
