"""The page before a write: what will change, what it costs, what stands in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from memdefrag.base.errors import MemdefragError
from memdefrag.base.wording import count, size
from memdefrag.presenters.proof import Wanted, figures, losses
from memdefrag.presenters.rehearsal import PlanFacts, WriterChoice, look, who_holds, writer_options
from memdefrag.presenters.tasks import Runner
from memdefrag.presenters.wording import about, place_of, thousands

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.engine.in_use import Holder
    from memdefrag.model.plan import Plan
    from memdefrag.model.report import ApplyReport

POLL_SECONDS = 1.0
_COPY = "A verified backup is made first; the changed copy is proved before it takes the store's place."
_LIVE = "A verified backup is made first; then memory by memory is written and read back, or all is taken back."


@dataclass(frozen=True, slots=True)
class PlanState:
    """The page's content.

    Attributes:
        way: how the store will be written.
        checking: the store is being looked at; the figures are not there yet.
        facts: label and value, in reading order.
        risks: what deserves a second look.
        losses: what searches will no longer find, one by one.
        wanted: what they must find; `stale`: it was changed since the figures were read.
        holders: how to close each program that holds the store; empty: it is free.
        writers: ways to write an older folder; `writer` the chosen one, -1 for none.
        compact: also build the index files anew; `compact_text` says what that brings and costs.
        concerns: why the person has to agree first; empty: they need not.
        shrink_text: what they then agree to.
        warning: that the backups take too much room; empty while they do not.
        ready: nothing stands in the way.
        waiting_for: what does, in words.
    """

    store: str = ""
    way: str = ""
    checking: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    risks: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    wanted: Wanted = field(default_factory=Wanted)
    stale: bool = False
    holders: tuple[str, ...] = ()
    writers: tuple[WriterChoice, ...] = ()
    writer: int = -1
    compact: bool = False
    compact_text: str = ""
    warning: str = ""
    concerns: tuple[str, ...] = ()
    shrink_text: str = ""
    shrink_agreed: bool = False
    ready: bool = False
    waiting_for: str = ""


class PlanView(Protocol):
    def update_state(self, state: PlanState) -> None: ...


class PlanPresenter:
    """Shows what a plan will do, waits until the store is free, and hands the agreed plan on.

    Args:
        apply: called with the plan (its store steps completed) and the person's options.
        leave: called to go back to the review.
    """

    def __init__(
        self,
        make_view: Callable[[PlanPresenter], PlanView],
        runner: Runner,
        apply: Callable[[Plan, ApplyOptions], None],
        leave: Callable[[], None],
        failed: Callable[[MemdefragError], None],
    ) -> None:
        self._runner, self._apply, self._leave, self._failed = runner, apply, leave, failed
        self._plan: Plan | None = None
        self._risks: tuple[str, ...] = ()
        self._facts: PlanFacts | None = None
        self._by_words = False
        self._visit = 0
        self.state = PlanState()
        self._view = make_view(self)

    def show(self, plan: Plan, risks: tuple[str, ...] = (), *, by_words: bool = False) -> None:
        """Look at the store and present the plan; `by_words`: no model is loaded for the person's questions."""
        self._plan, self._risks, self._by_words = plan, risks, by_words
        self._look(PlanState(store=place_of(plan.target), risks=risks), None)

    def want(self, **wanted: Any) -> None:
        """What searches must find: fields of `Wanted` with their new values."""
        changed = replace(self.state.wanted, **wanted)
        if changed != self.state.wanted:
            self._show(replace(self.state, wanted=changed, stale=True, shrink_agreed=False))

    def ask_again(self) -> None:
        """Search anew, for what is wanted by now."""
        if self._plan is not None and not self.state.checking:
            wanted = self.state.wanted
            self._look(PlanState(self.state.store, self.state.way, risks=self._risks, wanted=wanted), wanted)

    def _look(self, state: PlanState, wanted: Wanted | None) -> None:
        """Read the figures, and then who holds the store, for as long as nothing else is shown."""
        plan, by_words = self._plan, self._by_words
        assert plan is not None
        self._facts = None
        self._visit += 1
        visit = self._visit
        self._show(state)

        def looked(facts: PlanFacts) -> None:
            if visit == self._visit:
                self._looked(facts)
                self._watch(visit)

        self._runner.run(
            lambda progress: look(plan, wanted, by_words, progress), looked, self._failed, lane=plan.target
        )

    def go_back(self) -> None:
        self._visit += 1
        self._leave()

    def set_compact(self, compact: bool) -> None:
        self._show(replace(self.state, compact=compact))

    def agree_to_shrink(self, agreed: bool) -> None:
        self._show(replace(self.state, shrink_agreed=agreed))

    def choose_writer(self, index: int, value: str = "") -> None:
        """Choose a way to write; `value` is the path for a choice that asks for one."""
        writers = list(self.state.writers)
        if not 0 <= index < len(writers):
            return
        if value:
            writers[index] = replace(writers[index], value=value)
        self._show(replace(self.state, writers=tuple(writers), writer=index))

    def optimize(self) -> None:
        """Carry the plan out, as it is shown."""
        from memdefrag.engine.apply import ApplyOptions
        from memdefrag.model.plan import StoreStep

        if not self.state.ready or self._plan is None or self._facts is None:
            return
        self._visit += 1
        plan = self._plan
        steps = (StoreStep.REBUILD,) if self.state.compact else ()
        chosen = self.state.writers[self.state.writer] if self.state.writer >= 0 else None
        proof = self._facts.wanted.options(by_words=self._by_words)
        options = ApplyOptions(
            writer=writer_options(chosen),
            confirm_shrink=self.state.shrink_agreed,
            proof=replace(proof, min_recall=0.0) if self._facts.loses and self.state.shrink_agreed else proof,
        )
        self._apply(replace(plan, store_steps=(*plan.store_steps, *steps)), options)

    def _looked(self, facts: PlanFacts) -> None:
        self._facts = facts
        assert self._plan is not None
        remembered = next((i for i, way in enumerate(facts.writers) if way.value and way.value == facts.remembered), -1)
        compact_text = _compact_text(facts)
        self._show(
            replace(
                self.state,
                checking=False,
                facts=_facts(self._plan, facts),
                risks=(*self._risks, *_rehearsed(facts.rehearsal)),
                losses=losses(facts.rehearsal.recall, facts.texts),
                wanted=facts.wanted,
                writers=facts.writers,
                writer=remembered,
                compact=bool(compact_text) and facts.thins,
                compact_text=compact_text,
                way=_LIVE if facts.live else _COPY,
                warning=facts.backup_warning,
                concerns=facts.concerns,
                shrink_text=_shrink_text(facts),
            )
        )

    def _watch(self, visit: int) -> None:
        """Look every second who holds the store, for as long as this page is shown."""
        plan = self._plan
        if visit != self._visit or plan is None:
            return

        def seen(found: list[Holder]) -> None:
            if visit == self._visit:
                lines = tuple(f"{holder}: {holder.advice}" for holder in found)
                if lines != self.state.holders:
                    self._show(replace(self.state, holders=lines))
                self._runner.later(POLL_SECONDS, lambda: self._watch(visit))

        self._runner.run(lambda progress: who_holds(plan.target), seen, self._failed)

    def _show(self, state: PlanState) -> None:
        waiting = _waiting_for(state)
        self.state = replace(state, ready=not waiting, waiting_for=waiting)
        self._view.update_state(self.state)


def _facts(plan: Plan, facts: PlanFacts) -> tuple[tuple[str, str], ...]:
    report, sizes = facts.rehearsal, facts.sizes
    after = f", {size(sizes.after_apply)} afterwards" if sizes.after_apply != sizes.now else ""
    after_compact = f", {size(sizes.after_compact)} after compacting" if sizes.after_compact < sizes.now else ""
    return (
        ("Memories", f"{thousands(report.records_before)} now, {thousands(report.records_after)} afterwards"),
        ("Groups merged", thousands(report.merged)),
        ("Memories removed", thousands(report.removed)),
        ("Size", f"{size(sizes.now)} now{after}{after_compact}"),
        *figures(report.recall),
        ("Backups", facts.backups),
    )


def _rehearsed(report: ApplyReport) -> tuple[str, ...]:
    lost = [f"{what}: {count(number, 'memory', 'memories')}" for what, number in report.losses.items()]
    skipped = [f"Will be left as it is: {skip.record} ({skip.reason})" for skip in report.skipped]
    return (*report.warnings, *lost, *skipped)


def _compact_text(facts: PlanFacts) -> str:
    sizes = facts.sizes
    if sizes.after_compact >= sizes.after_apply:
        return ""
    # Old Chroma indexes that lost many of their records no longer find all of the others.
    advised = " (advised, since much is removed)" if facts.thins else ""
    return (
        f"Also compact the index files: {size(sizes.after_compact)} instead of {size(sizes.after_apply)}; "
        f"takes {about(sizes.compact_seconds)} more{advised}"
    )


def _shrink_text(facts: PlanFacts) -> str:
    if not facts.concerns:
        return ""
    removed, before = facts.rehearsal.removed, facts.rehearsal.records_before
    share = removed / max(1, before)
    losing = ", although searches lose what is listed" if facts.loses else ""
    return f"Yes, go on and remove {thousands(removed)} of {thousands(before)} ({share:.0%}){losing}"


def _waiting_for(state: PlanState) -> str:
    chosen = state.writers[state.writer] if state.writer >= 0 else None
    if state.checking:
        return "Looking at the store …"
    if state.stale:
        return "What must still be found was changed: ask again."
    if state.writers and chosen is None:
        return "Choose how this older folder is written."
    if chosen and chosen.asks and not chosen.value:
        return "Name the new folder." if chosen.asks == "folder" else "Name the Python."
    if state.holders and not (chosen and chosen.kind == "output"):
        return "The store is in use. This page goes on by itself as soon as it is free."
    if state.shrink_text and not state.shrink_agreed:
        return "Read what stands above, and tick the box if that is as it should be."
    return ""
