"""A Chroma server as a store: read and written through its REST API, without chromadb.

A server cannot be frozen: it is written live, with the images of what was there as the way back. Collections keep
their ids, so that programs that have them open go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from memdefrag.base.errors import ServerRefused, ServerUnreachable
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model import service_metadata
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes, touched
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, State
from memdefrag.stores.base import Store, StoreSettings
from memdefrag.stores.chroma import names, server_api
from memdefrag.stores.chroma.server_api import Place, Row, Server
from memdefrag.stores.chroma.server_fit import fit_metadata, too_large

TENANT_VARIABLE, DATABASE_VARIABLE = "CHROMA_TENANT", "CHROMA_DATABASE"
_PROBES_AT_ONCE = 50


class ChromaHttp(Store):
    """The collections of a database on a Chroma server."""

    kind: ClassVar[str] = "chroma+http"

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        self.server = Server(address.url)

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        return None

    @classmethod
    def located(cls, address: Address) -> Address:
        """The address with tenant and database in it, also those that the environment names.

        So a backup, a plan and an interrupted write stay with the database they are of.

        Raises:
            UsageError: a parameter that means nothing.
        """
        base, query = server_api.split(address.url)
        for name, variable in (("tenant", TENANT_VARIABLE), ("database", DATABASE_VARIABLE)):
            query.setdefault(name, os.environ.get(variable, ""))
        return address.at(server_api.joined(base, query).partition(":")[2])

    @property
    def format(self) -> str:
        said = self.server.version
        return "Chroma server 1.x" if self.server.is_rust and self.server.is_known else f"Chroma server {said}"

    @property
    def exists(self) -> bool:
        """Always true: a server that does not answer is an error, never an empty store.

        Raises:
            ServerUnreachable, ServerRefused: it does not answer, or not to us.
            NotAStore: something else listens there, or it has no such database.
            UnsupportedFormat: it is too old.
        """
        self.server.places()
        return True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            Commit.IN_PLACE,
            writable=self.server.is_known,
            tags_in_metadata=True,
            list_values=self.server.is_rust,
            nested_values=False,
            null_vector=False,
        )

    def fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """As every store, and: keys that the server keeps for itself, and decimals that it rounds."""
        fitted, losses = super().fit(record)
        fitted, more = fit_metadata(fitted, is_rust=self.server.is_rust)
        return fitted, (*losses, *more)

    def refusal(self, record: MemoryRecord) -> str | None:
        """Why a record cannot be taken: one request cannot hold it."""
        return too_large(record) if self.server.is_rust else None

    def collections(self) -> list[CollectionInfo]:
        return [self._info(place) for place in self.server.places()]

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        place = self.server.place(collection)
        ids = self.server.ids(place)
        for start in range(0, len(ids), batch):
            rows = self.server.rows(place, ids[start : start + batch], vectors=vectors)
            records = [_record(collection, row) for row in rows]
            if records:
                yield records

    def fetch(self, keys: Iterable[Key]) -> list[MemoryRecord]:
        wanted = list(dict.fromkeys(keys))
        return self._fetch(wanted, self._places()) if wanted else []

    def raw_files(self) -> list[Path]:
        return []

    def name_fault(self, collection: str) -> str | None:
        return names.fault_of(collection)

    def problems(self) -> list[str]:
        return [fault for place in self.server.places() for fault in self._faults(place)]

    def lost_in_search(self, records: Sequence[MemoryRecord], progress: Progress) -> list[Key]:
        from memdefrag.stores.chroma.write import NEIGHBOURS, is_found

        places = self._places()
        lost: list[Key] = []
        progress.phase("Asking the store's own search", len(records))
        for name in sorted({record.key.collection for record in records}):
            metric, most = places[name].collection.metric, self.server.count(places[name])
            own = [record for record in records if record.key.collection == name and record.embedding is not None]
            for start in range(0, len(own), _PROBES_AT_ONCE):
                asked = own[start : start + _PROBES_AT_ONCE]
                vectors = [record.embedding for record in asked if record.embedding is not None]
                answers = self.server.nearest(places[name], vectors, min(NEIGHBOURS, most))
                lost += [
                    record.key
                    for record, vector, answer in zip(asked, vectors, answers, strict=True)
                    if not is_found(record.key.id, vector, metric, answer)
                ]
                progress.step(len(asked))
        return lost

    def write(self, changes: Changes, progress: Progress) -> None:
        """Write a batch to the live server. Whoever calls it reads back.

        Raises:
            StoreChanged: a record is not what the changes name; nothing was written.
            WriterFailed: a record cannot be stored, and nothing was written; or the server refuses.
            ServerUnreachable: it does not answer, whether or not it did what it was asked.
        """
        from memdefrag.stores.chroma import server_write

        progress.check()
        places = self._places()
        missing = [info for info in changes.collections if info.name not in places]
        for info in missing:
            server_write.create(self.server, info)
        places = self._places() if missing else places
        keys = list(touched(changes))
        for key in keys:
            if key.collection not in places:
                self.server.place(key.collection)
        present = {record.key: record for record in self._fetch(keys, places)}
        server_write.write(self.server, changes, present, places, progress)

    def close(self) -> None:
        self.server.close()

    def _places(self) -> dict[str, Place]:
        return {place.collection.name: place for place in self.server.places()}

    def _fetch(self, wanted: Sequence[Key], places: Mapping[str, Place]) -> list[MemoryRecord]:
        found: dict[Key, MemoryRecord] = {}
        for name in sorted({key.collection for key in wanted} & places.keys()):
            ids = [key.id for key in wanted if key.collection == name]
            found.update((Key(name, row.id), _record(name, row)) for row in self.server.rows(places[name], ids))
        return [found[key] for key in wanted if key in found]

    def _info(self, place: Place) -> CollectionInfo:
        """Chroma has no count of what takes part in searches: the metadata of all say it."""
        collection = place.collection
        rows = self.server.rows(place, self.server.ids(place), vectors=False, texts=False)
        states = [service_metadata.state_of(row.metadata) for row in rows]
        return CollectionInfo(
            name=collection.name,
            count=len(states),
            live=states.count(State.LIVE),
            with_embedding=len(states),
            dimension=collection.dimension if states else None,
            metric=collection.metric,
            model=collection.model,
            settings=collection.settings,
        )

    def _faults(self, place: Place) -> Iterator[str]:
        name = place.collection.name
        ids = self.server.ids(place)
        said = self.server.count(place)
        if said != len(ids):
            yield f"The server counts {said} memories in {name!r} and lists {len(ids)}."
        try:
            without = sum(row.vector is None for row in self.server.rows(place, ids[: server_api.PAGE], texts=False))
        except (ServerRefused, ServerUnreachable) as error:
            yield f"The server does not give out the vectors of {name!r}: {error.message}"
        else:
            if without:
                yield f"{without} of the first {server_api.PAGE} memories in {name!r} have no vector."


class ChromaHttps(ChromaHttp):
    """The same over https."""

    kind: ClassVar[str] = "chroma+https"


def _record(collection: str, row: Row) -> MemoryRecord:
    tags, created, updated, state = service_metadata.read(row.metadata)
    key = Key(collection, row.id)
    return MemoryRecord(key, row.document, row.metadata, row.vector, tags, row.uri, created, updated, None, state)
