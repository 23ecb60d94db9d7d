"""Texts that are longer than what a model reads of them, compared by pieces (windows) that it reads to their end.

A text is cut at the ends of sentences into as few windows as needed, all about equally long, so that a change in one
of them leaves the others much as they were. Two texts are alike as far as the windows of the one that has fewer
are found again in the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memdefrag.analysis.language.words import sentences
from memdefrag.analysis.similarity.pairs import Floats, Ints, Pairs
from memdefrag.base.progress import Progress

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


def cut(
    texts: Sequence[str], tokenizer: Path, window: int, progress: Progress | None = None
) -> list[list[str]]:
    """Each text in windows, in order; one that fits is its only window.

    Args:
        tokenizer: the model's ``tokenizer.json``; where there is none nothing is cut, and the model reads the
            beginning of a long text.
        window: tokens that the model reads.

    Raises:
        Cancelled: at any time.
    """
    # A token has a character at least, so that short texts need no counting.
    perhaps = [text for text in texts if len(text) > window > 0]
    if not perhaps or not tokenizer.exists():
        return [[text] for text in texts]
    counter = _counter(tokenizer)
    room = window - counter.num_special_tokens_to_add(is_pair=False)
    cuts: dict[str, list[str]] = {}
    progress = progress or Progress()
    progress.phase("Measuring long texts", len(set(perhaps)))
    for text in dict.fromkeys(perhaps):
        cuts[text] = _windows(text, counter, room)
        progress.step()
    return [cuts.get(text, [text]) for text in texts]


@lru_cache(maxsize=1)
def _counter(tokenizer: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    counter = Tokenizer.from_file(str(tokenizer))
    counter.no_truncation()
    counter.no_padding()
    return counter


def _windows(text: str, counter: Tokenizer, room: int) -> list[str]:
    # The library takes no half characters, which damaged texts may hold.
    text = text.encode("utf-8", "replace").decode("utf-8")
    said = [piece for sentence in sentences(text) for piece in _pieces(sentence, counter, room)]
    counts = [len(encoding.ids) for encoding in counter.encode_batch(said, add_special_tokens=False)]
    if sum(counts) <= room:
        return [text]
    return ["\n".join(said[some]) for some in _packed(counts, room)]


def _pieces(sentence: str, counter: Tokenizer, room: int) -> Iterator[str]:
    """A sentence, or pieces of one that is too long itself (a table, a log), which end where a word does."""
    encoding = counter.encode(sentence, add_special_tokens=False)
    start = 0
    while len(encoding.ids) - start > room:
        end = _last_word_end(encoding, start, start + room)
        yield sentence[encoding.offsets[start][0] : encoding.offsets[end - 1][1]]
        start = end
    yield sentence[encoding.offsets[start][0] :] if start else sentence


def _last_word_end(encoding: Encoding, start: int, end: int) -> int:
    words = encoding.word_ids
    return next((at for at in range(end, start, -1) if words[at] != words[at - 1]), end)


def _packed(tokens: Sequence[int], room: int) -> Iterator[slice]:
    """Consecutive sentences of so many tokens, in as few windows as needed, all about equally full."""
    counts = np.array(tokens)
    middle = np.cumsum(counts) - counts / 2
    for windows in itertools.count(-(-sum(tokens) // room)):
        window = (middle / sum(tokens) * windows).astype(np.int64)
        if np.bincount(window, counts).max() <= room:
            break
    borders = [0, *(np.flatnonzero(np.diff(window)) + 1).tolist(), len(tokens)]
    yield from itertools.starmap(slice, itertools.pairwise(borders))


def likeness(one: Floats, other: Floats) -> float:
    """How alike two texts are: the mean, over the windows of the one that has fewer, of the best cosine in the other.

    Args:
        one, other: float32 (windows, d), rows of length 1. Of equally many windows both sides count.
    """
    product = one @ other.T
    if len(one) == len(other):
        return float((product.max(axis=0).mean() + product.max(axis=1).mean()) / 2)
    return float(product.max(axis=int(len(one) < len(other))).mean())


def by_text(near: Pairs, unit: Floats, part: Ints, floor: float) -> Pairs:
    """Similar windows to similar texts. No two texts of at least this likeness are missed: some window of the one
    is then as like one of the other.

    Args:
        near: all pairs of rows with at least this cosine.
        unit: float32 (n, d), one row for each window, those of a text one after the other.
        part: int32 (n,), the text of each row.
    """
    texts, first, counts = np.unique(part, return_index=True, return_counts=True)
    row = {text: slice(start, start + count) for text, start, count in zip(texts.tolist(), first, counts, strict=True)}
    several = np.zeros(texts[-1] + 1, np.bool_)
    several[texts[counts > 1]] = True
    named = near.renamed(part)
    long = several[named.i] | several[named.j]
    found = dict.fromkeys(zip(named.i[long].tolist(), named.j[long].tolist(), strict=True), 0.0)
    for i, j in found:
        found[i, j] = likeness(unit[row[i]], unit[row[j]]) if i != j else -1.0
    kept = {pair: cosine for pair, cosine in found.items() if cosine >= floor}
    ends = np.array(list(kept), np.int32).reshape(-1, 2)
    return Pairs(
        np.concatenate((named.i[~long], ends[:, 0])),
        np.concatenate((named.j[~long], ends[:, 1])),
        np.concatenate((named.cosine[~long], np.array(list(kept.values()), np.float32))),
        near.nearest,
    )
