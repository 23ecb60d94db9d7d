from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.calibrate import Answer, calibrate, questions
from memdefrag.analysis.groups import merge_sequence
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.score import LOWEST, SURE_SCORE
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.model.records import Key, MemoryRecord

SCORES = np.round(np.linspace(LOWEST, 0.999, 400), 4).astype(np.float32)


def found(scores: np.ndarray = SCORES) -> Analysis:
    """An analysis with one pair of two memories for each score; those from `SURE_SCORE` up are sure."""
    n = len(scores)
    i, j = np.arange(0, 2 * n, 2, dtype=np.int32), np.arange(1, 2 * n, 2, dtype=np.int32)
    sure = scores >= np.float32(SURE_SCORE)
    return Analysis(
        records=tuple(MemoryRecord(Key("c", str(number)), f"text {number}") for number in range(2 * n)),
        stores=("a",),
        store=np.zeros(2 * n, np.int32),
        node=np.arange(2 * n, dtype=np.int32),
        pairs=ScoredPairs(i, j, scores, scores, scores, sure, np.zeros(n, np.bool_)),
        sequence=merge_sequence(2 * n, i, j, scores),
        options=AnalysisOptions(),
    )


def answers(line: float, analysis: Analysis) -> list[Answer]:
    """A person for whom all from this score up is the same, and nothing else."""
    return [Answer(question.score, question.score >= line) for question in questions(analysis)]


def test_twenty_open_pairs_are_asked_about_those_near_the_usual_threshold_first() -> None:
    asked = questions(found())
    assert len(asked) == 20
    assert all(LOWEST <= question.score < SURE_SCORE for question in asked)
    distances = [abs(question.score - 0.85) for question in asked]
    assert distances == sorted(distances) and distances[0] < 0.01
    assert max(question.score for question in asked) > 0.94 and min(question.score for question in asked) < 0.76


def test_no_memory_is_asked_about_twice() -> None:
    chain = found()
    pairs = replace(chain.pairs, i=np.zeros_like(chain.pairs.i), j=np.arange(1, len(chain.pairs) + 1, dtype=np.int32))
    assert len(questions(replace(chain, pairs=pairs))) == 1


def test_barred_pairs_are_not_asked_about() -> None:
    analysis = found()
    barred = np.ones(len(analysis.pairs), np.bool_)
    assert questions(replace(analysis, pairs=replace(analysis.pairs, barred=barred))) == []


@pytest.mark.parametrize("line", [0.78, 0.84, 0.90])
def test_the_line_follows_the_person(line: float) -> None:
    analysis = found()
    fitted = calibrate(analysis, answers(line, analysis))
    scores = analysis.pairs.score
    right = np.mean(scores[scores >= fitted.threshold] >= line)
    assert right >= 0.85
    assert abs(fitted.threshold - line) <= 0.06
    assert fitted.low <= right <= 1 and fitted.low <= fitted.precision <= fitted.high


def test_lines_of_pickier_people_are_higher() -> None:
    analysis = found()
    lines = [calibrate(analysis, answers(line, analysis)).threshold for line in (0.76, 0.82, 0.88, 0.94)]
    assert lines == sorted(lines) and lines[0] < lines[-1]


def test_where_nothing_but_the_sure_is_the_same_only_that_is_suggested() -> None:
    analysis = found()
    assert calibrate(analysis, answers(1.1, analysis)).threshold == pytest.approx(SURE_SCORE)


def test_more_answers_narrow_the_bounds() -> None:
    analysis = found()
    few = answers(0.85, analysis)
    less, more = calibrate(analysis, few), calibrate(analysis, few * 5)
    assert more.high - more.low < less.high - less.low


def test_a_store_without_pairs_has_the_line_of_the_sure() -> None:
    nothing = found(np.empty(0, np.float32))
    fitted = calibrate(nothing, [])
    assert questions(nothing) == [] and fitted.suggested == 0 and fitted.precision == 1


@given(
    st.lists(st.tuples(st.floats(LOWEST, 0.94), st.booleans()), max_size=25),
    st.floats(0.5, 0.99),
)
def test_any_answers_give_an_honest_line(given_answers: list[tuple[float, bool]], wanted: float) -> None:
    fitted = calibrate(found(), [Answer(*each) for each in given_answers], wanted)
    assert LOWEST <= fitted.threshold <= SURE_SCORE
    assert 0 <= fitted.low <= fitted.high <= 1
    assert fitted.precision >= wanted or fitted.threshold == pytest.approx(SURE_SCORE)
    assert fitted.suggested == np.count_nonzero(found().pairs.score >= np.float32(fitted.threshold - 1e-6))
