"""memdefrag optimize: find, decide, merge."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import Cancelled, UsageError
from memdefrag.base.wording import count
from memdefrag.cli.applying import YES, Writing, answer, carry_out
from memdefrag.cli.looking import Looking, look, plan_of
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.output import as_typed
from memdefrag.cli.proving import Proving
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command
from memdefrag.cli.scoping import Scoping

if TYPE_CHECKING:
    from memdefrag.analysis.result import Analysis
    from memdefrag.engine.planning import Choice
    from memdefrag.model.address import Address
    from memdefrag.model.plan import Plan


class Auto(StrEnum):
    """What is merged without asking."""

    SURE = "sure"


AutoOption = Annotated[Auto | None, typer.Option("--auto", help="Merge what surely says the same and ask nothing.")]
Compact = Annotated[bool, typer.Option("--compact", help="Also build index files anew, so that the files shrink.")]
OnCopy = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Do it on a copy in this folder, then offer the same plan for the store."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "optimize")(optimize)


def optimize(
    run: Run,
    looking: Looking,
    scoping: Scoping,
    modelling: Modelling,
    writing: Writing,
    proving: Proving,
    store: Store,
    auto: AutoOption = None,
    compact: Compact = False,
    on_copy: OnCopy = None,
) -> None:
    """Merge memories that say the same thing: backup, copy, merge, verify, put in place. Can be undone."""
    from memdefrag.model.plan import StoreStep
    from memdefrag.stores.registry import resolve

    if auto is None and not run.interactive:
        raise UsageError(
            "There is nobody to ask about the groups.",
            todo="Add --auto sure to merge what surely says the same, or run it at a terminal.",
        )
    if on_copy and writing.dry_run:
        raise UsageError("A dry run writes nothing, so it needs no copy: name --dry-run or --on-copy.")
    address = resolve(store)
    target = _copied(run, address, on_copy) if on_copy else address
    snapshots, found = look(run, [str(target)], looking, scoping, modelling)
    choices = looking.sure(found) if auto else _ask_about_groups(run, found, looking)
    plan = plan_of(found, snapshots[0], choices, looking)
    if compact:
        plan = replace(plan, store_steps=(StoreStep.REBUILD,))
    if on_copy:
        _try_then_offer(run, plan, address, on_copy, writing, proving, no_model=modelling.no_model)
    else:
        answer(run, carry_out(run, plan, writing, proving, no_model=modelling.no_model))


def _copied(run: Run, address: Address, folder: Path) -> Address:
    from memdefrag.engine.copies import copy_store
    from memdefrag.stores.registry import open_store

    run.keep_log()
    with open_store(address) as store:
        return copy_store(store, folder, run.progress)


def _ask_about_groups(run: Run, found: Analysis, looking: Looking) -> list[Choice]:
    """Show one group after the other; Ctrl-C leaves everything as it is."""
    from memdefrag.cli import show

    groups = found.groups()
    chosen: list[Choice] = []
    for number, group in enumerate(groups, start=1):
        choice = looking.choice(found, group.members)
        run.print("", *show.group(found, group, choice.survivor, f"Group {number} of {len(groups)}"))
        while (said := _ask_about_group(run)) == "w":
            run.print(*show.whole(found, _survivor_first(choice), looking.merged_text(found, choice)))
        if said == "y":
            chosen.append(choice)
        elif said == "s":
            left = {member for each in groups[number - 1 :] for member in each.members}
            chosen += [each for each in looking.sure(found) if left.issuperset(each.members)]
            break
        elif said == "q":
            break
    if conflicts := found.conflict_count():
        run.print(f"Possible contradictions left alone: {conflicts:,} (memdefrag analyze lists them).")
    merging = f"Merge {count(len(chosen), 'group')}"
    going = count(sum(len(choice.members) - 1 for choice in chosen), "memory disappears", "memories disappear")
    if chosen and run.ask(f"{merging}, so that {going}? (y/n)").lower() not in YES:
        raise Cancelled
    return chosen


def _survivor_first(choice: Choice) -> list[int]:
    return [choice.survivor, *(member for member in choice.members if member != choice.survivor)]


def _ask_about_group(run: Run) -> str:
    """The first letter of what the person wants; whatever is none of the answers is asked again."""
    while True:
        said = run.ask("Merge it? (y)es, (n)o, (w)hole texts, all (s)ure ones that are left, (q)uit asking").lower()
        if said in ("y", "yes", "n", "no", "w", "whole", "s", "sure", "q", "quit"):
            return said[0]


def _try_then_offer(
    run: Run, plan: Plan, original: Address, folder: Path, writing: Writing, proving: Proving, *, no_model: bool
) -> None:
    """Carry the plan out on the copy; then on the store itself, or say how."""
    from memdefrag.base.fsops import write_durable
    from memdefrag.cli import show
    from memdefrag.engine.copies import for_store
    from memdefrag.model.plan import dump

    tried = carry_out(run, plan, writing, proving, no_model=no_model)
    real = for_store(plan, original)
    file = folder.expanduser().resolve() / "plan.json"
    write_durable(file, dump(real))
    if run.interactive:
        run.print(*show.report(tried), "", f"That was the copy in {folder}.")
        if run.ask(f"Carry out the same plan on {original}? (y/n)").lower() in YES:
            answer(run, carry_out(run, real, writing, proving, no_model=no_model))
            return
    hint = f"That was the copy in {folder}. The same for the store itself: {as_typed('apply', file)}"
    answer(run, tried, hint, plan=str(file))
