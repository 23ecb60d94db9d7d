"""What chroma.sqlite3 says: collections and their settings, records, and the values of their metadata.

Works on every state of the tables since 0.4.0: columns and tables that came later are looked for, not assumed.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from memdefrag.base import foreign_json
from memdefrag.base.errors import StoreDamaged
from memdefrag.model.records import Metadata
from memdefrag.stores.sqlite_safe import columns, fetch_fast, quote, require_tables, tables

FILE = "chroma.sqlite3"
DOCUMENT, URI = "chroma:document", "chroma:uri"
DEFAULT_TENANT, DEFAULT_DATABASE = "default_tenant", "default_database"
METRICS = ("cosine", "l2", "ip")
DEFAULT_METRIC, DEFAULT_NEIGHBOURS = "l2", 16
_REQUIRED = {"collections", "collection_metadata", "segments", "embeddings", "embedding_metadata", "embeddings_queue"}
_SEGMENT_NAME = re.compile(r"[0-9a-zA-Z-]+")
_DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""What Chroma's own `default` embedding function runs."""
_SPARSE = 3
"""From this many times as many ids as are wanted, an id list is faster than an id range."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection as the tables describe it.

    Attributes:
        name: plain in the default tenant and database, else ``tenant/database/name``.
        vector_segment: name of the folder with its index files; None where the tables name none.
        metadata_segments: ids of the segments its records belong to (one, in a sound folder).
    """

    id: str
    name: str
    dimension: int | None
    metadata: Metadata = field(default_factory=dict)
    configuration: Any = None
    schema: Any = None
    vector_segment: str | None = None
    metadata_segments: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """The metric that searches really use.

        Collections made by Chroma up to 0.6 with `hnsw:space` in their metadata carry a configuration that
        says l2 all the same; searches follow the metadata.
        """
        told = (self.metadata.get("hnsw:space"), _vector_config(self.schema).get("space"), self.configured_metric)
        return next((metric for metric in told if metric in METRICS), DEFAULT_METRIC)

    @property
    def configured_metric(self) -> str | None:
        """The metric its configuration names, right or wrong."""
        space = _hnsw_config(self.configuration).get("space")
        return space if space in METRICS else None

    @property
    def neighbours(self) -> int:
        """M of the HNSW index."""
        told = (
            self.metadata.get("hnsw:M"),
            _mapping(_vector_config(self.schema).get("hnsw")).get("max_neighbors"),
            _hnsw_config(self.configuration).get("max_neighbors"),
            _hnsw_config(self.configuration).get("M"),
        )
        return next((m for m in told if type(m) is int and 0 < m < 4096), DEFAULT_NEIGHBOURS)

    @property
    def embedding_function(self) -> Any:
        """The embedding function's record, verbatim; None where there is none."""
        return _vector_config(self.schema).get("embedding_function") or _mapping(self.configuration).get(
            "embedding_function"
        )

    @property
    def model(self) -> str | None:
        """Name of the embedding model, as far as the embedding function's record tells."""
        function = _mapping(self.embedding_function)
        name, config = function.get("name"), _mapping(function.get("config"))
        told = config.get("model_name") or config.get("model") or name
        if not isinstance(told, str):
            return None
        return _DEFAULT_MODEL if told in ("default", "onnx_mini_lm_l6_v2") else told

    @property
    def labels_follow_ids(self) -> bool:
        """Whether labels in its index rise with the ids in table `embeddings`.

        True of Chroma 1.x (seen in 1.0.20 and 1.5.9), whose configurations have no `_type`; not before.
        """
        return isinstance(self.configuration, dict) and "_type" not in self.configuration

    @property
    def settings(self) -> Metadata:
        """All of it, verbatim, for another program to make the same collection."""
        return {
            "id": self.id,
            "metadata": dict(self.metadata),
            "configuration": self.configuration,
            "schema": self.schema,
            "embedding_function": self.embedding_function,
        }


_DIMENSIONS = range(1, 1 << 16)
_TEXT, _NUMBER = ["text"], ["integer"]
_TYPES: Mapping[str, Mapping[str, list[str]]] = {
    "collections": {"id": _TEXT, "name": _TEXT, "dimension": ["integer", "null"], "database_id": ["text", "null"]},
    "segments": {"id": _TEXT, "scope": _TEXT, "collection": ["text", "null"]},
    "databases": {"id": _TEXT, "name": _TEXT, "tenant_id": _TEXT},
    "migrations": {"dir": _TEXT, "version": _NUMBER},
    "collection_metadata": {"collection_id": _TEXT, "key": _TEXT},
    "embeddings_queue": {"seq_id": _NUMBER, "operation": _NUMBER, "topic": _TEXT, "id": _TEXT},
}
"""What the cells are that everything else hangs on; other cells are read whatever is in them."""


class Row(NamedTuple):
    """A record's row in table `embeddings`; `seq` numbers the last write that the tables took in."""

    rowid: int
    id: str
    seq: int


def require(connection: sqlite3.Connection, path: Path) -> None:
    """Insist on the tables that all states since 0.4.0 have, and on cells of the types that name things.

    Raises:
        StoreDamaged: one is missing, or holds something else.
    """
    require_tables(connection, path, _REQUIRED)
    for table, types in _TYPES.items():
        for column in columns(connection, table) & types.keys():
            is_other = f"typeof({quote(column)}) NOT IN (SELECT value FROM json_each(?))"
            query = f"SELECT 1 FROM {quote(table)} WHERE {is_other} LIMIT 1"
            if connection.execute(query, (json.dumps(types[column]),)).fetchone():
                raise StoreDamaged(f"{path} holds something in {table}.{column} that cannot stand there.")


def read_migrations(connection: sqlite3.Connection) -> dict[str, int]:
    """How far each set of tables has come (see `versions`)."""
    if "migrations" not in tables(connection):
        return {}
    return dict(connection.execute("SELECT dir, max(version) FROM migrations GROUP BY dir"))


def read_collections(connection: sqlite3.Connection) -> list[Collection]:
    """All collections of all tenants and databases, by name."""
    present = columns(connection, "collections")
    has_databases = "database_id" in present and "databases" in tables(connection)
    homes = {}
    if has_databases:
        homes = {row[0]: row[1:] for row in connection.execute("SELECT id, tenant_id, name FROM databases")}
    metadata = _collection_metadata(connection)
    segments = connection.execute("SELECT collection, scope, id FROM segments ORDER BY id").fetchall()
    found = []
    for row in _dicts(connection, "SELECT * FROM collections ORDER BY id"):
        own = [(scope, segment) for collection, scope, segment in segments if collection == row["id"]]
        vector = [segment for scope, segment in own if scope == "VECTOR" and _SEGMENT_NAME.fullmatch(segment)]
        tenant, database = homes.get(row.get("database_id"), (DEFAULT_TENANT, DEFAULT_DATABASE))
        plain = (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE)
        found.append(
            Collection(
                id=row["id"],
                name=row["name"] if plain else f"{tenant}/{database}/{row['name']}",
                dimension=dimension if (dimension := row.get("dimension")) in _DIMENSIONS else None,
                metadata=metadata.get(row["id"], {}),
                configuration=_json(row.get("config_json_str")),
                schema=_json(row.get("schema_str")),
                vector_segment=vector[0] if vector else None,
                metadata_segments=tuple(segment for scope, segment in own if scope == "METADATA"),
            )
        )
    return sorted(found, key=lambda collection: collection.name)


def read_rows(connection: sqlite3.Connection, collection: Collection) -> list[Row]:
    """The records that the tables hold, by rowid."""

    def fetch() -> list[Row]:
        return [
            Row(rowid, id if type(id) is str else as_text(id), seq if type(seq) is int else as_number(seq))
            for segment in collection.metadata_segments
            for rowid, id, seq in connection.execute(
                "SELECT id, embedding_id, seq_id FROM embeddings WHERE segment_id = ?", (segment,)
            )
        ]

    return sorted(fetch_fast(connection, fetch))


class Values:
    """Reads metadata of many records at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        flag = "bool_value" if "bool_value" in columns(connection, "embedding_metadata") else "NULL"
        self._scalars = (
            f"SELECT id, key, coalesce(string_value, int_value, float_value), {flag} FROM embedding_metadata WHERE "
        )
        self._lists = (
            "SELECT id, key, coalesce(string_value, int_value, float_value), bool_value "
            "FROM embedding_metadata_array WHERE "
            if "embedding_metadata_array" in tables(connection)
            else None
        )

    def read(self, rowids: Sequence[int]) -> dict[int, Metadata]:
        """Metadata, document and uri included, by rowid, with the types the tables hold."""
        return fetch_fast(self._connection, lambda: self._read(rowids))

    def rowids_with(self, keys: Iterable[str]) -> set[int]:
        """Records that have one of these metadata keys."""
        wanted = json.dumps(list(keys))
        query = "SELECT id FROM embedding_metadata WHERE key IN (SELECT value FROM json_each(?))"
        return {rowid for (rowid,) in self._connection.execute(query, (wanted,))}

    def _read(self, rowids: Sequence[int]) -> dict[int, Metadata]:
        found: dict[int, Metadata] = {rowid: {} for rowid in rowids}
        current, own = None, Metadata()
        for rowid, key, value, flag in self._select(self._scalars, rowids, "ORDER BY id"):
            if rowid != current:
                current, own = rowid, found.get(rowid, {})
            if value is None:
                if flag is None:
                    continue
                value = bool(flag)
            elif type(value) is bytes:
                value = as_text(value)
            own[key if type(key) is str else as_text(key)] = value
        if self._lists:
            started: set[tuple[int, str]] = set()
            for rowid, key, value, flag in self._select(self._lists, rowids, "ORDER BY id, rowid"):
                if rowid in found:
                    key = key if type(key) is str else as_text(key)
                    if (rowid, key) not in started:
                        started.add((rowid, key))
                        found[rowid][key] = []
                    found[rowid][key].append(bool(flag) if value is None and flag is not None else value)
        return found

    def _select(self, head: str, rowids: Sequence[int], tail: str) -> Iterable[tuple[int, str, Any, Any]]:
        if not rowids:
            return ()
        low, high = min(rowids), max(rowids)
        if high - low < _SPARSE * len(rowids):
            return self._connection.execute(f"{head} id BETWEEN ? AND ? {tail}", (low, high))
        listed = json.dumps(list(rowids))
        return self._connection.execute(f"{head} id IN (SELECT value FROM json_each(?)) {tail}", (listed,))


def as_text(value: Any) -> str:
    """A cell that should be text."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def as_number(value: Any) -> int:
    """A sequence number: an integer, or up to Chroma 0.6 a big-endian blob."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    return value if isinstance(value, int) else 0


def _collection_metadata(connection: sqlite3.Connection) -> dict[str, Metadata]:
    found: dict[str, Metadata] = {}
    for row in _dicts(connection, "SELECT * FROM collection_metadata"):
        values = [row["str_value"], row["int_value"], row["float_value"]]
        value = next((value for value in values if value is not None), None)
        if value is None and row.get("bool_value") is not None:
            value = bool(row["bool_value"])
        found.setdefault(row["collection_id"], {})[row["key"]] = value
    return found


def _dicts(connection: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _json(text: Any) -> Any:
    try:
        return foreign_json.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _hnsw_config(configuration: Any) -> Mapping[str, Any]:
    """The HNSW part of a configuration: `hnsw_configuration` up to 0.6, `hnsw` since."""
    told = _mapping(configuration)
    return _mapping(told.get("hnsw") or told.get("hnsw_configuration"))


def _vector_config(schema: Any) -> Mapping[str, Any]:
    """The vector part of a schema: of its embedding key, else of its defaults."""
    told = _mapping(schema)
    places = (_mapping(told.get("keys")).get("#embedding"), told.get("defaults"))
    for place in places:
        index = _mapping(_mapping(_mapping(place).get("float_list")).get("vector_index"))
        if index.get("config"):
            return _mapping(index["config"])
    return {}
