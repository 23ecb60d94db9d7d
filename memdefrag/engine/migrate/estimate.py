"""How much a migration will write, and how long that takes by what was measured before.

``<cache dir>/migration_rates.json`` keeps, for each kind of store and each server, how many memories were written in
how many seconds; older runs count for less and less.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from memdefrag.base import foreign_json
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import cache_dir
from memdefrag.model.address import Address
from memdefrag.model.hashing import canonical_json
from memdefrag.model.migration import Pace
from memdefrag.model.records import MemoryRecord

FEWEST = 100
"""Records. A smaller run tells more of what goes before and after the writing than of the writing."""

USUAL_BATCH = 500
_OLD_RUNS_COUNT = 0.5

_STARTS = {"chroma": 5_000, "parquet": 1_000}
_USUAL_START = 200
"""As many memories are written in the time that goes before and after. Measured with 300 and 5,000 memories."""

_log = logging.getLogger(__name__)


class Estimate(NamedTuple):
    """What a migration takes: bytes on the disk (of a server: on the way), and seconds; None: not known yet."""

    bytes: int
    seconds: float | None


class _Cost(NamedTuple):
    """Bytes that a store takes: for each record, and for each byte of its text, its metadata as JSON and its vector."""

    record: float
    text: float
    metadata: float
    vector: float


_COSTS = {
    "chroma": _Cost(650, 6.8, 3.0, 1.0),
    "memory-export": _Cost(100, 2.0, 1.4, 5.5),
    "jsonl": _Cost(160, 1.0, 1.0, 3.4),
    "hdev": _Cost(8_192, 1.0, 1.0, 0.0),
    "hdev+http": _Cost(200, 1.0, 1.0, 0.0),
    "hdev+https": _Cost(200, 1.0, 1.0, 0.0),
}
"""Fitted to stores of 1,000 and 3,000 memories, texts of 100 to 2,000 letters, vectors of 8 and 384 dimensions."""

_OTHERS = _Cost(500, 2.0, 1.5, 1.4)


def estimate(records: Iterable[MemoryRecord], target: Address, pace: Pace | None = None) -> Estimate:
    """About what it takes to write these records there, at this pace."""
    cost = _COSTS.get(target.kind, _OTHERS)
    count, size = 0, 0.0
    for record in records:
        count += 1
        text = len((record.text or "").encode("utf-8", "surrogatepass"))
        vector = 0 if record.embedding is None else record.embedding.nbytes
        metadata = len(canonical_json(record.metadata))
        size += cost.record + cost.text * text + cost.metadata * metadata + cost.vector * vector
    return Estimate(int(size), _seconds(count, target, pace or Pace()))


def rate(target: Address) -> float | None:
    """Records in a second that were written to such a store (a server: to this one) before, `start` among them; None:
    not known yet."""
    records, seconds = _known().get(_place(target), (0.0, 0.0))
    return records / seconds if records > 0 and seconds > 0 else None


def start(target: Address) -> int:
    """How many records stand for what goes before and after the writing."""
    return _STARTS.get(target.kind, _USUAL_START)


def remember(target: Address, records: int, seconds: float) -> None:
    """Note how long writing and comparing took; not for runs that were slowed down. Small runs are not noted."""
    if records < FEWEST or seconds <= 0:
        return
    known = _known()
    old_records, old_seconds = known.get(_place(target), (0.0, 0.0))
    counted = records + start(target)
    known[_place(target)] = (old_records * _OLD_RUNS_COUNT + counted, old_seconds * _OLD_RUNS_COUNT + seconds)
    try:
        make_private_dir(cache_dir())
        write_durable(cache_dir() / _FILE, json.dumps(known).encode())
    except OSError as error:
        _log.warning("How fast the migration was could not be noted: %s", error.strerror)


_FILE = "migration_rates.json"


def _seconds(count: int, target: Address, pace: Pace) -> float | None:
    measured = rate(target)
    if measured is None:
        return None
    if not count:
        return 0.0
    pauses = max(0, -(-count // (pace.batch or USUAL_BATCH)) - 1) * pace.delay
    return max((count + start(target)) / measured + pauses, count / pace.max_rate if pace.max_rate else 0.0)


def _place(target: Address) -> str:
    """What the rate depends on: the kind of store, and of a server where it is."""
    return target.kind if target.is_local else f"{target.kind} {urlsplit(target.url).netloc.rpartition('@')[2].lower()}"


def _known() -> dict[str, tuple[float, float]]:
    """Records and seconds by place. What cannot be understood is measured again."""
    try:
        said = foreign_json.parse((cache_dir() / _FILE).read_bytes())
        return {str(place): (float(records), float(seconds)) for place, (records, seconds) in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
