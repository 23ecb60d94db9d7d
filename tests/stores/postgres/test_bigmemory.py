"""What a BigMemory database holds, exactly; and what of other stores' memories it cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from memdefrag.base.errors import CollectionNotFound, UnsupportedFormat
from memdefrag.base.progress import Progress, Tick
from memdefrag.model.hashing import record_hash, text_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.conftest import DIMENSION
from tests.stores.contract import everything, hashes
from tests.stores.postgres.schemas import OWNER, bigmemory
from tests.stores.postgres.server import Server

_INSERT = "INSERT INTO memories (id, user_id, content, content_hash{}) VALUES (%s, '" + OWNER + "', %s, %s{})"


@pytest.fixture
def store(bigmemory_url: str) -> Iterator[Store]:
    with open_store(f"bigmemory:{bigmemory_url}") as opened:
        yield opened


def insert(url: str, id: str, text: str = "A memory.", **columns: str) -> None:
    """A row whose further columns are given as SQL."""
    names, values = (", ".join(["", *part]) if part else "" for part in (columns.keys(), columns.values()))
    with psycopg.connect(url) as session:
        session.execute(_INSERT.format(names, values), [id, text, text_hash(text)])


def one(store: Store, id: str) -> MemoryRecord:
    [record] = store.fetch([Key("memories", id)])
    return record


def raw(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as session:
        return session.execute("SELECT memories::text FROM memories ORDER BY id").fetchall()


def test_every_column_has_its_place(store: Store, bigmemory_url: str) -> None:
    insert(
        bigmemory_url,
        "m1",
        "Tabs, not spaces.",
        tags="'{code,\"two words\"}'",
        source_metadata="""'{"type": "task", "n": 1, "x": 1.0, "deep": {"a": [null, true]}}'""",
        created_at="'2024-03-01 10:00:00.123'",
        updated_at="'2024-03-02 10:00:00'",
        accessed_at="'2024-03-03 10:00:00'",
        access_count="7",
        title="'Tabs'",
    )
    record = one(store, "m1")
    assert record == MemoryRecord(
        Key("memories", "m1"),
        "Tabs, not spaces.",
        {"type": "task", "n": 1, "x": 1.0, "deep": {"a": [None, True]}},
        tags=("code", "two words"),
        created=1709287200.123,
        updated=1709373600.0,
        owner=OWNER,
        extras={
            "title": "Tabs",
            "summary": None,
            "source": None,
            "accessed_at": "2024-03-03 10:00:00",
            "access_count": 7,
        },
    )


def test_deleted_rows_are_told_from_live_ones(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "gone", is_deleted="true")
    insert(bigmemory_url, "here")
    assert [one(store, id).state for id in ("gone", "here")] == [State.DELETED, State.LIVE]
    [info] = store.collections()
    assert (info.count, info.live) == (2, 1)
    assert store.capabilities.soft_delete


def test_a_memory_is_marked_as_deleted_and_brought_back(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1")
    before = raw(bigmemory_url)
    live = one(store, "m1")
    gone = replace(live, state=State.DELETED)
    store.write(Changes(put=(Put(gone, record_hash(live)),)), Progress())
    assert one(store, "m1") == gone
    store.write(Changes(put=(Put(live, record_hash(gone)),)), Progress())
    assert raw(bigmemory_url) == before


def test_the_hash_of_the_text_follows_the_text(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1", "old")
    old = one(store, "m1")
    new, losses = store.fit(replace(old, text="new"))
    store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
    with psycopg.connect(bigmemory_url) as session:
        assert session.execute("SELECT content_hash FROM memories").fetchall() == [(text_hash("new"),)]
    assert losses == ()


def test_relations_are_read(store: Store, bigmemory_url: str) -> None:
    for id in ("a", "b"):
        insert(bigmemory_url, id)
    with psycopg.connect(bigmemory_url) as session:
        session.execute(
            "INSERT INTO memory_relations VALUES "
            "('r', %s, 'a', 'b', 'task_of', 0.9, '{\"order\": 1}', '2024-03-01 10:00:00')",
            [OWNER],
        )
    wanted = Relation(Key("memories", "a"), Key("memories", "b"), "task_of", 0.9, {"order": 1}, 1709287200.0)
    assert list(store.relations()) == [wanted]


ODD = {
    "null tags": {"tags": "'{NULL,a}'"},
    "two rows of tags": {"tags": "'{{a},{b}}'"},
    "tags that start at two": {"tags": "'[2:3]={a,b}'"},
    "an array for metadata": {"source_metadata": "'[1, 2]'"},
    "empty metadata": {"source_metadata": "'{}'"},
    "metadata that is null": {"source_metadata": "'null'"},
    "a number that is too large": {"source_metadata": "'{\"n\": 1e400}'"},
    "a number with more digits than Python has": {"source_metadata": "'{\"n\": 0.10000000000000000000000001}'"},
    "a whole number of 5,000 digits": {"source_metadata": "('{\"n\": 1' || repeat('0', 5000) || '}')::jsonb"},
    "an endless time": {"created_at": "'infinity'"},
    "a time before Christ": {"created_at": "'0044-03-15 12:00:00 BC'"},
    "a time after the year 9999": {"updated_at": "'20000-01-01 00:00:00'"},
    "numbers as nobody writes them": {"source_metadata": '\'{"n": -0.0, "m": 1.50, "k": 12345678901234567890}\''},
}


@pytest.mark.case(25)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_row_comes_back_as_it_was_after_it_was_removed(store: Store, bigmemory_url: str, name: str) -> None:
    insert(bigmemory_url, "m1", **ODD[name])
    before = raw(bigmemory_url)
    record = one(store, "m1")
    fitted, losses = store.fit(record)
    assert (record_hash(fitted), losses) == (record_hash(record), ())
    store.write(Changes(delete=(Ref.of(record),)), Progress())
    assert raw(bigmemory_url) == []
    store.write(Changes(put=(Put(fitted, None),)), Progress())
    assert raw(bigmemory_url) == before


@pytest.mark.case(25)
def test_what_a_merge_overwrites_of_odd_metadata_is_told(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1", source_metadata="'[1, 2]'")
    merged, losses = store.fit(replace(one(store, "m1"), metadata={"merged_count": 2}))
    assert losses == ("the value of 'source_metadata'",)
    assert merged.metadata == {"merged_count": 2}


def test_unknown_columns_are_kept(bigmemory_url: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute(
            "ALTER TABLE memories ADD price numeric, ADD seen date, ADD flag boolean, ADD raw bytea, "
            "ADD twice text GENERATED ALWAYS AS (content || content) STORED, "
            "ADD number bigint GENERATED ALWAYS AS IDENTITY"
        )
    insert(bigmemory_url, "m1", price="1.10", seen="'2024-02-29'", flag="true", raw="'\\xff00'")
    before = raw(bigmemory_url)
    with open_store(f"bigmemory:{bigmemory_url}") as store:
        record = one(store, "m1")
        wanted = {"price": "1.10", "seen": "2024-02-29", "flag": True, "raw": "\\xff00", "number": 1}
        assert record.extras.items() >= wanted.items()
        assert "twice" not in record.extras
        store.write(Changes(delete=(Ref.of(record),)), Progress())
        store.write(Changes(put=(Put(record, None),)), Progress())
    assert raw(bigmemory_url) == before


def test_ids_may_be_uuids(server: Server) -> None:
    url = server.schema(bigmemory(vectors=server.has_vectors, id_type="uuid"))
    insert(url, OWNER)
    with open_store(f"bigmemory:{url}") as store:
        record = one(store, OWNER)
        assert store.fetch([Key("memories", "no uuid"), record.key]) == [record]
        new = replace(record, text="changed")
        store.write(Changes(put=(Put(new, record_hash(record)),)), Progress())
        assert one(store, OWNER).text == "changed"


def test_fetching_uses_the_index_of_the_ids(bigmemory_url: str) -> None:
    from memdefrag.stores.postgres.query import _one_of
    from memdefrag.stores.postgres.tables import Column

    with psycopg.connect(bigmemory_url) as session:
        session.execute("SET enable_seqscan = off")
        plan = session.execute(
            b"EXPLAIN SELECT 1 FROM memories WHERE " + _one_of(Column("id", "text", True)).as_bytes(), [["a"]]
        ).fetchall()
    assert "Index Cond" in str(plan)


@pytest.mark.case(20)
def test_zero_bytes_are_told_and_replaced(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1")
    like = one(store, "m1")
    odd = replace(
        like, key=Key("memories", "m2"), text="a\0b", tags=("t\0",), metadata={"k": ["x\0"], "p": "q"}, extras={}
    )
    fitted, losses = store.fit(odd)
    assert losses == ("the type of 'k' (kept as JSON text)", "zero bytes or half characters (replaced)")
    assert (fitted.text, fitted.tags) == ("a\ufffdb", ("t\ufffd",))
    assert fitted.metadata == {"k": 'memdefrag:json:["x\\u0000"]', "p": "q"}
    assert record_hash(store.fit(fitted)[0]) == record_hash(fitted)
    store.write(Changes(put=(Put(fitted, None),)), Progress())
    assert one(store, "m2") == fitted


@pytest.mark.case(21)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_vector_of_no_numbers_is_told_as_a_loss(store: Store, bigmemory_url: str, value: float) -> None:
    insert(bigmemory_url, "m1")
    fitted, losses = store.fit(replace(one(store, "m1"), embedding=np.full(DIMENSION, value, np.float32)))
    assert fitted.embedding is None
    assert losses == ("a vector with values that are no numbers",)


@pytest.mark.case(21)
def test_stored_vectors_of_no_numbers_are_told_as_problems(server: Server, store: Store, bigmemory_url: str) -> None:
    if server.has_vectors:
        pytest.skip("pgvector's own type refuses them")
    insert(bigmemory_url, "m1", embedding="'{1,NaN,Infinity}'")
    insert(bigmemory_url, "m2", embedding="'{1,NULL}'")
    before = raw(bigmemory_url)
    assert store.problems() == ["2 vectors of memories hold values that are no numbers, the first is 'm1'."]
    vector = one(store, "m1").embedding
    assert vector is not None
    np.testing.assert_array_equal(vector, np.array([1, np.nan, np.inf], np.float32))
    bare = [record for batch in store.scan("memories", vectors=False) for record in batch]
    assert hashes({record.key: record for record in bare}) == hashes(everything(store))
    record = one(store, "m2")
    assert record.extras["embedding"] == "{1,NULL}"
    store.write(Changes(delete=(Ref.of(record),)), Progress())
    store.write(Changes(put=(Put(record, None),)), Progress())
    assert raw(bigmemory_url) == before


@pytest.mark.case(23)
def test_a_vector_that_the_table_does_not_take_is_told(server: Server, store: Store, bigmemory_url: str) -> None:
    if not server.has_vectors:
        pytest.skip("arrays take any length; needs pgvector")
    insert(bigmemory_url, "m1")
    fitted, losses = store.fit(replace(one(store, "m1"), embedding=np.ones(DIMENSION + 1, np.float32)))
    assert fitted.embedding is None
    assert losses == ("a vector of 9 dimensions (the table takes 8 dimensions)",)


def test_what_the_table_has_no_place_for_is_told(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1")
    foreign = replace(one(store, "m1"), uri="file:///x", state=State.CHUNK, extras={"colour": "red"}, created=None)
    _, losses = store.fit(foreign)
    assert losses == ("the uri", "the state 'chunk'", "the value of 'colour'")
    bare = MemoryRecord(Key("memories", "m3"), "No time at all.")
    assert store.fit(bare)[1] == ("the absence of a time (1970 is written)",)


def test_no_owner_is_invented_where_there_are_several(store: Store, bigmemory_url: str) -> None:
    bare = MemoryRecord(Key("memories", "m1"), "Whose?", created=1.0)
    assert store.fit(bare)[0].owner == OWNER
    with psycopg.connect(bigmemory_url) as session:
        session.execute("INSERT INTO users (id, token) VALUES ('second', 'y')")
    with open_store(store.address) as again:
        fitted, losses = again.fit(bare)
    assert fitted.owner is None
    assert losses == ("the absence of an owner (one must be named)",)


def test_a_text_column_of_vectors_is_only_read(server: Server) -> None:
    url = server.schema(bigmemory(vectors=False).replace("real[]", "text"))
    insert(url, "m1", embedding="'[0.1, 0.2]'")
    with open_store(f"bigmemory:{url}") as store:
        record = one(store, "m1")
        assert record.embedding is not None
        assert record.embedding.tolist() == pytest.approx([0.1, 0.2])
        with pytest.raises(UnsupportedFormat, match="which we can only read"):
            store.write(Changes(delete=(Ref.of(record),)), Progress())


def test_tables_are_not_made(store: Store) -> None:
    with pytest.raises(UnsupportedFormat, match="makes its tables itself"):
        store.write(Changes(collections=(CollectionInfo("new", 0, 0, 0),)), Progress())
    with pytest.raises(CollectionNotFound):
        store.write(Changes(delete=(Ref(Key("new", "x"), "0"),)), Progress())


def test_a_snapshot_is_one_moment(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "a")
    with store.frozen():
        first = everything(store)
        insert(bigmemory_url, "b")
        assert everything(store).keys() == first.keys()
        assert store.fetch([Key("memories", "b")]) == []
    assert everything(store).keys() == {Key("memories", "a"), Key("memories", "b")}


def test_all_of_a_snapshot_is_of_the_moment_when_reading_began(store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "a")
    late: list[str] = []

    def interfere(tick: Tick) -> None:
        if not late:
            late.append(tick.phase)
            insert(bigmemory_url, "b")

    snapshot = read_snapshot(store, Progress(interfere))
    assert late == ["Reading"]
    assert [record.key.id for record in snapshot] == ["a"]
    assert len(everything(store)) == 2


def test_the_session_is_found_again_after_the_server_cut_it(server: Server, store: Store, bigmemory_url: str) -> None:
    insert(bigmemory_url, "m1")
    assert store.exists
    with server.connect() as session:
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memdefrag'")
    with pytest.raises(Exception, match="cannot be reached"):
        one(store, "m1")
    assert one(store, "m1").text == "A memory."


def test_a_real_database_is_read_whole(server: Server, shared: Path) -> None:
    script = (shared / "fixtures" / "bigmemory.sql").read_text(encoding="utf-8")
    if not server.has_vectors:
        script = script.replace("CREATE EXTENSION IF NOT EXISTS vector;", "").replace("vector(1536)", "text")
    with open_store(f"bigmemory:{server.database(script)}") as store:
        snapshot = read_snapshot(store)
        assert [(info.count, info.live, info.dimension) for info in snapshot.collections] == [(210, 204, 1536)]
        assert len(snapshot.relations) == 35
        assert len({record.owner for record in snapshot}) == 4
        assert all(record_hash(store.fit(record)[0]) == record_hash(record) for record in snapshot)
        assert store.capabilities.writable is server.has_vectors
