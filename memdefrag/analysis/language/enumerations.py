"""The members of an enumeration in one order, so that "tea and coffee" is "coffee and tea"."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from memdefrag.analysis.language import vocabulary as v

_JOINTS = frozenset({"and", "or"})
_ORDER_COUNTS = frozenset({"respectively", "then", "order", "ranked", "finally", "afterwards", "between", "from"})
_CLAUSE_ENDS = ".;:!?"


def sorted_enumerations(tokens: Sequence[str], after: Sequence[str], names: Collection[str]) -> list[str]:
    """The tokens with the members of each enumeration of single words sorted.

    Only where no other word can belong to a single member ("green tea and coffee" is no "green coffee and tea"), and
    neither for numbers nor for what happened one after the other.

    Args:
        tokens: English, case-folded.
        after: per token the sign that follows it in the text.
        names: the capitalised words, case-folded.
    """
    said = list(tokens)
    if not _JOINTS.intersection(said) or _ORDER_COUNTS.intersection(said):
        return said
    for joint in range(1, len(said) - 1):
        if said[joint] not in _JOINTS:
            continue
        first, last = joint - 1, joint + 1
        while first > 0 and after[first - 1] == ",":
            first -= 1
        places = [*range(first, joint), last]
        if not all(_may_move(said[place]) for place in places) or not _stands_alone(said, after, names, last):
            continue
        before = said[first - 1] if first else ""
        clause_starts = not first or after[first - 1] in _CLAUSE_ENDS or before in v.FUNCTION_WORDS - _JOINTS
        movable = places if clause_starts else places[1:]
        if clause_starts or len(places) > 2:
            for place, member in zip(movable, sorted(said[place] for place in movable), strict=True):
                said[place] = member
    return said


def _may_move(word: str) -> bool:
    return word.isalpha() and word not in v.FUNCTION_WORDS and not word.endswith("ed")


def _stands_alone(said: Sequence[str], after: Sequence[str], names: Collection[str], last: int) -> bool:
    """Whether nothing that follows the last member belongs to it alone."""
    if last == len(said) - 1 or (after[last] and after[last] in _CLAUSE_ENDS + ","):
        return True
    following = said[last + 1]
    if following in v.FUNCTION_WORDS:
        return following != "of"
    return said[last] in names and following not in names
