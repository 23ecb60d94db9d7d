"""From an analysis and what was decided about it to a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from memdefrag.analysis.junk import Junk
from memdefrag.analysis.merge import CreatedRule, SurvivorRule, choose_survivor, merge_records
from memdefrag.analysis.result import Analysis
from memdefrag.model.plan import Drop, Keep, Merge, Plan, Ref, Relate, Step, Unrelate, Write
from memdefrag.model.records import Metadata, Snapshot


@dataclass(frozen=True, slots=True)
class Choice:
    """Memories to be merged, as indices into `Analysis.records`.

    Attributes:
        survivor: the one of `members` that stays.
        text: the person's own wording; None: the union of all texts.
    """

    members: tuple[int, ...]
    survivor: int
    text: str | None = None


def choice_of(analysis: Analysis, members: Sequence[int], rule: SurvivorRule) -> Choice:
    """Merge these members into the one that the rule prefers."""
    records = [analysis.records[member] for member in members]
    return Choice(tuple(members), members[choose_survivor(records, rule)])


def sure_choices(analysis: Analysis, rule: SurvivorRule, threshold: float | None = None) -> list[Choice]:
    """Merge what surely says the same, collection by collection: each has its own readers, who must not lose a
    memory because another collection holds it too."""
    found = []
    for group in analysis.groups(threshold):
        for clique in group.sure:
            found += [choice_of(analysis, members, rule) for members in by_collection(analysis, clique)]
    return found


def by_collection(analysis: Analysis, members: Iterable[int]) -> list[tuple[int, ...]]:
    """The members of each store and collection, where there are several."""
    parts: dict[tuple[int, str], list[int]] = {}
    for member in members:
        parts.setdefault((int(analysis.store[member]), analysis.records[member].key.collection), []).append(member)
    return [tuple(part) for part in parts.values() if len(part) > 1]


def build_plan(
    analysis: Analysis,
    choices: Iterable[Choice],
    *,
    now: float,
    settings: Metadata,
    fingerprint: str = "",
    created: CreatedRule = CreatedRule.EARLIEST,
) -> Plan:
    """The plan that carries out disjoint choices about one store.

    Args:
        now: seconds since 1970 UTC, the time of the change.
        settings: noted in the plan, with the reason "optimize".
        fingerprint: `Fingerprint.content` of the store.
        created: whose time of creation a merged memory carries; noted in the plan, too.
    """
    [address] = analysis.stores
    steps = tuple(_merge(analysis, choice, now, created) for choice in choices)
    agreed = sum(len(step.members) for step in steps)
    return Plan(
        source=address,
        target=address,
        source_fingerprint=fingerprint,
        settings={"reason": "optimize", "agreed_removals": agreed, "created": created.value, **settings},
        steps=steps,
    )


def drop_plan(snapshot: Snapshot, found: Iterable[Junk]) -> Plan:
    """The plan that drops what was found, each memory once."""
    why = {each.record.key: each.why for each in found}
    steps = tuple(Drop(Ref.of(snapshot.by_key[key]), reason) for key, reason in why.items())
    return Plan(
        source=snapshot.address,
        target=snapshot.address,
        source_fingerprint=snapshot.fingerprint.content if snapshot.fingerprint else "",
        settings={"reason": "junk", "agreed_removals": len(steps)},
        steps=steps,
    )


def _merge(analysis: Analysis, choice: Choice, now: float, created: CreatedRule) -> Merge:
    members = [choice.survivor, *(member for member in choice.members if member != choice.survivor)]
    records = [analysis.records[member] for member in members]
    survivor, *gone = map(Ref.of, records)
    held = analysis.can_hold(choice.survivor)
    result = merge_records(records, 0, now=now, text=choice.text, created=created, store=held)
    return Merge(survivor, tuple(gone), result, "; ".join(analysis.reasons(members[0], members[1])))


def named_records(plan: Plan) -> Iterator[str]:
    """One line for each record that a plan names, without texts."""
    def line(step: Step) -> str:
        match step:
            case Merge():
                return f"merge into {step.survivor.key}: {', '.join(str(ref.key) for ref in step.members)}"
            case Write():
                return f"write {step.key}"
            case Keep():
                return f"keep {step.record.key}"
            case Relate() | Unrelate():
                return f"{step.do} {step.relation.source} and {step.relation.target}"
            case Drop():
                return f"drop {step.record.key}"

    return map(line, plan.steps)
