"""memdefrag calibrate: a few borderline pairs, the same or not, and the line that follows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.settings import DEFAULT_THRESHOLD
from memdefrag.base.wording import count
from memdefrag.cli.looking import Looking, look
from memdefrag.cli.modelling import Modelling
from memdefrag.cli.output import as_typed, styled
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command
from memdefrag.cli.scoping import Scoping

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.analysis.calibrate import Answer, Calibration, Question
    from memdefrag.analysis.result import Analysis

Precision = Annotated[
    float, typer.Option(min=0.5, max=1.0, metavar="SHARE", help="How much of what is suggested must be right.")
]
SavePairs = Annotated[
    Path | None, typer.Option("--save-pairs", metavar="FILE", help="Write the pairs to a file, to be answered there.")
]
Answers = Annotated[
    Path | None, typer.Option("--answers", metavar="FILE", help='Take the answers ("same": true or false) from it.')
]
Forget = Annotated[bool, typer.Option("--forget", help="Go back to the usual threshold.")]
_SAID = {"s": True, "same": True, "d": False, "different": False, "?": None, "": None}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "calibrate")(calibrate)


def calibrate(
    run: Run,
    modelling: Modelling,
    store: Store,
    precision: Precision = 0.9,
    save_pairs: SavePairs = None,
    answers: Answers = None,
    forget: Forget = False,
) -> None:
    """Ask about twenty borderline pairs of a store, and fit its threshold to the answers. Changes no memory."""
    from memdefrag.analysis import calibrate as fitting
    from memdefrag.engine import calibration
    from memdefrag.stores.registry import resolve

    address = resolve(store)
    if forget:
        calibration.forget(address)
        run.answer({"store": str(address), "threshold": DEFAULT_THRESHOLD}, "The usual threshold holds again.")
        return
    if not (answers or save_pairs or run.interactive):
        raise UsageError(
            "There is nobody to ask.", todo="Write the pairs with --save-pairs FILE, answer there, and add --answers."
        )
    _, found = look(run, [str(address)], Looking(threshold=DEFAULT_THRESHOLD), Scoping(), modelling)
    asked = fitting.questions(found)
    if not asked and not answers:
        run.answer({"store": str(address), "pairs": 0}, "There are no borderline pairs to ask about.")
        return
    if save_pairs:
        _write(save_pairs, found, asked)
        todo = f"Put true or false behind each \"same\", then: {as_typed('calibrate', store, '--answers', save_pairs)}"
        run.answer({"store": str(address), "pairs": len(asked), "file": str(save_pairs)}, todo)
        return
    said = _read(answers) if answers else list(_ask(run, found, asked))
    if not said:
        run.answer({"store": str(address), "answers": 0}, "Nothing was answered, so everything stays as it was.")
        return
    fitted = fitting.calibrate(found, said, precision)
    calibration.remember(address, fitted)
    run.answer(_as_dict(str(address), fitted), *_told(fitted, store, precision))


def _ask(run: Run, found: Analysis, asked: Sequence[Question]) -> Iterator[Answer]:
    """Show one pair after the other; Ctrl-C leaves everything as it was."""
    from memdefrag.analysis.calibrate import Answer

    for number, question in enumerate(asked, start=1):
        one, other = (found.records[member].text or "" for member in question.members)
        differs = "; ".join(found.differs_in(*question.members))
        run.print("", styled(f"Pair {number} of {len(asked)}", "bold"), one, other, styled(differs, "yellow"))
        while (said := run.ask("The (s)ame, (d)ifferent, or Enter for hard to say; (q)uit asking").lower()) not in (
            *_SAID, "q", "quit"
        ):
            continue
        if said in ("q", "quit"):
            return
        if (same := _SAID[said]) is not None:
            yield Answer(question.score, same)


def _write(file: Path, found: Analysis, asked: Sequence[Question]) -> None:
    """One pair a line, with room for the answer."""
    from memdefrag.base.fsops import write_durable

    lines = [
        json.dumps(
            {
                "same": None,
                "one": found.records[question.members[0]].text,
                "other": found.records[question.members[1]].text,
                "score": round(question.score, 4),
            },
            ensure_ascii=False,
        )
        for question in asked
    ]
    target = file.expanduser().resolve()
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.", todo="Make it, or name another one.")
    write_durable(target, "".join(f"{line}\n" for line in lines).encode())


def _read(file: Path) -> list[Answer]:
    """The answered pairs of a file.

    Raises:
        UsageError: it is not there, or not of this form.
    """
    from memdefrag.analysis.calibrate import Answer

    try:
        lines = file.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from error
    said = []
    for number, line in enumerate(lines, start=1):
        try:
            pair: dict[str, Any] = json.loads(line) if line.strip() else {"same": None}
            same: object = pair["same"]
            if isinstance(same, bool):
                said.append(Answer(_score(pair["score"]), same))
            elif same is not None:
                raise ValueError('"same" must be true, false or null')
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"Line {number} of {file} is no answered pair: {error}.",
                todo="Keep the lines as --save-pairs wrote them.",
            ) from error
    return said


def _score(said: object) -> float:
    score = float(str(said))
    if not 0 <= score <= 1:
        raise ValueError('"score" must be a number from 0 to 1')
    return score


def _as_dict(store: str, fitted: Calibration) -> dict[str, object]:
    return {
        "store": store,
        "answers": len(fitted.answers),
        "threshold": fitted.threshold,
        "precision": round(fitted.precision, 4),
        "low": round(fitted.low, 4),
        "high": round(fitted.high, 4),
        "suggested": fitted.suggested,
    }


def _told(fitted: Calibration, store: str, wanted: float) -> Iterator[RenderableType]:
    yield styled(f"Threshold {fitted.threshold:g} from {count(len(fitted.answers), 'answer')}.", "bold")
    yield (
        f"About {fitted.precision:.0%} of the {count(fitted.suggested, 'pair')} of different texts suggested there "
        f"should be right (between {fitted.low:.0%} and {fitted.high:.0%})."
    )
    if fitted.precision < wanted:
        yield styled(f"No threshold makes that {wanted:.0%}, by these answers; this is the strictest.", "yellow")
    yield f"analyze, optimize and the window begin there from now on; back: {as_typed('calibrate', store, '--forget')}"
