"""Which of the memories that are about to be copied surely say what another one says."""

from __future__ import annotations

from memdefrag.base.progress import Progress
from memdefrag.engine.compare import ModelOptions, compare
from memdefrag.model.records import Key, Snapshot

_SOURCE = 1


def surely_said(
    target: Snapshot, copied: Snapshot, model: ModelOptions, progress: Progress
) -> tuple[dict[Key, str], tuple[str, ...]]:
    """Of the copied memories those that may be left out, by key, each with the reason; and what was compared how.

    Of several that say the same the target's own stays, else the one that comes first.
    """
    found, notes = compare([target, copied], None, model, progress)
    reasons: dict[Key, str] = {}
    for clique in (clique for group in found.groups() for clique in group.sure):
        members = sorted(clique, key=lambda member: (found.store[member], member))
        side = "source" if found.store[members[0]] == _SOURCE else "target"
        kept = f"{found.records[members[0]].key} of the {side}"
        for member in members[1:]:
            if found.store[member] == _SOURCE:
                reasons[found.records[member].key] = f"says the same as {kept}"
    return reasons, notes
