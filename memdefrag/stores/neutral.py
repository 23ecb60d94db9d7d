"""All of a store in a form that needs no library of its maker: the neutral layer of a backup.

``records.jsonl.zst`` holds JSON lines: the first describes the collections; then comes one line per memory, with the
keys of the JSON lines interchange and `dimension`, the length of its vector (null: it has none); then one line per
relation. ``vectors.f32.zst`` holds the vectors alone, in the memories' order: rows of little-endian float32, bit for
bit. Text that is not UTF-8 stands in the lines as the bytes of its surrogate escapes, which other readers refuse or
replace; NaN and Infinity stand there by name, as Python writes them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from memdefrag.base.errors import BackupDamaged
from memdefrag.base.packed import SUFFIX, Packed, Packer, unpacking
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.hashing import content_hash
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State, Vector

FORMAT = 1
RECORDS, VECTORS = "records.jsonl", "vectors.f32"
FLOAT = np.dtype("<f4")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Tally:
    """What a layer holds, counted on the way: `content` is `model.hashing.content_hash` of all memories."""

    with_embedding: int = 0
    null_text: int = 0
    relations: int = 0
    content: str = ""
    per_collection: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        return self.per_collection.total()

    def as_dict(self) -> dict[str, Any]:
        """The object ``counts`` of a manifest."""
        counts = asdict(self)
        del counts["content"]
        return {"records": self.records, **counts, "per_collection": dict(self.per_collection)}

    def add(self, record: MemoryRecord) -> None:
        self.per_collection[record.key.collection] += 1
        self.with_embedding += record.embedding is not None
        self.null_text += record.text is None


def write(
    folder: Path,
    collections: Iterable[CollectionInfo],
    batches: Iterable[list[MemoryRecord]],
    relations: Iterable[Relation],
    progress: Progress,
) -> tuple[list[Packed], Tally]:
    """Write both files into `folder` and count what went in. Needs no more memory than a batch does."""
    tally = Tally()
    with Packer(folder, RECORDS) as lines, Packer(folder, VECTORS) as rows:

        def passed_on() -> Iterator[MemoryRecord]:
            for batch in batches:
                lines.write(b"".join([_record_line(record) for record in batch]))
                rows.write(b"".join([_row(record.embedding) for record in batch if record.embedding is not None]))
                progress.step(len(batch))
                yield from batch

        lines.write(_line({"memdefrag": FORMAT, "collections": [_described(info) for info in collections]}))
        tally.content = content_hash(_counted(passed_on(), tally))
        for relation in relations:
            lines.write(_line({"relation": asdict(relation)}))
            tally.relations += 1
    return [lines.packed, rows.packed], tally


def read_collections(folder: Path) -> list[CollectionInfo]:
    """The collections as the store described them.

    Raises:
        BackupDamaged: the file cannot be read or understood; so for all that reads.
    """
    with _lines(folder) as lines:
        return [CollectionInfo(**entry) for entry in json.loads(_decoded(next(lines)))["collections"]]


def read_records(
    folder: Path, *, collection: str | None = None, vectors: bool = True, batch: int = BATCH_RECORDS
) -> Iterator[list[MemoryRecord]]:
    """The memories (of one collection, or of all) in their order, in lists of at most `batch`, with bounded memory."""
    with ExitStack() as opened:
        lines = opened.enter_context(_lines(folder))
        rows = opened.enter_context(unpacking(folder / (VECTORS + SUFFIX))) if vectors else None
        next(lines)
        found: list[MemoryRecord] = []
        for line in lines:
            fields = json.loads(_decoded(line))
            if "relation" in fields:
                break
            dimension = fields["dimension"]
            vector = _read_row(rows, dimension) if rows is not None and dimension is not None else None
            if collection in (None, fields["collection"]):
                found.append(_record(fields, vector))
            if len(found) == batch:
                yield found
                found = []
        if rows is not None and rows.read(1):
            raise BackupDamaged(f"{folder / VECTORS} holds more vectors than there are memories.")
        if found:
            yield found


def read_relations(folder: Path) -> Iterator[Relation]:
    """The links between memories."""
    with _lines(folder) as lines:
        for line in lines:
            if line.startswith(b'{"relation":'):
                fields = json.loads(_decoded(line))["relation"]
                yield Relation(**{**fields, "source": _end(fields["source"]), "target": _end(fields["target"])})


def tally(folder: Path, progress: Progress) -> Tally:
    """Read everything back and count it."""
    found = Tally(relations=sum(1 for _ in read_relations(folder)))

    def read() -> Iterator[MemoryRecord]:
        for batch in read_records(folder):
            progress.step(len(batch))
            yield from batch

    found.content = content_hash(_counted(read(), found))
    return found


@contextmanager
def _lines(folder: Path) -> Iterator[Iterator[bytes]]:
    path = folder / (RECORDS + SUFFIX)
    try:
        with unpacking(path) as reader:
            yield iter(reader)
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError) as error:
        raise BackupDamaged(f"{path} cannot be understood: {error!r}.") from error


def _counted(records: Iterable[MemoryRecord], found: Tally) -> Iterator[MemoryRecord]:
    for record in records:
        found.add(record)
        yield record


def _line(value: Any) -> bytes:
    return _encode(value).encode("utf-8", "surrogatepass") + b"\n"


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "surrogatepass")


def _described(info: CollectionInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__slots__} | {"settings": dict(info.settings)}


def _record_line(record: MemoryRecord) -> bytes:
    return _line(
        {
            "collection": record.key.collection,
            "id": record.key.id,
            "text": record.text,
            "metadata": record.metadata,
            "tags": record.tags,
            "created_at": record.created,
            "updated_at": record.updated,
            "uri": record.uri,
            "owner": record.owner,
            "state": record.state,
            "extras": record.extras,
            "dimension": None if record.embedding is None else len(record.embedding),
        }
    )


def _record(fields: dict[str, Any], vector: Vector | None) -> MemoryRecord:
    return MemoryRecord(
        Key(fields["collection"], fields["id"]),
        fields["text"],
        fields["metadata"],
        vector,
        tuple(fields["tags"]),
        fields["uri"],
        fields["created_at"],
        fields["updated_at"],
        fields["owner"],
        State(fields["state"]),
        fields["extras"],
    )


def _row(vector: Vector) -> bytes:
    return np.asarray(vector, FLOAT).tobytes()


def _read_row(rows: BinaryIO, dimension: int) -> Vector:
    data = rows.read(dimension * FLOAT.itemsize)
    if len(data) < dimension * FLOAT.itemsize:
        raise ValueError("there are fewer vectors than the memories have")
    return np.frombuffer(data, FLOAT).astype(np.float32)


def _end(value: Any) -> Key | str:
    """One end of a relation: a memory's key, or a foreign reference."""
    return value if isinstance(value, str) else Key(*value)
