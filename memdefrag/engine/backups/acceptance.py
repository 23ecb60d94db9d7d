"""After a change the person is asked once whether the assistant works with the result.

Until a step is answered its backup, and every one made since, is kept (see `retention`). The answers are events
of the catalogue: ``asked`` (these `steps` were put before the person) and ``answered`` with `works`.
"""

from __future__ import annotations

from dataclasses import dataclass

from memdefrag.engine import catalogue, history

SERVED = "serve"
"""The reason of steps that clients of a memory server asked for, one by one."""


@dataclass(frozen=True, slots=True)
class Question:
    """Does the assistant work with what the step made of the store?

    Attributes:
        when: the time of the step, as ISO text.
        asked: the person has seen the question before.
    """

    step: str
    store: str
    when: str
    asked: bool = False


def pending() -> list[Question]:
    """The open questions in the order in which the steps were made.

    Asked about are applied steps that were neither undone nor answered and that undid nothing themselves, but not those
    that clients of a memory server asked for; of what was redone, the last time only. A yes to a step answers the
    earlier ones of its store, too: what works now was made by all of them.
    """
    applied = {job for job, outcome in catalogue.outcomes().items() if outcome == "applied"}
    answers = _answers()
    if applied <= answers.keys():
        return []
    order, gone, asked = catalogue.order(), history.undone(), _asked()
    made = sorted(history.steps(), key=lambda step: order[step.id])
    passed_over = gone | answers.keys() | {step.redoes for step in made}
    settled: set[str] = set()
    found = []
    for step in reversed(made):
        if answers.get(step.id) and step.id not in gone:
            settled.add(step.store)
        is_asked = step.undoes is None and step.reason != SERVED
        if is_asked and step.id not in passed_over and step.store not in settled:
            found.append(Question(step.id, step.store, step.time, step.id in asked))
    return found[::-1]


def answer(step: str, works: bool) -> history.HistoryStep:
    """Note the person's answer on a step (its id or an unambiguous beginning of it) and return the step.

    A no changes nothing by itself: the way back is `history.undo_plan`.

    Raises:
        HistoryNotFound: no such step, or several.
    """
    found = history.find(step)
    catalogue.record("answered", id=found.id, works=works)
    return found


def ask() -> list[Question]:
    """The open questions that were not put before the person yet; from now on they were.

    Costs next to nothing while no step was applied since the last time.
    """
    since = False
    for event in catalogue.events():
        if event["event"] == "asked" or event.get("outcome") == "applied":
            since = event["event"] != "asked"
    if not since:
        return []
    new = [question for question in pending() if not question.asked]
    catalogue.record("asked", steps=[question.step for question in new])
    return new


def _answers() -> dict[str, bool]:
    """The last answer to each step that has one."""
    return {event["id"]: event["works"] for event in catalogue.events() if event["event"] == "answered"}


def _asked() -> set[str]:
    return {step for event in catalogue.events() if event["event"] == "asked" for step in event["steps"]}
