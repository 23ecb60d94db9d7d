"""SQLite databases of other memory systems.

Each keeps its memories in a table ``memories``; what its columns mean is told by the class of the system.
"""

from __future__ import annotations

import base64
import sqlite3
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memdefrag.base.errors import StoreDamaged, UnsupportedFormat
from memdefrag.base.wording import count
from memdefrag.model.records import Metadata, Vector
from memdefrag.stores.base import Store
from memdefrag.stores.memory_export_rows import read_metadata, storable
from memdefrag.stores.sqlite_safe import check, columns, is_database, open_readonly, pending, quote, tables

TABLE = "memories"
BYTES = "memdefrag:base64:"
"""What the text begins with that stands for bytes, which JSON has no type for."""

_TEXTS, _FLOATS = ("CHAR", "CLOB", "TEXT"), ("REAL", "FLOA", "DOUB")


class ForeignSqlite(Store):
    """A database of another system, recognised by its tables and columns, never by its name."""

    required: ClassVar[frozenset[str]]
    """Columns of the table of memories that tell the system."""

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        if not is_database(path):
            return None
        try:
            with open_readonly(path) as connection:
                known = TABLE in tables(connection) and cls.is_ours(columns(connection, TABLE))
        except StoreDamaged:
            return None
        return path if known else None

    @classmethod
    def is_ours(cls, present: frozenset[str]) -> bool:
        """Whether a table of memories that has these columns is one of the system."""
        return present >= cls.required

    def raw_files(self) -> list[Path]:
        path = self.address.path.absolute()
        return sorted([path, *pending(path)])

    def problems(self) -> list[str]:
        found: dict[str, list[str]] = {}
        with self._reading() as connection:
            damage = [f"SQLite finds damage: {line}." for line in check(connection)]
            for name, fault in self._faults(connection):
                found.setdefault(fault, []).append(name)
        damage += [f"It is only read: {self.obstacle}."] if self.obstacle else []
        return damage + [
            f"{count(len(ids), 'memory', 'memories')} with {fault}, the first is {ids[0]!r}."
            for fault, ids in found.items()
        ]

    @abstractmethod
    def _faults(self, connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
        """Ids of memories that are not as the system writes them, each with what is wrong."""

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with open_readonly(self.address.path) as connection:
            if TABLE not in tables(connection) or not self.is_ours(columns(connection, TABLE)):
                raise UnsupportedFormat(
                    f"{self.address.location} has no table {TABLE!r} as {self.format} has it.",
                    todo=f"That table has at least the columns {', '.join(sorted(self.required))}.",
                )
            connection.row_factory = sqlite3.Row
            yield connection


def select_rows(connection: sqlite3.Connection, names: Mapping[str, str] | None = None) -> str:
    """The SQL that reads the memories' columns, but for those that SQLite computes from others.

    Args:
        names: other names for some columns.
    """
    described = [row[1] for row in connection.execute(f"PRAGMA table_info({quote(TABLE)})")]
    wanted = (f"{quote(name)} AS {quote((names or {}).get(name, name))}" for name in described)
    return f"SELECT {', '.join(wanted)} FROM {TABLE}"


def is_utf8(connection: sqlite3.Connection) -> bool:
    """Whether texts can hold any bytes; those of a database in UTF-16 cannot."""
    [encoding] = connection.execute("PRAGMA encoding").fetchone()
    return bool(encoding == "UTF-8")


def value(stored: Any) -> Any:
    """A value of SQLite as a JSON value."""
    return BYTES + base64.b64encode(stored).decode() if isinstance(stored, bytes) else stored


def sql_value(meant: Any) -> Any:
    """The value of SQLite that a JSON value stands for; the inverse of `value`."""
    if isinstance(meant, str) and meant.startswith(BYTES):
        try:
            return base64.b64decode(meant[len(BYTES) :], validate=True)
        except ValueError:
            return meant
    return meant


def holds(declared: str, meant: Any) -> bool:
    """Whether a column gives a JSON value back as it is, by the affinity that its declared type (in capitals) has.

    By https://sqlite.org/datatype3.html, section 3.
    """
    if meant is None or isinstance(meant, bool):
        return False
    takes_text = any(part in declared for part in _TEXTS) and "INT" not in declared
    takes_floats = not (takes_text or "INT" in declared) and any(part in declared for part in _FLOATS)
    takes_all = not declared or "BLOB" in declared
    if isinstance(meant, str):
        stored = sql_value(meant)
        if isinstance(stored, bytes):
            return bool(value(stored) == meant)
        return storable(meant) == meant and (takes_text or takes_all or not _is_number(meant))
    if isinstance(meant, int):
        return not (takes_text or takes_floats) and -(2**63) <= meant < 2**63
    if isinstance(meant, float):
        return isfinite(meant) and not takes_text and (takes_floats or takes_all or not meant.is_integer())
    return False


def _is_number(meant: str) -> bool:
    try:
        float(meant)
    except ValueError:
        return False
    return True


def text(stored: Any) -> str | None:
    """A text column, whatever was put into it."""
    if isinstance(stored, bytes):
        return stored.decode("utf-8", "surrogateescape")
    return None if stored is None else str(stored)


def rest(row: sqlite3.Row, known: frozenset[str]) -> Metadata:
    """The values of a row that have no place of their own in a record, without the empty ones."""
    return {name: value(row[name]) for name in row.keys() if name not in known and row[name] is not None}  # noqa: SIM118


def metadata_of(raw: Any, name: str, extras: Metadata) -> Metadata:
    """The metadata of a JSON column; what is no object goes to the extras as it stands."""
    found, _ = ({}, "") if raw == "null" else read_metadata(raw)
    if found is None:
        extras[name] = value(raw)
    return found or {}


def floats(blob: Any) -> Vector | None:
    """A vector of little-endian float32; None where the bytes are none."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return None
    return np.frombuffer(blob, "<f4").astype(np.float32)
