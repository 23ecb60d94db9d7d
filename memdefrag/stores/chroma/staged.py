"""What must be done by SQL to a staged copy of a Chroma folder, before and after a chromadb had it.

Every function here takes or opens a *copy*; none may be used on a folder that somebody owns.
"""

from __future__ import annotations

import json
import math
import pickletools
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NamedTuple

from memdefrag.base.errors import StoreDamaged
from memdefrag.base.fsops import remove
from memdefrag.model.records import Metadata
from memdefrag.stores.chroma.tables import DOCUMENT, FILE, URI, as_number, read_collections, read_migrations
from memdefrag.stores.chroma.wal import parse_metadata
from memdefrag.stores.sqlite_safe import open_readonly, open_staged, tables

CLOSE, TINY = 1e-15, 1e-300
"""How far chromadb 1.x may be off when it reads a float: relatively, and near zero (as in `child`)."""

LABELS_FILE = "index_metadata.pickle"
_LABELS_CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_MEMO = {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}
_CALLS = {"REDUCE", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
_SEQUENCE_NUMBERS_ARE_INTEGERS = 5


class Decimal(NamedTuple):
    """A float of a record's metadata that must be stored exactly. `position` counts within a list, else None."""

    collection: str
    id: str
    key: str
    position: int | None
    value: float


def migrations(path: Path) -> dict[str, int]:
    """How far the tables of a Chroma folder have come; empty where there is none yet."""
    if not (path / FILE).exists():
        return {}
    with open_readonly(path / FILE) as connection:
        return read_migrations(connection)


def require_harmless_labels(path: Path) -> None:
    """Insist that no index file carries a program.

    chromadb up to 0.6 unpickles `index_metadata.pickle`, and a pickle may name any function to be called. Allowed
    are plain data and the one class those releases write.

    Raises:
        StoreDamaged: a file names something else.
    """
    for file in sorted(path.glob(f"*/{LABELS_FILE}")):
        if not _is_harmless(file.read_bytes()):
            raise StoreDamaged(
                f"{file.parent.name}/{file.name} holds instructions that chromadb never writes; it was not opened.",
                todo="Do not open this folder with chromadb 0.6 or older. Export its memories instead.",
            )


def mend(path: Path) -> int:
    """Repair what older releases left in the queue and chromadb 1.x stops at; returns how many rows.

    A null document or uri means the same as none; NaN and infinity, which 1.x cannot hold, go; lone surrogates
    become U+FFFD. Text and metadata in the tables are not touched. Sequence numbers as blobs become integers.
    """
    with open_staged(path / FILE) as connection:
        connection.execute("BEGIN")
        changed = _mend_queue(connection)
        if read_migrations(connection).get("metadb", 0) >= _SEQUENCE_NUMBERS_ARE_INTEGERS:
            changed += _mend_sequence_numbers(connection)
        connection.execute("COMMIT")
    return changed


def queued_decimals(path: Path) -> list[Decimal]:
    """Floats of queued changes that the library will move into the tables when it opens the folder, in order.

    chromadb 1.x reads one decimal in five from its own queue a bit or two off (measured with 1.5.9).
    """
    with open_readonly(path / FILE) as connection:
        numbers = connection.execute("SELECT segment_id, seq_id FROM max_seq_id")
        taken = {segment: as_number(seq) for segment, seq in numbers}
        waiting: list[Decimal] = []
        for collection in read_collections(connection):
            after = min((taken.get(segment, 0) for segment in collection.metadata_segments), default=0)
            rows = connection.execute(
                "SELECT id, metadata FROM embeddings_queue "
                "WHERE seq_id > ? AND topic LIKE '%/' || ? AND metadata IS NOT NULL ORDER BY seq_id",
                (after, collection.id),
            )
            for id, text in rows:
                waiting += decimals(collection.name, id, parse_metadata(text))
        return waiting


def decimals(collection: str, id: str, metadata: Metadata) -> Iterator[Decimal]:
    """The finite floats of one record's metadata."""
    for key, value in metadata.items():
        listed = value if isinstance(value, list) else [value]
        for position, number in enumerate(listed):
            if isinstance(number, float) and math.isfinite(number):
                yield Decimal(collection, id, key, position if isinstance(value, list) else None, number)


def differ_by_bits(one: Metadata, other: Metadata) -> bool:
    """Whether two metadata are the same but for floats that are as little off as `restore_decimals` mends."""
    return one.keys() == other.keys() and all(_is_near(value, other[key]) for key, value in one.items())


def _is_near(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_near, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= CLOSE * abs(other) + TINY
    return type(one) is type(other) and bool(one == other)


def restore_decimals(path: Path, wanted: Iterable[Decimal]) -> int:
    """Set floats that are a bit or two off to what they must be; returns how many.

    Of several for one place the last counts. Places that hold another value, because a later change replaced
    it, stay as they are.
    """
    changed = 0
    with open_staged(path / FILE) as connection:
        segments = {item.name: item.metadata_segments for item in read_collections(connection)}
        has_lists = "embedding_metadata_array" in tables(connection)
        connection.execute("BEGIN")
        for collection, id, key, position, value in wanted:
            if position is not None and not has_lists:
                continue
            for segment in segments.get(collection, ()):
                changed += _restore(connection, segment, id, key, position, value)
        connection.execute("COMMIT")
    return changed


def strip_indexes(path: Path, names: Container[str]) -> None:
    """Remove the index files of these collections, and what the tables and the queue know of them.

    The library then takes every vector it is given for new and starts a fresh, small index. The queue's last row
    stays, because the library numbers on from it; below that number it would ignore its own writes.
    """
    with open_staged(path / FILE) as connection:
        chosen = [item for item in read_collections(connection) if item.name in names and item.vector_segment]
        connection.execute("BEGIN")
        for collection in chosen:
            connection.execute("DELETE FROM max_seq_id WHERE segment_id = ?", (collection.vector_segment,))
            connection.execute(
                "DELETE FROM embeddings_queue WHERE topic LIKE '%/' || ? "
                "AND seq_id < (SELECT max(seq_id) FROM embeddings_queue)",
                (collection.id,),
            )
        connection.execute("COMMIT")
    for collection in chosen:
        if collection.vector_segment:
            remove(path / collection.vector_segment)


def drop_orphans(path: Path) -> list[str]:
    """Remove index folders that belong to no collection any more; returns their names."""
    with open_readonly(path / FILE) as connection:
        owned = {collection.vector_segment for collection in read_collections(connection)}
    orphans = [
        child.name
        for child in sorted(path.iterdir())
        if child.name not in owned and not child.is_symlink() and (child / "data_level0.bin").is_file()
    ]
    for name in orphans:
        remove(path / name)
    return orphans


def vacuum(path: Path) -> None:
    """Give the room of deleted rows back to the disk."""
    with open_staged(path / FILE) as connection:
        connection.execute("VACUUM")


def mended(metadata: Metadata) -> Metadata:
    """A queued change's metadata without what chromadb 1.x cannot read. Pure."""
    return {
        _well_formed(key): _well_formed(value)
        for key, value in metadata.items()
        if not (value is None and key in (DOCUMENT, URI))
        and not (isinstance(value, float) and not math.isfinite(value))
    }


def _well_formed(value: Any) -> Any:
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


def _mend_queue(connection: Connection) -> int:
    suspects = connection.execute(
        "SELECT seq_id, metadata FROM embeddings_queue WHERE metadata LIKE '%null%' OR metadata LIKE '%NaN%' "
        "OR metadata LIKE '%Infinity%' OR metadata LIKE '%\\ud%'"
    ).fetchall()
    changed = [
        (json.dumps(mended(found)), seq)
        for seq, text in suspects
        if (found := parse_metadata(text)) and mended(found) != found
    ]
    connection.executemany("UPDATE embeddings_queue SET metadata = ? WHERE seq_id = ?", changed)
    return len(changed)


def _mend_sequence_numbers(connection: Connection) -> int:
    blobs = connection.execute("SELECT segment_id, seq_id FROM max_seq_id WHERE typeof(seq_id) = 'blob'").fetchall()
    connection.executemany(
        "UPDATE max_seq_id SET seq_id = ? WHERE segment_id = ?", [(as_number(blob), segment) for segment, blob in blobs]
    )
    return len(blobs)


def _restore(connection: Connection, segment: str, id: str, key: str, position: int | None, value: float) -> int:
    record = "(SELECT id FROM embeddings WHERE segment_id = ? AND embedding_id = ?)"
    close = f"float_value <> ? AND abs(float_value - ?) <= {CLOSE} * abs(?) + {TINY}"
    if position is None:
        place = f"embedding_metadata SET float_value = ? WHERE id = {record} AND key = ?"
        values: tuple[Any, ...] = (value, segment, id, key)
    else:
        place = (
            "embedding_metadata_array SET float_value = ? WHERE rowid = (SELECT rowid FROM embedding_metadata_array "
            f"WHERE id = {record} AND key = ? ORDER BY rowid LIMIT 1 OFFSET ?)"
        )
        values = (value, segment, id, key, position)
    return connection.execute(f"UPDATE {place} AND {close}", (*values, value, value, value)).rowcount


def _is_harmless(data: bytes) -> bool:
    """Whether a pickle names nothing but the class of labels and calls nothing."""
    recent: list[str | None] = []
    try:
        for operation, argument, _ in pickletools.genops(data):
            name = operation.name
            if name in _CALLS:
                return False
            if name == "GLOBAL" and tuple(str(argument).split(" ")) != _LABELS_CLASS:
                return False
            if name == "STACK_GLOBAL" and tuple(recent[-2:]) != _LABELS_CLASS:
                return False
            if name not in _MEMO:
                recent = [*recent[-1:], argument if name in _STRINGS else None]
    except ValueError:
        return False
    return True
