"""Where to draw the line in one person's memories: the person judges a few borderline pairs, and the answers say
from which score on how much of what is suggested is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.result import Analysis
from memdefrag.analysis.score import LOWEST, SURE_SCORE
from memdefrag.base.settings import DEFAULT_THRESHOLD

Doubles = npt.NDArray[np.float64]

QUESTIONS = 20
WANTED_PRECISION = 0.9
SURE_PRECISION = 0.99
"""What is known of the sure pairs, about which nobody is asked (docs/quality.md)."""

_SCALE = 0.05
"""Scores this far apart differ by one unit of the curve's slope."""
_USUAL = np.array([-1.2, 1.0])
"""The curve where nobody was asked: of the log odds that a pair at the usual threshold is the same, and how they
rise by `_SCALE`. From the labelled set of docs/quality.md."""
_TRUST = np.array([1.5, 0.6])
"""Standard deviations of these: how far another person's memories may lie from the usual ones."""
_LOWEST_ASKED = 0.74
"""Below, next to nothing is the same."""
_NEWTON_STEPS = 30
_DRAWS = 400
_LINES = np.round(np.arange(LOWEST, SURE_SCORE + 0.005, 0.01), 2)
_BINS = 300
"""Scores are counted in so many steps between the lowest and 1; a whole number of them lies between two lines."""


@dataclass(frozen=True, slots=True)
class Question:
    """Do these two memories say the same? `members` are indices into `Analysis.records`."""

    members: tuple[int, int]
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person said of a pair with this score."""

    score: float
    same: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """The line that follows from the answers.

    Attributes:
        threshold: the lowest score, in whole hundredths, from which on the wanted share of suggested pairs is right;
            that of sure pairs where none reaches it.
        precision: that share as expected there, in [0, 1]; `low` and `high` bound it with a chance of 90 %.
        suggested: how many pairs of texts are suggested there.
    """

    threshold: float
    precision: float
    low: float
    high: float
    suggested: int
    answers: tuple[Answer, ...]


def questions(found: Analysis, count: int = QUESTIONS) -> list[Question]:
    """Pairs to ask about: neither sure nor barred, spread over all scores, no memory twice, those near the usual
    threshold first, so that a person who stops early has answered what tells most."""
    pairs = found.pairs
    open_pairs = np.flatnonzero(~pairs.sure & ~pairs.barred & (pairs.score < SURE_SCORE))
    open_pairs = open_pairs[np.argsort(pairs.score[open_pairs], kind="stable")]
    scores = pairs.score[open_pairs]
    first = np.unique(found.node, return_index=True)[1]
    asked: dict[int, Question] = {}
    used: set[int] = set()
    for wanted in np.linspace(_LOWEST_ASKED, SURE_SCORE, 4 * count):
        near = np.searchsorted(scores, wanted)
        for at in open_pairs[near : near + count].tolist():
            nodes = {int(pairs.i[at]), int(pairs.j[at])}
            if not nodes & used:
                used |= nodes
                one, other = sorted(int(first[node]) for node in nodes)
                asked[at] = Question((one, other), float(pairs.score[at]))
                break
    spread = sorted(asked.values(), key=lambda question: question.score)
    places = np.unique(np.linspace(0, len(spread) - 1, min(count, len(spread))).round().astype(int))
    chosen = [spread[place] for place in places.tolist()]
    return sorted(chosen, key=lambda question: abs(question.score - DEFAULT_THRESHOLD))


def calibrate(found: Analysis, answers: Iterable[Answer], wanted: float = WANTED_PRECISION) -> Calibration:
    """Fit the threshold to the answers.

    The chance that a pair is the same rises with its score along a logistic curve, which starts as the usual one
    and follows the answers (a maximum a posteriori fit; the bounds are those of Laplace's approximation to it).

    Args:
        wanted: the share of suggested pairs that must be right, in [0, 1].
    """
    given = tuple(answers)
    curve, spread = _fit(given)
    counts = _Counts.of(found)
    expected = counts.precision(curve[None, :])[0]
    # Below a line that falls short none is taken, though a lower one may reach it again by a chance of few pairs.
    at = len(_LINES) - 1
    while at and expected[at - 1] >= wanted:
        at -= 1
    draws = np.random.default_rng(0).multivariate_normal(curve, spread, _DRAWS)
    low, high = np.quantile(counts.precision(draws)[:, at], (0.05, 0.95))
    return Calibration(
        float(_LINES[at]), float(expected[at]), float(low), float(high), int(counts.above[at]), given
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many pairs that may be merged have which score; `unsure` and `sure` have one entry per bin."""

    unsure: Doubles
    sure: Doubles

    @classmethod
    def of(cls, found: Analysis) -> _Counts:
        pairs = found.pairs
        unsure, sure = (
            np.histogram(pairs.score[some], _BINS, (LOWEST, 1.0))[0].astype(np.float64)
            for some in (~pairs.sure & ~pairs.barred, pairs.sure & ~pairs.barred)
        )
        return cls(unsure, sure)

    @property
    def above(self) -> Doubles:
        """Per line how many pairs lie above it."""
        return _at_lines(_from_above(self.unsure + self.sure))

    def precision(self, curves: Doubles) -> Doubles:
        """Per curve and line the expected share of right pairs above it; 1 where there is none."""
        middles = LOWEST + (np.arange(_BINS) + 0.5) * (1 - LOWEST) / _BINS
        chance = _chance(curves[:, :1] + curves[:, 1:] * _place(middles)[None, :])
        right = _from_above(chance * self.unsure + SURE_PRECISION * self.sure)
        total = np.broadcast_to(_from_above(self.unsure + self.sure), right.shape)
        return _at_lines(np.divide(right, total, out=np.ones_like(right), where=total > 0))


def _from_above(counts: Doubles) -> Doubles:
    """Sums from each bin to the last one."""
    sums: Doubles = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    return sums


def _at_lines(per_bin: Doubles) -> Doubles:
    first: npt.NDArray[np.int64] = np.round((_LINES - LOWEST) / (1 - LOWEST) * _BINS).astype(np.int64)
    return np.asarray(per_bin[..., first], np.float64)


def _fit(answers: Sequence[Answer]) -> tuple[Doubles, Doubles]:
    """The curve's two numbers and their covariance, by Newton's method on the log posterior."""
    place = np.array([[1.0, _place(answer.score)] for answer in answers]).reshape(-1, 2)
    same = np.array([answer.same for answer in answers], np.float64)
    curve, trust = _USUAL.copy(), np.diag(1 / _TRUST**2)
    for _ in range(_NEWTON_STEPS):
        chance = _chance(place @ curve)
        slope = place.T @ (same - chance) - trust @ (curve - _USUAL)
        bend = place.T @ (place * (chance * (1 - chance))[:, None]) + trust
        curve = curve + np.linalg.solve(bend, slope)
    return curve, np.asarray(np.linalg.inv(bend), np.float64)


def _place(score: Doubles | float) -> Doubles:
    """A score on the curve's own scale."""
    return (np.asarray(score, np.float64) - DEFAULT_THRESHOLD) / _SCALE


def _chance(log_odds: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-np.clip(log_odds, -50, 50)))
