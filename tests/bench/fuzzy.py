"""All pairs of texts with `fuzz.ratio` >= a cutoff, beside blocked cdist: `python -m tests.bench.fuzzy [--n 50000]`.

The texts are made up, and, where ../shared/quality lies beside the repository, joined from those of the development
set. Both ways find the same pairs, which is checked.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from rapidfuzz import fuzz, process
from rich.console import Console
from rich.table import Table

from memdefrag.analysis.similarity.fuzzy import similar_texts
from memdefrag.base.progress import Progress

DEVELOPMENT_SET = Path(__file__).resolve().parents[2] / "../shared/quality/dev_input.jsonl"
SYLLABLES = [*"aeiounrstlmdk", "ba", "che", "fo", "gu", "ha", "je", "pi", "qua", "sto", "ver", "wi", "ing", "tion"]
MOST_WORDS = 45
BLOCK = 500

Found = set[tuple[int, int]]


def made_up(n: int) -> list[str]:
    """Distinct sentences whose every word calls for certain next ones; every fifth is a near copy of the one before."""
    random = Random(0)
    words = sorted({"".join(random.choices(SYLLABLES, k=random.randint(1, 3))) for _ in range(6_000)})
    following = {word: random.choices(words, k=25) for word in words}
    spread = [1 / (rank + 1) for rank in range(25)]

    def sentence() -> str:
        said = [random.choice(words)]
        for _ in range(random.randint(4, MOST_WORDS)):
            said += random.choices(following[said[-1]], spread)
        return " ".join(said)

    return distinct(n, random, sentence)


def joined(n: int) -> list[str] | None:
    """Distinct texts of one to three of the development set's; None where it is not there."""
    if not DEVELOPMENT_SET.exists():
        return None
    random = Random(0)
    known = [json.loads(line)["text"].casefold() for line in DEVELOPMENT_SET.read_text("utf-8").splitlines()]
    return distinct(n, random, lambda: " ".join(random.choices(known, k=random.randint(1, 3))))


def distinct(n: int, random: Random, make: Callable[[], str]) -> list[str]:
    texts: dict[str, None] = {}
    while len(texts) < n:
        text = make()
        texts[text] = None
        if random.random() < 0.25:
            at = random.randrange(len(text))
            texts[text[:at] + random.choice(SYLLABLES) + text[at + random.randrange(6) :]] = None
    shuffled = list(texts)[:n]
    random.shuffle(shuffled)
    return shuffled


def blocked_cdist(texts: list[str], cutoff: float) -> Found:
    """What one writes with rapidfuzz alone: sorted by length, block by block, only as far as lengths allow."""
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    by_length = [texts[k] for k in order]
    lengths = np.array(list(map(len, by_length)))
    found: Found = set()
    for top in range(0, len(texts), BLOCK):
        rows = by_length[top : top + BLOCK]
        end = int(np.searchsorted(lengths, len(rows[-1]) * (200 - cutoff) / cutoff + 1, side="right"))
        for left in range(top, end, BLOCK):
            columns = by_length[left : min(left + BLOCK, end)]
            table = process.cdist(
                rows, columns, scorer=fuzz.ratio, score_cutoff=cutoff, dtype=np.float32, workers=-1
            )
            for i, j in np.argwhere(table).tolist():
                if top + i < left + j:
                    one, other = order[top + i], order[left + j]
                    found.add((min(one, other), max(one, other)))
    return found


def ours(texts: list[str], cutoff: float) -> Found:
    near = similar_texts(texts, [], Progress(), cutoff=cutoff)
    return set(zip(near.i.tolist(), near.j.tolist(), strict=True))


def timed(work: Callable[[list[str], float], Found], texts: list[str], cutoff: float) -> tuple[float, Found]:
    start = time.perf_counter()
    found = work(texts, cutoff)
    return time.perf_counter() - start, found


def rows(n: int, cutoffs: list[float]) -> Iterator[tuple[str, ...]]:
    for name, texts in (("made up", made_up(n)), ("development set, joined", joined(n))):
        for cutoff in cutoffs if texts else ():
            assert texts
            letters = sum(map(len, texts)) / n
            mine, found = timed(ours, texts, cutoff)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            theirs, wanted = timed(blocked_cdist, texts, cutoff)
            if found != wanted:
                sys.exit(f"{name}, {cutoff}: {len(wanted - found)} pairs missed, {len(found - wanted)} too many")
            yield (
                f"{n:,} {name}, {letters:.0f} letters each",
                f"{cutoff:.0f}",
                f"{len(found):,}",
                f"{theirs:.2f} s",
                f"{mine:.2f} s",
                f"{theirs / mine:.1f}x faster",
                f"{peak:.0f} MiB",
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--cutoff", type=float, nargs="+", default=[90.0])
    options = parser.parse_args()
    table = Table("Texts", "Cutoff", "Pairs (the same)", "blocked cdist", "ours", "", "peak memory")
    for row in rows(options.n, options.cutoff):
        table.add_row(*row)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
