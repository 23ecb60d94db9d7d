"""Texts that a person told apart ("not a duplicate"), remembered for good and for all stores.

One JSON object per line in ``<data dir>/apart.jsonl``: ``{"apart": [KEY, KEY], "time", "store"}`` tells two texts
apart, the same with ``"forget"`` takes it back. A KEY is `analysis.apart.content_key` of a text; the texts themselves
are private and never stand here. Nothing is rewritten, so two programs may add at once; a torn line is ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from memdefrag.analysis.apart import Apart, Pair, content_key, pair_of
from memdefrag.base import foreign_json
from memdefrag.base.errors import UsageError
from memdefrag.base.fsops import append_durable, make_private_dir, write_durable
from memdefrag.base.settings import data_dir
from memdefrag.engine.catalogue import utc_now
from memdefrag.model.records import MemoryRecord

FORMAT = 1
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """Two texts that were told apart.

    Attributes:
        time: when, as ISO text; `store`: the address of the store it was said about.
    """

    pair: Pair
    time: str
    store: str

    @property
    def id(self) -> str:
        """A name for the pair."""
        return hashlib.sha256("".join(self.pair).encode()).hexdigest()[:12]

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "texts": list(self.pair), "time": self.time, "store": self.store}


def told() -> list[Told]:
    """All pairs that are told apart, in the order in which that was said."""
    present: dict[Pair, Told] = {}
    for said, pair, line in _lines():
        if said == "forget":
            present.pop(pair, None)
        else:
            present.setdefault(pair, Told(pair, str(line.get("time", "")), str(line.get("store", ""))))
    return list(present.values())


def load() -> Apart:
    """The pairs for an analysis."""
    return Apart(frozenset(each.pair for each in told()))


def pairs_among(records: Iterable[MemoryRecord]) -> frozenset[Pair]:
    """All pairs of the memories' texts; memories without text have none."""
    keys = [content_key(record.text) for record in records if record.text and record.text.strip()]
    return frozenset(pair_of(one, other) for one, other in combinations(keys, 2))


def add(pairs: Iterable[Pair], store: str) -> list[Told]:
    """Tell texts apart, for good; returns those that were not told apart before."""
    known = {each.pair for each in told()}
    now = utc_now()
    new = [Told(pair, now, store) for pair in sorted({pair_of(*pair) for pair in pairs} - known)]
    _append("apart", new)
    return new


def forget(pairs: Iterable[Pair], store: str) -> list[Told]:
    """Take it back: the texts may be duplicates again. Returns those that were told apart."""
    known = {each.pair: each for each in told()}
    gone = [known[pair] for pair in sorted({pair_of(*pair) for pair in pairs}) if pair in known]
    _append("forget", [Told(each.pair, utc_now(), store) for each in gone])
    return gone


def find(id: str) -> Told:
    """A pair by its id or the beginning of it.

    Raises:
        UsageError: none, or several, are called so.
    """
    found = [each for each in told() if id and each.id.startswith(id)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'No'} pairs that were told apart are called {id!r}.",
            todo="memdefrag apart list shows their ids.",
        )
    return found[0]


def in_store(records: Iterable[MemoryRecord]) -> list[tuple[Told, MemoryRecord, MemoryRecord]]:
    """Those of all pairs whose texts are both among the memories, each with two memories that say them."""
    saying: dict[str, list[MemoryRecord]] = {}
    for record in records:
        if record.text:
            saying.setdefault(content_key(record.text), []).append(record)
    found = []
    for each in told():
        one, other = (saying.get(key, []) for key in each.pair)
        two = one[:2] if each.pair[0] == each.pair[1] else [*one[:1], *other[:1]]
        if len(two) == 2:
            found.append((each, two[0], two[1]))
    return found


def write_file(path: Path) -> int:
    """Write all pairs to a file for another computer; returns how many.

    The file is one JSON object: ``{"memdefrag_apart": 1, "pairs": [{"id", "texts", "time", "store"}]}``.
    """
    listed = told()
    whole = {"memdefrag_apart": FORMAT, "pairs": [each.as_dict() for each in listed]}
    write_durable(path, json.dumps(whole, indent=1).encode())
    return len(listed)


def read_file(path: Path) -> list[Told]:
    """Add the pairs of such a file, with the times and stores it tells; returns those that were new.

    Raises:
        UsageError: the file is not there, or no such file; nothing of it was taken.
    """
    try:
        whole = foreign_json.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a list of texts told apart ({error}).") from error
    if not isinstance(whole, dict) or whole.get("memdefrag_apart") != FORMAT:
        raise UsageError(f"{path} is no list of texts told apart.", todo="memdefrag apart export writes one.")
    listed = whole.get("pairs")
    taken = [_taken(entry, path) for entry in (listed if isinstance(listed, list) else [None])]
    known = {each.pair for each in told()}
    new = list({each.pair: each for each in taken if each.pair not in known}.values())
    _append("apart", new)
    return new


def _taken(entry: Any, path: Path) -> Told:
    pair = _pair(entry.get("texts")) if isinstance(entry, dict) else None
    if pair is None:
        raise UsageError(f"{path} holds something that is no pair of texts; nothing of it was taken.")
    return Told(pair, str(entry.get("time", "")), str(entry.get("store", "")))


def _pair(value: Any) -> Pair | None:
    valid = isinstance(value, list) and len(value) == 2 and all(isinstance(k, str) and _KEY.fullmatch(k) for k in value)
    return pair_of(value[0], value[1]) if valid else None


def _lines() -> Iterator[tuple[str, Pair, dict[str, Any]]]:
    try:
        lines = _path().read_bytes().splitlines()
    except FileNotFoundError:
        return
    for raw in lines:
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        for said in ("apart", "forget"):
            pair = _pair(line.get(said)) if isinstance(line, dict) else None
            if pair is not None:
                yield said, pair, line


def _append(said: str, all_told: Iterable[Told]) -> None:
    """All of it in one go, so that a set is told apart whole."""
    lines = [json.dumps({said: list(each.pair), "time": each.time, "store": each.store}) for each in all_told]
    if lines:
        make_private_dir(data_dir())
        append_durable(_path(), "".join(f"{line}\n" for line in lines).encode())


def _path() -> Path:
    return data_dir() / "apart.jsonl"
