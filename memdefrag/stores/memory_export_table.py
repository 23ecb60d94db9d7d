"""The table of memories of a Memory Defragmenter export, as it stands in a file that others may have changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import UnsupportedFormat
from memdefrag.model.records import Metadata
from memdefrag.stores.sqlite_safe import columns, quote, tables

TABLES = ("memories", "memory", "knowledge_graph")
COLUMNS = ("id", "content", "embedding", "metadata", "timestamp", "content_hash")


@dataclass(frozen=True, slots=True)
class Table:
    """The table of memories as it stands in a file.

    Attributes:
        extras: the columns that are not the format's.
        row: the SQL for what tells its rows apart.
        required: the extras that every row must have a value of, each with the one that SQLite gives to a row by
            itself; None where it gives none, or one that is not known before.
    """

    name: str
    extras: tuple[str, ...]
    row: str
    required: Mapping[str, Any]

    @property
    def sql(self) -> str:
        return quote(self.name)


def find_table(connection: sqlite3.Connection) -> Table | None:
    """The first of the tables that the app accepts, if it has all the columns the app reads."""
    present = {name.lower(): name for name in tables(connection)}
    for wanted in TABLES:
        if wanted in present:
            names = sorted(columns(connection, present[wanted]))
            if {name.lower() for name in names}.issuperset(COLUMNS):
                extras = tuple(name for name in names if name.lower() not in COLUMNS)
                required = {
                    name: usual for name, usual in required_columns(connection, present[wanted]) if name in extras
                }
                return Table(present[wanted], extras, _row_of(connection, present[wanted], names), required)
    return None


def required_columns(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, Any]]:
    """The columns that must not be empty, each with its default as far as that is a number or a plain text."""
    for _, name, _, is_required, default, _ in connection.execute(f"PRAGMA table_info({quote(table)})"):
        if is_required:
            yield name, _literal(str(default or ""))


def given(extras: Metadata, required: Mapping[str, Any]) -> Metadata:
    """The extras of a record with what SQLite gives to a row that does not say it."""
    usual = {name: value for name, value in required.items() if value is not None and extras.get(name) is None}
    return {**extras, **usual} if usual else extras


def lacking(extras: Metadata, required: Mapping[str, Any]) -> str | None:
    """Why a record with these extras cannot be a row, in words; None where it can."""
    missing = next((name for name in required if extras.get(name) is None), None)
    return missing and f"the database wants a value for {missing!r}, which the memory does not have"


def _literal(sql: str) -> Any:
    if len(sql) > 1 and sql[0] == sql[-1] == "'":
        return sql[1:-1].replace("''", "'")
    try:
        number = json.loads(sql)
    except ValueError:
        return None
    return number if type(number) in (int, float) else None


def _row_of(connection: sqlite3.Connection, table: str, names: Sequence[str]) -> str:
    """What tells the rows of a table apart: their number, unless columns have taken all its names; else the id.

    Raises:
        UnsupportedFormat: the table has neither.
    """
    taken = {name.lower() for name in names}
    described = list(connection.execute(f"PRAGMA table_info({quote(table)})"))
    has_numbers = not any(
        row[1].lower() == table.lower() and row[4] for row in connection.execute("PRAGMA table_list")
    )
    free = [name for name in ("rowid", "_rowid_", "oid") if name not in taken]
    if has_numbers and free:
        return free[0]
    if [str(row[1]).lower() for row in described if row[5]] == ["id"]:
        return "id"
    raise UnsupportedFormat(f"Nothing tells the rows of its table {table!r} apart.")
