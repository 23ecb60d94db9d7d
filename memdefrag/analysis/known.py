"""What of one store another one holds already: what there is to know before an import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scope import owners


class Standing(StrEnum):
    """What the known store says of a memory, the most certain first."""

    SAME = "same"
    """It holds it word for word."""
    SURE = "sure"
    """It surely says the same."""
    LIKELY = "likely"
    """It holds one that is very alike."""
    CONTRADICTS = "contradicts"
    """It holds one that is alike and says something else."""
    NEW = "new"
    """It holds nothing alike."""


@dataclass(frozen=True, slots=True)
class Known:
    """A memory (an index into `Analysis.records`) and the memory of the known store that comes nearest to it.

    Attributes:
        partner: None where it is new.
        score: of the two; None where it is new.
    """

    member: int
    standing: Standing
    partner: int | None = None
    score: float | None = None


def known(found: Analysis, threshold: float | None = None) -> list[Known]:
    """For each memory that was compared with the known store (`AnalysisOptions.against`) what that says of it.

    Of several that are alike the surest counts; where one is alike and another contradicts, the more alike of them.
    Those that are known word for word come first, the new ones last; else they stand in their stores' order.
    """
    best: dict[int, Known] = {}
    for each in (*_word_for_word(found), *_alike(found, threshold)):
        present = best.get(each.member)
        if present is None or _rank(each) < _rank(present):
            best[each.member] = each
    ours = np.flatnonzero(found.store != found.options.against).tolist()
    listed = [best.get(member, Known(member, Standing.NEW)) for member in ours]
    return sorted(listed, key=lambda each: list(Standing).index(each.standing))


def counts(listed: Sequence[Known]) -> dict[Standing, int]:
    """How many memories there are of each standing, all standings named."""
    counted = Counter(each.standing for each in listed)
    return {standing: counted[standing] for standing in Standing}


def as_dict(found: Analysis, listed: Sequence[Known]) -> dict[str, Any]:
    """The value of ``known`` in ``analyze --against --json``."""
    return {
        "counts": {standing.value: number for standing, number in counts(listed).items()},
        "memories": [_told(found, each) for each in listed],
    }


def _told(found: Analysis, each: Known) -> dict[str, Any]:
    told = {"member": found.name(each.member), "is": each.standing.value}
    if each.partner is None or each.score is None:
        return told
    return told | {
        "partner": found.name(each.partner),
        "score": round(each.score, 4),
        "reasons": found.reasons(each.member, each.partner),
    }


def _word_for_word(found: Analysis) -> Iterator[Known]:
    """By the texts themselves: of very many equal ones the analysis may not pair each with each."""
    held: dict[tuple[str | None, str], int] = {}
    owned = owners(found.records, found.store.tolist(), found.options.against)
    told = [(owner, record.text or "") for owner, record in zip(owned, found.records, strict=True)]
    on_known_side = (found.store == found.options.against).tolist()
    for member, text in enumerate(told):
        if on_known_side[member]:
            held.setdefault(text, member)
    for member, text in enumerate(told):
        if not on_known_side[member] and text[1].strip() and text in held:
            yield Known(member, Standing.SAME, held[text], 1.0)


def _alike(found: Analysis, threshold: float | None) -> Iterator[Known]:
    """Every pair of the analysis that counts, seen from the memory that is not in the known store."""
    least = np.float32(found.options.threshold if threshold is None else threshold)
    pairs = found.pairs
    member_of = {node: member for member, node in enumerate(found.node.tolist())}
    for at in np.flatnonzero(pairs.score >= least).tolist():
        member, partner = member_of[int(pairs.i[at])], member_of[int(pairs.j[at])]
        if found.store[member] == found.options.against:
            member, partner = partner, member
        standing = Standing.SURE if pairs.sure[at] else Standing.LIKELY
        yield Known(
            member, Standing.CONTRADICTS if pairs.barred[at] else standing, partner, float(pairs.score[at])
        )  # fmt: skip


def _rank(each: Known) -> tuple[int, float, bool, int]:
    """Smaller is better known."""
    certain = [Standing.SAME, Standing.SURE]
    place = certain.index(each.standing) if each.standing in certain else len(certain)
    return place, -(each.score or 0), each.standing is Standing.LIKELY, each.partner or 0
