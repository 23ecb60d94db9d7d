"""A ChromaDB folder on this machine, any version from 0.4 to 1.5, read without chromadb and without a trace.

Opening such a folder with chromadb rewrites it in place and can lock its owner out; so reading goes through the
files themselves: `chroma.sqlite3` (`tables`), the write-ahead queue (`wal`) and the HNSW files
(`index`). Writing is in `write`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import ClassVar

from memdefrag.base.errors import CollectionNotFound, NotAStore, NotPermitted, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores import sqlite_safe
from memdefrag.stores.base import Sizes, Store, StoreSettings
from memdefrag.stores.chroma import names, tables, versions
from memdefrag.stores.chroma.contents import Contents
from memdefrag.stores.chroma.index import INDEX_FILES, HnswIndex
from memdefrag.stores.chroma.server_fit import with_taken_keys
from memdefrag.stores.chroma.tables import FILE, Collection
from memdefrag.stores.chroma.wal import Operation, read_operations

_OLD_FILES = ("chroma-collections.parquet", "chroma-embeddings.parquet")


class ChromaLocal(Store):
    """A folder with `chroma.sqlite3` and one folder of index files per collection."""

    kind: ClassVar[str] = "chroma"

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        path = address.path
        try:
            found = self.detect(path) if path.exists() else None
            if found is None and (path.is_file() or (path.is_dir() and any(path.iterdir()))):
                raise NotAStore(f"{path} is no Chroma folder.")
        except PermissionError as error:
            raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error
        super().__init__(address.at(found) if found else address, settings)
        self._migrations: dict[str, int] | None = None
        self._capabilities: Capabilities | None = None
        self._keeper: ExitStack | None = None
        self._held: tuple[Connection, list[Contents]] | None = None

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        """The Chroma folder that `path` is, has a file in, or encloses (when it is the only one there).

        Raises:
            UnsupportedFormat: a folder made by Chroma 0.3 or older.
        """
        if not path.is_dir():
            folder = path.parent.parent if path.name in INDEX_FILES else path.parent
            own = path.name in INDEX_FILES or path.name.startswith(FILE)
            return folder if own and (folder / FILE).is_file() else None
        if (path / FILE).is_file():
            return path
        if any((path / name).is_file() for name in _OLD_FILES):
            raise UnsupportedFormat(
                f"{path} was made by Chroma 0.3 or older (Parquet files instead of {FILE}).",
                todo="Upgrade it with Chroma's own chroma-migrate first.",
            )
        enclosed = [child for child in path.iterdir() if (child / FILE).is_file()]
        return enclosed[0] if len(enclosed) == 1 else None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.address.path

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.path / FILE

    @property
    def exists(self) -> bool:
        return self.database.exists()

    @property
    def migrations(self) -> dict[str, int]:
        """How far its tables have come (see `versions`); empty while there is no folder."""
        if self._migrations is None:
            if not self.exists:
                return {}
            with self._open() as connection:
                self._migrations = tables.read_migrations(connection)
        return self._migrations

    @property
    def library_version(self) -> str | None:
        """The chromadb release that must write it; None where the built-in one fits."""
        level = versions.level_of(self.migrations)
        return level.writer if level and level is not versions.LEVELS[-1] else None

    @property
    def format(self) -> str:
        if not self.migrations:
            return "Chroma"
        level = versions.level_of(self.migrations)
        schema = "/".join(str(self.migrations.get(name, 0)) for name in ("embeddings_queue", "metadb", "sysdb"))
        if level is None:
            return f"Chroma of an unknown version (schema {schema})"
        first, last = (release.rpartition(".")[0] for release in (level.first, level.last))
        return f"Chroma {first if first == last else f'{first}-{last}'} (schema {schema})"

    @property
    def capabilities(self) -> Capabilities:
        # Asked for once for each record that is fitted in.
        if self._capabilities is None:
            migrations = self.migrations
            newest = versions.LEVELS[-1]
            level = versions.level_of(migrations) if migrations else newest
            self._capabilities = Capabilities(
                commit=Commit.DIRECTORY,
                writable=level is not None,
                written_by=self.library_version,
                tags_in_metadata=True,
                list_values=level is newest,
                nested_values=False,
                null_text=True,
                null_vector=False,
                uri=True,
            )
        return self._capabilities

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: keys that the library that writes keeps for itself."""
        fitted, losses = super().fit(record)
        fitted, more = with_taken_keys(fitted, is_rust=self.capabilities.written_by is None)
        return fitted, (*losses, *more)

    def collections(self) -> list[CollectionInfo]:
        if not self.exists:
            return []
        with self.contents() as (_, opened):
            return [_info(contents) for contents in opened]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        with self._one(collection) as contents:
            yield from contents.batches(batch, vectors=vectors)

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        wanted = list(keys)
        found: dict[Key, MemoryRecord] = {}
        if not wanted or not self.exists:
            return []
        with self._open() as connection:
            present = {collection.name for collection in tables.read_collections(connection)}
            for name in sorted({key.collection for key in wanted} & present):
                contents = self._named(connection, name)
                places = contents.positions({key.id for key in wanted if key.collection == name})
                for start in range(0, len(places), BATCH_RECORDS):
                    records = contents.read(places[start : start + BATCH_RECORDS], vectors=True)
                    found.update((record.key, record) for record in records)
        return [found[key] for key in wanted if key in found]

    def raw_files(self) -> list[Path]:
        if not self.exists:
            return []
        return sorted(path for path in _walk(self.path) if path.is_file() and not path.is_symlink())

    def links(self) -> list[Path]:
        """Links inside the folder, which are neither followed nor backed up."""
        return sorted(path for path in _walk(self.path) if path.is_symlink())

    def name_fault(self, collection: str) -> str | None:
        return names.fault_of(collection)

    def problems(self) -> list[str]:
        from memdefrag.stores.chroma import health

        return health.problems(self) if self.exists else []

    def sizes(self, removed: Mapping[str, int]) -> Sizes:
        """Forecast: index files keep the room of deleted records until they are built anew."""
        from memdefrag.stores.chroma import health

        return health.sizes(self, removed)

    def write(self, changes: Changes, progress: Progress) -> None:
        from memdefrag.stores.chroma import write

        self._migrations = self._capabilities = None
        write.write(self, changes, progress)

    def expecting_use(self) -> AbstractContextManager[None]:
        from memdefrag.stores.chroma import runner

        return runner.ahead(self.settings.chroma_python)

    def rebuild(self, progress: Progress) -> None:
        from memdefrag.stores.chroma import write

        write.rebuild(self, progress)

    def lost_in_search(self, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        from memdefrag.stores.chroma import write

        return write.lost_in_search(self, records, progress)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """What is opened inside is opened once, when it is first asked for.

        A folder promises no moment; who reads all of it looks at its files before and after.
        """
        if self._keeper is not None:
            yield
            return
        with ExitStack() as self._keeper:
            try:
                yield
            finally:
                self._keeper = self._held = None

    @contextmanager
    def contents(self) -> Iterator[tuple[Connection, list[Contents]]]:
        """All collections opened at one moment, for checks that look below the records."""
        if self._keeper is None:
            with self._opened() as opened:
                yield opened
            return
        if self._held is None:
            self._held = self._keeper.enter_context(self._opened())
        yield self._held

    @contextmanager
    def _opened(self) -> Iterator[tuple[Connection, list[Contents]]]:
        with self._open() as connection:
            operations = read_operations(connection)
            yield (
                connection,
                [
                    self._contents(connection, collection, operations.get(collection.id, []))
                    for collection in tables.read_collections(connection)
                ],
            )

    @contextmanager
    def _one(self, name: str) -> Iterator[Contents]:
        """One collection; the one that is held, where they are."""
        if self._keeper is None:
            with self._open() as connection:
                yield self._named(connection, name)
            return
        with self.contents() as (_, opened):
            for contents in opened:
                if contents.collection.name == name:
                    yield contents
                    return
        raise self._absent(name)

    def _absent(self, name: str) -> CollectionNotFound:
        return CollectionNotFound(f"There is no collection {name!r} in {self.path}.")

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        if self.database.is_symlink():
            raise StoreDamaged(f"{self.database} is a link; it was not followed.")
        with sqlite_safe.open_readonly(self.database) as connection:
            tables.require(connection, self.database)
            yield connection

    def _named(self, connection: Connection, name: str) -> Contents:
        for collection in tables.read_collections(connection):
            if collection.name == name:
                operations = read_operations(connection, collection.id)
                return self._contents(connection, collection, operations.get(collection.id, []))
        raise self._absent(name)

    def _contents(self, connection: Connection, collection: Collection, operations: list[Operation]) -> Contents:
        index = HnswIndex(
            folder=self.path / (collection.vector_segment or "no-vector-segment"),
            dimension=collection.dimension,
            neighbours=collection.neighbours,
            unit=collection.metric == "cosine",
        )
        return Contents(connection, collection, index, operations)


def _info(contents: Contents) -> CollectionInfo:
    collection = contents.collection
    return CollectionInfo(
        name=collection.name,
        count=len(contents),
        live=contents.live(),
        with_embedding=contents.with_embedding,
        dimension=collection.dimension,
        metric=collection.metric,
        model=collection.model,
        settings=collection.settings,
    )


def _walk(root: Path) -> Iterator[Path]:
    """Every entry below `root`, not through links.

    Raises:
        NotPermitted: a folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise NotPermitted(f"{error.filename} may not be read: {error.strerror}.") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        yield from (Path(folder, name) for name in (*folders, *files))
