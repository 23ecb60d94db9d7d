"""The work behind the migration page, to be run away from the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memdefrag.base import secrets
from memdefrag.base.errors import Cancelled, HistoryNotFound, MemdefragError, UnsupportedEnvironment
from memdefrag.base.progress import Progress
from memdefrag.presenters.migration_form import Form, Leg, legs, remembered

if TYPE_CHECKING:
    from memdefrag.engine.inspect import Summary
    from memdefrag.engine.migrate.check import Check
    from memdefrag.engine.migrate.run import Means
    from memdefrag.engine.resume import Interrupted
    from memdefrag.model.migration import MigrationReport
    from memdefrag.model.plan import Plan
    from memdefrag.model.profiles import Profile
    from memdefrag.presenters.rehearsal import WriterChoice

Reports = tuple["MigrationReport", ...]

TOPIC = "migration"
"""Under which the form of the last migration into a store is remembered."""


@dataclass(frozen=True, slots=True)
class Target:
    """What stands where the memories are to go.

    Attributes:
        held: in words.
        writers: ways to write an older folder, if that has to be chosen.
        models: models at hand that can make vectors anew.
    """

    address: str
    held: str
    writers: tuple[WriterChoice, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A rehearsal of some migrations. `error`: why one of them cannot be done; its checks tell, too, mostly."""

    reports: tuple[MigrationReport, ...]
    checks: tuple[tuple[str, Check], ...]
    error: MemdefragError | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Migrations that were carried out, and why the next one could not be; `left` are those still to be done."""

    reports: tuple[MigrationReport, ...] = ()
    left: tuple[Leg, ...] = ()
    error: MemdefragError | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What the page offers: servers by name, and migrations that were interrupted."""

    profiles: tuple[Profile, ...] = ()
    interrupted: tuple[Interrupted, ...] = ()


def look_around(progress: Progress) -> Around:
    """Read what was kept. Nothing is opened."""
    from memdefrag.engine import catalogue, resume
    from memdefrag.engine.journal import Job
    from memdefrag.model import profiles
    from memdefrag.model.address import parse

    waiting = {}
    for event in catalogue.unfinished_jobs().values():
        target = Job(Path(event["path"])).facts().get("target")
        found = resume.pending(parse(target)) if target else None
        if found:
            waiting[found.id] = found
    return Around(tuple(profiles.load()), tuple(waiting.values()))


def look_at_sources(sources: Sequence[str], progress: Progress) -> dict[str, Summary]:
    """Open each source and see which collections it has; by what the person named it.

    Raises:
        StoreError: one of them cannot be opened.
    """
    from memdefrag.engine.inspect import inspect
    from memdefrag.engine.steady import steadily

    found = {}
    for source in sources:
        progress.phase(f"Looking at {source}")
        found[source] = steadily(source, progress, lambda store, state: inspect(store, state))
    return found


def look_at_target(text: str, progress: Progress) -> Target:
    """See what stands at the target, which need not be there yet.

    Raises:
        StoreError: it cannot be opened; UsageError: its name does not say what to make.
    """
    from memdefrag.analysis.embedding import embed
    from memdefrag.base.wording import count
    from memdefrag.presenters.rehearsal import ways_to_write
    from memdefrag.stores.registry import open_store, resolve_new

    progress.phase("Looking at the target")
    address = resolve_new(text)
    with open_store(address, must_exist=False) as store:
        held = "It is not there yet and will be made."
        writers: tuple[WriterChoice, ...] = ()
        if store.exists:
            infos = store.collections()
            memories = count(sum(info.count for info in infos), "memory", "memories")
            held = f"{store.format}: {memories} in {count(len(infos), 'collection')}."
            if store.capabilities.written_by:
                # Memories cannot be copied into a store and that store left as it is.
                writers = tuple(way for way in ways_to_write(store) if way.kind != "output")
    return Target(str(address), held, writers, (embed.DEFAULT_MODEL,) if embed.is_available() else ())


def rehearse(planned: Sequence[Leg], target: str, means: Means, progress: Progress) -> Rehearsed:
    """Try the migrations. Changes nothing.

    Raises:
        Cancelled: the person stopped it.
    """
    from memdefrag.engine.migrate.check import Check
    from memdefrag.engine.migrate.run import migrate

    reports: list[MigrationReport] = []
    checks: list[tuple[str, Check]] = []
    for leg in planned:
        looked: list[Check] = []
        listening = replace(means, checked=looked.extend)
        try:
            reports.append(migrate(leg.source, target, replace(leg.options, dry_run=True), listening, progress))
        except Cancelled:
            raise
        except MemdefragError as error:
            failed = looked or [Check.failed("rehearsal", error)]
            return Rehearsed(tuple(reports), (*checks, *((leg.source, each) for each in failed)), error)
        checks += [(leg.source, each) for each in looked]
    return Rehearsed(tuple(reports), tuple(checks))


def carry_out(planned: Sequence[Leg], target: str, form: Form | None, means: Means, progress: Progress) -> Done:
    """Migrate one source after the other, until all are done or one fails; the form is remembered for the target."""
    from memdefrag.engine import workspace
    from memdefrag.engine.migrate.run import migrate
    from memdefrag.stores.registry import resolve_new

    reports: list[MigrationReport] = []
    if form:
        workspace.save(resolve_new(target), TOPIC, form.as_dict())
    for number, leg in enumerate(planned):
        try:
            reports.append(migrate(leg.source, target, leg.options, means, progress))
        except MemdefragError as error:
            return Done(tuple(reports), tuple(planned[number:]), error)
    return Done(tuple(reports))


def interrupted_legs(waiting: Interrupted, progress: Progress) -> tuple[Form, list[Leg]]:
    """The migration that was interrupted, as its person had asked for it, to be gone on with.

    Raises:
        StoreError: a source cannot be opened.
    """
    from memdefrag.engine import workspace
    from memdefrag.model.address import parse

    form = remembered(workspace.load(parse(waiting.target), TOPIC))
    if not _is_of(form, waiting):
        form = Form(sources=(waiting.source,), target=waiting.target)
    found = look_at_sources(form.sources, progress)
    names = {source: [info.name for info in summary.collections] for source, summary in found.items()}
    return form, [leg._replace(options=replace(leg.options, resume=True)) for leg in legs(form, names)]


def _is_of(form: Form, waiting: Interrupted) -> bool:
    from memdefrag.model.address import parse
    from memdefrag.stores.registry import resolve

    wanted = parse(waiting.source).whole()
    try:
        return any(resolve(source).whole() == wanted for source in form.sources)
    except MemdefragError:
        return False


def brought_to_its_end(waiting: Interrupted, reports: Sequence[MigrationReport]) -> Reports:
    """The reports of going on, with the step that was finished first where none of them tells it."""
    from memdefrag.engine import history
    from memdefrag.model.migration import MigrationReport

    try:
        step = history.find(waiting.id).id
    except HistoryNotFound:
        return tuple(reports)
    if any(report.step == step for report in reports):
        return tuple(reports)
    return (MigrationReport(waiting.source, waiting.target, dry_run=False, step=step), *reports)


def take_back_interrupted(waiting: Interrupted, progress: Progress) -> str:
    """Settle an interrupted migration so that the target is as it was before; says what became of it.

    Raises:
        MemdefragError: the target cannot be reached, or is not what was left.
    """
    from memdefrag.engine import catalogue
    from memdefrag.engine.recover import recover_path

    progress.phase("Taking back", cancellable=False)
    event = catalogue.unfinished_jobs().get(waiting.id)
    outcome = recover_path(Path(event["path"]), event) if event else None
    return str(outcome) if outcome else "Nothing was left to be taken back."


def take_back(reports: Sequence[MigrationReport], means: Means, progress: Progress) -> int:
    """Undo what some migrations did, the last one first; returns how many memories stay, since they were changed.

    Raises:
        ConfirmationNeeded: the person must agree first; WriteError, …: as `apply`.
    """
    from memdefrag.engine import history
    from memdefrag.engine.apply import ApplyOptions, apply

    kept = 0
    for report in reversed(reports):
        plan = history.undo_plan(history.find(report.step)) if report.step else _emptying(report)
        done = apply(plan, ApplyOptions(writer=means.writer, confirm_shrink=means.confirm_shrink), progress)
        kept += len(done.skipped) + len(done.kept)
    return kept


def _emptying(report: MigrationReport) -> Plan:
    """What a migration wrote into a store that it made is removed from it; of such a store there is no step to undo."""
    from memdefrag.engine.migrate import ledger
    from memdefrag.model.address import parse
    from memdefrag.model.migration import Outcome
    from memdefrag.model.plan import Drop, Plan, Ref

    written = ledger.load(parse(report.source), parse(report.target)) or {}
    copied = (written.get(entry.source) for entry in report.entries if entry.outcome is Outcome.COPY)
    steps = tuple(Drop(Ref(each.target, each.written), "taken back", archive=False) for each in copied if each)
    place = str(parse(report.target).select(None))
    settings = {"reason": "take back", "agreed_removals": len(steps)}
    return Plan(source=place, target=place, settings=settings, steps=steps)


class Kept(NamedTuple):
    """A server that can be opened now, and why its key could not be put into the keyring."""

    address: str
    trouble: MemdefragError | None = None


def keep_server(profile: Profile, key: str, *, remember: bool) -> Kept:
    """Keep a server's key for this sitting and, where that is wanted, the server and its key for the next ones.

    Raises:
        UsageError: the address means nothing.
    """
    from memdefrag.model import profiles

    address = profile.address
    if key:
        secrets.keep(profile.place, key)
    if profile.name:
        profiles.save(profile)
    try:
        if key and remember:
            secrets.save(profile.place, key)
    except UnsupportedEnvironment as error:
        error.safe = "The key is kept until this window is closed."
        return Kept(address, error)
    return Kept(address)


def forget_server(profile: Profile) -> None:
    """Forget a server and its key in the keyring.

    Raises:
        NotPermitted, UnsupportedEnvironment: the keyring does not give the key away.
    """
    from memdefrag.model import profiles

    profiles.forget(profile.name)
