"""What stands in each cell of the results: look-ups, and what was looked up once is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memdefrag.base.wording import day
from memdefrag.presenters.table import HEADER, LEFT, NOT_DUPLICATES, OPEN, TICKED, GroupTable, Rows
from memdefrag.presenters.wording import one_line

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis

LINE_CHARACTERS = 240

STATE, TEXT, SCORE, WHY, DATE = range(5)
COLUMNS = ("", "Memory", "Alike", "Why", "Date")

SURVIVOR, GOES, KEPT, SHOWN = "survivor", "goes", "kept", "shown"
_STATES = {
    SURVIVOR: "★ Survivor",
    GOES: "→ Merged in",
    KEPT: "○ Kept",
    SHOWN: "· Unchanged",
}
_HERE, _THERE = "This store", "Other store"
_UNTICKED = {OPEN: "Undecided", LEFT: "Leave", NOT_DUPLICATES: "Apart"}
_SAID = {TICKED: "decided", LEFT: "left as it is", NOT_DUPLICATES: "not duplicates"}


class Cells:
    """Texts of rows.

    Args:
        rows: which group and record stands in each row.
    """

    def __init__(self, analysis: Analysis, table: GroupTable, rows: Rows, lines: dict[int, str]) -> None:
        self._analysis, self.table, self.rows, self._lines = analysis, table, rows, lines
        self._against = analysis.options.against
        self._why: dict[tuple[int, int], str] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def group(self, row: int) -> int:
        return int(self.rows.group[row])

    def member(self, row: int) -> int:
        """The record of a row; `HEADER` in a group's own row."""
        return int(self.rows.member[row])

    def last_of_group(self, row: int) -> int:
        """The last row of the group that a row belongs to."""
        group, last = self.rows.group[row], row
        while last + 1 < len(self) and self.rows.group[last + 1] == group:
            last += 1
        return last

    def is_header(self, row: int) -> bool:
        return bool(self.rows.member[row] == HEADER)

    @property
    def can_tick(self) -> bool:
        """Whether the rows can be decided: not where two stores are compared."""
        return self._against is None

    def is_ticked(self, row: int) -> bool:
        return bool(self.table.ticked[self.rows.group[row]])

    def tier(self, row: int) -> str:
        """ "sure" or "likely"."""
        return "sure" if self.table.sure[self.rows.group[row]] else "likely"

    def state(self, row: int) -> str:
        """What happens to the memory of a row: `SURVIVOR`, `GOES`, `KEPT` or `SHOWN`."""
        group, member = self.rows.group[row], self.rows.member[row]
        if self.table.kept[member]:
            return KEPT
        if self.table.survivor[group] == member:
            return SURVIVOR if self.table.ticked[group] else SHOWN
        return GOES if self.table.ticked[group] else SHOWN

    def text(self, row: int, column: int) -> str:
        """A cell in words."""
        return self._header(row, column) if self.is_header(row) else self._memory(row, column)

    def spoken(self, row: int) -> str:
        """A whole row for those who do not see it."""
        return ", ".join(part for column in range(len(COLUMNS)) if (part := self.text(row, column)))

    def _header(self, row: int, column: int) -> str:
        group = self.group(row)
        match column:
            case 0 if self._against is not None:
                return "Alike"
            case 0:
                return "Merge" if self.table.ticked[group] else _UNTICKED[int(self.table.said[group])]
            case 1:
                left = int(self.table.size[group] - self.table.kept[self.table.members(group)].sum())
                said = _SAID.get(int(self.table.said[group]), "")
                what = f"{left} memories become 1" if self.table.ticked[group] else f"{self.table.size[group]} memories"
                extra = ["wording edited"] if self.table.edited[group] else []
                extra += [said] if said else []
                return " · ".join([what, *extra])
            case 2:
                return f"{self.table.score[group]:.2f}"
            case 3:
                return self._reason(group, int(self._least_alike(group)))
        return ""

    def _memory(self, row: int, column: int) -> str:
        group, member = self.group(row), self.member(row)
        match column:
            case 0 if self._against is not None:
                return _THERE if self._analysis.store[member] == self._against else _HERE
            case 0:
                return _STATES[self.state(row)]
            case 1:
                return self.line(member)
            case 3:
                return self._reason(group, member) if member != self.table.survivor[group] else ""
            case 4:
                return day(self._analysis.records[member].created)
        return ""

    def line(self, member: int) -> str:
        """The beginning of a memory's text, on one line."""
        if member not in self._lines:
            self._lines[member] = one_line(self._analysis.records[member].text or "(no text)", LINE_CHARACTERS)
        return self._lines[member]

    def _reason(self, group: int, member: int) -> str:
        survivor = int(self.table.survivor[group])
        if (survivor, member) not in self._why:
            self._why[survivor, member] = "; ".join(self._analysis.reasons(survivor, member))
        return self._why[survivor, member]

    def _least_alike(self, group: int) -> int:
        """The member that stands for the group's reason: the last one that is not the survivor."""
        members = self.table.members(group)
        return int(members[-1] if members[-1] != self.table.survivor[group] else members[0])
