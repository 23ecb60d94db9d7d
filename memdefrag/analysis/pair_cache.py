"""Scored pairs of earlier analyses, on disk. Losing them costs time only."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import rapidfuzz

import memdefrag
from memdefrag.analysis.nodes import Nodes
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity.collect import Crowd
from memdefrag.base import settings
from memdefrag.base.fsops import make_private_dir, remove, write_durable
from memdefrag.model.hashing import canonical_json

KEPT_BYTES = 512_000_000
"""What all files take together; beyond that those go that were not used for longest."""

IDENTITY = 16
"""Bytes that tell one node from all others."""

_DIGEST = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownPairs:
    """All that an analysis found out about its pairs.

    Attributes:
        nodes: per node its identity (`identities`); `pairs` counts them in this order.
        nearest, crowd: see `collect.Pairs`; the crowd's row is a node.
        whole: whether each pair was found for what its two nodes are, whatever else there is. Otherwise (there were
            so many that some were left out) they hold for exactly these nodes in this order.
        counts: see `candidates.Candidates`.
    """

    nodes: Sequence[bytes]
    pairs: ScoredPairs
    nearest: int | None
    crowd: Crowd | None
    whole: bool
    counts: dict[str, int]


class PairCache:
    """A folder with a file for every set of stores and options.

    A damaged file is thrown away; a disk that cannot be written is told to the log and works as no cache. Of two
    programs that write at once the last one's file stays.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> KnownPairs | None:
        """What was kept under this name."""
        path = self._folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("Pairs are not remembered: %s", error)
            return None
        whole = hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]
        known = _unpacked(data[_DIGEST:]) if whole else None
        try:
            if known:
                os.utime(path)
            else:
                _log.warning("The damaged %s is thrown away.", path)
                remove(path)
        except OSError as error:
            _log.warning("The cache of pairs cannot be changed: %s", error)
        return known

    def keep(self, name: str, known: KnownPairs) -> None:
        """Keep this in the place of what had the name before."""
        packed = _packed(known)
        try:
            make_private_dir(self._folder)
            write_durable(self._folder / name, hashlib.sha256(packed).digest() + packed)
            self._forget_oldest()
        except OSError as error:
            _log.warning("Pairs are not remembered: %s", error)

    def _forget_oldest(self) -> None:
        files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        size = sum(path.stat().st_size for path in files)
        for path in files:
            if size <= KEPT_BYTES:
                return
            size -= path.stat().st_size
            remove(path)


def name_of(stores: Sequence[str], options: AnalysisOptions) -> str:
    """The file for these stores, these options (as far as pairs depend on them) and the rules of this program."""
    looked_at = [options.floor, options.use_vectors, options.across_collections, options.equal_only]
    asked = [list(stores), *looked_at, _rules()]
    return hashlib.sha256(canonical_json(asked)).hexdigest()[:32]


@lru_cache(maxsize=1)
def _rules() -> str:
    """Changes with any change of what finds and scores pairs, without anybody having to think of it."""
    # A frozen program holds no sources; there the version speaks for them.
    sources = [*sorted(Path(__file__).parent.rglob("*.py")), Path(settings.__file__), settings.resource("english.txt")]
    code = hashlib.sha256(f"{memdefrag.__version__} {rapidfuzz.__version__} {np.__version__}".encode())
    for source in sources:
        if source.exists():
            code.update(source.read_bytes())
    return code.hexdigest()


def identities(nodes: Nodes) -> list[bytes]:
    """Per node a hash of all that its pairs depend on: whom it may be compared with, its text and its vectors.

    Nodes that have all this in common (memories without text may) are told apart by counting them.
    """
    hashes = [
        hashlib.blake2b(repr((part, text)).encode("utf-8", "surrogatepass"), digest_size=IDENTITY)
        for part, text in zip(nodes.part, nodes.texts, strict=True)
    ]
    for space in sorted(nodes.vectors, key=repr):
        for node, vector in nodes.vectors[space].items():
            hashes[node].update(repr(space).encode())
            hashes[node].update(vector.tobytes())
    seen: dict[bytes, int] = {}
    found = []
    for each in hashes:
        times = seen[each.digest()] = seen.get(each.digest(), 0) + 1
        if times > 1:
            each.update(str(times).encode())
        found.append(each.digest())
    return found


def _packed(known: KnownPairs) -> bytes:
    arrays = {column.name: getattr(known.pairs, column.name) for column in fields(ScoredPairs)}
    told = {"nearest": known.nearest, "crowd": known.crowd, "whole": known.whole, "counts": known.counts}
    nodes = np.frombuffer(b"".join(known.nodes), np.uint8)
    file = io.BytesIO()
    np.savez(file, nodes=nodes, told=np.frombuffer(canonical_json(told), np.uint8), **arrays)
    return file.getvalue()


def _unpacked(data: bytes) -> KnownPairs | None:
    """What was packed; None where another version packed it (one that ran on while this one was installed)."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            nodes, told = arrays["nodes"].tobytes(), json.loads(arrays["told"].tobytes())
            pairs = ScoredPairs(**{column.name: arrays[column.name] for column in fields(ScoredPairs)})
        parts = [nodes[at : at + IDENTITY] for at in range(0, len(nodes), IDENTITY)]
        crowd = told["crowd"] and Crowd(*told["crowd"])
        return KnownPairs(parts, pairs, told["nearest"], crowd, told["whole"], told["counts"])
    except (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None
