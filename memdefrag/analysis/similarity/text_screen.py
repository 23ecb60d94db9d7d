"""Which texts can be alike at all, told from how often each letter and each pair of letters stands in them.

With S the length of two texts together and c that of their longest common subsequence, `fuzz.ratio` is 200 c / S.
Such texts have at least c letters in common. Taking a letter out of a text takes away two pairs of neighbours and
brings one, so they also have at least 3 c - S - 1 pairs in common. Letters and pairs are counted in a few buckets,
which can only make texts look more alike.

What two counts have in common is the smaller one. A matrix product tells it for all pairs of texts at once where each
count is cut into layers: the smaller of two layers is at most the root of their product, and just that where layers
hold no more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.uint16]
Codes = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

LETTERS = 64
"""Any alphabet of so many neighbouring code points is counted without collisions."""
PAIRS = 256
MOST_SURVIVORS = 0.25
"""Where more of all pairs pass, comparing them in one go is quicker than one by one."""

_SLACK = 1e-4
"""Per letter, for what float32 sums and rapidfuzz's own rounding may be off by."""
_TEXTS_AT_ONCE = 1_000
_ROWS_AT_ONCE = 1_000
_SAMPLE = 512
_OUTLIERS = 10
"""One text in so many may have a letter less often, and one more often, than the layers of one tell apart."""
_MOST_LAYERS = 512


@dataclass(frozen=True, slots=True)
class TextCounts:
    """What texts are made of.

    Attributes:
        lengths: int64 (n,).
        letters: (n, LETTERS), how often each kind of letter stands in each text.
        pairs: (n, PAIRS), the same for letters next to each other.
    """

    lengths: Indices
    letters: Counts
    pairs: Counts

    def part(self, rows: slice) -> TextCounts:
        return TextCounts(self.lengths[rows], self.letters[rows], self.pairs[rows])


def counts(texts: Sequence[str]) -> TextCounts:
    """Count letters and pairs of letters.

    Args:
        texts: of at most 65,535 letters each.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    letters = np.zeros((len(texts), LETTERS), np.uint16)
    pairs = np.zeros((len(texts), PAIRS), np.uint16)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = slice(start, start + _TEXTS_AT_ONCE)
        codes = np.frombuffer("".join(texts[part]).encode("utf-32-le", "surrogatepass"), np.uint32)
        owner = np.repeat(np.arange(len(lengths[part])), lengths[part])
        letters[part] = _counted(owner, codes, LETTERS, len(letters[part]))
        # Multiplying by odd numbers and keeping the highest bits spreads neighbours over all buckets.
        mixed = (codes[:-1] * np.uint32(0x9E3779B1) + codes[1:]) * np.uint32(0x85EBCA77) >> np.uint32(16)
        inside = owner[:-1] == owner[1:]
        pairs[part] = _counted(owner[:-1][inside], mixed[inside], PAIRS, len(pairs[part]))
    return TextCounts(lengths, letters, pairs)


def _counted(owner: Indices, codes: Codes, buckets: int, texts: int) -> Counts:
    cells = owner * buckets + codes % np.uint32(buckets)
    return np.bincount(cells, minlength=texts * buckets).reshape(texts, buckets).astype(np.uint16)


class Layers(NamedTuple):
    """How counts are cut: layer k is what bucket ``bucket[k]`` holds beyond ``above[k]``, up to ``height[k]``."""

    bucket: Indices
    above: Floats
    height: Floats

    def of(self, letters: Counts) -> Floats:
        """The roots of all layers: float32 (n, layers), whose products are nowhere below the common letters."""
        cut = letters[:, self.bucket].astype(np.float32)
        cut -= self.above
        np.clip(cut, 0, self.height, out=cut)
        return np.sqrt(cut, out=cut)


def layers(letters: Counts) -> Layers:
    """Layers of one where the counts of most such texts lie, and thick ones below and above."""
    sample = np.sort(letters[:: -(-len(letters) // _SAMPLE)], axis=0).astype(np.int64)
    low, high = sample[len(sample) // _OUTLIERS], sample[-1 - len(sample) // _OUTLIERS]
    step = -(-int((high - low).sum()) // _MOST_LAYERS) or 1
    bucket, above, height = [], [], []
    for number, (start, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        edges = sorted({0, *range(start, end, step), end})
        bucket += [number] * len(edges)
        above += edges
        height += [*np.diff(edges).tolist(), np.inf]
    return Layers(np.array(bucket), np.array(above, np.float32), np.array(height, np.float32))


class TextScreen:
    """Finds, among rows and columns of like lengths, the pairs whose ratio may reach a cutoff; it never misses one."""

    def __init__(self, rows: TextCounts, columns: TextCounts, cutoff: float) -> None:
        """`cutoff` is from 0 to 100."""
        self._rows, self._columns = rows, columns
        self._layers = layers(columns.letters)
        self._common = np.float32(cutoff / 200 - _SLACK)
        self._pairs = np.float32(3 * cutoff / 200 - 1 - _SLACK)
        needed = self._common * rows.lengths.astype(np.float32)
        self._left = np.column_stack((self._layers.of(rows.letters), needed, np.ones_like(needed)))

    def passing(self, columns: slice) -> tuple[Indices, Indices] | None:
        """Row and column (from the start of the slice) of the pairs that pass; None where too many do."""
        some = self._columns.part(columns)
        needed = self._common * some.lengths.astype(np.float32)
        right = np.column_stack((self._layers.of(some.letters), np.full_like(needed, -1), -needed))
        spare = self._left @ right.T
        i, j = np.divmod(np.flatnonzero(spare >= 0), len(needed))
        most = MOST_SURVIVORS * spare.size
        if len(i) > most:
            sample = slice(None, None, -(-len(i) // _SAMPLE))
            if len(i) * self._share_pairs(some, i[sample], j[sample]).mean() > most:
                return None
        passed = np.empty(len(i), np.bool_)
        for start in range(0, len(i), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            passed[part] = self._share_pairs(some, i[part], j[part])
        return i[passed], j[passed]

    def _share_pairs(self, columns: TextCounts, i: Indices, j: Indices) -> npt.NDArray[np.bool_]:
        common = np.minimum(self._rows.pairs.take(i, 0), columns.pairs.take(j, 0)).sum(1, np.uint32)
        enough: npt.NDArray[np.bool_] = common >= self._pairs * (self._rows.lengths[i] + columns.lengths[j]) - 1
        return enough
