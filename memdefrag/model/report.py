"""What came of a plan, for the person and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from memdefrag.model.recall import Recall
from memdefrag.model.records import Key


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that was not carried out, and why.

    Attributes:
        record: what it concerns, in words.
        key: the memory; None where it is a link.
    """

    record: str
    reason: str
    key: Key | None = field(default=None, compare=False)

    @classmethod
    def of(cls, key: Key, reason: str) -> Skipped:
        """The step that concerns this memory."""
        return cls(str(key), reason, key)


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """The outcome of applying (or rehearsing) a plan.

    Attributes:
        step: name of the step in the history, for undo; None when nothing was written.
        backup: id of the backup made before.
        linked, unlinked: links made and removed; one that follows a merged memory is removed and made.
        bytes_before, bytes_after: of all the store's files.
        skipped: steps that no longer fitted.
        kept: records that an import left alone on purpose, each with the reason.
        added_since: how many memories came since the state that was put back, and are not in it.
        recall: what searches find before and after; None where nothing was merged.
        losses: what the target cannot hold, with the number of records concerned.
        next_steps: what the person should do now, one sentence each.
    """

    store: str
    reason: str
    dry_run: bool
    records_before: int
    records_after: int
    merged: int
    written: int
    removed: int
    bytes_before: int
    bytes_after: int | None = None
    linked: int = 0
    unlinked: int = 0
    step: str | None = None
    backup: str | None = None
    backup_folder: str | None = None
    compacted: bool = False
    output: str | None = None
    skipped: tuple[Skipped, ...] = ()
    kept: tuple[Skipped, ...] = ()
    added_since: int = 0
    recall: Recall | None = None
    losses: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
