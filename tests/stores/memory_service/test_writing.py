"""What a write does in a database of Memory Service, and what it refuses."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import (
    CollectionNotFound,
    NotPermitted,
    StoreChanged,
    StoreDamaged,
    UnsupportedFormat,
    UsageError,
)
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, State
from memdefrag.model.service_metadata import content_hash
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.memory_service import library
from memdefrag.stores.registry import open_store
from tests.stores.memory_service.files import DIMENSION, changed, vector
from tests.stores.memory_service.shapes import SHAPES, connected, v7, v12

A, B, C = (letter * 64 for letter in "abc")


def memory(id: str, text: str = "A text", collection: str = "default", **said: Any) -> MemoryRecord:
    return replace(MemoryRecord(Key(collection, id), text, embedding=vector(len(text)), created=1.7e9), **said)


def opened(path: Path) -> Store:
    return open_store(Address("memory-service", str(path)), must_exist=False)


def put(path: Path, *records: MemoryRecord, **more: Any) -> None:
    """Write records over what is there."""
    with opened(path) as store:
        present = read_snapshot(store).by_key if store.exists else {}
        fitted = [store.fit(record)[0] for record in records]
        puts = tuple(Put(f, Ref.of(present[f.key]).hash if f.key in present else None) for f in fitted)
        store.write(Changes(puts, **more), Progress())


def held(path: Path) -> dict[str, MemoryRecord]:
    with opened(path) as store:
        return {record.key.id: record for record in read_snapshot(store)}


def rows(path: Path, statement: str) -> list[Any]:
    connection = connected(path)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found


@pytest.fixture
def service(tmp_path: Path) -> Path:
    path = v12(tmp_path / "sqlite_vec.db")
    put(path, memory(A), memory(B, "Another text"), memory(C, "A third", "projects"))
    return path


def test_without_the_extra_it_is_read_only_and_says_so(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_installed", lambda: False)
    with opened(service) as store:
        assert not store.capabilities.writable
        assert len(read_snapshot(store)) == 3
        with pytest.raises(NotPermitted) as refused:
            store.write(Changes(), Progress())
    assert "pipx install 'memdefrag[memory-service]'" in refused.value.todo


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_version_has_is_told(tmp_path: Path, shape: str) -> None:
    with opened(SHAPES[shape](tmp_path / "db")) as store:
        can = store.capabilities
    assert (can.soft_delete, can.writes_relations, can.new_collections) == {
        "v7": (False, False, False), "v10": (True, True, False), "v12": (True, True, True)
    }[shape]  # fmt: skip


def test_a_new_database_has_what_the_service_makes(shared: Path, tmp_path: Path) -> None:
    path, real = tmp_path / "new.db", shared / "fixtures" / "sqlite_vec_fresh12.db"
    put(path, memory(A, embedding=np.ones(384, np.float32)))
    for table in ("memories", "memory_graph", "sync_events", "beliefs", "sync_cursor", "push_cursor", "metadata"):
        assert _table(path, table) == _table(real, table)
    names = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    assert rows(path, names) == _plain(real, names)
    registry = "SELECT version, name, filename, checksum FROM migration_registry"
    assert rows(path, registry) == _plain(real, registry)
    assert rows(path, "SELECT key, value FROM metadata ORDER BY key") == [
        ("distance_metric", "cosine"), ("fts5_enabled", "true"), ("schema_version", "19")
    ]  # fmt: skip


def _table(path: Path, table: str) -> list[Any]:
    return _plain(path, f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')")


def _plain(path: Path, statement: str) -> list[Any]:
    import apsw

    connection = apsw.Connection(f"{path.as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_new_database_is_the_persons_alone(tmp_path: Path) -> None:
    put(tmp_path / "new.db", memory(A))
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


def test_a_new_database_holds_vectors_of_one_length(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4 and 5 dimensions"):
        put(tmp_path / "new.db", memory(A), memory(B, embedding=np.ones(5, np.float32)))
    with pytest.raises(UsageError, match="not by ip"):
        put(tmp_path / "new.db", memory(A), collections=(CollectionInfo("default", 0, 0, 0, metric="ip"),))
    assert not (tmp_path / "new.db").exists()
    put(tmp_path / "l2.db", memory(A), collections=(CollectionInfo("default", 0, 0, 0, metric="l2"),))
    with opened(tmp_path / "l2.db") as store:
        assert [info.metric for info in store.collections()] == ["l2"]


def test_a_vector_of_another_length_is_a_loss(service: Path) -> None:
    with opened(service) as store:
        fitted, losses = store.fit(memory(A, embedding=np.ones(9, np.float32)))
    assert fitted.embedding is None
    assert losses == ("a vector of 9 dimensions (those of this database have 4)",)


def test_a_comma_in_a_tag_becomes_a_hyphen_and_is_told(service: Path) -> None:
    with opened(service) as store:
        fitted, losses = store.fit(memory(A, tags=("one,two", "three")))
    assert fitted.tags == ("one-two", "three")
    assert losses == ("tags that do not fit between commas (written differently)",)


def test_a_record_of_another_system_is_said_in_the_services_terms(service: Path) -> None:
    said = {"type": "note", "superseded_by": A}
    foreign = memory("any id", metadata=said, tags=("North, South", "x", "X"), state=State.SUPERSEDED)
    with opened(service) as store:
        adopted = store.adopted(foreign)
        fitted, losses = store.fit(adopted)
        assert store.key_for("default", foreign) == Key("default", content_hash("A text"))
        assert store.key_for("default", memory(B)) == Key("default", B)
    assert (adopted.tags, adopted.extras) == (("north- south", "x"), {"memory_type": "note", "superseded_by": A})
    assert (fitted.state, losses[1:]) == (State.SUPERSEDED, ())


def test_a_hash_stands_once_in_all_stores(service: Path) -> None:
    with opened(service) as store:
        assert store.refusal(memory(C)) == "the service keeps a text once, and has this one in its store 'projects'"
        assert store.refusal(memory(C, collection="projects")) is None
        with pytest.raises(StoreChanged, match="in the store 'projects'"):
            store.write(Changes((Put(memory(C), None),)), Progress())


def test_a_memory_can_move_to_another_store(service: Path) -> None:
    old = held(service)[C]
    with opened(service) as store:
        moved, _ = store.fit(old.with_key(Key("default", C)))
        store.write(Changes((Put(moved, None),), (Ref.of(old),)), Progress())
    assert held(service)[C].key.collection == "default"
    assert rows(service, "SELECT store, count(*) FROM memory_embeddings GROUP BY 1") == [("default", 3)]


def test_a_deleted_memory_can_be_stored_again(service: Path) -> None:
    put(service, replace(held(service)[A], state=State.DELETED))
    with opened(service) as store:
        again, _ = store.fit(memory(A, "A text again"))
        store.write(Changes((Put(again, None),)), Progress())
    assert (held(service)[A].text, held(service)[A].state) == ("A text again", State.LIVE)
    assert rows(service, "SELECT count(*) FROM memory_embeddings") == [(3,)]


def test_marking_as_deleted_takes_vector_and_links(service: Path) -> None:
    with opened(service) as store:
        links = [store.fit_relation(Relation(Key("default", one), other, "related", 0.5, {}, 1.0))[0]
                 for one, other in ((A, Key("default", B)), (B, Key("default", A)), (B, "gone"))]  # fmt: skip
    put(service, relate=tuple(link for link in links if link))
    put(service, replace(held(service)[A], state=State.DELETED))
    with opened(service) as store:
        assert [relation.target for relation in store.relations()] == ["gone"]
        assert held(service)[A].state is State.DELETED
    [[deleted, content]] = rows(service, f"SELECT deleted_at, content FROM memories WHERE content_hash = '{A}'")
    assert (deleted > 1.7e9, content) == (True, "A text")
    assert rows(service, "SELECT count(*) FROM memory_embeddings") == [(2,)]


def test_links_are_made_as_the_service_keeps_them_and_removed(service: Path) -> None:
    said = {"why": 1, "connection_types": ["causal"]}
    wanted = Relation(Key("default", A), Key("projects", C), "causes", 0.25, said, 5.0)
    with opened(service) as store:
        link, losses = store.fit_relation(wanted)
        bare, told = store.fit_relation(Relation(Key("default", A), "x"))
        assert store.fit_relation(Relation(Key("default", A), A)) == (None, ("a link of a memory with itself",))
    assert link is not None and bare is not None
    assert (losses, len(told), bare.strength, bare.created) == ((), 2, 0.0, 0.0)
    put(service, relate=(link, bare))
    assert rows(service, "SELECT * FROM memory_graph ORDER BY target_hash") == [
        (A, C, 0.25, '["causal"]', '{"why": 1}', 5.0, "causes"), (A, "x", 0.0, '["semantic"]', "{}", 0.0, "related")
    ]  # fmt: skip
    with opened(service) as store:
        assert list(store.relations()) == [link, bare]
        assert [store.fit_relation(each) for each in (link, bare)] == [(link, ()), (bare, ())]
    put(service, unrelate=(link,))
    with opened(service) as store:
        assert list(store.relations()) == [bare]


def test_an_old_version_has_one_store_and_no_links(tmp_path: Path) -> None:
    path = v7(tmp_path / "db")
    with pytest.raises(CollectionNotFound):
        put(path, memory(A, collection="projects"))
    with opened(path) as store:
        assert store.fit_relation(Relation("a", "b"))[0] is None
        assert store.fit(memory(A, state=State.DELETED))[1] == ("the state 'deleted'",)


def test_a_vector_that_was_still_to_be_made_is_made(service: Path) -> None:
    changed(service, "UPDATE memories SET embedding_pending = 1")
    put(service, replace(held(service)[A], embedding=vector(77)), replace(held(service)[B], tags=("new",)))
    pending = "SELECT content_hash, embedding_pending FROM memories ORDER BY id"
    assert rows(service, pending) == [(A, 0), (B, 1), (C, 1)]


def test_what_a_trigger_of_a_stranger_would_do_is_not_done(service: Path) -> None:
    changed(service, "CREATE TRIGGER x AFTER UPDATE ON memories BEGIN DELETE FROM memories; END")
    before = service.read_bytes()
    with pytest.raises(UnsupportedFormat, match="a trigger"):
        put(service, replace(held(service)[A], tags=("new",)))
    assert service.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE memory_embeddings_chunks SET validity = x'00'",
        "UPDATE memory_embeddings_chunks SET size = 1 << 30",
        "UPDATE memory_embeddings_vector_chunks00 SET vectors = x'00'",
        "DELETE FROM memory_embeddings_vector_chunks00",
        "UPDATE memory_embeddings_rowids SET chunk_offset = 5000 WHERE rowid = 1",
    ],
)
def test_tables_that_sqlite_vec_would_not_survive_are_not_given_to_it(service: Path, damage: str) -> None:
    changed(service, damage)
    with pytest.raises(StoreDamaged, match="cannot be written"):
        put(service, memory("d" * 64))


def test_other_machines_learn_of_changes_where_the_log_is_in_use(service: Path) -> None:
    assert rows(service, "SELECT count(*) FROM sync_events") == [(0,)]
    changed(
        service,
        "INSERT INTO sync_events (event_id, agent_id, op, content_hash, payload, created_at, hlc_physical, "
        f"hlc_logical, embedding_model, embedding_dim) VALUES ('1', 'x', 'create', '{A}', '{{}}', 1.0, 1, 0, 'model', "
        f"{DIMENSION})",
        "INSERT INTO metadata VALUES ('sync_hlc_physical', '9000000000000')",
        "INSERT INTO metadata VALUES ('sync_hlc_logical', '7')",
    )
    old = held(service)
    put(service, replace(old[A], tags=("new",)), memory("d" * 64, "Fresh"), replace(old[B], state=State.DELETED))
    put(service, replace(held(service)[B], state=State.LIVE, extras={}, embedding=vector(3)))
    told = rows(
        service,
        "SELECT op, content_hash, payload, hlc_physical, hlc_logical, embedding_model, agent_id, event_id "
        "FROM sync_events WHERE seq > 1 ORDER BY seq",
    )
    assert [(op, hash) for op, hash, *_ in told] == [
        ("update_metadata", A), ("create", "d" * 64), ("delete", B), ("create", B)
    ]  # fmt: skip
    assert [(physical, logical) for _, _, _, physical, logical, *_ in told] == [
        (9000000000000, number) for number in (8, 9, 10, 11)
    ]
    payloads = [json.loads(payload) for _, _, payload, *_ in told]
    assert payloads[0]["updates"] == {"tags": ["new"]}
    assert (payloads[1]["content"], payloads[1]["recreate_of"], told[1][5]) == ("Fresh", "", "model")
    assert payloads[2]["deleted_at"] > 1.7e9
    assert payloads[3]["recreate_of"] == told[2][7]
    assert payloads[3]["recreate_of_hlc"] == [9000000000000, 10, "unknown"]
