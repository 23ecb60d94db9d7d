"""Beside the results: the current memory against the one that stays, and what the merge makes of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import day, plain
from memdefrag.presenters.compare import Span, Value, metadata_rows, word_diff
from memdefrag.presenters.decisions import Choice
from memdefrag.presenters.review import LOOKING_ONLY, ReviewPresenter

if TYPE_CHECKING:
    from memdefrag.model.records import MemoryRecord

_STORES = ("This store", "Other store")
LONG_NOTE = "This is long: a search may find its end less well."
EDITED_NOTE = "Your own wording; it gets a vector of its own, made by the store's model."
AUTOMATIC_NOTE = "All that the merged memories say, nothing twice. You can edit it."
TOO_LONG_NOTE = "This text is too long to be shown whole, so it cannot be edited here."
_LOST = re.compile("[\\ud800-\\udfff\\ufdd0\\ufdd1]")
"""Characters that Qt's text box does not give back (tried with all up to U+02FF and the odd ones above)."""
STRANGE_NOTE = "This text holds characters that cannot be shown, so it cannot be edited here without losing them."


@dataclass(frozen=True, slots=True)
class Details:
    """What the tabs show; `editable` is False where there is nothing to merge."""

    survivor_name: str = ""
    member_name: str = ""
    survivor: tuple[Span, ...] = ()
    member: tuple[Span, ...] = ()
    why: str = ""
    merged_text: str = ""
    merged_note: str = ""
    edited: bool = False
    editable: bool = False
    values: tuple[Value, ...] = ()


class DetailsView(Protocol):
    def update_details(self, details: Details) -> None: ...


class DetailsPresenter:
    """Follows the review."""

    def __init__(
        self, make_view: Callable[[DetailsPresenter], DetailsView], review: ReviewPresenter
    ) -> None:
        self._review = review
        self.details = Details()
        self._view = make_view(self)

    def refresh(self) -> None:
        """Show the review's current row, or one pair of memories."""
        self._show(self._of_row())

    def show_pair(self, old: int, new: int) -> None:
        """Show an older memory against the newer one that may replace it."""
        data = self._review.data
        if data is None:
            return
        one, other = (data.analysis.records[member] for member in (new, old))
        names = f"Newer  {day(one.updated or one.created)}", f"Older  {day(other.updated or other.created)}"
        why = "Differs in " + "; ".join(data.analysis.differs_in(new, old))
        self._show(_pair(one, other, names, why, "If the newer one replaces the older one, this is what stays."))

    def show_known(self, member: int, partner: int | None) -> None:
        """Show a memory against what comes nearest to it in the store that was compared with."""
        data = self._review.data
        if data is None:
            return
        one = data.analysis.records[member]
        if partner is None:
            alone, _ = word_diff(one.text or "", one.text or "")
            self._show(Details(f"{_STORES[0]}  {day(one.created)}", survivor=alone))
            return
        other = data.analysis.records[partner]
        names = f"{_STORES[0]}  {day(one.created)}", f"{_STORES[1]}  {day(other.created)}"
        self._show(_pair(one, other, names, "; ".join(data.analysis.reasons(member, partner)), LOOKING_ONLY))

    def edit(self, text: str) -> None:
        """The person's own wording."""
        self._review.edit(text)

    def use_automatic_text(self) -> None:
        self._review.edit(None)

    def _of_row(self) -> Details:
        from memdefrag.analysis.embedding.windows import is_long
        from memdefrag.analysis.merge import merge_records

        choice, data = self._review.choice, self._review.data
        if choice is None or data is None:
            return Details()
        records = data.analysis.records
        member = self._review.member
        if member == choice.survivor:
            member = next(iter(sorted(choice.members - {choice.survivor})))
        shown = (choice.survivor, member)
        one, other = (records[index] for index in shown)
        why = "; ".join(data.analysis.reasons(*shown))
        if self._review.looking_only:
            first, second = (int(data.analysis.store[at] == data.analysis.options.against) for at in shown)
            names = f"{_STORES[first]}  {day(one.created)}", f"{_STORES[second]}  {day(other.created)}"
            return _pair(one, other, names, why, LOOKING_ONLY)
        merging = _as_if_merged(choice)
        merged = merge_records(
            [records[index] for index in merging], 0,
            now=time.time(), text=choice.text, created=self._review.state.created,
            store=data.analysis.can_hold(choice.survivor),
        )  # fmt: skip
        ours, theirs = word_diff(one.text or "", other.text or "")
        text = merged.text or ""
        short = len(text) <= PREVIEW_CHARACTERS
        whole = short and not _LOST.search(text)
        notes = [EDITED_NOTE if choice.text is not None else AUTOMATIC_NOTE]
        notes += [LONG_NOTE] if is_long(text) else []
        return Details(
            survivor_name=f"★ Survivor  {day(one.created)}",
            member_name=f"Compared with  {day(other.created)}",
            survivor=ours,
            member=theirs,
            why=why,
            merged_text=text if whole else plain(text[:PREVIEW_CHARACTERS]),
            merged_note=" ".join(notes) if whole else STRANGE_NOTE if short else TOO_LONG_NOTE,
            edited=choice.text is not None,
            editable=whole,
            values=metadata_rows(one, other, merged),
        )

    def _show(self, details: Details) -> None:
        self.details = details
        self._view.update_details(details)


def _pair(one: MemoryRecord, other: MemoryRecord, names: tuple[str, str], why: str, note: str) -> Details:
    """Two memories that are not merged."""
    ours, theirs = word_diff(one.text or "", other.text or "")
    values = metadata_rows(one, other, None)
    return Details(*names, ours, theirs, why, merged_text=one.text or "", merged_note=note, values=values)


def _as_if_merged(choice: Choice) -> list[int]:
    """The memories that merge, or would if the group were ticked; the survivor first."""
    return [choice.survivor, *sorted(choice.members - choice.kept - {choice.survivor})]
