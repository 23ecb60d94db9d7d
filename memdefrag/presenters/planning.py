"""From what is ticked to a plan, and what in it deserves a second look."""

from __future__ import annotations

import time
from collections.abc import Iterator

from memdefrag.analysis.embedding.windows import is_long
from memdefrag.analysis.merge import CreatedRule
from memdefrag.engine import planning
from memdefrag.model.plan import Merge, Plan
from memdefrag.presenters.arrange import ReviewData
from memdefrag.presenters.decisions import Action, Choice, Decisions
from memdefrag.presenters.table import GroupTable
from memdefrag.presenters.wording import one_line

_SHOWN_CHARACTERS = 90


def plan_of(
    data: ReviewData, table: GroupTable, decisions: Decisions, created: CreatedRule = CreatedRule.EARLIEST
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of all that is ticked, and its risks in words; `created` is whose time a merged memory carries.

    A decided update goes before a group that holds one of its memories: that group is left as it is.
    """
    chosen, clashing = disjoint([*_updates(decisions), *_ticked(table, decisions)])
    plan = planning.build_plan(
        data.analysis,
        [planning.Choice((choice.survivor, *sorted(choice.gone)), choice.survivor, choice.text) for choice in chosen],
        now=time.time(),
        settings={},
        fingerprint=data.fingerprint,
        created=created,
    )

    def line(choice: Choice) -> str:
        return one_line(data.analysis.records[choice.survivor].text or "", _SHOWN_CHARACTERS)

    risks = [f"Left as it is, because one of its memories takes part in an update: {line(it)}" for it in clashing]
    for choice, step in zip(chosen, plan.steps, strict=True):
        assert isinstance(step, Merge)
        risks += [f"{why}: {line(choice)}" for why in _risks(table, choice, step)]
    return plan, tuple(risks)


def disjoint(choices: list[Choice]) -> tuple[list[Choice], list[Choice]]:
    """Those that change something and share no memory with an earlier one; and those that do share one."""
    taken: set[int] = set()
    chosen, clashing = [], []
    for choice in choices:
        changed = choice.gone | {choice.survivor}
        if not choice.gone:
            continue
        if taken & changed:
            clashing.append(choice)
        else:
            taken |= changed
            chosen.append(choice)
    return chosen, clashing


def _updates(decisions: Decisions) -> list[Choice]:
    return [choice for choice in decisions if choice.update and choice.action is Action.MERGE]


def _ticked(table: GroupTable, decisions: Decisions) -> Iterator[Choice]:
    for group in range(len(table)):
        if table.ticked[group]:
            members = frozenset(table.members(group).tolist())
            yield decisions.get(members) or Choice(members, Action.MERGE, int(table.survivor[group]))


def _risks(table: GroupTable, choice: Choice, step: Merge) -> Iterator[str]:
    if choice.update:
        yield "The older of two memories that contradict each other is removed"
    elif not table.sure[table.label[choice.survivor]]:
        yield "Only likely the same"
    if is_long(step.result.text):
        yield "The merged text is long; searches may find its end less well"
