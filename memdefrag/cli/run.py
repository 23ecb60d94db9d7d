"""One command under way: its options, its progress, its log, its answer and its end."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from memdefrag.base.errors import Cancelled, InternalError, MemdefragError, NoSpace, NotPermitted
from memdefrag.base.logs import JobLog
from memdefrag.base.progress import Progress, Tick
from memdefrag.base.settings import CA_FILE_VARIABLE, PLAIN_KEY_VARIABLE
from memdefrag.cli import output
from memdefrag.cli.ticker import ticker

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.engine.steady import State

DONE, DONE_WITH_FAILURES = 0, 1


@dataclass(frozen=True)
class Common:
    """The options of every command."""

    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, also on failure.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="One line on stderr for each record.")] = False
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", metavar="PATH", help="Write the log to this file, not into the data folder."),
    ] = None
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", metavar="FILE", help="Trust servers by the authorities in this PEM file alone."),
    ] = None
    allow_plain_key: Annotated[
        bool,
        typer.Option("--allow-plain-key", help="Send a key to another machine over plain http, where all can read it."),
    ] = False


class Run:
    """What a command gets: where to tell its progress, where to print, whom to ask."""

    def __init__(self, command: str, common: Common) -> None:
        self.as_json, self.quiet, self.verbose = common.json, common.quiet, common.verbose
        self.exit_code = DONE
        self.log = JobLog(command, output.note)
        self.progress = Progress(self._tick)
        self._log_file = common.log_file
        self._ticker = ticker(quiet=common.quiet)
        self._phase = ""
        if common.ca_file:
            os.environ[CA_FILE_VARIABLE] = str(common.ca_file.expanduser().absolute())
        if common.allow_plain_key:
            os.environ[PLAIN_KEY_VARIABLE] = "1"

    def carry_out(self, work: Callable[[], None]) -> int:
        """Do the work and return the exit code; every failure is told, none is raised."""
        try:
            with self._interruptible():
                if self._log_file:
                    self.keep_log()
                work()
        except MemdefragError as error:
            self._fail(error)
        except BrokenPipeError:
            # Whoever read our output has enough. Python would complain again when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:
            self._crash(error)
        finally:
            self._ticker.pause()
        return self.exit_code

    @property
    def interactive(self) -> bool:
        """Whether there is a person to ask."""
        return not self.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    def keep_log(self) -> None:
        """Give the log a file. Commands that change something do; others leave no trace."""
        self.log.keep(self._log_file)

    def print(self, *parts: RenderableType) -> None:
        """Something to read on the way to the answer; nothing with --json."""
        self._ticker.pause()
        if not self.as_json:
            output.print_answer(*parts)

    def note(self, text: str) -> None:
        """A hint on stderr; only in the log with --quiet."""
        self._ticker.pause()
        self.log.write(text)
        if not self.quiet:
            output.note(text)

    def tell_state(self, state: State | None) -> None:
        """Say of which moment the answer is, where a program went on working with the store."""
        if state and state.was_copied:
            self.note(f"A private copy of the store was read: {state}.")

    def detail(self, text: str) -> None:
        """What happened to one record: into the log, and on stderr with --verbose."""
        self.log.write(text)
        if self.verbose:
            self._ticker.pause()
            output.note(text)

    def answer(self, answer: dict[str, Any], *parts: RenderableType, failures: bool = False) -> None:
        """The outcome, said once at the end: `answer` with --json, else `parts`."""
        self.exit_code = DONE_WITH_FAILURES if failures else DONE
        self.log.write("done, with failures" if failures else "done")
        if self.as_json:
            self._ticker.pause()
            output.print_json(answer)
        else:
            self.print(*parts)
        if self.log.path and not self.quiet:
            output.note(f"Log: {self.log.path}")

    def ask(self, question: str) -> str:
        """Ask the person on stderr.

        Raises:
            Cancelled: Ctrl-C (also just before), or the input ended.
        """
        self._ticker.pause()
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.progress.check()
            # The library sends a part of the question to stdout, where a file or another program may be reading.
            with nullcontext() if sys.stdout.isatty() else redirect_stdout(sys.stderr):
                return str(typer.prompt(question, default="", show_default=False, err=True)).strip()
        except (typer.Abort, KeyboardInterrupt) as error:
            raise Cancelled from error
        finally:
            signal.signal(signal.SIGINT, previous)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C turns the work's switch: what may stop stops, a commit that has begun is finished."""

        def stop(number: int, frame: FrameType | None) -> None:
            self.progress.cancel.set()

        previous = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _fail(self, error: MemdefragError) -> None:
        self._ticker.pause()
        self.log.write(f"failed: {error.code}: {error.message}")
        output.print_error(error, as_json=self.as_json, log=self.log.path)
        self.exit_code = error.exit_code

    def _crash(self, error: Exception) -> None:
        for line in "".join(traceback.format_exception(error)).splitlines():
            self.log.write(line)
        try:
            self.keep_log()
        except MemdefragError as trouble:
            self.note(trouble.message)
        self._fail(_in_our_words(error))

    def _tick(self, tick: Tick) -> None:
        if tick.phase != self._phase:
            self._phase = tick.phase
            self.log.write(f"phase: {tick.phase}" + (f" ({tick.total})" if tick.total is not None else ""))
        self._ticker(tick)


def command(
    app: typer.Typer, name: str, *, recovers: bool = True, asks: bool = True
) -> Callable[[Callable[..., None]], None]:
    """Make a command of a function of a `Run` and options, and add the options that all commands share.

    A parameter that is a dataclass of options becomes those options.

    Args:
        recovers: whether interrupted writes are settled first.
        asks: whether a person is reminded that the result of an earlier change is still to be judged.
    """

    def register(function: Callable[..., None]) -> None:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        groups: list[type[Any]] = [hints[each.name] for each in own if is_dataclass(hints[each.name])]
        single = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name])
            for each in own
            if hints[each.name] not in groups
        ]
        parameters = [*single, *chain.from_iterable(map(_as_parameters, (*groups, Common)))]

        @wraps(function)
        def run_it(**options: Any) -> None:
            run = Run(name, _taken_from(options, Common))
            run.log.write(f"command: {name} {options}")
            given = [_taken_from(options, group) for group in groups]

            def work() -> None:
                if recovers:
                    _recover(run)
                if asks and run.interactive and not run.quiet:
                    _ask_for_answers(run)
                function(run, *given, **options)

            raise typer.Exit(run.carry_out(work))

        run_it.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run_it.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name)(run_it)

    return register


def _in_our_words(error: Exception) -> MemdefragError:
    """What nothing below has told: a disk or a system that says no, or a fault of ours."""
    from memdefrag.engine.failures import disk_error

    safe = "An interrupted write is finished or undone when memdefrag starts the next time."
    if isinstance(error, OSError):
        told = disk_error(error, safe)
        if isinstance(told, NoSpace | NotPermitted):
            return told
    return InternalError(f"Something unexpected happened ({type(error).__name__}: {error}).", safe=safe)


def _as_parameters(group: type[Any]) -> Iterator[inspect.Parameter]:
    """The fields of a dataclass of options; every one has a default."""
    hints = get_type_hints(group, include_extras=True)
    for each in fields(group):
        kind = inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(each.name, kind, default=each.default, annotation=hints[each.name])


def _taken_from(options: dict[str, Any], group: type[Any]) -> Any:
    """Take a group's options out of all options."""
    return group(**{each.name: options.pop(each.name) for each in fields(group)})


def _recover(run: Run) -> None:
    """Settle what an earlier crash left; what cannot be settled is said, and need not concern this command."""
    from memdefrag.engine import catalogue

    if not catalogue.unfinished_jobs():
        return
    from memdefrag.engine.recover import recover_all

    try:
        for outcome in recover_all():
            run.note(str(outcome))
    except MemdefragError as error:
        run.note(f"{error.message} {error.safe} {error.todo}")


def _ask_for_answers(run: Run) -> None:
    """Mention once of each change that only the person can tell whether it did the assistant good."""
    from memdefrag.engine.backups import acceptance

    for question in acceptance.ask():
        run.note(
            f"Does your assistant work with what was made of {question.store} ({question.when[:10]})? "
            f"Say so: memdefrag answer {question.step} yes (or: no)"
        )
