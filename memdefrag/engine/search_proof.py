"""Proof, before anything is written, that searches will still lead to what they lead to now.

It compares the store with the planned result (`model.plan.expected`) and touches neither. Every memory that is merged
away, and every survivor as it was, is asked for by its own vector or words: its survivor must be among the first k
where it was itself. So must what the person's own queries find.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from memdefrag.base.errors import ModelUnavailable, SearchLoss
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count
from memdefrag.engine.embedding import Embed
from memdefrag.engine.own_queries import Query
from memdefrag.engine.resolve import Resolution
from memdefrag.engine.search_filters import days_lost, tags_lost, types_lost
from memdefrag.engine.search_hits import Comparison, Hit
from memdefrag.model.plan import Changes, Merge, Plan, VectorRule, expected, touched
from memdefrag.model.recall import Found, LostHit, Recall
from memdefrag.model.records import Key, Snapshot

FIRST = 5
MIN_RECALL = 0.99
"""What the command line and the window insist on unless the person says otherwise."""


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """What searches must still find.

    Attributes:
        k: a memory counts as found when it is among the first k.
        min_recall: the smallest share of what is found now that must be found afterwards; 0: nothing is refused.
        queries: the person's own.
        by_words: load no model for them.
    """

    k: int = FIRST
    min_recall: float = 0.0
    queries: tuple[Query, ...] = ()
    by_words: bool = False


def prove(
    before: Snapshot,
    changes: Changes,
    units: Iterable[Sequence[Key]],
    options: ProofOptions,
    progress: Progress,
    *,
    embed: Embed | None = None,
    pending: Collection[Key] = (),
) -> Recall | None:
    """Ask before and after; None where nothing is merged and the person has no queries.

    Args:
        units: the keys of each step, as in `Resolution`; of a merge the survivor first.
        embed: makes vectors for the person's queries; None: they are compared by words.
        pending: survivors whose vectors are not made in a rehearsal, so that nobody can tell who finds them.

    Raises:
        Cancelled: at any time.
    """
    started = time.monotonic()
    merges = [unit for unit in units if len(unit) > 1]
    if not merges and not options.queries:
        return None
    survivors = {key: unit[0] for unit in merges for key in unit if key in before.by_key}
    after = expected(before, changes)
    compared = Comparison(before, after, survivors, progress)
    notes: list[str] = []
    asked = [key for key, survivor in survivors.items() if survivor not in pending]
    if len(asked) < len(survivors):
        left = count(len(survivors) - len(asked), "memory", "memories")
        notes.append(f"{left} cannot be asked for yet: the vector of their new text is made when it is written.")
    merged = compared.merged(asked)
    own = _own(compared, sorted({key.collection for key in touched(changes)}), options, embed, notes)
    found = _found(len(merged), merged, options.k)
    return Recall(
        queries=found.queries,
        at_1=found.at_1,
        at_k=found.at_k,
        k=options.k,
        lost=tuple(_lost(hit) for hit in [*own, *merged] if hit.before <= options.k and not 0 < hit.after <= options.k),
        own=_found(len(options.queries), own, options.k) if options.queries else None,
        days_lost=days_lost(merges, before.by_key, after),
        tags_lost=tags_lost(merges, before.by_key, after),
        types_lost=types_lost(merges, before.by_key, after),
        notes=tuple(notes),
        seconds=time.monotonic() - started,
    )


class Applying(Protocol):
    """What it takes to know of the options of a write (`engine.apply.ApplyOptions`)."""

    @property
    def dry_run(self) -> bool: ...
    @property
    def embed(self) -> Embed | None: ...
    @property
    def proof(self) -> ProofOptions: ...


def proved(
    plan: Plan, before: Snapshot, resolution: Resolution, options: Applying, progress: Progress
) -> Recall | None:
    """The proof of a plan. A dry run tells what would be lost, and makes no vectors for new texts.

    Raises:
        SearchLoss: the plan is to be carried out, and less would be found than `ProofOptions.min_recall` wants.
        Cancelled: at any time.
    """
    merges = [step for step in plan.steps if isinstance(step, Merge)]
    renewed = {step.survivor.key for step in merges if step.result.vector is VectorRule.EMBED}
    new = {unit[0] for unit in resolution.units if not renewed.isdisjoint(unit)}
    recall = prove(
        before,
        resolution.changes,
        resolution.units,
        options.proof,
        progress,
        embed=options.embed,
        pending=new if options.dry_run else (),
    )
    message = shortfall(recall, options.proof)
    if message and not options.dry_run:
        raise SearchLoss(message)
    return recall


def shortfall(recall: Recall | None, options: ProofOptions) -> str:
    """Why a plan is refused; empty where it is not."""
    if recall is None or recall.lowest >= options.min_recall:
        return ""
    worst = recall.lost[0]
    return (
        f"Searches would lose too much: of what they find among the first {recall.k} now, they would find "
        f"{recall.lowest:.1%} afterwards, and {options.min_recall:.1%} is wanted. "
        f"{count(len(recall.lost), 'hit')} would be lost, the first is {worst.memory}."
    )


def _own(
    compared: Comparison, names: Sequence[str], options: ProofOptions, embed: Embed | None, notes: list[str]
) -> list[Hit]:
    """What the person's queries find, in the collections that change: by vector, or by words where that cannot be."""
    hits: list[Hit] = []
    for name in names if options.queries else ():
        neighbours = [
            record for record in compared.before if record.key.collection == name and record.embedding is not None
        ]
        if embed and neighbours and not options.by_words:
            try:
                vectors = embed([query.text for query in options.queries], neighbours)
            except ModelUnavailable as error:
                notes.append(f"Your queries were compared with {name} by words: {error.message}")
            else:
                hits += compared.by_vector(name, options.queries, vectors, options.k)
                continue
        else:
            why = "no model was wanted" if neighbours else "it has no vectors"
            notes.append(f"Your queries were compared with {name} by words: {why}.")
        hits += compared.by_words(name, options.queries, options.k)
    answered = {hit.query for hit in hits}
    missing = sum(bool(query.expect) and query.text not in answered for query in options.queries)
    if missing:
        are = count(missing, "of your queries does", "of your queries do")
        notes.append(f"{are} not find what you expect among the first {options.k} of what is changed, even now.")
    return hits


def _found(queries: int, hits: Sequence[Hit], k: int) -> Found:
    def share(first: int) -> float:
        kept = [0 < hit.after <= first for hit in hits if 0 < hit.before <= first]
        return sum(kept) / len(kept) if kept else 1.0

    return Found(queries, share(1), share(k))


def _lost(hit: Hit) -> LostHit:
    return LostHit(hit.query, str(hit.memory), str(hit.survivor), hit.before, hit.after or None)
