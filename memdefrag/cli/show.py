"""The engine's results as tables and lines for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from memdefrag.base.wording import count, day, moment, size
from memdefrag.cli import show_recall
from memdefrag.cli.output import preview, styled, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.analysis.result import Analysis, Conflict, Group
    from memdefrag.engine.backups.foreign import TakenIn
    from memdefrag.engine.backups.retention import PruneReport
    from memdefrag.engine.backups.shelf import Backup
    from memdefrag.engine.history import HistoryStep, StepState
    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.restore import Foreseen
    from memdefrag.engine.search import Hit
    from memdefrag.engine.step_details import StepDetails
    from memdefrag.model.report import ApplyReport, Skipped

SKIPPED_SHOWN = 10
CONFLICTS_SHOWN = 200
NAME_SHOWN = 20


def summary(found: Summary) -> Iterator[RenderableType]:
    """A store at a glance."""
    yield styled(found.address, "bold")
    access = "can be read and written" if found.writable else "can only be read"
    files = f"{size(found.bytes)}, last changed {moment(found.modified)}; " if found.modified else ""
    yield f"{found.format}; {files}{access}"
    yield table(
        "Collection", "Memories", "Live", "With vector", "Dimension", "Metric", "Model",
        rows=[
            (info.name, info.count, info.live, info.with_embedding, info.dimension or "", info.metric, info.model or "")
            for info in found.collections
        ],
    )  # fmt: skip
    for holder in found.in_use:
        yield styled(f"In use by {holder}. {holder.advice}", "yellow")
    if found.written_by:
        yield (
            f"It is written by chromadb {found.written_by} or its like, so that its own service can go on "
            "using it; optimize will ask for that chromadb."
        )
    for problem in found.problems:
        yield styled(f"Problem: {problem}", "yellow")


def analysis(found: Analysis, survivor: Callable[[Group], int], threshold: float) -> Iterator[RenderableType]:
    """Groups with their reasons, then what contradicts, then the sum."""
    groups, conflicts = found.groups(threshold), found.conflicts(threshold, CONFLICTS_SHOWN)
    for number, each in enumerate(groups, start=1):
        yield from group(found, each, survivor(each), f"Group {number} of {len(groups)}")
        yield ""
    if conflicts:
        yield styled(
            "Alike, but they contradict each other. Never merged by themselves; the newer one comes first:", "bold"
        )
    for contradiction in conflicts:
        yield from conflict(found, contradiction)
    if (more := found.conflict_count(threshold) - len(conflicts)) > 0:
        yield f"… and {more:,} older ones (--json and --report list all)."
    yield totals(found, threshold)


def group(found: Analysis, shown: Group, survivor: int, title: str) -> Iterator[RenderableType]:
    """A group with its survivor first, and why the others are taken for the same."""
    yield styled(f"{title}: {len(shown.members)} memories, {shown.tier}, score {shown.score:.2f}", "bold")
    yield _member(found, survivor, "keep ")
    for member, reasons in found.explain(shown, survivor):
        yield _member(found, member, "merge")
        yield styled(f"          {'; '.join(reasons)}", "dim")


def whole(found: Analysis, members: Sequence[int], merged: str | None) -> Iterator[RenderableType]:
    """Every word of some memories, the survivor's first, and of what they would become."""
    for member in members:
        yield styled(f"-- {found.name(member)}", "dim")
        yield found.records[member].text or "(no text)"
    yield styled("-- merged:", "bold")
    yield merged or "(no text)"


def conflict(found: Analysis, shown: Conflict) -> Iterator[RenderableType]:
    """Two memories and what tells them apart."""
    for member in shown.members:
        yield _member(found, member, "     ")
    yield styled(f"          {'; '.join(shown.differs_in)}", "yellow")


def totals(found: Analysis, threshold: float) -> str:
    """What was found, in one sentence."""
    groups = found.groups(threshold)
    sure = sum(len(clique) - 1 for group in groups for clique in group.sure)
    likely = sum(len(group.members) - 1 for group in groups) - sure
    contradicting = count(found.conflict_count(threshold), "possible contradiction")
    return (
        f"{count(len(found.records), 'memory', 'memories')}, {count(len(groups), 'group')} at threshold {threshold:g}: "
        f"{sure:,} surely redundant, {likely:,} likely; {contradicting}."
    )


def report(done: ApplyReport) -> Iterator[RenderableType]:
    """What came of a plan: counts, backup, sizes, the way back, what to do next."""
    if done.dry_run:
        yield styled("Dry run: nothing was written.", "bold")
    elif done.bytes_after is None:
        yield styled("There was nothing to do; nothing was written.", "bold")
    else:
        yield styled(f"Done in {done.seconds:.1f} s.", "bold")
    would = "would be " if done.dry_run else ""
    what = [
        f"{count(done.written, 'memory', 'memories')} {would}written",
        f"{done.removed:,} {would}removed",
    ]
    if done.merged or done.reason == "optimize":
        what.insert(0, f"{count(done.merged, 'group')} {would}merged")
    yield f"{done.records_before:,} memories before, {done.records_after:,} after: {', '.join(what)}."
    if done.linked or done.unlinked:
        yield f"Links: {done.linked:,} {would}made, {done.unlinked:,} {would}removed."
    if done.recall:
        yield from show_recall.recall(done.recall, whole=done.dry_run)
    yield from _sizes(done)
    if done.output:
        yield f"The new folder: {done.output}"
    if done.backup:
        yield f"Backup of the state before: {_backup_size(done.backup)} in {done.backup_folder}"
        yield from budget()
    if done.step:
        yield _way_back(done)
    yield from _shortcomings(done)
    for number, sentence in enumerate(done.next_steps, start=1):
        yield f"{number}. {sentence}"


def _way_back(done: ApplyReport) -> str:
    from memdefrag.engine.backups.shelf import find

    if done.backup and not find(done.backup).is_readable:
        return "What stood there before could not be read; RESTORE.txt in that backup says how to get its files back."
    return f"To undo this: memdefrag undo {done.step}"


def _sizes(done: ApplyReport) -> Iterator[RenderableType]:
    if done.bytes_after is None or not done.bytes_before:
        return
    yield f"The store's files: {size(done.bytes_before)} before, {size(done.bytes_after)} after."
    goes_back = done.reason in ("undo", "redo", "restore")
    if goes_back or not done.removed or done.bytes_after < done.bytes_before:
        return
    if done.store.startswith("memory-export:") and done.merged:
        yield "The file keeps what was merged in its own archive (memory_archive), so it does not become smaller."
    elif done.store.startswith(("chroma:", "memory-export:")) and not done.compacted:
        yield "Removing memories alone does not make the files smaller; optimize --compact does."


def _shortcomings(done: ApplyReport) -> Iterator[RenderableType]:
    yield from _listed(f"{count(len(done.skipped), 'step')} skipped:", done.skipped)
    yield from _listed(f"{count(len(done.kept), 'memory', 'memories')} left alone:", done.kept)
    for what, records in done.losses.items():
        yield styled(f"The store cannot hold: {what} ({count(records, 'memory', 'memories')})", "yellow")
    for warning in done.warnings:
        yield styled(f"Warning: {warning}", "yellow")


def _listed(title: str, skipped: Sequence[Skipped]) -> Iterator[RenderableType]:
    if skipped:
        yield styled(title, "yellow")
    for each in skipped[:SKIPPED_SHOWN]:
        yield f"  {each.record}: {each.reason.removeprefix(f'{each.record} ')}"
    if len(skipped) > SKIPPED_SHOWN:
        yield f"  … and {len(skipped) - SKIPPED_SHOWN:,} more (--verbose and --json list all)"


def _backup_size(name: str) -> str:
    from memdefrag.engine.backups.shelf import find

    return size(find(name).size)


def backup_made(made: Backup) -> Iterator[RenderableType]:
    """A new backup."""
    yield f"Backup {made.id}: {count(made.records, 'memory', 'memories')}, {size(made.size)} in {made.folder}"
    yield f"To restore it: memdefrag backup restore {made.id}"
    yield from budget()


def imported(done: TakenIn) -> Iterator[RenderableType]:
    """What was found in a backup from elsewhere, beside the backup itself."""
    for problem in done.problems:
        yield styled(f"Problem: {problem}", "yellow")
    made = done.backup
    held = count(made.records, "memory", "memories")
    yield f"Taken in as backup {made.id}: {held}, {size(made.size)} in {made.folder}"
    yield f"To look at its memories: memdefrag analyze backup:{made.id}"
    yield f"To have its store again: memdefrag backup restore {made.id} --to FOLDER"
    yield from budget()


def budget() -> Iterator[RenderableType]:
    """The room that all backups take, after one was added or removed."""
    from memdefrag.base.errors import UsageError
    from memdefrag.engine.backups import retention

    try:
        found = retention.budget()
    except UsageError as error:
        # The work is done; that the limit is misspelt does not undo it.
        yield styled(f"{error.message} {error.todo}", "yellow")
        return
    yield f"All backups: {size(found.total)} of {size(found.limit)} in {found.folder}"
    warning = retention.warning(found)
    if warning:
        yield styled(warning, "yellow")


def pruned(done: PruneReport) -> Iterator[RenderableType]:
    """Which backups went, and why the others stay."""
    rows = [("would go" if done.dry_run else "gone", each.id, size(each.size), each.store) for each in done.removed]
    rows += [("stays", name, "", reason) for name, reason in done.kept.items()]
    if rows:
        yield table("", "Backup", "Size", "Store, or why it stays", rows=rows)
    would = "would be " if done.dry_run else ""
    gone = f"{count(len(done.removed), 'backup')} {would}removed, {size(done.freed)} {would}freed"
    yield f"{gone}; {len(done.kept)} kept."


def history(
    found: Iterable[HistoryStep], states: Mapping[str, StepState], left: Mapping[str, int], damaged: Sequence[str]
) -> Iterator[RenderableType]:
    """A list of steps, and of those that cannot be read."""
    rows = [
        (
            each.id, each.reason, moment(datetime.fromisoformat(each.time).timestamp()),
            each.merged, each.written, each.removed, _state(each, states[each.id], left.get(each.id, 0)), each.store,
        )
        for each in found
    ]  # fmt: skip
    headings = ("Step", "What", "When", "Merged", "Written", "Removed", "State", "Store")
    yield table(*headings, rows=rows) if rows else "Nothing has been changed yet."
    for name in damaged:
        yield styled(f"What the step {name} saved of itself is damaged; the backup from before it is kept.", "yellow")


def step(found: StepDetails) -> Iterator[RenderableType]:
    """A step, and what it did to each memory."""
    done = found.step
    yield styled(f"{done.reason} {done.id}: {_state(done, found.state, len(found.left))}", "bold")
    yield f"{moment(datetime.fromisoformat(done.time).timestamp())}, {done.store}; backup from before it: {done.backup}"
    if done.whole_store:
        yield "It put other files in the place of the whole store."
    if done.recall:
        yield show_recall.figures(done.recall)
    for change in found.records:
        yield ""
        yield styled(f"{change.what}: {change.key}", "bold")
        for mark, sentence in change.text:
            yield styled(f"  {mark} {sentence}", {"-": "red", "+": "green"}.get(mark, ""))
        for field in change.fields:
            yield f"    {field.name}: {_value(field.before)} -> {_value(field.after)}"
    for what, links in (("link removed", found.unlinked), ("link made", found.linked)):
        yield from (f"{what}: {each.source} -> {each.target} ({each.type})" for each in links)
    if found.left:
        yield ""
        yield f"Not undone yet: {', '.join(map(str, found.left))}"


def foreseen(found: Foreseen | None) -> str:
    """What a restore of a whole store will do to its memories."""
    if found is None:
        return "What stands there now cannot be compared with the backup; it is backed up as it is."
    going = count(found.going, "memory that came since goes", "memories that came since go")
    return (
        f"{going} (what goes can be brought back afterwards), {found.changing:,} will say what they said then, "
        f"{found.coming:,} come back."
    )


def _state(step: HistoryStep, state: str, left: int) -> str:
    if state == "applied" and (step.undoes or step.redoes):
        return f"{'undo' if step.undoes else 'redo'} of {step.undoes or step.redoes}"
    return f"{state}, {left:,} left" if left else state


def _value(value: object) -> str:
    return "(none)" if value is None else preview(json.dumps(value, ensure_ascii=False))


def hits(found: Iterable[Hit]) -> Iterator[RenderableType]:
    """What a search found."""
    rows = [
        (f"{hit.score:.2f}", day(hit.record.created), _short(hit.record.key.id), preview(hit.record.text))
        for hit in found
    ]
    yield table("Score", "Created", "Memory", "Text", rows=rows) if rows else "Nothing was found."


def _member(found: Analysis, member: int, mark: str) -> RenderableType:
    record = found.records[member]
    return styled(f"  {mark}  {day(record.created) or ' ' * 10}  {_short(found.name(member))}  {preview(record.text)}")


def _short(name: str) -> str:
    """The beginning of an id that is a long hash; --json has the whole."""
    return name if len(name) <= NAME_SHOWN else f"{name[: NAME_SHOWN - 1]}…"
