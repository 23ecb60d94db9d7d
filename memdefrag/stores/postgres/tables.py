"""What stands in the catalogue about the tables of a memory system: columns, and what speaks against writing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from memdefrag.base.errors import UnsupportedFormat
from memdefrag.model.records import Key

if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

Database: TypeAlias = "Connection[tuple[Any, ...]]"

VECTOR_TYPES = re.compile(r"vector(\(\d+\))?|real\[\]")
"""Types whose text form a float32 vector gives back exactly."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME_TYPES = re.compile(r"timestamp(\((?P<digits>\d)\))? with(?P<zone>out)? time zone")
OWNER_VARIABLE = "MEMDEFRAG_OWNER"
"""The user to whom memories go whose own owner is no user of the database."""
_USERS = "users"
"""The table that owners come from, in both systems."""
_OTHER_KINDS = {"v": "a view", "m": "a materialised view", "f": "a foreign table", "p": "a partitioned table"}


class Role(StrEnum):
    """What a column means to a memory."""

    ID = "id"
    TEXT = "text"
    EMBEDDING = "embedding"
    METADATA = "metadata"
    TAGS = "tags"
    CREATED = "created"
    UPDATED = "updated"
    OWNER = "owner"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class LinkSchema:
    """How one memory system lays out its table of relations: its name, and what the columns mean.

    Attributes:
        source, target: columns that name the memory at an end.
        key: the memory that the texts of such columns name; `parts`: the inverse.
    """

    table: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    key: Callable[..., Key]
    parts: Callable[[Key], tuple[str, ...]]
    type: str
    created: str
    owner: str
    id: str = "id"
    strength: str = "strength"
    metadata: str = "metadata"

    @property
    def known(self) -> tuple[str, ...]:
        """All columns but the owner's."""
        return (self.id, *self.source, *self.target, self.type, self.strength, self.metadata, self.created)


@dataclass(frozen=True, slots=True)
class Schema:
    """How one memory system lays out its tables.

    Attributes:
        name: of the system, for people.
        tables: SQL pattern (LIKE) of the tables that hold memories.
        marks: columns by which such a table is told from a stranger's of the same name.
        roles: what the columns mean; all but `optional` must be there.
        links: the table of relations.
        optional: columns that some versions lack.
        hash_column: holds the SHA-256 of the text, where it holds that; empty: there is none.
        variables: environment variables in which the system itself keeps its URL.
    """

    name: str
    tables: str
    marks: frozenset[str]
    roles: Mapping[str, Role]
    links: LinkSchema
    optional: frozenset[str] = frozenset()
    hash_column: str = ""
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is the full name of its type, as in ``timestamp(3) without time zone``."""

    name: str
    type: str
    not_null: bool

    @property
    def time_digits(self) -> int | None:
        """Fractional digits of a timestamp's seconds; None for other types."""
        match = _TIME_TYPES.fullmatch(self.type)
        return None if match is None else int(match["digits"] or 6)

    @property
    def has_zone(self) -> bool:
        return self.type.endswith("with time zone")

    @property
    def dimension(self) -> int | None:
        """Of a ``vector(n)``; None where any length goes."""
        return int(self.type[7:-1]) if self.type.startswith("vector(") else None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of memories.

    Attributes:
        columns: all that hold values of their own, in their order; generated ones are left out.
        roles: column by role; `meanings`: role by the column's name.
        hash_column: see `Schema`; empty where the table has none.
        refusals: why this table is only read, one sentence each.
        users: all that memories may belong to, where that is limited to them.
        default_owner: whose memories are that belong to nobody: who was named for that, else the only user.
    """

    schema: str
    name: str
    oid: int
    columns: tuple[Column, ...]
    roles: Mapping[Role, Column]
    meanings: Mapping[str, Role]
    hash_column: str = ""
    refusals: tuple[str, ...] = ()
    users: frozenset[str] | None = None
    default_owner: str | None = None


_FIND = """
    SELECT n.nspname::text, c.relname::text, c.oid::int8, c.relkind::text, c.relhassubclass, c.relhasrules
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE pg_catalog.pg_table_is_visible(c.oid) AND c.relname LIKE %s AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    ORDER BY c.relname
"""
_COLUMNS = """
    SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod), attnotnull
    FROM pg_catalog.pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""
_KEYED = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = %s AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = %s)
"""
_BOUND = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_attribute a
        ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
        WHERE f.contype = 'f' AND f.conrelid = %s AND a.attname = %s)
"""
_TRIGGERS = """
    SELECT tgname::text FROM pg_catalog.pg_trigger
    WHERE tgrelid = %s AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname
"""


def find_tables(database: Database, schema: Schema, owner: str | None = None) -> list[Table]:
    """The tables of memories that the session sees, by name.

    Args:
        owner: the user named for memories whose own owner is no user there.

    Raises:
        UnsupportedFormat: what is called so is a view or the like, lacks columns, or has no unique id.
    """
    found = []
    users = all_users(database)
    for namespace, name, oid, kind, children, rules in database.execute(_FIND, [schema.tables]).fetchall():
        columns = tuple(Column(*row) for row in database.execute(_COLUMNS, [oid]))
        if not schema.marks <= {column.name for column in columns}:
            continue
        if kind != "r" or children:
            what = _OTHER_KINDS.get(kind, "a table with child tables")
            raise UnsupportedFormat(f"{name} is {what}; memdefrag reads plain tables only.")
        roles = _roles(name, columns, schema)
        [(keyed,)] = database.execute(_KEYED, [oid, roles[Role.ID].name])
        if not keyed:
            raise UnsupportedFormat(f"The ids of the table {name} are not unique.")
        refusals = tuple(_refusals(database, name, oid, roles, rules=rules))
        hash_column = next((column.name for column in columns if column.name == schema.hash_column), "")
        meanings = {column.name: role for role, column in roles.items()}
        owners = allowed_owners(database, oid, roles[Role.OWNER].name, users, owner)
        found.append(Table(namespace, name, oid, columns, roles, meanings, hash_column, refusals, *owners))
    return found


def _roles(table: str, columns: tuple[Column, ...], schema: Schema) -> dict[Role, Column]:
    by_name = {column.name: column for column in columns}
    missing = sorted(schema.roles.keys() - by_name.keys() - schema.optional)
    if missing:
        raise UnsupportedFormat(
            f"The table {table} lacks the columns {', '.join(missing)}: a version of {schema.name} we do not know."
        )
    roles = {role: by_name[name] for name, role in schema.roles.items() if name in by_name}
    for role in (Role.CREATED, Role.UPDATED):
        if role in roles and roles[role].time_digits is None:
            raise UnsupportedFormat(f"{table}.{roles[role].name} is {roles[role].type}, not a timestamp.")
    return roles


def _refusals(database: Database, name: str, oid: int, roles: Mapping[Role, Column], *, rules: bool) -> list[str]:
    found = write_hindrances(database, name, oid, rules=rules)
    embedding = roles.get(Role.EMBEDDING)
    if embedding is not None and not VECTOR_TYPES.fullmatch(embedding.type):
        found.append(f"The vectors of the table {name} are of the type {embedding.type}, which we can only read.")
    return found


def write_hindrances(database: Database, name: str, oid: int, *, rules: bool) -> list[str]:
    """What might turn a write to a table into something else, one sentence each."""
    triggers = [trigger for (trigger,) in database.execute(_TRIGGERS, [oid])]
    found = []
    if triggers:
        found.append(
            f"The table {name} has triggers that might change what is written, or other tables: {', '.join(triggers)}."
        )
    if rules:
        found.append(f"The table {name} has rewrite rules, which turn a write into something else.")
    return found


def allowed_owners(
    database: Database, oid: int, column: str, users: frozenset[str] | None, named: str | None
) -> tuple[frozenset[str] | None, str | None]:
    """Whose the rows of a table may be (None: anybody's), and whose those are that belong to nobody."""
    only = next(iter(users)) if users is not None and len(users) == 1 else None
    default = named if users is None or named in users else None
    return users if named or is_bound(database, oid, column) else None, default if named else only


def is_bound(database: Database, oid: int, column: str) -> bool:
    """Whether the values of a column must be there in another table."""
    return database.execute(_BOUND, [oid, column]).fetchone() == (True,)


def all_users(database: Database) -> frozenset[str] | None:
    """All users; None where there is no table of them."""
    from psycopg import sql

    visible = database.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [_USERS]).fetchone()
    if visible != (True,):
        return None
    query = sql.SQL("SELECT id::text FROM {}").format(sql.Identifier(_USERS))
    return frozenset(id for (id,) in database.execute(query, []))
