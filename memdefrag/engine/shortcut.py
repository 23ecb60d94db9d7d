"""An undo or redo of what was done last need not write record by record: a backup already holds the result.

Only where nothing at all has happened to the store since, down to the last byte (of SQLite files: the last row).
The plan stays the same, and what the backup's files hold is compared with it like any written copy.
"""

from __future__ import annotations

from memdefrag.base.errors import MemdefragError
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.backups.files import check_sums
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.model.address import Address
from memdefrag.model.plan import Plan


def ready_made(plan: Plan, store: Address, state: str, progress: Progress) -> Backup | None:
    """The backup whose files are what the plan promises; None where there is none, or it cannot be used.

    Args:
        state: what stands there now, as `commit.state_hash` tells.
    """
    last = next(iter(history.steps(store)), None)
    if last is None or not last.backup or last.left != state or plan.store_steps:
        return None
    undoes, redoes = (plan.settings.get(name) for name in ("undoes", "redoes"))
    if undoes != last.id and (redoes is None or redoes != last.undoes):
        return None
    try:
        backup = find(last.backup)
        check_sums(backup, progress)
    except MemdefragError:
        return None
    return backup if backup.raw else None
