"""The requests that a Chroma server understands: its REST API, version 2.

Documented by every server under ``/docs``; what is not said there was measured against servers of 0.5.23 and 1.5.9.
Servers have it since 0.5.16. All servers of 1.x say that they are version 1.0.0.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import numpy as np

from memdefrag.base import secrets
from memdefrag.base.errors import CollectionNotFound, NotAStore, ServerRefused, UnsupportedFormat, UsageError
from memdefrag.base.http import TOO_LARGE, Client
from memdefrag.model.records import Metadata, Vector
from memdefrag.stores.chroma.tables import DEFAULT_DATABASE, DEFAULT_TENANT, Collection
from memdefrag.stores.chroma.versions import version_tuple

KEY_VARIABLES = ("CHROMA_API_KEY", "MCP_MEMORY_CHROMADB_API_KEY")
TOKEN_HEADER = "X-Chroma-Token"
PAGE = 1000
PAGE_BYTES = 8_000_000
FIRST_RUST, FIRST_UNKNOWN = (1,), (2,)
_API = "/api/v2"
_PAGE_OF_COLLECTIONS = 500


class Home(NamedTuple):
    """A database of a tenant; collections live in one."""

    tenant: str
    database: str

    @property
    def path(self) -> str:
        return f"{_API}/tenants/{quote(self.tenant, safe='')}/databases/{quote(self.database, safe='')}"


class Place(NamedTuple):
    """Where a collection is: its home and its id there."""

    home: Home
    collection: Collection

    @property
    def path(self) -> str:
        return f"{self.home.path}/collections/{self.collection.id}"


@dataclass(frozen=True, slots=True)
class Row:
    """A record as a server keeps it."""

    id: str
    document: str | None
    metadata: Metadata
    vector: Vector | None
    uri: str | None


class Server:
    """A Chroma server, and the database on it that an address names.

    Args:
        url: ``http://HOST:PORT/?tenant=T&database=D``, both parameters optional.

    Raises:
        UsageError: another parameter, or no such URL.
    """

    def __init__(self, url: str) -> None:
        base, query = split(url)
        self.home = Home(query.get("tenant", DEFAULT_TENANT), query.get("database", DEFAULT_DATABASE))
        self._names_database = "database" in query
        self._client = Client(base, secrets.find(base, *KEY_VARIABLES), key_headers=(TOKEN_HEADER,))
        self.base = self._client.base

    def close(self) -> None:
        self._client.close()

    @cached_property
    def version(self) -> str:
        """What the server says it is.

        Raises:
            UnsupportedFormat: a server that is too old.
            NotAStore: something else listens there.
        """
        answer = self._client.request("GET", f"{_API}/version")
        said = answer.json() if answer.status == 200 else None
        if isinstance(said, str) and version_tuple(said):
            return said
        older = self._client.request("GET", "/api/v1/version")
        said = older.json() if older.status == 200 else None
        if isinstance(said, str) and version_tuple(said):
            raise UnsupportedFormat(
                f"{self.base} is a Chroma server of version {said}; memdefrag talks to servers from 0.5.16 on.",
                todo="Stop that server and open its folder instead: chroma:FOLDER.",
            )
        raise NotAStore(f"{self.base} is no Chroma server.", todo="Check the address.")

    @property
    def is_rust(self) -> bool:
        """Whether it is Chroma 1.0 or newer."""
        return version_tuple(self.version) >= FIRST_RUST

    @property
    def is_known(self) -> bool:
        return version_tuple(self.version) < FIRST_UNKNOWN

    @cached_property
    def _limits(self) -> Mapping[str, Any]:
        said = self._asked("GET", f"{_API}/pre-flight-checks")
        return said if isinstance(said, dict) else {}

    @property
    def most_at_once(self) -> int:
        """How many records one request may carry."""
        said = self._limits.get("max_batch_size")
        return said if isinstance(said, int) and said > 0 else PAGE

    def places(self) -> list[Place]:
        """All collections of the database that the address names; of all databases of the tenant if it names none.

        Raises:
            NotAStore: there is no such tenant or database.
        """
        self.version  # noqa: B018 - says what else may listen there
        found = []
        for home in self._homes():
            prefix = "" if home == self.home else f"{home.tenant}/{home.database}/"
            found += [Place(home, _collection(prefix, said)) for said in self._listed(home)]
        return sorted(found, key=lambda place: place.collection.name)

    def place(self, name: str) -> Place:
        """The collection of that name.

        Raises:
            CollectionNotFound: there is none.
        """
        for place in self.places():
            if place.collection.name == name:
                return place
        raise CollectionNotFound(f"There is no collection {name!r} on {self.base}.")

    def count(self, place: Place) -> int:
        return int(self._asked("GET", f"{place.path}/count"))

    def ids(self, place: Place) -> list[str]:
        """The ids of all records, in the server's order, as of one moment."""
        return list(self._asked("POST", f"{place.path}/get", {"include": []})["ids"])

    def rows(self, place: Place, ids: Sequence[str], *, vectors: bool = True, texts: bool = True) -> Iterator[Row]:
        """The records of these ids that exist, in the order asked, a page at a time.

        Asking by ids costs the same for the last page as for the first, and loses none when others write.
        """
        include = ["metadatas", *(["documents", "uris"] if texts else []), *(["embeddings"] if vectors else [])]
        size, start = min(PAGE, self.most_at_once), 0
        while start < len(ids):
            asked = ids[start : start + size]
            try:
                said = self._asked("POST", f"{place.path}/get", {"ids": asked, "include": include})
            except ServerRefused as error:
                if error.status != TOO_LARGE or size == 1:
                    raise
                size = max(1, size // 4)
                continue
            found = _rows(said)
            yield from (found[id] for id in asked if id in found)
            start += size

    def upsert(self, place: Place, rows: Sequence[Row]) -> None:
        """Write records: metadata are merged over those there, a missing document or uri leaves what is there.

        Raises:
            ServerRefused: the server says no.
        """
        vectors: list[Any] = [row.vector for row in rows]
        body = {
            "ids": [row.id for row in rows],
            "embeddings": [self._sent(vector) for vector in vectors],
            "documents": [row.document for row in rows],
            "metadatas": [row.metadata or None for row in rows],
            "uris": [row.uri for row in rows],
        }
        self._asked("POST", f"{place.path}/upsert", body)

    def delete(self, place: Place, ids: Sequence[str]) -> None:
        """Remove records; those that are not there are no error."""
        for start in range(0, len(ids), PAGE):
            self._asked("POST", f"{place.path}/delete", {"ids": list(ids[start : start + PAGE])})

    def nearest(self, place: Place, vectors: Sequence[Vector], count: int) -> list[list[tuple[str, float]]]:
        """The nearest records of each vector, with their distances."""
        body = {
            "query_embeddings": [vector.astype(np.float64).tolist() for vector in vectors],
            "n_results": count,
            "include": ["distances"],
        }
        said = self._asked("POST", f"{place.path}/query", body)
        return [
            [(id, float("inf") if distance is None else float(distance)) for id, distance in zip(*pair, strict=True)]
            for pair in zip(said["ids"], said["distances"], strict=True)
        ]

    def create(self, home: Home, body: Mapping[str, Any]) -> None:
        """Make a collection, and its tenant and database where they are missing."""
        if home != self.home:
            self._made(f"{_API}/tenants", {"name": home.tenant})
            self._made(f"{_API}/tenants/{quote(home.tenant, safe='')}/databases", {"name": home.database})
        self._asked("POST", f"{home.path}/collections", dict(body), repeatable=False)

    def rename(self, place: Place, name: str) -> None:
        """Give a collection another name; it keeps its id.

        Raises:
            ServerRefused, ServerUnreachable: there is one of that name already, or whatever else is wrong.
        """
        self._asked("PUT", place.path, {"new_name": name}, repeatable=False)

    def drop(self, place: Place) -> None:
        """Remove a collection with all that is in it."""
        name = place.collection.name.rpartition("/")[2]
        self._asked("DELETE", f"{place.home.path}/collections/{quote(name, safe='')}", repeatable=False)

    def _sent(self, vector: Vector) -> Any:
        """A vector without the loss of a bit: its bytes where the server takes them, else its digits."""
        if self._limits.get("supports_base64_encoding") is True:
            return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode("ascii")
        return vector.astype(np.float64).tolist()

    def _homes(self) -> list[Home]:
        """Where to look for collections; the home alone where the server does not list databases (up to 0.5)."""
        if self._names_database:
            return [self.home]
        try:
            listed = self._asked("GET", f"{_API}/tenants/{quote(self.home.tenant, safe='')}/databases")
        except ServerRefused as error:
            if error.status not in (404, 405):
                raise
            return [self.home]
        return list(dict.fromkeys([self.home, *(Home(self.home.tenant, str(said["name"])) for said in listed)]))

    def _listed(self, home: Home) -> Iterator[Mapping[str, Any]]:
        if not self.is_rust:
            # Up to 0.6 a missing database lists as an empty one.
            self._asked_home(home)
        offset = 0
        while True:
            query = {"limit": str(_PAGE_OF_COLLECTIONS), "offset": str(offset)}
            try:
                page = self._asked("GET", f"{home.path}/collections", query=query)
            except ServerRefused as error:
                if error.status == 404:
                    self._asked_home(home)
                raise
            yield from page
            offset += len(page)
            if len(page) < _PAGE_OF_COLLECTIONS:
                break
        if not offset:
            self._asked_home(home)

    def _asked_home(self, home: Home) -> None:
        """Insist that a database exists.

        Raises:
            NotAStore: it does not.
        """
        try:
            self._asked("GET", home.path)
        except ServerRefused as error:
            if error.status not in (400, 404):
                raise
            raise NotAStore(
                f"{self.base} has no database {home.database!r} of a tenant {home.tenant!r}.",
                todo="Check tenant and database in the address (or in CHROMA_TENANT and CHROMA_DATABASE).",
            ) from error

    def _made(self, path: str, body: Mapping[str, Any]) -> None:
        """Make what may be there already."""
        try:
            self._asked("POST", path, body, repeatable=False)
        except ServerRefused as error:
            if error.status != 409:
                raise

    def _asked(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        repeatable: bool = True,
    ) -> Any:
        """The JSON that answers a request.

        Raises:
            ServerRefused: the server says no.
        """
        content = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        answer = self._client.request(method, path, body=content, query=query, repeatable=repeatable)
        if answer.status >= 400:
            told = f"{self.base} refuses: {_reason(answer.body)} (status {answer.status})."
            raise ServerRefused(told, status=answer.status)
        return answer.json() if answer.body else None


def split(url: str) -> tuple[str, dict[str, str]]:
    """The URL of a server without its parameters, and these.

    Raises:
        UsageError: a parameter that means nothing.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = query.keys() - {"tenant", "database"}
    if unknown:
        raise UsageError(
            f"The address of a Chroma server has no parameter {', '.join(sorted(unknown))}.",
            todo="It looks like chroma+http://HOST:PORT/?tenant=T&database=D#COLLECTION.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", query


def joined(base: str, query: Mapping[str, str]) -> str:
    """The URL of a server with its parameters, in one order."""
    told = {name: query[name] for name in ("tenant", "database") if query.get(name)}
    return f"{base}/?{urlencode(told)}" if told else base


def _collection(prefix: str, said: Mapping[str, Any]) -> Collection:
    """What the server says of a collection. `configuration_json` became the API's word for it in 0.5."""
    metadata, dimension = said.get("metadata"), said.get("dimension")
    return Collection(
        id=str(said["id"]),
        name=prefix + str(said["name"]),
        dimension=dimension if isinstance(dimension, int) else None,
        metadata=metadata if isinstance(metadata, dict) else {},
        configuration=said.get("configuration_json"),
        schema=said.get("schema"),
    )


def _rows(said: Mapping[str, Any]) -> dict[str, Row]:
    ids = said["ids"]
    nothing: Iterable[Any] = [None] * len(ids)
    columns = [said.get(name) or nothing for name in ("documents", "metadatas", "embeddings", "uris")]
    return {
        id: Row(id, document, metadata or {}, None if vector is None else np.asarray(vector, np.float32), uri)
        for id, document, metadata, vector, uri in zip(ids, *columns, strict=True)
    }


def _reason(body: bytes) -> str:
    """What an answer gives as its reason."""
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except ValueError:
        return text[:300]
    told = said.get("message") or said.get("error") or said.get("detail") if isinstance(said, dict) else said
    return str(told)[:300].rstrip(".")
