"""What a Federated Memory database holds: a collection for each module, tags in the metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from memdefrag.base.errors import UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything
from tests.stores.postgres.schemas import OWNER
from tests.stores.postgres.server import Server

KEY = Key("work_memories", "m1")


@pytest.fixture
def store(federated_url: str) -> Iterator[Store]:
    with psycopg.connect(federated_url) as session:
        session.execute(
            'INSERT INTO work_memories (id, "userId", content, metadata, "createdAt", "updatedAt", "lastAccessed") '
            'VALUES (\'m1\', %s, \'Standup at nine.\', \'{"tags": ["task"], "status": "active"}\', '
            "'2024-03-01 10:00:00', '2024-03-02 10:00:00', '2024-03-02 10:00:00')",
            [OWNER],
        )
    with open_store(f"federated:{federated_url}") as opened:
        yield opened


def test_every_column_has_its_place(store: Store) -> None:
    assert store.fetch([KEY]) == [
        MemoryRecord(
            KEY,
            "Standup at nine.",
            {"tags": ["task"], "status": "active"},
            tags=("task",),
            created=1709287200.0,
            updated=1709373600.0,
            owner=OWNER,
            extras={"accessCount": 0, "lastAccessed": "2024-03-02 10:00:00"},
        )
    ]


def test_every_module_is_a_collection(store: Store) -> None:
    counts = [(info.name, info.count, info.live) for info in store.collections()]
    assert counts == [("personal_memories", 0, 0), ("work_memories", 1, 1)]


def test_tags_are_written_into_the_metadata(store: Store) -> None:
    [old] = store.fetch([KEY])
    new, losses = store.fit(replace(old, tags=("task", "team")))
    assert losses == ()
    store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
    [found] = store.fetch([KEY])
    assert found.tags == ("task", "team")
    assert found.metadata == {"tags": ["task", "team"], "status": "active"}


def test_tags_that_are_no_list_stay_as_they_are(store: Store, federated_url: str) -> None:
    with psycopg.connect(federated_url) as session:
        session.execute("UPDATE work_memories SET metadata = '{\"tags\": 7}'")
    [old] = store.fetch([KEY])
    assert (old.tags, old.metadata) == ((), {"tags": 7})
    assert store.fit(old) == (old, ())
    assert store.fit(replace(old, tags=("x",)))[1] == ("the value of 'tags'",)


def test_what_is_removed_is_gone(store: Store) -> None:
    assert not store.capabilities.soft_delete
    [old] = store.fetch([KEY])
    store.write(Changes(delete=(Ref.of(old),)), Progress())
    assert everything(store) == {}


def test_several_tables_change_together(store: Store) -> None:
    [old] = store.fetch([KEY])
    moved = old.with_key(Key("personal_memories", "m1"))
    store.write(Changes(put=(Put(moved, None),), delete=(Ref.of(old),)), Progress())
    assert everything(store) == {moved.key: moved}


def test_relations_name_the_tables_of_their_modules(store: Store, federated_url: str) -> None:
    with psycopg.connect(federated_url) as session:
        session.execute(
            "INSERT INTO memory_relationships VALUES "
            "('r', %s, 'work', 'm1', 'project-management', 'p1', 'part_of', 0.5, '{}', '2024-03-01 10:00:00')",
            [OWNER],
        )
    other = Key("project_management_memories", "p1")
    assert list(store.relations()) == [Relation(KEY, other, "part_of", 0.5, {}, 1709287200.0)]


def test_a_table_of_another_version_is_refused_with_the_columns_it_lacks(federated_url: str) -> None:
    with psycopg.connect(federated_url) as session:
        session.execute('ALTER TABLE work_memories DROP COLUMN metadata, DROP COLUMN "updatedAt"')
    with open_store(f"federated:{federated_url}") as store, pytest.raises(UnsupportedFormat, match="metadata, updated"):
        store.collections()


def test_a_strangers_table_of_a_fitting_name_is_left_alone(store: Store, federated_url: str) -> None:
    with psycopg.connect(federated_url) as session:
        session.execute("CREATE TABLE my_memories (what text)")
    assert "my_memories" not in [info.name for info in store.collections()]


def test_the_real_schema_is_known(server: Server, shared: Path) -> None:
    script = (shared / "fixtures" / "federated_schema.sql").read_text(encoding="utf-8")
    if not server.has_vectors:
        script = script.replace("CREATE EXTENSION IF NOT EXISTS vector;", "")
        script = script.replace("vector(1536)", "real[]").replace("vector(512)", "real[]")
    with open_store(f"federated:{server.database(script)}") as store:
        assert len(store.collections()) == 8
        assert store.exists
        assert list(store.relations()) == []
