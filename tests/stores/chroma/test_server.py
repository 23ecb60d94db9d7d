"""What a Chroma server makes of what it is sent, and what is made of what it says; on real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base import http
from memdefrag.base.errors import (
    CollectionNotFound,
    NotAStore,
    ServerRefused,
    ServerUnreachable,
    StoreChanged,
    UnsupportedFormat,
    UsageError,
    WriterFailed,
)
from memdefrag.base.http import Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma.server_api import Row
from memdefrag.stores.chroma.server_fit import RENAMED, _parsed, kept_decimal
from memdefrag.stores.chroma.server_write import batches, merging
from memdefrag.stores.registry import open_store, resolve
from tests.stores.chroma.proxy import proxying
from tests.stores.chroma.running import ChromaServer, free_port

INFO = CollectionInfo("memories", 0, 0, 0, settings={"metadata": {"hnsw:space": "l2"}})
METADATA = st.dictionaries(
    st.sampled_from("abcde"), st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.just(1.0), st.just("x"))
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server of this machine to come back."""
    options = Options(retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)


@pytest.fixture
def address(chroma_server: ChromaServer, database: str) -> str:
    return chroma_server.address(database)


def memory(id: str, text: str | None = "text", vector: tuple[float, ...] = (1.0, 2.0), **parts: Any) -> MemoryRecord:
    collection = parts.pop("collection", "memories")
    return MemoryRecord(Key(collection, id), text, embedding=np.array(vector, np.float32), **parts)


def put(address: str, *records: MemoryRecord, infos: tuple[CollectionInfo, ...] = (INFO,)) -> dict[str, MemoryRecord]:
    """Write records over what is there, and return what stands there afterwards, by id."""
    with open_store(address) as store:
        store.write(Changes(collections=infos), Progress())
        fitted = [store.fit(record)[0] for record in records]
        present = {record.key: record_hash(record) for record in store.fetch(record.key for record in fitted)}
        store.write(Changes(put=tuple(Put(record, present.get(record.key)) for record in fitted)), Progress())
        return {record.key.id: record for record in store.fetch(record.key for record in fitted)}


def test_vectors_are_kept_to_the_bit(address: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(50, 24)).astype(np.float32)
    found = put(address, *(memory(str(n), vector=tuple(vector)) for n, vector in enumerate(vectors)))
    assert all(np.array_equal(found[str(n)].embedding, vector) for n, vector in enumerate(vectors))  # type: ignore[arg-type]


@pytest.mark.old_chroma
def test_vectors_are_kept_to_the_bit_by_an_old_server(old_chroma_server: ChromaServer) -> None:
    old_chroma_server.make_database("bits")
    test_vectors_are_kept_to_the_bit(old_chroma_server.address("bits"))


def test_metadata_that_are_gone_are_gone(address: str) -> None:
    put(address, memory("a", metadata={"gone": 1, "list": [1, 2], "kept": "x", "changes": 1}))
    found = put(address, memory("a", metadata={"kept": "x", "changes": [1.5]}))
    assert found["a"].metadata == {"kept": "x", "changes": [1.5]}
    assert put(address, memory("a", metadata={}))["a"].metadata == {}


@pytest.mark.parametrize("part", ["text", "uri"])
def test_a_text_or_uri_that_is_gone_is_gone(address: str, part: str) -> None:
    whole = memory("a", "text", uri="file:///a", metadata={"n": 1})
    put(address, whole)
    found = put(address, replace(whole, **{part: None}))["a"]
    assert (getattr(found, part), found.metadata) == (None, {"n": 1})


def test_decimals_read_back_as_foretold(address: str) -> None:
    rng = np.random.default_rng(1)
    values = [*rng.random(300), *(1.7e9 + rng.random(300) * 1e8), *(10.0 ** rng.uniform(-320, 300, 300)), -0.0, 5e-324]
    records = [memory(str(n), metadata={"v": float(v), "l": [float(v), 1.0]}) for n, v in enumerate(values)]
    with open_store(address) as store:
        fitted = {record.key.id: store.fit(record) for record in records}
    found = put(address, *records)
    assert {id: record.metadata for id, record in found.items()} == {
        id: record.metadata for id, (record, _) in fitted.items()
    }
    rounded = [id for id, (_, losses) in fitted.items() if losses]
    assert rounded
    assert all(found[id].metadata["v"] == pytest.approx(values[int(id)], rel=1e-14) for id in rounded)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_kept_decimal_is_kept_and_near(value: float) -> None:
    kept = kept_decimal(value)
    if isinstance(kept, float):
        assert _parsed(_parsed(kept)) == kept
        assert kept == pytest.approx(value, rel=1e-14, abs=1e-300)
    else:
        assert abs(value) > 1e307


@given(st.decimals(-(10**9), 10**9, places=6, allow_nan=False))
def test_decimals_of_fifteen_digits_are_kept(value: Any) -> None:
    assert kept_decimal(float(value)) == float(value)


@pytest.mark.parametrize("key", ["", "#hash", "$gt", "chroma:document", "chroma:x"])
def test_keys_that_the_server_keeps_for_itself_are_renamed_and_never_sent(address: str, key: str) -> None:
    record = memory("a", metadata={key: "x"})
    with open_store(address) as store:
        fitted, losses = store.fit(record)
        assert fitted.metadata == {RENAMED + key: "x"}
        assert len(losses) == 1
        assert store.fit(fitted) == (fitted, ())
        store.write(Changes(collections=(INFO,)), Progress())
        with pytest.raises(WriterFailed, match="server's own"):
            store.write(Changes(put=(Put(record, None),)), Progress())
    assert put(address, record)["a"].metadata == {RENAMED + key: "x"}


@given(METADATA, METADATA)
def test_what_is_sent_makes_what_is_wanted(present: dict[str, Any], wanted: dict[str, Any]) -> None:
    wanted = {key: value for key, value in wanted.items() if value is not None}
    present = {key: value for key, value in present.items() if value is not None}
    merged = {**present, **merging(wanted, present)}
    assert {key: value for key, value in merged.items() if value is not None} == wanted
    assert merging(wanted, wanted) == {}


@given(st.lists(st.sampled_from([0, 1, 40, 500, 1000, 2000]), max_size=9), st.integers(1, 4))
def test_batches_are_bounded_by_rows_and_bytes(sizes: list[int], most: int) -> None:
    rows = [Row(str(n), "x" * size, {}, None, None) for n, size in enumerate(sizes)]
    made = list(batches(rows, most, 1000))
    assert [row.id for batch in made for row in batch] == [row.id for row in rows]
    assert all(len(batch) <= most for batch in made)
    assert all(len(batch) == 1 or sum(len(row.document or "") for row in batch) <= 1000 for batch in made)


def test_a_large_collection_is_read_page_by_page(address: str, chroma_server: ChromaServer, database: str) -> None:
    bare = tuple(memory(f"{n:05}", None, vector=(float(n % 97), float(n % 89))) for n in range(12_000))
    quick = replace(INFO, settings={"metadata": {"hnsw:space": "l2", "hnsw:M": 2, "hnsw:construction_ef": 2}})
    with open_store(address) as store:
        store.write(Changes(collections=(quick,)), Progress())
        store.write(Changes(put=tuple(Put(record, None) for record in bare)), Progress())
    with proxying(chroma_server.url) as proxy, open_store(proxy.address(database)) as store:
        found = [record.key for batch in store.scan("memories") for record in batch]
        assert sorted(found) == [record.key for record in bare]
        assert sum(path.endswith("/get") for path in proxy.paths) == 1 + 12
        asked = [bare[n].key for n in range(0, 12_000, 5)][::-1]
        assert [record.key for record in store.fetch(asked)] == asked
        [info] = store.collections()
        assert (info.count, info.live, info.dimension) == (12_000, 12_000, 2)


def test_every_database_of_the_tenant_is_shown_unless_one_is_named(chroma_server: ChromaServer) -> None:
    chroma_server.make_database("work", "ann")
    chroma_server.make_database("default_database", "ann")
    named = chroma_server.address("work", tenant="ann")
    put(named, memory("a"))
    with open_store(named) as store:
        assert [info.name for info in store.collections()] == ["memories"]
    everywhere = chroma_server.address(tenant="ann")
    inside = memory("b", collection="ann/work/other")
    put(everywhere, inside, infos=(replace(INFO, name="ann/work/other"),))
    with open_store(everywhere) as store:
        assert [info.name for info in store.collections()] == ["ann/work/memories", "ann/work/other"]
        assert [record.key for record in read_snapshot(store)] == [Key("ann/work/memories", "a"), inside.key]


def test_a_collection_of_another_home_makes_that_home(chroma_server: ChromaServer, address: str) -> None:
    name = "someone/elsewhere/memories"
    with open_store(address) as store:
        store.write(Changes(collections=(replace(INFO, name=name),)), Progress())
    with open_store(chroma_server.address("elsewhere", tenant="someone")) as store:
        assert [info.name for info in store.collections()] == ["memories"]


def test_tenant_and_database_of_the_environment_become_part_of_the_address(
    chroma_server: ChromaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = f"chroma+{chroma_server.url}/#notes"
    assert str(resolve(plain)) == f"chroma+{chroma_server.url}#notes"
    monkeypatch.setenv("CHROMA_TENANT", "ann")
    monkeypatch.setenv("CHROMA_DATABASE", "work")
    told = f"chroma+{chroma_server.url}/?tenant=ann&database=work#notes"
    assert str(resolve(plain)) == told
    assert str(resolve(told)) == told


def test_a_missing_database_is_no_empty_store(chroma_server: ChromaServer) -> None:
    for address in (chroma_server.address("nowhere"), chroma_server.address("nowhere", tenant="nobody")):
        with open_store(address) as store:
            for look in (store.collections, lambda store=store: store.exists):
                with pytest.raises(NotAStore, match="nowhere"):
                    look()


@pytest.mark.old_chroma
def test_a_missing_database_is_no_empty_store_on_an_old_server(old_chroma_server: ChromaServer) -> None:
    test_a_missing_database_is_no_empty_store(old_chroma_server)


@pytest.mark.parametrize("in_metadata", [True, False])
@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_a_collection_is_made_like_its_model(address: str, metric: str, in_metadata: bool) -> None:
    function = {"type": "known", "name": "sentence_transformer", "config": {"model_name": "my-model"}}
    hnsw = {"space": metric, "ef_construction": 77, "max_neighbors": 8}
    settings: dict[str, Any] = {"metadata": {"about": "x"}, "embedding_function": function}
    if in_metadata:
        settings["metadata"] |= {"hnsw:space": metric, "hnsw:construction_ef": 77, "hnsw:M": 8}
    else:
        settings["configuration"] = {"hnsw": hnsw}
    with open_store(address) as store:
        info = CollectionInfo("like", 0, 0, 0, metric=metric, settings=settings)
        store.write(Changes(collections=(info,)), Progress())
        [made] = store.collections()
        assert (made.metric, made.model) == (metric, "my-model")
        assert made.settings["metadata"] == settings["metadata"]
        assert {name: made.settings["configuration"]["hnsw"][name] for name in hnsw} == hnsw
        again = replace(made, name="again")
        store.write(Changes(collections=(again,)), Progress())
        twin = next(each for each in store.collections() if each.name == "again")
        assert {**twin.settings, "id": ""} == {**made.settings, "id": ""}


def test_a_name_that_chroma_does_not_take_is_told(address: str) -> None:
    with open_store(address) as store, pytest.raises(WriterFailed, match="3-512"):
        store.write(Changes(collections=(replace(INFO, name="no spaces"),)), Progress())


def test_another_client_s_change_stops_the_write(address: str) -> None:
    seen = put(address, memory("a"))["a"]
    put(address, memory("a", "changed by another"))
    with open_store(address) as store, pytest.raises(StoreChanged):
        store.write(Changes(put=(Put(replace(seen, text="mine"), record_hash(seen)),)), Progress())


def test_vectors_of_another_dimension_are_refused(address: str) -> None:
    put(address, memory("a"))
    with pytest.raises(WriterFailed, match="dimension"):
        put(address, memory("b", vector=(1.0, 2.0, 3.0)))


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_what_the_server_does_not_find_is_lost_in_search(address: str, metric: str) -> None:
    info = CollectionInfo("memories", 0, 0, 0, metric=metric)
    found = put(address, memory("a"), memory("b", vector=(2.0, -1.0)), infos=(info,))
    stranger = replace(found["a"], key=Key("memories", "stranger"), embedding=np.array([3, 3], np.float32))
    with open_store(address) as store:
        assert store.lost_in_search([*found.values(), stranger], Progress()) == [stranger.key]


@pytest.mark.parametrize("header", ["Authorization", "X-Chroma-Token"])
def test_the_token_is_sent_as_gateways_want_it(
    chroma_server: ChromaServer, database: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying(chroma_server.url, "s3cret", header) as proxy:
        with open_store(proxy.address(database)) as store, pytest.raises(ServerRefused, match="wants a key"):
            store.collections()
        monkeypatch.setenv("CHROMA_API_KEY", "wrong")
        with open_store(proxy.address(database)) as store, pytest.raises(ServerRefused, match="not accept"):
            store.collections()
        monkeypatch.delenv("CHROMA_API_KEY")
        monkeypatch.setenv("MCP_MEMORY_CHROMADB_API_KEY", "s3cret")
        assert put(proxy.address(database), memory("a"))["a"].text == "text"
        assert not any("s3cret" in path for path in proxy.paths)


def test_nobody_there_is_never_an_empty_store() -> None:
    with open_store(f"chroma+http://127.0.0.1:{free_port()}") as store:
        for look in (store.collections, lambda: store.exists, lambda: list(store.scan("x"))):
            with pytest.raises(ServerUnreachable):
                look()


@pytest.mark.parametrize(
    ("versions", "error", "words"),
    [({"/api/v1/version": b'"0.4.24"'}, UnsupportedFormat, "0.4.24"), ({}, NotAStore, "no Chroma server")],
)
def test_what_we_cannot_talk_to_is_told(versions: dict[str, bytes], error: type[Exception], words: str) -> None:
    with answering(versions) as url, open_store(f"chroma+{url}") as store, pytest.raises(error, match=words):
        store.collections()


def test_a_server_of_the_future_is_only_read() -> None:
    with answering({"/api/v2/version": b'"2.1.0"'}) as url, open_store(f"chroma+{url}") as store:
        assert not store.capabilities.writable
        assert store.format == "Chroma server 2.1.0"


def test_an_unknown_parameter_of_the_address_is_refused() -> None:
    with pytest.raises(UsageError, match="colour"):
        resolve("chroma+http://127.0.0.1:8000/?colour=red")


def test_a_missing_collection_is_told(address: str) -> None:
    with open_store(address) as store:
        with pytest.raises(CollectionNotFound):
            store.write(Changes(put=(Put(memory("a"), None),)), Progress())
        assert store.collections() == []


def test_a_page_that_is_too_large_is_asked_for_in_parts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(address, *(memory(str(n), "x" * 40_000) for n in range(8)))
    options = Options(answer_bytes=100_000)
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)
    with open_store(address) as store:
        assert [len(batch) for batch in store.scan("memories")] == [8]


def test_a_folder_and_a_server_say_the_same(chroma_server: ChromaServer, tmp_path: Path) -> None:
    """The server's own folder, read beside it."""
    chroma_server.make_database("same")
    records = [memory(str(n), metadata={"n": n, "l": ["a"], "timestamp": 1.7e9 + n}) for n in range(5)]
    put(chroma_server.address("same"), *records)
    name = "default_tenant/same/memories"
    with open_store(f"chroma:{chroma_server.folder}") as folder, open_store(chroma_server.address()) as server:
        [local] = [info for info in folder.collections() if info.name == name]
        [remote] = [info for info in server.collections() if info.name == name]
        assert (local.metric, local.count, local.dimension) == (remote.metric, remote.count, remote.dimension)
        assert local.settings["metadata"] == remote.settings["metadata"]
        [mine], [theirs] = folder.scan(name), server.scan(name)
        assert {r.key: record_hash(r) for r in mine} == {r.key: record_hash(r) for r in theirs}


@contextmanager
def answering(answers: dict[str, bytes]) -> Iterator[str]:
    """A server that knows these paths and no others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
