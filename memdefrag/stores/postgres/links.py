"""The table of relations of a memory system: its rows as links, and links as rows.

A link that gets other ends keeps its row: the id, whose it is, and every column that we do not know.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from memdefrag.base.errors import StoreChanged, UnsupportedFormat, VerificationFailed, WriterFailed
from memdefrag.model import codec
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import relation_hash
from memdefrag.model.plan import Changes
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.postgres import values
from memdefrag.stores.postgres.fitting import storable
from memdefrag.stores.postgres.query import name, owners, reading
from memdefrag.stores.postgres.tables import (
    OWNER_VARIABLE,
    Column,
    Database,
    LinkSchema,
    Table,
    all_users,
    allowed_owners,
    is_bound,
    write_hindrances,
)

Row = dict[str, str | None]
_ABSENT_STRENGTH = 0.5
"""What both systems take for a strength that nobody named."""
_TEXTS = ("text", "character varying")
_FIND = """
    SELECT n.nspname::text, c.oid::int8, c.relkind::text, c.relhasrules
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE pg_catalog.pg_table_is_visible(c.oid) AND c.relname = %s AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
"""
_COLUMNS = """
    SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> ''
    FROM pg_catalog.pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""


@dataclass(frozen=True, slots=True)
class LinkTable:
    """The table of relations.

    Attributes:
        columns: all that hold values of their own, by name in their order.
        filled: columns that the server fills by itself.
        refusals: why links are only read, one sentence each.
        loose: the server lets links name memories that are not there.
        users, default_owner: as those of `Table`.
    """

    says: LinkSchema
    namespace: str
    oid: int
    columns: Mapping[str, Column]
    filled: frozenset[str]
    refusals: tuple[str, ...]
    loose: bool
    users: frozenset[str] | None = None
    default_owner: str | None = None

    @property
    def sql_name(self) -> sql.Identifier:
        return name(self.namespace, self.says.table)


def find(database: Database, says: LinkSchema, owner: str | None = None) -> LinkTable | None:
    """The table of relations that the session sees; None where there is none. `owner`: as in `find_tables`.

    Raises:
        UnsupportedFormat: it lacks columns.
    """
    found = database.execute(_FIND, [says.table]).fetchone()
    if found is None:
        return None
    namespace, oid, kind, rules = found
    described = database.execute(_COLUMNS, [oid]).fetchall()
    columns = {row[0]: Column(*row[:3]) for row in described}
    missing = sorted({*says.known} - columns.keys())
    if missing:
        raise UnsupportedFormat(f"The table {says.table} lacks the columns {', '.join(missing)}.")
    filled = frozenset(row[0] for row in described if row[3])
    refusals = [] if kind == "r" else [f"{says.table} is no plain table."]
    refusals += write_hindrances(database, says.table, oid, rules=rules)
    refusals += _unfillable(says, columns, filled)
    owners = allowed_owners(database, oid, says.owner, all_users(database), owner)
    loose = not any(is_bound(database, oid, ends[-1]) for ends in (says.source, says.target))
    return LinkTable(says, namespace, oid, columns, filled, tuple(refusals), loose, *owners)


def _unfillable(says: LinkSchema, columns: Mapping[str, Column], filled: frozenset[str]) -> Iterator[str]:
    """What we could not say of a new row."""
    for column in columns.values():
        if column.name == says.id and column.name not in filled and not column.type.startswith((*_TEXTS, "uuid")):
            yield f"The ids of {says.table} are of the type {column.type}, which we cannot make."
        elif column.not_null and column.name not in {says.id, says.owner, *says.known} | filled:
            yield f"{says.table} wants a value for {column.name}, which we do not know."
    fitting = {says.strength: ("double precision", "numeric"), says.metadata: ("json", "jsonb")}
    for odd in (columns[each] for each, types in fitting.items() if columns[each].type not in types):
        yield f"The column {odd.name} of {says.table} is of the type {odd.type}, which we can only read."
    if columns[says.created].time_digits is None:
        yield f"The column {says.created} of {says.table} is no timestamp."


def read(database: Database, table: LinkTable) -> Iterator[Relation]:
    """All links, in the order of their rows' ids; the session must be in a transaction."""
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(_selected(table), table.sql_name, name(table.says.id))
    with reading(database) as cursor:
        cursor.execute(query, [])
        for row in cursor:
            yield _link(_row(row, table), table)


def fit(relation: Relation, table: LinkTable, tables: Iterable[str]) -> tuple[Relation | None, tuple[str, ...]]:
    """The link as a row will give it back, and what is lost by that. `tables`: those that memories may be in."""
    known = set(tables)
    if not all(isinstance(end, Key) and end.collection in known for end in (relation.source, relation.target)):
        return None, ("a link to something that is no memory here",)
    losses = []
    if relation.strength is None and table.columns[table.says.strength].not_null:
        losses.append(f"the absence of a link's strength ({_ABSENT_STRENGTH} is written)")
    if relation.created is None and table.columns[table.says.created].not_null:
        losses.append("the absence of a link's time (1970 is written)")
    told = MemoryRecord(Key("", ""), relation.type, relation.metadata)
    clean, escaped = codec.fit(told, Capabilities(Commit.TRANSACTION, zero_bytes=False))
    clean, zeros = storable(clean)
    clean_link = replace(relation, type=clean.text or "", metadata=clean.metadata)
    fitted = _link({**_said(clean_link, table), **_ends(relation, table)}, table)
    return replace(fitted, source=relation.source, target=relation.target), (*losses, *escaped, *zeros)


@dataclass
class LinkWriter:
    """Removes and makes links inside a transaction, whose lock on the table lasts until its end."""

    database: Database
    table: LinkTable
    memories: Mapping[str, Table]
    changes: Changes

    def __post_init__(self) -> None:
        self.before = self._present()
        self.gone = self._chosen()

    def unlink(self) -> None:
        """Remove rows; before the memories that they belong to go.

        Raises:
            StoreChanged: a link is no longer there, or says something else.
        """
        query = sql.SQL("DELETE FROM ONLY {} WHERE ctid = ANY(%s::tid[])").format(self.table.sql_name)
        places = [place for place, _ in self.gone]
        _counted(self.database.execute(query, [places]).rowcount, len(places), self.table)

    def link(self) -> None:
        """Insert rows, once the memories are there; and read all of them back.

        Raises:
            WriterFailed: nobody can be named whose link it is.
            VerificationFailed: the links read back differently.
        """
        rows = list(self._made())
        for names, found in _alike(rows).items():
            query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                self.table.sql_name,
                sql.SQL(", ").join(map(name, names)),
                sql.SQL(", ").join([sql.Placeholder()] * len(names)),
            )
            with self.database.cursor() as cursor:
                cursor.executemany(query, found)
                _counted(cursor.rowcount, len(found), self.table)
        self._require_written()

    def _present(self) -> dict[str, Row]:
        """The rows between memories that are concerned, by their place."""
        query = sql.SQL("SELECT ctid::text, {} FROM ONLY {} WHERE {}::text = ANY(%s::text[])").format(
            _selected(self.table), self.table.sql_name, name(self.table.says.source[-1])
        )
        ids = {
            each.source.id for each in (*self.changes.relate, *self.changes.unrelate) if isinstance(each.source, Key)
        }
        found = self.database.execute(query, [sorted(ids)]).fetchall()
        return {place: _row(row, self.table) for place, *row in found}

    def _chosen(self) -> list[tuple[str, Row]]:
        """The rows of the links to remove."""
        wanted = Counter(map(relation_hash, self.changes.unrelate))
        chosen = [(place, row) for place, row in self.before.items() if relation_hash(_link(row, self.table)) in wanted]
        if Counter(relation_hash(_link(row, self.table)) for _, row in chosen) != wanted:
            raise StoreChanged("A link between memories was changed meanwhile.")
        return chosen

    def _made(self) -> Iterator[Row]:
        """A row for each link to make: that of one which says the same but for its ends, else a new one."""
        spare: dict[str, list[Row]] = defaultdict(list)
        for _, row in self.gone:
            spare[_endless(_link(row, self.table))].append(row)
        fresh: list[Relation] = []
        for relation in self.changes.relate:
            if rows := spare[_endless(relation)]:
                yield _moved(rows.pop(0), relation, self.table)
            else:
                fresh.append(relation)
        says = self.table.says
        owned = _owned(self.database, self.table, self.memories, fresh)
        for relation, owner in zip(fresh, owned, strict=True):
            row = {**_said(relation, self.table), **_ends(relation, self.table)}
            if says.id not in self.table.filled:
                row[says.id] = str(uuid.uuid4())
            if says.owner in self.table.columns:
                row[says.owner] = owner
            yield row

    def _require_written(self) -> None:
        wanted = Counter(relation_hash(_link(row, self.table)) for row in self.before.values())
        wanted -= Counter(map(relation_hash, self.changes.unrelate))
        wanted += Counter(map(relation_hash, self.changes.relate))
        found = Counter(relation_hash(_link(row, self.table)) for row in self._present().values())
        if found != wanted:
            raise VerificationFailed("The links between memories read back differently; the write was taken back.")


def _moved(row: Row, relation: Relation, table: LinkTable) -> Row:
    """The row with the link's ends; one that stays is spelled as it was."""
    old, ends = _link(row, table), _ends(relation, table)
    for columns, stays in (
        (table.says.source, old.source == relation.source),
        (table.says.target, old.target == relation.target),
    ):
        ends.update({column: row[column] for column in columns} if stays else {})
    return {**row, **ends}


def _owned(
    database: Database, table: LinkTable, memories: Mapping[str, Table], relations: Sequence[Relation]
) -> Iterator[str | None]:
    """Whose each new link is: the owner of one of its memories, if that is a user, else the one to be named.

    Raises:
        WriterFailed: nobody can be named.
    """
    ends: dict[str, list[str]] = defaultdict(list)
    for end in (end for each in relations for end in (each.source, each.target) if isinstance(end, Key)):
        ends[end.collection].append(end.id)
    found: dict[Key, str | None] = {}
    for collection, ids in ends.items():
        found.update(owners(database, memories[collection], ids))
    column = table.columns.get(table.says.owner)
    for relation in relations:
        candidates = [found.get(end) for end in (relation.source, relation.target) if isinstance(end, Key)]
        candidates.append(table.default_owner)
        owner = next((each for each in candidates if each and (table.users is None or each in table.users)), None)
        if owner is None and column is not None and column.not_null:
            raise WriterFailed(
                f"The link from {relation.source} to {relation.target} needs an owner.",
                todo=f"Name one of the users of that database: --owner ID or {OWNER_VARIABLE}=ID.",
            )
        yield owner


def _said(relation: Relation, table: LinkTable) -> Row:
    """What the columns beside the ends say of a link."""
    says = table.says
    strength, created = relation.strength, relation.created
    if strength is None and table.columns[says.strength].not_null:
        strength = _ABSENT_STRENGTH
    column = table.columns[says.created]
    says_more = bool(relation.metadata) or table.columns[says.metadata].not_null
    if created is None and column.not_null:
        created = 0.0
    return {
        says.type: relation.type,
        says.strength: None if strength is None else repr(float(strength)),
        says.metadata: values.write_json(relation.metadata) if says_more else None,
        says.created: None if created is None else values.write_time(
            created, column.time_digits or 0, zone=column.has_zone
        ),
    }  # fmt: skip


def _ends(relation: Relation, table: LinkTable) -> Row:
    """What the columns of the ends say."""
    row: Row = {}
    for columns, end in ((table.says.source, relation.source), (table.says.target, relation.target)):
        assert isinstance(end, Key)
        row.update(zip(columns, table.says.parts(end), strict=True))
    return row


def _link(row: Mapping[str, str | None], table: LinkTable) -> Relation:
    says = table.says
    source, target = (says.key(*(row[column] or "" for column in columns)) for columns in (says.source, says.target))
    strength, metadata, created = row[says.strength], row[says.metadata], row[says.created]
    return Relation(
        source,
        target,
        row[says.type] or "",
        None if strength is None else float(strength),
        {} if metadata is None else values.read_object(metadata) or {},
        None if created is None else values.read_time(created),
    )


def _endless(relation: Relation) -> str:
    return relation_hash(replace(relation, source="", target=""))


def _selected(table: LinkTable) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{}::text").format(name(column)) for column in table.columns)


def _row(found: Sequence[Any], table: LinkTable) -> Row:
    return dict(zip(table.columns, found, strict=True))


def _alike(rows: Iterable[Row]) -> dict[tuple[str, ...], list[tuple[str | None, ...]]]:
    """The values of the rows, by the columns that they name."""
    found: dict[tuple[str, ...], list[tuple[str | None, ...]]] = defaultdict(list)
    for row in rows:
        found[tuple(row)].append(tuple(row.values()))
    return found


def _counted(done: int, wanted: int, table: LinkTable) -> None:
    if done != wanted:
        raise VerificationFailed(f"{done} rows of {table.says.table} were written, not {wanted}; they were taken back.")
