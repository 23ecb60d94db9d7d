"""The page of results: what says the same, why, and what the person wants done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from memdefrag.analysis.merge import CreatedRule, SurvivorRule
from memdefrag.presenters import arrange
from memdefrag.presenters.arrange import Facet, Order, ReviewData
from memdefrag.presenters.cells import Cells
from memdefrag.presenters.decisions import Action, Choice, Decisions, pack
from memdefrag.presenters.table import HEADER, OPEN, Consequences, Flags, GroupTable, Ints

SURVIVOR_STAYS = "The survivor stays. Press Enter on another memory to keep that one instead."
LOOKING_ONLY = (
    "Two stores are compared: this is for looking, and nothing can be ticked. To merge, analyse one store by itself."
)


@dataclass(frozen=True)
class ReviewState:
    """The page's content.

    Attributes:
        cells: the rows; the same object for as long as no row moves.
        revision: grows with every change inside the rows.
        row: the current one, -1 for none.
        facets: name and number of groups.
        strip: the consequences in words.
        bulk: what "tick all shown" would do, in words.
        updates: number of possible updates at this threshold.
        notice: why a key did nothing; empty mostly.
        looking_only: two stores are compared; nothing can be decided.
    """

    cells: Cells | None = None
    revision: int = 0
    row: int = -1
    threshold: float = 0.85
    facet: Facet = Facet.ALL
    facets: tuple[tuple[Facet, int], ...] = ()
    filter: str = ""
    order: Order = Order.SUREST
    rule: SurvivorRule = SurvivorRule.OLDEST
    created: CreatedRule = CreatedRule.EARLIEST
    strip: tuple[tuple[str, str], ...] = ()
    consequences: Consequences = field(default_factory=lambda: Consequences(0, 0, 0, 0))
    shown: int = 0
    bulk: str = ""
    updates: int = 0
    can_undo: bool = False
    notice: str = ""
    looking_only: bool = False


class ReviewView(Protocol):
    def update_state(self, state: ReviewState) -> None: ...

    def show_analysis(self, data: ReviewData) -> None:
        """A new analysis: its histogram and the slider's range."""
        ...


class ReviewPresenter:
    """Holds the decisions about one analysis; every method is one key or click.

    Args:
        changed: called after every change, so that `saved` is written down.
        optimize: called to go on to the plan.
    """

    def __init__(
        self,
        make_view: Callable[[ReviewPresenter], ReviewView],
        changed: Callable[[], None],
        optimize: Callable[[], None],
    ) -> None:
        self._changed, self.optimize = changed, optimize
        self.decisions = Decisions()
        self.data: ReviewData | None = None
        self.state = ReviewState()
        self._lines: dict[int, str] = {}
        self._matches: Flags | None = None
        self._view = make_view(self)

    def show(self, data: ReviewData, saved: dict[str, Any]) -> None:
        """Present an analysis, with the decisions of an earlier sitting."""
        self.data, self.decisions, self._lines, self._matches = data, Decisions(), {}, None
        self.decisions.load(saved, data.analysis.records)
        rule = SurvivorRule(saved.get("rule", SurvivorRule.OLDEST))
        created = CreatedRule(saved.get("created", CreatedRule.EARLIEST))
        threshold = float(saved.get("threshold", data.analysis.options.threshold))
        self.state = ReviewState(
            threshold=max(threshold, data.lowest), rule=rule, created=created, looking_only=self.looking_only
        )
        self._view.show_analysis(data)
        self._regroup()

    def saved(self) -> Callable[[], dict[str, Any]]:
        """What makes JSON values of the present decisions, for `show` another time; may run in any thread."""
        dump = self.decisions.dump(self.data.analysis.records if self.data else ())
        state = self.state
        settings = {"threshold": state.threshold, "rule": state.rule.value, "created": state.created.value}
        return lambda: dump() | settings

    @property
    def table(self) -> GroupTable | None:
        """The groups at the present threshold."""
        return self.state.cells.table if self.state.cells is not None else None

    @property
    def looking_only(self) -> bool:
        """Whether two stores are compared. Plans are about one, so nothing can be decided then."""
        return self.data is not None and self.data.analysis.options.against is not None

    # What is shown

    def set_threshold(self, threshold: float) -> None:
        if abs(threshold - self.state.threshold) > 1e-9:
            self.state = replace(self.state, threshold=threshold, notice="")
            self._regroup()
            self._changed()

    def set_rule(self, rule: SurvivorRule) -> None:
        """Which member survives where the person did not say."""
        self.state = replace(self.state, rule=rule, notice="")
        self._regroup()
        self._changed()

    def set_created(self, created: CreatedRule) -> None:
        """Whose time of creation a merged memory carries."""
        self.state = replace(self.state, created=created, notice="")
        self._refresh()
        self._changed()

    def set_filter(self, text: str) -> None:
        """Show only groups of which one memory holds the text."""
        assert self.data
        self.state = replace(self.state, filter=text, notice="")
        wanted = text.strip().casefold()
        self._matches = np.fromiter((wanted in t for t in self.data.texts), np.bool_) if wanted else None
        self._rearrange()

    def set_facet(self, facet: Facet) -> None:
        self.state = replace(self.state, facet=facet, notice="")
        self._rearrange()

    def set_order(self, order: Order) -> None:
        self.state = replace(self.state, order=order, notice="")
        self._rearrange()

    # Where the person is

    def select(self, row: int) -> None:
        """The person went to a row."""
        if row != self.state.row:
            self._show(replace(self.state, row=row, notice=""))

    def step_group(self, by: int) -> None:
        """To the header of the next (1) or previous (-1) group."""
        headers = self._headers()
        if not len(headers):
            return
        at = int(np.searchsorted(headers, self.state.row, side="right")) - 1
        if by < 0 and at >= 0 and self.state.row > headers[at]:
            by = 0
        self.select(int(headers[min(max(at + by, 0), len(headers) - 1)]))

    @property
    def group(self) -> int:
        """The current group, -1 for none."""
        return self.state.cells.group(self.state.row) if self.state.cells is not None and self.state.row >= 0 else -1

    @property
    def member(self) -> int:
        """The memory to look at: the current row's, or in a group's own row the first that is not the survivor."""
        if self.group < 0 or self.state.cells is None or self.table is None:
            return HEADER
        member = self.state.cells.member(self.state.row)
        if member != HEADER:
            return member
        others = self.table.members(self.group)
        return int(next(one for one in others if one != self.table.survivor[self.group]))

    # Decisions about the current group

    def merge_all(self) -> None:
        """Tick the group with all its members, and go on."""
        if (choice := self.choice) is not None:
            self._decide(replace(choice, action=Action.MERGE, kept=frozenset()), go_on=True)

    def not_duplicates(self) -> None:
        """The members are different memories; remembered for good. And go on."""
        if (choice := self.choice) is not None:
            self._decide(replace(choice, action=Action.APART, kept=frozenset(), text=None), go_on=True)

    def toggle(self) -> None:
        """In a group's own row: tick or untick it. In a memory's row: keep that one, or let it merge."""
        choice = self.choice
        if choice is None or self.state.cells is None or self.table is None:
            return
        member = self.state.cells.member(self.state.row)
        ticked = bool(self.table.ticked[self.group])
        if member == HEADER:
            action = Action.LEAVE if ticked else Action.MERGE
            self._decide(replace(choice, action=action, kept=choice.kept if ticked else frozenset()))
        elif member == choice.survivor:
            self._show(replace(self.state, notice=SURVIVOR_STAYS))
        elif not ticked:
            others = choice.members - {member, choice.survivor}
            self._decide(replace(choice, action=Action.MERGE, kept=others))
        else:
            kept = choice.kept ^ {member}
            alone = kept == choice.members - {choice.survivor}
            action = Action.LEAVE if alone else Action.MERGE
            self._decide(replace(choice, action=action, kept=frozenset() if alone else kept))

    def make_survivor(self) -> None:
        """The current memory is the one to keep; the others merge into it."""
        choice = self.choice
        if choice is None or self.state.cells is None:
            return
        member = self.state.cells.member(self.state.row)
        if member != HEADER:
            self._decide(replace(choice, action=Action.MERGE, survivor=member, kept=choice.kept - {member}))

    def edit(self, text: str | None) -> None:
        """The person's own wording of the merged memory; None: the automatic one again."""
        choice = self.choice
        if choice is None or choice.text == text:
            return
        edited = replace(choice, action=Action.MERGE, text=text)
        if choice.text is not None and text is not None and self.decisions.get(choice.members):
            self.decisions.replace_last(edited)
            self._took([edited])
        else:
            self._decide(edited)

    # Decisions about many groups

    def tick_shown(self, tick: bool) -> None:
        """Tick (or untick) every group that is shown and was not told apart; one step for Undo."""
        assert self.table is not None
        if self._is_barred():
            return
        action = Action.MERGE if tick else Action.LEAVE
        groups = arrange.in_bulk(self.table, self._shown_groups(), tick)
        choices = [replace(self._choice_of(group), action=action) for group in groups.tolist()]
        self.decisions.take(choices)
        self._took(choices)

    def undo(self) -> None:
        """Take the last decision back and go there."""
        sets = self.decisions.undo()
        if not sets:
            return
        self._regroup()
        self._changed()
        assert self.table is not None
        groups = [group for members in sets if (group := self.table.find(members)) >= 0]
        if groups:
            self._go_to(groups[0])

    def decide_update(self, choice: Choice) -> str:
        """Take a decision about a possible update; returns why it cannot be taken, or ""."""
        if self.looking_only:
            return LOOKING_ONLY
        taken: set[int] = set()
        for other in self.decisions:
            if other.update and other.action is Action.MERGE and other.members != choice.members:
                taken |= other.members
        if choice.action is Action.MERGE and taken & choice.members:
            return "One of the two already takes part in another update. Undo that one first."
        self.decisions.take([choice])
        self._regroup()
        self._changed()
        return ""

    @property
    def choice(self) -> Choice | None:
        """What was said, or holds by itself, about the current group."""
        return self._choice_of(self.group) if self.group >= 0 else None

    def _choice_of(self, group: int) -> Choice:
        """What was said about a group, or what holds as long as nothing was."""
        assert self.table is not None
        members = frozenset(self.table.members(group).tolist())
        said = self.decisions.get(members)
        if said is not None:
            return said
        action = Action.MERGE if self.table.ticked[group] else Action.LEAVE
        return Choice(members, action, int(self.table.survivor[group]))

    def _is_barred(self) -> bool:
        """Whether nothing can be decided; the person is told."""
        if self.looking_only:
            self._show(replace(self.state, notice=LOOKING_ONLY))
        return self.looking_only

    def _decide(self, choice: Choice, *, go_on: bool = False) -> None:
        if self._is_barred():
            return
        self.decisions.take([choice])
        self._took([choice])
        if go_on:
            self._go_to_next_undecided()

    def _took(self, choices: Sequence[Choice]) -> None:
        assert self.table is not None
        self.table.take(pack(choices))
        self._refresh()
        self._changed()

    def _go_to_next_undecided(self) -> None:
        assert self.table is not None
        headers = self._headers()
        ahead = headers[headers > self.state.row]
        undecided = ahead[self.table.said[self._groups_at(ahead)] == OPEN]
        if len(undecided):
            self.select(int(undecided[0]))

    def _go_to(self, group: int) -> None:
        headers = self._headers()
        found = headers[self._groups_at(headers) == group]
        if len(found):
            self.select(int(found[0]))

    def _headers(self) -> Ints:
        if self.state.cells is None:
            return np.zeros(0, np.int32)
        return np.flatnonzero(self.state.cells.rows.member == HEADER).astype(np.int32)

    def _groups_at(self, rows: Ints) -> Ints:
        assert self.state.cells is not None
        groups: Ints = self.state.cells.rows.group[rows]
        return groups

    def _shown_groups(self) -> Ints:
        return self._groups_at(self._headers()) if self.state.cells is not None else self._headers()

    # From decisions to what is shown

    def _regroup(self) -> None:
        """Other groups: another threshold, rule, or decision about pairs."""
        assert self.data is not None
        grouping = self.data.analysis.grouping(self.state.threshold)
        by_rank = self.data.by_rank[self.state.rule]
        table = GroupTable(grouping, by_rank, self.data.weight, self.decisions.packed())
        if self.looking_only:
            table.ticked[:] = False
        self._arrange(table)

    def _rearrange(self) -> None:
        """The same groups, others of them shown or in another order."""
        if self.table is not None:
            self._arrange(self.table)

    def _arrange(self, table: GroupTable) -> None:
        """Show these groups; the person stays at the same memory."""
        assert self.data is not None
        before, cells = self.member, self.state.cells
        in_header = cells is not None and self.state.row >= 0 and cells.is_header(self.state.row)
        groups = arrange.arranged(table, self.data, self.state.facet, self.state.order, self._matches)
        rows = table.rows(groups)
        self.state = replace(
            self.state,
            cells=Cells(self.data.analysis, table, rows, self._lines),
            row=arrange.row_of(rows, before, in_header),
            shown=len(groups),
        )
        self._refresh()

    def _refresh(self) -> None:
        assert self.data is not None and self.table is not None
        consequences = self.table.consequences()
        self._show(
            replace(
                self.state,
                revision=self.state.revision + 1,
                facets=arrange.facets(self.table),
                consequences=consequences,
                strip=arrange.strip(consequences),
                bulk=arrange.bulk(self.table, self._shown_groups()),
                updates=arrange.updates(self.data.analysis, self.state.threshold),
                can_undo=self.decisions.can_undo,
                notice="",
            )
        )

    def _show(self, state: ReviewState) -> None:
        self.state = state
        self._view.update_state(state)
