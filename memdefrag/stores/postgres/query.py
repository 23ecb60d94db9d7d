"""The statements on tables of memories. Names are quoted by psycopg, values are always parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from psycopg import ServerCursor, sql

from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.postgres import rows
from memdefrag.stores.postgres.tables import UUID, Column, Database, Role, Table

_AT_ONCE = 1_000
_cursors = count(1)


def name(*parts: str) -> sql.Identifier:
    """A quoted name for a statement with parameters, in which a percent sign must be doubled."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def reading(database: Database) -> ServerCursor[tuple[Any, ...]]:
    """A cursor of its own name, which gives rows out as they are asked for."""
    return database.cursor(f"memdefrag_{next(_cursors)}")


def table_name(table: Table) -> sql.Identifier:
    return name(table.schema, table.name)


def scan(database: Database, table: Table, batch: int, *, vectors: bool) -> Iterator[list[MemoryRecord]]:
    """All memories of a table in the order of their ids; the session must be in a transaction."""
    query = sql.SQL("SELECT {} FROM ONLY {} ORDER BY {}").format(
        _selected(table, vectors=vectors), table_name(table), name(table.roles[Role.ID].name)
    )
    with reading(database) as cursor:
        cursor.execute(query, [])
        while found := cursor.fetchmany(batch):
            yield [_record(row, table, vectors=vectors) for row in found]


def fetch(database: Database, table: Table, ids: Sequence[str]) -> Iterator[MemoryRecord]:
    """The memories of these ids that exist, found by the index of the ids."""
    query = sql.SQL("SELECT {} FROM ONLY {} WHERE {}").format(
        _selected(table, vectors=True), table_name(table), _one_of(table.roles[Role.ID])
    )
    for start in range(0, len(ids), _AT_ONCE):
        asked = _possible(ids[start : start + _AT_ONCE], table.roles[Role.ID])
        for row in database.execute(query, [asked]):
            yield _record(row, table, vectors=True)


def info(database: Database, table: Table) -> CollectionInfo:
    """The counts of a table, and the length that most of its first vectors have."""
    deleted, embedding = table.roles.get(Role.DELETED), table.roles.get(Role.EMBEDDING)
    query = sql.SQL("SELECT count(*), count(*) FILTER (WHERE NOT {}), count({}) FROM ONLY {}").format(
        name(deleted.name) if deleted else sql.SQL("false"),
        name(embedding.name) if embedding else sql.SQL("NULL"),
        table_name(table),
    )
    [(count, live, embedded)] = database.execute(query, []).fetchall()
    dimension = embedding.dimension if embedding else None
    if embedding and embedded and dimension is None:
        sample = sql.SQL(
            "SELECT cardinality(string_to_array({column}::text, ',')) FROM ONLY {table} "
            "WHERE {column} IS NOT NULL LIMIT 100"
        ).format(column=name(embedding.name), table=table_name(table))
        dimension = Counter(length for (length,) in database.execute(sample, [])).most_common(1)[0][0]
    return CollectionInfo(table.name, count, live, embedded, dimension)


def owners(database: Database, table: Table, ids: Sequence[str]) -> dict[Key, str | None]:
    """Whose the memories of these ids are, those that exist."""
    id_column = table.roles[Role.ID]
    query = sql.SQL("SELECT {}::text, {}::text FROM ONLY {} WHERE {}").format(
        name(id_column.name), name(table.roles[Role.OWNER].name), table_name(table), _one_of(id_column)
    )
    return {Key(table.name, id): owner for id, owner in database.execute(query, [_possible(ids, id_column)])}


def size(database: Database, tables: Sequence[Table]) -> int:
    """Bytes that tables and their indexes take on the server."""
    total = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM unnest(%s::oid[]) AS oid"
    [(found,)] = database.execute(total, [[table.oid for table in tables]]).fetchall()
    return int(found)


def odd_vectors(database: Database, table: Table) -> list[str]:
    """A sentence on vectors that hold no numbers; pgvector's own type never does."""
    embedding = table.roles.get(Role.EMBEDDING)
    if embedding is None or embedding.type.startswith("vector"):
        return []
    query = sql.SQL("SELECT {}::text FROM ONLY {} WHERE {}::text ~ '[Nn]a[Nn]|[Ii]nf|NULL' ORDER BY 1").format(
        name(table.roles[Role.ID].name), table_name(table), name(embedding.name)
    )
    ids = [id for (id,) in database.execute(query, [])]
    if not ids:
        return []
    return [f"{len(ids)} vectors of {table.name} hold values that are no numbers, the first is {ids[0]!r}."]


def lock(database: Database, schema: str, table: str) -> None:
    """Keep everybody else from writing the table until the end of the transaction; reading goes on."""
    statement = sql.SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE NOWAIT")
    # Without parameters a percent sign stands for itself.
    database.execute(statement.format(sql.Identifier(schema, table)))


def insert(database: Database, table: Table, values: Sequence[tuple[str | None, ...]]) -> int:
    """Insert whole rows; how many were."""
    columns = [column.name for column in table.columns]
    query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        table_name(table),
        sql.SQL(", ").join(map(name, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    return _many(database, query, values)


def update(database: Database, table: Table, columns: Sequence[str], values: Sequence[tuple[str | None, ...]]) -> int:
    """Set the columns of rows; each tuple ends with the row's id. How many rows there were."""
    settings = sql.SQL(", ").join(sql.SQL("{} = %s").format(name(column)) for column in columns)
    query = sql.SQL("UPDATE ONLY {} SET {} WHERE {} = %s").format(
        table_name(table), settings, name(table.roles[Role.ID].name)
    )
    return _many(database, query, values)


def delete(database: Database, table: Table, ids: Sequence[str]) -> int:
    """Remove rows; how many were."""
    query = sql.SQL("DELETE FROM ONLY {} WHERE {}").format(table_name(table), _one_of(table.roles[Role.ID]))
    return database.execute(query, [_possible(ids, table.roles[Role.ID])]).rowcount


_REFERENCES = """
    SELECT n.nspname::text, c.relname::text, a.attname::text, r.attname::text
    FROM pg_catalog.pg_constraint f
    JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
    JOIN pg_catalog.pg_attribute r ON r.attrelid = f.confrelid AND r.attnum = f.confkey[1]
    WHERE f.contype = 'f' AND f.confrelid = %s AND f.confdeltype IN ('c', 'n', 'd') ORDER BY 2, 3
"""


def referring(database: Database, table: Table, ids: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Tables whose foreign keys would delete or empty rows if these rows went, and how many rows that are."""
    for schema, other, column, referred in database.execute(_REFERENCES, [table.oid]).fetchall():
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} IN (SELECT {} FROM ONLY {} WHERE {})").format(
            name(schema, other), name(column), name(referred), table_name(table), _one_of(table.roles[Role.ID])
        )
        [(found,)] = database.execute(query, [_possible(ids, table.roles[Role.ID])]).fetchall()
        if found:
            yield other, found


def _many(database: Database, query: sql.Composed, values: Sequence[tuple[str | None, ...]]) -> int:
    if not values:
        return 0
    with database.cursor() as cursor:
        cursor.executemany(query, values)
        return cursor.rowcount


def _selected(table: Table, *, vectors: bool) -> sql.Composed:
    """Every column as text. Vectors that always can be read are not even asked for when they are not wanted."""
    embedding = table.roles.get(Role.EMBEDDING)
    return sql.SQL(", ").join(
        sql.SQL("NULL::text")
        if not vectors and column == embedding and column.type.startswith("vector")
        else sql.SQL("{}::text").format(name(column.name))
        for column in table.columns
    )


def _record(row: tuple[Any, ...], table: Table, *, vectors: bool) -> MemoryRecord:
    return rows.read(dict(zip((column.name for column in table.columns), row, strict=True)), table, vectors=vectors)


def _one_of(id_column: Column) -> sql.Composed:
    """A condition that the index of the ids serves for the types that ids have."""
    if id_column.type == "uuid":
        return sql.SQL("{} = ANY(%s::uuid[])").format(name(id_column.name))
    if id_column.type == "text":
        return sql.SQL("{} = ANY(%s::text[])").format(name(id_column.name))
    return sql.SQL("{}::text = ANY(%s::text[])").format(name(id_column.name))


def _possible(ids: Sequence[str], id_column: Column) -> list[str]:
    """Those ids that the column can hold at all."""
    storable = [id for id in ids if "\0" not in id and id == id.encode("utf-8", "replace").decode()]
    return [id for id in storable if UUID.fullmatch(id)] if id_column.type == "uuid" else storable
