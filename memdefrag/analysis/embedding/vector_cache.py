"""Vectors of texts embedded before, on disk. Losing it costs time only."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memdefrag.base.fsops import make_private_dir, remove
from memdefrag.model.records import Vector

KEPT = 200_000
"""Vectors the cache holds; beyond that the oldest go."""

_ASKED_AT_ONCE = 500
_TABLES = (
    "CREATE TABLE IF NOT EXISTS vectors (model TEXT, hash TEXT, vector BLOB, UNIQUE (model, hash))",
    "CREATE TABLE IF NOT EXISTS models (model TEXT PRIMARY KEY, dimension INTEGER, window INTEGER)",
)
_log = logging.getLogger(__name__)


class Shape(NamedTuple):
    """The length of a model's vectors, and how many tokens of a text it reads."""

    dimension: int
    window: int


class VectorCache:
    """Float32 vectors of one model by the hash of their text.

    A damaged file is thrown away; a disk that cannot be written, or a file that another program keeps locked, is told
    to the log once and works as no cache from then on: waiting anew for each batch would cost more than it gives.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        self._usable = True

    def find(self, hashes: Sequence[str]) -> dict[str, Vector]:
        """The vectors known among those asked for."""
        found: dict[str, Vector] = {}

        def look(database: sqlite3.Connection) -> None:
            for start in range(0, len(hashes), _ASKED_AT_ONCE):
                asked = hashes[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(asked))
                query = f"SELECT hash, vector FROM vectors WHERE model = ? AND hash IN ({marks})"
                for hash, blob in database.execute(query, (self._model, *asked)):
                    if isinstance(blob, bytes) and blob and len(blob) % 4 == 0:
                        found[hash] = np.frombuffer(blob, "<f4").astype(np.float32)

        self._with_database(look)
        return found

    def add(self, vectors: Mapping[str, Vector]) -> None:
        """Remember vectors."""
        rows = [(self._model, hash, vector.astype("<f4").tobytes()) for hash, vector in vectors.items()]

        def keep(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)
            database.execute("DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?", (KEPT,))
            database.commit()

        self._with_database(keep)

    def shape(self) -> Shape | None:
        """What was kept of the model itself, so that it need not be loaded to be asked."""
        found: list[Shape] = []

        def look(database: sqlite3.Connection) -> None:
            rows = database.execute("SELECT dimension, window FROM models WHERE model = ?", (self._model,))
            found.extend(Shape(*row) for row in rows)

        self._with_database(look)
        return found[0] if found else None

    def keep_shape(self, shape: Shape) -> None:
        """Remember it."""

        def keep(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", (self._model, *shape))
            database.commit()

        self._with_database(keep)

    def _with_database(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if not self._usable:
            return
        try:
            make_private_dir(self._path.parent)
            with closing(sqlite3.connect(self._path)) as database:
                database.execute("PRAGMA synchronous = OFF")
                for table in _TABLES:
                    database.execute(table)
                work(database)
        except (sqlite3.OperationalError, OSError) as error:
            _log.warning("Vectors are not remembered: %s", error)
            self._usable = False
        except sqlite3.DatabaseError as error:
            _log.warning("The damaged %s is thrown away: %s", self._path, error)
            remove(self._path)
