"""What a migration is asked to do and what came of it, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Not needed to run, and the command line asks for these options before anything heavy is loaded.
    from memdefrag.model.records import Key, Metadata


class Conflict(StrEnum):
    """What becomes of a memory whose name is taken in the target by one that says something else."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    NEWEST = "newest"
    """The one that was changed last wins; where that cannot be told, the target's."""
    KEEP_BOTH = "keep-both"
    """The source's is written beside it under a name of its own."""


class Depth(StrEnum):
    """How much is compared once more, when all is written and every memory was read back on the way."""

    FULL = "full"
    SAMPLE = "sample"


class Outcome(StrEnum):
    """What becomes of one memory of the source."""

    COPY = "copy"
    SAME = "same"
    """It is in the target already."""
    DUPLICATE = "duplicate"
    """Another memory that is in the target, or is copied, surely says the same."""
    DEAD = "dead"
    """It is deleted or replaced in the source, and the target has no way to say so."""
    CONFLICT = "conflict"
    """Its name is taken by a memory that says something else, which stays."""
    FAIL = "fail"
    """The target cannot take it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories take part; all by default.

    Attributes:
        prefix: of their ids.
        where: metadata values, compared as text.
        tags: they have all of these.
        since: created or changed at or after this moment (seconds since 1970); without any time they take part.
    """

    prefix: str = ""
    where: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class MetadataMap:
    """How metadata are changed on the way: dropped, then renamed, then set.

    A key that is renamed to one that is there already replaces it.
    """

    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    set: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a server is written.

    Attributes:
        batch: records in one request; None: what the store takes well.
        delay: seconds between two batches.
        max_rate: records in a second at most; None: as fast as the server answers.
        timeout: seconds of silence after which a server, read or written, is given up; None: the usual.
    """

    batch: int | None = None
    delay: float = 0.0
    max_rate: float | None = None
    timeout: float | None = None


GENTLE = Pace(batch=10, delay=1.0)
"""The pace of Memory Service's own migration script."""


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """How memories are brought from one store into another.

    Attributes:
        target_collection: where all go; None: each into one of its own name.
        rename: collections that get another name in the target.
        re_embed: make all vectors anew with the model of this name; None: keep the source's.
        skip_duplicates: leave out what surely says the same as another memory of either store.
        resume: go on with a migration that was interrupted.
        catch_up: copy only what was added or changed since the last migration between the two.
        mirror: with `catch_up`, also remove what disappeared from the source since.
        rollback_on_failure: take everything back when the comparison afterwards finds a difference.
    """

    conflict: Conflict = Conflict.SKIP
    selection: Selection = field(default_factory=Selection)
    metadata: MetadataMap = field(default_factory=MetadataMap)
    target_collection: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    re_embed: str | None = None
    skip_duplicates: bool = False
    verify: Depth = Depth.SAMPLE
    pace: Pace = field(default_factory=Pace)
    dry_run: bool = False
    resume: bool = False
    catch_up: bool = False
    mirror: bool = False
    rollback_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One memory of the source and what becomes of it.

    Attributes:
        target: its key in the target; where it has none, the one in the source.
        reason: why, in words; empty for a plain copy.
        losses: what the target has no place for.
        replaces: whether a memory of the target is written over.
    """

    source: Key
    target: Key
    outcome: Outcome
    reason: str = ""
    losses: tuple[str, ...] = ()
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What the comparison with the source looked at, and found.

    Attributes:
        records, vectors, relations: that were read back when they were written.
        again: records that were compared once more in the end.
        probes: searches that had to find what was written.
        differences: in words, one for each thing that is not as it should be.
    """

    records: int
    vectors: int
    relations: int
    probes: int
    again: int
    differences: tuple[str, ...] = ()


TAKEN_BACK = "Not everything came to be as it should; everything was taken back."
"""What is said of a migration that was `MigrationReport.rolled_back`."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """The outcome of a migration, or of its rehearsal.

    Attributes:
        entries: every memory that takes part.
        relations: links that are copied; `relations_lost`: those that the target has no place for, or whose memories
            are not there; `relation_losses`: what is lost of any of them, with the number of links concerned.
        checked: None where nothing was written.
        bytes: about how much is written.
        estimate: about how many seconds that takes; None where no rate is known.
        gone: memories that disappeared from the source since the last migration; `removed` of them were removed.
    """

    source: str
    target: str
    dry_run: bool
    entries: tuple[Entry, ...] = ()
    relations: int = 0
    relations_lost: int = 0
    relation_losses: Mapping[str, int] = field(default_factory=dict)
    checked: Checked | None = None
    bytes: int = 0
    estimate: float | None = None
    gone: tuple[Key, ...] = ()
    removed: int = 0
    backup: str | None = None
    step: str | None = None
    rolled_back: bool = False
    warnings: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    seconds: float = 0.0

    def count(self, *outcomes: Outcome) -> int:
        """How many entries have one of these outcomes."""
        return sum(entry.outcome in outcomes for entry in self.entries)

    @property
    def found(self) -> int:
        return len(self.entries)

    @property
    def copied(self) -> int:
        return self.count(Outcome.COPY)

    @property
    def skipped(self) -> int:
        return self.count(Outcome.SAME, Outcome.DUPLICATE, Outcome.DEAD)

    @property
    def conflicts(self) -> int:
        return self.count(Outcome.CONFLICT)

    @property
    def failed(self) -> int:
        return self.count(Outcome.FAIL)

    @property
    def losses(self) -> dict[str, int]:
        """What the target has no place for, with the number of copied memories concerned."""
        copied = (entry.losses for entry in self.entries if entry.outcome is Outcome.COPY)
        return dict(Counter(loss for losses in copied for loss in losses).most_common())

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` says."""
        failures = [_told(entry) for entry in self.entries if entry.outcome is Outcome.FAIL]
        checked = self.checked
        return {
            "source": self.source,
            "target": self.target,
            "dry_run": self.dry_run,
            "found": self.found,
            "copied": self.copied,
            "overwritten": sum(entry.replaces for entry in self.entries if entry.outcome is Outcome.COPY),
            "skipped": self.skipped,
            "conflicts": self.conflicts,
            "failed": self.failed,
            "relations": {
                "copied": self.relations, "lost": self.relations_lost, "losses": dict(self.relation_losses),
            },
            "losses": self.losses,
            "verified": checked is not None and not checked.differences,
            "checked": None if checked is None else {
                "records": checked.records, "vectors": checked.vectors, "relations": checked.relations,
                "probes": checked.probes, "again": checked.again, "differences": list(checked.differences),
            },
            "gone": [str(key) for key in self.gone],
            "removed": self.removed,
            "bytes": self.bytes,
            "estimated_seconds": self.estimate,
            "backup": self.backup,
            "step": self.step,
            "rolled_back": self.rolled_back,
            "warnings": list(self.warnings),
            "next_steps": list(self.next_steps),
            "seconds": self.seconds,
            "failures": failures,
            "entries": [_told(entry) for entry in self.entries],
        }  # fmt: skip


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "source": str(entry.source),
        "target": str(entry.target),
        "outcome": str(entry.outcome),
        "reason": entry.reason,
        "losses": list(entry.losses),
    }
