"""A short stand-in for long vectors that never misses a similar pair.

The rows are rotated so that their first coordinates carry most of what they say (uncentred principal axes). For
unit vectors, by Cauchy and Schwarz, the dot product is at most that of the first p coordinates plus the product
of the lengths of the rests: a dot product of p + 1 numbers. Pairs whose bound is below the floor need no full
product; only the few others do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROWS_PER_DIMENSION = 6
"""With fewer rows, finding the axes takes longer than it saves."""

ROUNDING = np.float32(4e-6)
"""What float32 sums of some hundred products may be off by."""

_LENGTH_ROUNDING = 1e-6
"""Added to the square of a rest's length, so that no rounding makes the rest shorter than it is."""
_SAMPLE_FOR_AXES = 4_000
_SAMPLE_FOR_LENGTH = (512, 2_048)
_ROWS_AT_ONCE = 4_096
_LENGTHS = (24, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192)
_PER_PAIR = 6.0
"""What looking at a product costs, in multiply-adds of one pair; measured on one core."""
_PER_SURVIVOR = 28_000.0
"""What fetching two rows for their full product costs, in the same unit."""


def pays(pairs: int, dimension: int) -> bool:
    """Whether so many pairs of rows are worth the time to find their axes."""
    return 2 * pairs >= (ROWS_PER_DIMENSION * dimension) ** 2


def screen(unit: Floats, floor: float, order: npt.NDArray[np.int32] | None = None) -> Floats | None:
    """Stand-ins (n, p + 1) whose dot products are nowhere below those of `unit`, but for `ROUNDING`.

    None where no length pays: the floor is too low for the spread of the rows.

    Args:
        unit: float32 (n, d), rows of length 1.
        order: the rows whose stand-ins are wanted, in this order; None: all.
    """
    n, dimension = unit.shape
    sample = unit[:: -(-n // _SAMPLE_FOR_AXES)]
    axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, ::-1].astype(np.float32)
    length = _cheapest_length(unit[:: -(-n // _SAMPLE_FOR_LENGTH[1])] @ axes[:, : _LENGTHS[-1]], dimension, floor)
    return None if length is None else _shortened(unit, order, axes[:, :length])


def _cheapest_length(rotated: Floats, dimension: int, floor: float) -> int | None:
    """How many coordinates make the cheapest search, judged by a sample; None where the full product is cheaper."""
    best, least = None, dimension + _PER_PAIR
    for length in _LENGTHS:
        if length >= dimension or length > least:
            break
        cost = length + _PER_PAIR + _PER_SURVIVOR * _survivors(_with_rest(rotated[:, :length]), floor)
        if cost < least:
            best, least = length, cost
    return best


def _survivors(stand_ins: Floats, floor: float) -> float:
    """The share of a sample's pairs that would need a full product; the rows' products with themselves left out."""
    some = stand_ins[:: -(-len(stand_ins) // _SAMPLE_FOR_LENGTH[0])]
    count = np.count_nonzero(some @ stand_ins.T >= np.float32(floor) - ROUNDING)
    return (count - len(some)) / max(1, len(some) * (len(stand_ins) - 1))


def _shortened(unit: Floats, order: npt.NDArray[np.int32] | None, axes: Floats) -> Floats:
    """The first coordinates of unit rows, and the length of what is left; a few rows at a time."""
    stand_ins = np.empty((len(unit) if order is None else len(order), axes.shape[1] + 1), np.float32)
    for start in range(0, len(stand_ins), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        stand_ins[some] = _with_rest(unit[some if order is None else order[some]] @ axes)
    return stand_ins


def _with_rest(first: Floats) -> Floats:
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("nd,nd->n", first, first)) + _LENGTH_ROUNDING, dtype=np.float32)
    return np.concatenate((first, rest[:, None]), axis=1)
