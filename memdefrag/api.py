"""For other programs: what says the same in a store, in texts or in records. Reads only, and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.apart import Apart
from memdefrag.analysis.known import known
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis, Conflict, Group
from memdefrag.base.errors import UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.engine import apart
from memdefrag.engine.compare import ModelOptions, compare
from memdefrag.engine.steady import read_steadily
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

Member = str | int
"""How a memory is named: by its id (``COLLECTION/ID`` where there are several collections); a text without an id by
its index."""

Source = str | Path | Sequence[str] | Sequence[MemoryRecord]

_ASKED, _AGAINST = 0, 1


class _Side(NamedTuple):
    """One of the two things that are compared, and how its memories are named to the caller."""

    snapshot: Snapshot
    name: Callable[[Key], Member]


_Names = Callable[[int], Member]
"""How the caller knows a member of the analysis."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Memories that say the same thing. Every memory is in at most one group.

    Attributes:
        members: two or more, in the order of what was asked about.
        tier: "sure": all say the same, down to numbers, names and negations; "likely": a person should look.
        sure: the disjoint sets of members (two or more each) of which every two surely say the same.
        score: of the least alike two, from 0 to 1.
        cosine: the lowest of two of their vectors, from -1 to 1; None where no two have comparable vectors.
        reasons: for each of ``members[1:]`` why it is taken for the same as ``members[0]``.
    """

    members: tuple[Member, ...]
    tier: str
    sure: tuple[tuple[Member, ...], ...]
    score: float
    cosine: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DuplicateConflict:
    """Two memories that are alike but contradict each other, perhaps an update. They are never in one group.

    Attributes:
        members: the newer first; in the order of what was asked about where the times are not known.
        score: how alike they are, from 0 to 1.
        differs_in: what tells them apart, as ``port: 8080 / 8081``, in the order of the members.
    """

    members: tuple[Member, Member]
    score: float
    differs_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownMemory:
    """What `against` holds of one memory.

    Attributes:
        member: the memory that was asked about.
        standing: "same" (word for word there), "sure" (surely says the same), "likely" (very alike), "contradicts"
            (alike, and says something else) or "new".
        partner: the memory of `against` that comes nearest to it; None where it is new.
        score: of the two, from 0 to 1; None where it is new.
        reasons: why the two are, or are not, taken for the same.
    """

    member: Member
    standing: str
    partner: Member | None
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What `find_duplicates` found.

    Attributes:
        count: memories that took part (those of `against` left out).
        threshold: the score from which pairs were suggested.
        groups: the sure ones first, then by falling score; empty with `against`.
        conflicts: those with the newest memories first; empty with `against`.
        known: with `against`, for each memory in its order what is known of it there; else empty.
        notes: sentences about what could not be compared as it should, and why.
    """

    count: int
    threshold: float
    groups: tuple[DuplicateGroup, ...]
    conflicts: tuple[DuplicateConflict, ...]
    known: tuple[KnownMemory, ...]
    notes: tuple[str, ...]


def find_duplicates(
    store_or_texts: Source,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    vectors: npt.ArrayLike | None = None,
    ids: Sequence[str] | None = None,
    model: str | None = None,
    no_model: bool = False,
    long_work: bool = False,
    across_collections: bool = False,
    against: Source | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Duplicates:
    """Find memories that say the same thing, and those that contradict each other.

    Memories of a store that the person told apart (`engine.apart`) are neither. Nothing is written to any store, and
    nothing is printed. Vectors made for texts that lack one, and what was found out about pairs of a store's memories,
    are kept in memdefrag's cache folder; neither holds a text.

    Args:
        store_or_texts: the address of a store (a str or Path; see docs/addresses.md), a sequence of n texts, or a
            sequence of `memdefrag.model.records.MemoryRecord`. A single str is always an address.
        threshold: pairs are suggested from this score on, from 0 to 1.
        vectors: of texts: (n, d) numbers, taken as float32, of any length; row k belongs to text k. A row of zeros, or
            with NaN or infinity in it, stands for none: that text is compared by its words.
        ids: of texts: n distinct names.
        model: a model on this machine (a name or a folder) for memories without a vector; None: the default one, where
            the extra ``models`` is installed.
        no_model: load no model: memories without a vector are compared by their words.
        long_work: go on although making vectors takes more than two minutes.
        across_collections: whether memories of different collections may be the same; with `against` they always may.
        against: a second source (an address, texts or records): of each memory of the first is told whether the second
            holds it, and no two of one side are compared.
        progress: called in this thread with the phase, how much of it is done, and of how much (None: not known). What
            it raises ends the work.

    Raises:
        UsageError: the arguments contradict each other, or are none of what is said above.
        StoreError: the store cannot be read; the classes below it say why (memdefrag.base.errors).
        ModelUnavailable: the model that was named is not here.
        ConfirmationNeeded: making vectors takes more than two minutes, and `long_work` is False.
    """
    _require(_is_share(threshold), f"The threshold {threshold} is not between 0 and 1.")
    _require(not (model and no_model), "A model and no model cannot both be wanted.")
    telling = Progress((lambda tick: progress(tick.phase, tick.done, tick.total)) if progress else None)
    sides = [_side(store_or_texts, vectors, ids, telling)]
    if against is not None:
        sides.append(_side(against, None, None, telling))
    snapshots = [side.snapshot for side in sides]
    stored = all(each.address for each in snapshots)
    options = AnalysisOptions(
        threshold=threshold,
        across_collections=across_collections or against is not None,
        apart=apart.load() if stored else Apart(),
        against=None if against is None else _AGAINST,
    )
    wanted = ModelOptions(use=not no_model, name=model, long_work=long_work)
    found, notes = compare(snapshots, options, wanted, telling, remember=stored)

    def name(member: int) -> Member:
        return sides[int(found.store[member])].name(found.records[member].key)

    alone = against is None
    return Duplicates(
        count=int(np.count_nonzero(found.store == _ASKED)),
        threshold=threshold,
        groups=tuple(_group(found, group, name) for group in found.groups()) if alone else (),
        conflicts=tuple(_conflict(conflict, name) for conflict in found.conflicts()) if alone else (),
        known=() if alone else tuple(_known(found, name)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 1


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UsageError(otherwise, safe="Nothing was read.")


def _side(source: Source, vectors: npt.ArrayLike | None, ids: Sequence[str] | None, progress: Progress) -> _Side:
    if isinstance(source, str | Path):
        _require(vectors is None and ids is None, "A store has vectors and ids of its own; name them for texts only.")
        return _with_own_names(read_steadily(str(source), progress)[0])
    _require(isinstance(source, Sequence), f"{type(source).__name__} is neither an address nor a sequence.")
    if source and all(isinstance(each, MemoryRecord) for each in source):
        _require(vectors is None and ids is None, "Records have vectors and ids of their own.")
        return _of_records(cast(Sequence[MemoryRecord], source))
    _require(all(isinstance(each, str) for each in source), "A sequence must hold texts only, or records only.")
    return _of_texts(cast(Sequence[str], source), vectors, ids)


def _with_own_names(snapshot: Snapshot) -> _Side:
    several = len(snapshot.collections) > 1
    return _Side(snapshot, lambda key: str(key) if several else key.id)


def _of_records(records: Sequence[MemoryRecord]) -> _Side:
    _require(len({record.key for record in records}) == len(records), "Two records bear the same name.")
    collections = sorted({record.key.collection for record in records})
    infos = tuple(CollectionInfo(name, 0, 0, 0) for name in collections)
    return _with_own_names(Snapshot("", infos, tuple(records)))


def _of_texts(texts: Sequence[str], vectors: npt.ArrayLike | None, ids: Sequence[str] | None) -> _Side:
    if ids is not None:
        _require(len(ids) == len(texts) == len(set(ids)), "There must be one id of its own for each text.")
    rows = [None] * len(texts) if vectors is None else _matrix(vectors, len(texts))
    records = [
        MemoryRecord(Key("texts", str(number)), text, embedding=row)
        for number, (text, row) in enumerate(zip(texts, rows, strict=True))
    ]
    info = CollectionInfo("texts", len(texts), len(texts), 0 if vectors is None else len(texts))
    return _Side(Snapshot("", (info,), tuple(records)), lambda key: int(key.id) if ids is None else ids[int(key.id)])


def _matrix(vectors: npt.ArrayLike, rows: int) -> npt.NDArray[np.float32]:
    try:
        given = np.asarray(vectors)
        if np.iscomplexobj(given):
            raise TypeError("they are complex")
        # What float32 cannot hold becomes infinite, and that stands for no vector.
        with np.errstate(over="ignore"):
            matrix = given.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The vectors are no table of numbers: {error}.", safe="Nothing was read.") from error
    _require(matrix.ndim == 2 and len(matrix) == rows, f"Vectors of the shape {matrix.shape} do not fit {rows} texts.")
    return matrix


def _group(found: Analysis, group: Group, name: _Names) -> DuplicateGroup:
    first, *others = group.members
    return DuplicateGroup(
        members=tuple(map(name, group.members)),
        tier=group.tier,
        sure=tuple(tuple(map(name, clique)) for clique in group.sure),
        score=group.score,
        cosine=group.cosine,
        reasons=tuple("; ".join(found.reasons(first, other)) for other in others),
    )


def _conflict(conflict: Conflict, name: _Names) -> DuplicateConflict:
    newer, older = conflict.members
    return DuplicateConflict((name(newer), name(older)), conflict.score, conflict.differs_in)


def _known(found: Analysis, name: _Names) -> Iterator[KnownMemory]:
    for each in sorted(known(found), key=lambda each: each.member):
        reasons = () if each.partner is None else tuple(found.reasons(each.member, each.partner))
        partner = None if each.partner is None else name(each.partner)
        yield KnownMemory(name(each.member), each.standing.value, partner, each.score, reasons)
