"""The process that lets a chromadb, whichever it is, change a staged copy of its folder.

One plain script without a line of memdefrag in it: it runs in the Python that owns the folder, from 3.8 on, under
any chromadb from 0.4 to 1.5 (all bring numpy), and a crash of the library ends this process only. `runner` starts it
with a work folder as its argument, and says by a byte on standard input when the folder is complete. It finds there

    work.json       {"do": "write" | "index" | "query", "path", "create": [...], "collections": [...], ...}
    records.jsonl   one record a line: {"collection": number, "id", "new", "dimension", "document", "metadata", "uri"}
    vectors.f32     the records' (or probes') vectors one after the other, little-endian float32

and leaves ``result.json`` there. Standard output carries one line of JSON after each batch: {"done": n}.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

BATCH_RECORDS = int(os.environ.get("MEMDEFRAG_CHROMA_BATCH", "5000"))
BATCH_BYTES = 16_000_000
OLDEST_MAX_BATCH = 100
"""For releases that do not say how much they take at once."""

QUERY_BATCH = 50
NAMED_IDS = 5
_QUIET = {"ANONYMIZED_TELEMETRY": "False", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
_DEFAULT_HOME = ("default_tenant", "default_database")
HNSW_METADATA = {
    "space": "hnsw:space",
    "ef_construction": "hnsw:construction_ef",
    "ef_search": "hnsw:search_ef",
    "max_neighbors": "hnsw:M",
    "num_threads": "hnsw:num_threads",
    "resize_factor": "hnsw:resize_factor",
    "batch_size": "hnsw:batch_size",
    "sync_threshold": "hnsw:sync_threshold",
}
"""Index settings by their name in a configuration (from 1.0 on) and in a collection's metadata."""

Say = Callable[[int], None]


class Refused(Exception):
    """The library did not do what it was asked; the message is for a person."""


class RecordedFunction:
    """Stands for an embedding function, so that its name and settings are recorded without loading it."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._entry = entry

    def __call__(self, input: Any) -> Any:
        raise Refused("A vector is missing and must not be computed here.")

    def get_config(self) -> dict[str, Any]:
        return dict(self._entry.get("config") or {})

    def is_legacy(self) -> bool:
        return False

    def default_space(self) -> str:
        return "l2"

    def supported_spaces(self) -> list[str]:
        return ["cosine", "l2", "ip"]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> RecordedFunction:
        return RecordedFunction({"config": config})

    @classmethod
    def of(cls, entry: dict[str, Any]) -> RecordedFunction:
        """The stand-in for an entry. chromadb asks the class, not the object, for the name."""
        named = {"name": staticmethod(lambda: str(entry["name"]))}
        stand_in: RecordedFunction = type("NamedFunction", (cls,), named)(entry)
        return stand_in


class Folder:
    """A Chroma folder, opened by the chromadb of this Python."""

    def __init__(self, path: str) -> None:
        import chromadb

        self.library = chromadb
        self.version = str(chromadb.__version__)
        self.path = path
        self.warnings: list[str] = []
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def has_configuration(self) -> bool:
        """Whether collections have a configuration beside their metadata."""
        return int(self.version.split(".")[0]) >= 1

    def client(self, place: dict[str, Any]) -> Any:
        """The client of a collection's tenant and database."""
        where = (place["tenant"], place["database"])
        if where not in self._clients:
            from chromadb.config import Settings

            named = {} if where == _DEFAULT_HOME else {"tenant": where[0], "database": where[1]}
            self._clients[where] = self.library.PersistentClient(
                path=self.path, settings=Settings(anonymized_telemetry=False), **named
            )
        return self._clients[where]

    def make_home(self, place: dict[str, Any]) -> None:
        """Make a collection's tenant and database where the folder lacks them."""
        from chromadb.config import Settings

        tenant, database = place["tenant"], place["database"]
        if (tenant, database) == _DEFAULT_HOME:
            return
        settings = Settings(is_persistent=True, persist_directory=self.path, anonymized_telemetry=False)
        admin = self.library.AdminClient(settings)
        # Each release has its own error for what exists; whatever else is wrong shows when the client is made.
        with contextlib.suppress(Exception):
            admin.create_tenant(tenant)
        with contextlib.suppress(Exception):
            admin.create_database(database, tenant)

    def collection(self, place: dict[str, Any]) -> Any:
        """The collection at a place. Without an embedding function, so that none is loaded."""
        return self.client(place).get_collection(place["name"], embedding_function=None)

    def create(self, place: dict[str, Any]) -> None:
        """Make a collection with its metadata, index settings and the record of its embedding function."""
        metadata, index, function = dict(place["metadata"] or {}), dict(place["index"] or {}), place["function"]
        arguments: dict[str, Any] = {"embedding_function": None}
        in_metadata = any(key.startswith("hnsw:") for key in metadata)
        if not self.has_configuration:
            for name, value in index.items():
                metadata.setdefault(HNSW_METADATA[name], value)
        elif index and not in_metadata:
            arguments["configuration"] = {"hnsw": index}
        if function and self.has_configuration:
            arguments["embedding_function"] = RecordedFunction.of(function)
        elif function:
            self.warnings.append(
                f"chromadb {self.version} has no place for the embedding function {function['name']} "
                f"of the collection {place['name']}."
            )
        self.client(place).create_collection(place["name"], metadata=metadata or None, **arguments)

    def batch_limit(self, place: dict[str, Any]) -> int:
        """How many records one call may carry."""
        client = self.client(place)
        said: Any = getattr(client, "get_max_batch_size", None) or getattr(client, "max_batch_size", OLDEST_MAX_BATCH)
        return min(BATCH_RECORDS, int(said() if callable(said) else said))

    def close(self) -> None:
        """Let go of the files: `close` from 1.1 on, stopping the client's parts before."""
        for client in self._clients.values():
            if hasattr(client, "close"):
                client.close()
            else:
                client._system.stop()
                break


def write(folder: Folder, order: dict[str, Any], records: Iterator[dict[str, Any]], say: Say) -> None:
    """Delete, then put each record whole, because an update would merge its metadata.

    What may follow a delete is an upsert: up to 0.5.4 the index ignores an `add` whose delete it has not yet carried
    out, and the vector is lost for good. In a collection that is new it takes a fifth longer for nothing.
    """
    places = order["collections"]
    for place in places:
        if place["delete"]:
            _delete(folder.collection(place), place, folder.batch_limit(place), say)
    for number, batch in _batches(folder, places, records):
        collection = folder.collection(places[number])
        _require(collection, places[number], batch)
        stale = [record["id"] for record in batch if not record["new"]]
        if stale:
            collection.delete(ids=stale)
        for alike in _alike(batch):
            (collection.add if places[number]["new"] else collection.upsert)(**alike)
        _read_back(collection, places[number], batch, whole=not folder.has_configuration)
        say(len(batch))


def index(folder: Folder, order: dict[str, Any], records: Iterator[dict[str, Any]], say: Say) -> None:
    """Give the library every vector again, and nothing else: text and metadata stay as they are."""
    for number, batch in _batches(folder, order["collections"], records):
        collection = folder.collection(order["collections"][number])
        _require(collection, order["collections"][number], batch)
        collection.upsert(ids=[record["id"] for record in batch], embeddings=[record["vector"] for record in batch])
        say(len(batch))


def query(folder: Folder, order: dict[str, Any], probes: Iterator[dict[str, Any]], say: Say) -> list[Any]:
    """The nearest records of each probe, as [[id, distance], ...]."""
    answers: list[Any] = []
    for number, batch in _batches(folder, order["collections"], probes, QUERY_BATCH):
        found = folder.collection(order["collections"][number]).query(
            query_embeddings=[probe["vector"] for probe in batch], n_results=order["results"], include=["distances"]
        )
        answers += [
            [[name, float(distance)] for name, distance in zip(*pair)] for pair in zip(found["ids"], found["distances"])
        ]
        say(len(batch))
    return answers


DEEDS: dict[str, Callable[..., Any]] = {"write": write, "index": index, "query": query}


def _delete(collection: Any, place: dict[str, Any], limit: int, say: Say) -> None:
    ids = place["delete"]
    for start in range(0, len(ids), limit):
        some = ids[start : start + limit]
        _complain(set(some) - _present(collection, some), "are not in", place)
        collection.delete(ids=some)
        _complain(_present(collection, some), "could not be deleted from", place)
        say(len(some))


def _require(collection: Any, place: dict[str, Any], batch: list[dict[str, Any]]) -> None:
    """No release says that an id exists already, or that one to be replaced does not: look first."""
    present = _present(collection, [record["id"] for record in batch])
    _complain({record["id"] for record in batch if record["new"]} & present, "are already in", place)
    _complain({record["id"] for record in batch if not record["new"]} - present, "are not in", place)


def _present(collection: Any, ids: list[str]) -> set[str]:
    return set(collection.get(ids=ids, include=[])["ids"])


def _read_back(collection: Any, place: dict[str, Any], batch: list[dict[str, Any]], whole: bool) -> None:
    """Whether the records are there (the parent compares what they say) and, before 1.0, whole.

    Those releases leave a record that cannot be stored half stored without an error.
    """
    ids = [record["id"] for record in batch]
    if not whole:
        _complain(set(ids) - _present(collection, ids), "were not stored in", place)
        return
    include = ["documents", "metadatas"] + (["uris"] if any(record["uri"] for record in batch) else [])
    found = collection.get(ids=ids, include=include)
    nothing = [None] * len(found["ids"])
    rows = zip(found["documents"] or nothing, found["metadatas"] or nothing, found.get("uris") or nothing)
    stored = dict(zip(found["ids"], rows))
    right = {id for record in batch if (id := record["id"]) in stored and _same_record(record, *stored[id])}
    _complain(set(ids) - right, "were not stored as they should be in", place)


def _same_record(record: dict[str, Any], document: Any, metadata: Any, uri: Any) -> bool:
    return _same([document, uri, metadata or {}], [record["document"], record["uri"], record["metadata"] or {}])


def _same(one: Any, other: Any) -> bool:
    """Equal in value and type. 1.x reads decimals back a bit or two off, which `staged` sets right."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    close: bool = abs(one - other) <= 1e-15 * abs(other) + 1e-300 if isinstance(one, float) else one == other
    return close


def _complain(ids: set[str], what: str, place: dict[str, Any]) -> None:
    if ids:
        named = ", ".join(sorted(ids)[:NAMED_IDS])
        raise Refused(f"{len(ids)} records {what} the collection {place['name']}: {named}.")


def _batches(
    folder: Folder, places: list[dict[str, Any]], records: Iterator[dict[str, Any]], at_most: int = BATCH_RECORDS
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Consecutive records of one collection, as many as one call may carry."""
    batch: list[dict[str, Any]] = []
    size = 0
    limits = [min(at_most, folder.batch_limit(place)) for place in places]
    for record in records:
        number = record["collection"]
        if batch and (
            number != batch[0]["collection"] or len(batch) >= limits[number] or size + record["size"] > BATCH_BYTES
        ):
            yield batch[0]["collection"], batch
            batch, size = [], 0
        batch.append(record)
        size += record["size"]
    if batch:
        yield batch[0]["collection"], batch


def _alike(batch: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Arguments of `upsert` for the records that have the same parts: no release minds a part left out for all."""
    parts = (("document", "documents"), ("metadata", "metadatas"), ("uri", "uris"))
    groups: dict[tuple[bool, ...], list[dict[str, Any]]] = {}
    for record in batch:
        record["metadata"] = record["metadata"] or None
        groups.setdefault(tuple(record[part] is not None for part, _ in parts), []).append(record)
    for has, group in groups.items():
        arguments = {
            plural: [record[part] for record in group] for present, (part, plural) in zip(has, parts) if present
        }
        arguments["ids"] = [record["id"] for record in group]
        arguments["embeddings"] = [record["vector"] for record in group]
        yield arguments


def _records(work: Path, as_lists: bool) -> Iterator[dict[str, Any]]:
    """The records of the work folder with their vectors as arrays, or as the lists that every release takes."""
    import numpy

    with (work / "records.jsonl").open(encoding="utf-8") as lines, (work / "vectors.f32").open("rb") as vectors:
        for line in lines:
            record = json.loads(line)
            vector = numpy.frombuffer(vectors.read(4 * record["dimension"]), "<f4")
            record["vector"] = vector.tolist() if as_lists else vector
            record["size"] = len(line) + 4 * record["dimension"]
            yield record


def _carry_out(work: Path, say: Say) -> dict[str, Any]:
    order = json.loads((work / "work.json").read_text(encoding="utf-8"))
    folder = Folder(order["path"])
    try:
        for place in order["create"]:
            folder.make_home(place)
            folder.create(place)
        answers = DEEDS[order["do"]](folder, order, _records(work, not folder.has_configuration), say)
        counts = [folder.collection(place).count() for place in order["collections"]]
        told = {"chromadb": folder.version, "counts": counts, "answers": answers, "warnings": folder.warnings}
        return {"ok": True, **told}
    finally:
        folder.close()


def _refuse_network(event: str, details: tuple[Any, ...]) -> None:
    """No release may fetch a model or report its use, whatever its own settings say."""
    if event == "socket.getaddrinfo" and details[0] not in (None, "localhost", "127.0.0.1", "::1"):
        raise ConnectionRefusedError("This process does not use the network.")


def _wait_for_order() -> None:
    """Load the library, which takes as long as the parent needs for the order; then wait until that is complete.

    Ends this process as soon as the parent is gone, now or later: its end of the pipe that is our input closes.
    """

    def wait() -> None:
        if not os.read(0, 1):
            os._exit(1)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        import chromadb  # noqa: F401

        wait()
        threading.Thread(target=wait, daemon=True).start()


def main(work: Path, waits: bool = False) -> int:
    """Carry out the order in the folder `work`. 0 when it was done; ``result.json`` says why it was not.

    Args:
        waits: the parent may still be writing the order; it says when that is complete.
    """
    os.environ.update(_QUIET)
    sys.addaudithook(_refuse_network)
    # Libraries print where they like; only our own lines may reach the parent.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(done: int) -> None:
        lines.write(json.dumps({"done": done}) + "\n")
        lines.flush()

    try:
        if waits:
            _wait_for_order()
        result = _carry_out(work, say)
    # Faults of the compiled part (PanicException) are no Exception.
    except BaseException as error:
        text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        result = {"ok": False, "error": text}
    (work / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    # The modules beside this script must not be found in place of the library's own.
    del sys.path[0]
    status = main(Path(sys.argv[1]), waits=True)
    sys.stderr.flush()
    # The folder is closed and the result written: taking the library apart only takes time, and may hang.
    os._exit(status)
