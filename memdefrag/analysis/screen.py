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

FEWEST_ROWS = 8_000
"""Below, finding the axes takes longer than it saves."""

ROUNDING = np.float32(2e-6)
"""What float32 sums of some hundred products may be off by."""

_SAMPLE_FOR_AXES = 8_000
_SAMPLE_FOR_LENGTH = 1_500
_LENGTHS = (32, 48, 64, 80, 96, 128, 160, 192)
_PER_PAIR = 30.0
"""What looking at a product costs, in multiply-adds of one pair; measured on one core."""
_PER_SURVIVOR = 28_000.0
"""What fetching two rows for their full product costs, in the same unit."""


def screen(unit: Floats, floor: float) -> Floats | None:
    """Stand-ins (n, p + 1) whose dot products are nowhere below those of `unit`, but for `ROUNDING`.

    None where no length pays: too few rows, or a floor too low for their spread.

    Args:
        unit: float32 (n, d), rows of length 1.
    """
    n, dimension = unit.shape
    if n < FEWEST_ROWS:
        return None
    sample = unit[:: -(-n // _SAMPLE_FOR_AXES)].astype(np.float64)
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1].astype(np.float32)
    rotated = unit[:: -(-n // _SAMPLE_FOR_LENGTH)] @ axes
    costs = {
        length: (length + _PER_PAIR) + _PER_SURVIVOR * _survivors(_shortened(rotated[:, :length]), floor)
        for length in _LENGTHS
        if length < dimension
    }
    length = min(costs, key=costs.__getitem__, default=0)
    if not length or costs[length] >= dimension:
        return None
    return _shortened(unit @ axes[:, :length])


def _shortened(first: Floats) -> Floats:
    """The first coordinates of unit rows, and the length of what is left."""
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("nd,nd->n", first, first)), dtype=np.float32)
    return np.concatenate((first, rest[:, None]), axis=1)


def _survivors(stand_ins: Floats, floor: float) -> float:
    """The share of a sample's pairs that would need a full product; the rows' products with themselves left out."""
    count = np.count_nonzero(stand_ins @ stand_ins.T >= np.float32(floor) - ROUNDING)
    return (count - len(stand_ins)) / max(1, len(stand_ins) * (len(stand_ins) - 1))
