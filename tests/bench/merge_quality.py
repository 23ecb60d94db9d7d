"""Measures how well texts that say the same thing are merged, on groups labelled by people.

    python tests/bench/merge_quality.py LABELLED.jsonl [--show N]

Each line of the file is an object with "text" and "group"; texts of one group say the same. Printed are the
share of the members' words, numbers and addresses that the merged text has to the letter (and has or lists as
covered), how much of it repeats itself, and how long it is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz import fuzz

from memdefrag.analysis.language.vocabulary import FUNCTION_WORDS
from memdefrag.analysis.language.words import Words, sentences
from memdefrag.analysis.merge import mean_vector
from memdefrag.analysis.merge_text import MergedText, merge_texts
from memdefrag.analysis.similarity.pairs import Floats

REPEATS = 90
"""token_set_ratio from which a sentence repeats an earlier one."""
NUMBER = re.compile(r"\d+")
WORD = re.compile(r"[^\W\d_]{2,}")
ADDRESS = re.compile(r"https?://[^\s)>]+[\w/]|(?<!\w)#\d+|[\w.-]*/[\w./-]*\w|\b\w*_\w+\b")


@dataclass(frozen=True)
class Figures:
    """Shares are of all items of all groups; `length` is the mean over the groups."""

    groups: int
    words_to_the_letter: float
    words_kept_or_covered: float
    details_kept: float
    numbers_kept: float
    addresses_kept: float
    redundancy: float
    length: float
    stable: float


def measure(groups: Iterable[Sequence[str]]) -> Figures:
    """Merge every group and count."""
    merged = [(list(texts), merge_texts(texts)) for texts in groups]
    said = [(kept_words(text), kept_words(result.text)) for texts, result in merged for text in texts]
    covered = [
        (kept_words(text), kept_words(result.text) | kept_words(" ".join(drop.sentence for drop in result.dropped)))
        for texts, result in merged
        for text in texts
    ]
    own = [(text, result.text) for texts, result in merged for text in texts]
    everything = [sentence for _, result in merged for sentence in sentences(result.text)]
    return Figures(
        groups=len(merged),
        words_to_the_letter=_share(said),
        words_kept_or_covered=_share(covered),
        details_kept=_share((Words.of(text).details, _details(result)) for text, result in own),
        numbers_kept=_share((set(NUMBER.findall(text)), set(NUMBER.findall(result))) for text, result in own),
        addresses_kept=_share((set(ADDRESS.findall(text)), set(ADDRESS.findall(result))) for text, result in own),
        redundancy=sum(repeats(result.text) for _, result in merged) / len(everything),
        length=sum(len(result.text) / max(map(len, texts)) for texts, result in merged) / len(merged),
        stable=sum(is_stable(texts, result) for texts, result in merged) / len(merged),
    )


def kept_words(text: str) -> set[str]:
    """The words that carry meaning, in lower case."""
    return {word for word in WORD.findall(text.casefold()) if word not in FUNCTION_WORDS}


def repeats(text: str) -> int:
    """How many sentences say what an earlier one says."""
    found = sentences(text)
    return sum(
        any(fuzz.token_set_ratio(sentence.casefold(), earlier.casefold()) >= REPEATS for earlier in found[:position])
        for position, sentence in enumerate(found)
    )


def is_stable(texts: Sequence[str], result: MergedText) -> bool:
    """Whether merging the result with any of the texts, or all of them, again changes nothing."""
    again = [merge_texts([result.text, text]).text for text in texts] + [merge_texts([result.text, *texts]).text]
    return all(text == result.text for text in again)


def member_recall(
    groups: Sequence[Sequence[int]], vectors: Floats, depths: Sequence[int] = (1, 5)
) -> dict[int, float]:
    """For each depth the share of the members whose own vector finds the merged record among that many results, where
    every group is replaced by one record with the mean of its vectors.

    Args:
        groups: the rows of each, at least two; all other rows stay as they are.
        vectors: (n, d), unit length.
    """
    members = [row for rows in groups for row in rows]
    merged = [mean_vector([vectors[row] for row in rows], "cosine") for rows in groups]
    found = vectors[members] @ np.vstack([merged, np.delete(vectors, members, axis=0)]).T
    own = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    ranks = (found > found[np.arange(len(own)), own][:, None]).sum(axis=1)
    return {depth: float((ranks < depth).mean()) for depth in depths}


def labelled_groups(path: Path) -> list[list[str]]:
    """The texts of every group of at least two, in the file's order."""
    return by_group([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])


def by_group(memories: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The same of memories with "text" and "group"."""
    return [[memories[row]["text"] for row in rows] for rows in group_rows(memories)]


def group_rows(memories: Iterable[Mapping[str, Any]]) -> list[list[int]]:
    """The places of the memories of every group of at least two."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row, memory in enumerate(memories):
        groups[memory["group"]].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _details(text: str) -> set[str]:
    return {detail for sentence in [text, *sentences(text)] for detail in Words.of(sentence).details}


def _share(pairs: Iterable[tuple[Iterable[str], Iterable[str]]]) -> float:
    wanted = kept = 0
    for items, present in pairs:
        wanted += len(set(items))
        kept += len(set(items) & set(present))
    return kept / wanted if wanted else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--show", type=int, default=0, help="print so many of the groups that repeat themselves")
    options = parser.parse_args()
    groups = labelled_groups(options.labelled)
    for name, value in vars(measure(groups)).items():
        print(f"{name:24} {value:.4f}" if isinstance(value, float) else f"{name:24} {value}")
    repeating = [texts for texts in groups if repeats(merge_texts(texts).text)]
    for texts in repeating[: options.show]:
        print("", *texts, "=> " + merge_texts(texts).text, sep="\n")


if __name__ == "__main__":
    main()
