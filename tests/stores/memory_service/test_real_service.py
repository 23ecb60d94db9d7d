"""The real mcp-memory-service takes what we wrote as its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Drop, Merge, Plan, Put, Ref, Result, VectorRule
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, Snapshot, State
from memdefrag.model.service_metadata import content_hash, iso
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.memory_service.service import real_service

pytestmark = pytest.mark.real_service
DIMENSION = 384


def chroma_era(count: int = 12) -> list[MemoryRecord]:
    """Memories as the service kept them in Chroma: both encodings of tags, and hashes of two kinds."""
    vectors = np.random.default_rng(5).normal(size=(count, DIMENSION)).astype(np.float32)
    records = []
    for n in range(count):
        text = f"The {n}th bridge over the river Pegnitz was repaired"
        created = 1.735e9 + n * 3600
        tags = '["Bridges", "a,b"]' if n % 2 else "bridges,north"
        metadata = {"tags": tags, "memory_type": "note", "timestamp": created, "created_at_iso": iso(created), "n": n}
        id = content_hash(f"{text}{n}") if n % 3 else content_hash(text)
        tag_list = ("Bridges", "a,b") if n % 2 else ("bridges", "north")
        vector = vectors[n] / np.linalg.norm(vectors[n])
        records.append(MemoryRecord(Key("memory_collection", id), text, metadata, vector, tag_list, created=created))
    return records


def taken_over(store: Store, records: list[MemoryRecord], collection: str = "default") -> list[MemoryRecord]:
    """The records as a migration brings them into the store."""
    return [store.fit(store.adopted(r).with_key(store.key_for(collection, r)))[0] for r in records]


def vectors_of(records: list[MemoryRecord]) -> dict[str, Any]:
    return {record.text or "": record.embedding.tolist() for record in records if record.embedding is not None}


def snapshot(path: Path) -> Snapshot:
    with open_store(Address("memory-service", str(path))) as store:
        assert store.problems() == []
        return read_snapshot(store)


def live(found: Snapshot) -> list[MemoryRecord]:
    return [record for record in found if record.state is State.LIVE]


def test_it_takes_a_database_that_we_made(tmp_path: Path) -> None:
    path = tmp_path / "sqlite_vec.db"
    with open_store(Address("memory-service", str(path)), must_exist=False) as store:
        records = taken_over(store, chroma_era()[:9]) + taken_over(store, chroma_era()[9:], "projects")
        link, _ = store.fit_relation(Relation(records[0].key, records[1].key, "causes", 0.5, {"why": "rain"}, 1.7e9))
        assert link is not None
        store.write(Changes(tuple(Put(record, None) for record in records), relate=(link,)), Progress())
    told = real_service(
        path, DIMENSION, vectors=vectors_of(records), ask=[record.text for record in records], tags=["bridges"],
        words=["Pegnitz"], store=["A memory that the service itself stores"],
    )  # fmt: skip
    assert told["complaints"] == []
    assert told["integrity"] == "ok"
    assert told["stored"][0][0]
    assert told["counts"] == {"default": 10, "projects": 3}
    for record in records:
        place = told["stores"].index(record.key.collection)
        assert told["found"][record.text][place][0] == record.key.id
        seen = told["memories"][record.key.id]
        assert (seen["content"], seen["type"], seen["created"]) == (record.text, "note", record.created)
        assert tuple(seen["tags"]) == record.tags
    assert told["tags"]["bridges"] == sorted(record.key.id for record in records)
    assert set(told["words"]["Pegnitz"]) <= {record.key.id for record in records}
    assert len(told["words"]["Pegnitz"]) == 10
    after = snapshot(path)
    assert len(after) == len(records) + 1
    assert [(each.type, each.metadata["why"]) for each in after.relations] == [("causes", "rain")]


@pytest.mark.parametrize("name", ["sqlite_vec_v7.db", "sqlite_vec_fresh12.db"])
def test_it_finds_all_after_a_merge(shared: Path, tmp_path: Path, name: str) -> None:
    path = Path(shutil.copyfile(shared / "fixtures" / name, tmp_path / name))
    untouched = Path(shutil.copyfile(path, tmp_path / f"untouched_{name}"))
    before = snapshot(path)
    one, other, third, *_ = [record for record in live(before) if record.key.collection == "default"]
    result = Result(
        "Said once of Wolfsschlucht.", ("merged", "twice"), one.created, 1.79e9, metadata=one.metadata,
        vector=VectorRule.MEAN,
    )  # fmt: skip
    steps = (Merge(Ref.of(one), (Ref.of(other),), result), Drop(Ref.of(third)))
    apply(Plan(source=f"memory-service:{path}", target=f"memory-service:{path}", steps=steps), ApplyOptions())
    after = snapshot(path)
    assert len(live(after)) == len(live(before)) - 2
    wanted = live(after)
    told = real_service(
        path, DIMENSION, vectors=vectors_of(wanted), ask=[record.text for record in wanted], tags=["merged"],
        words=["Wolfsschlucht"], store=["Said once of Wolfsschlucht."],
    )  # fmt: skip
    assert told["stored"][0][0] is False
    first = real_service(untouched, DIMENSION)
    assert sum(first["counts"].values()) - sum(told["counts"].values()) == 2
    assert set(told["complaints"]) <= set(first["complaints"])
    assert told["integrity"] == "ok"
    assert told["tags"]["merged"] == told["words"]["Wolfsschlucht"] == [content_hash("Said once of Wolfsschlucht.")]
    assert sum(record.text == "Said once of Wolfsschlucht." for record in live(snapshot(path))) == 1
    texts = {record.key.id: record.text for record in after}
    for record in wanted:
        nearest = told["found"][record.text][told["stores"].index(record.key.collection)]
        assert record.text in {texts[hash] for hash in nearest}
    assert other.key.id not in told["memories"]


def test_we_go_on_writing_what_it_has_written(tmp_path: Path) -> None:
    path = tmp_path / "sqlite_vec.db"
    texts = ["The cat sleeps on the red sofa", "Trains to Fürth leave every ten minutes", "Anna is allergic to nuts"]
    vectors = {text: np.random.default_rng(n).normal(size=DIMENSION).tolist() for n, text in enumerate(texts)}
    real_service(path, DIMENSION, vectors=vectors, store=texts)
    one, other, third = sorted(snapshot(path), key=lambda record: record.created or 0)
    with open_store(Address("memory-service", str(path))) as store:
        changed, _ = store.fit(replace(one, text="The cat sleeps in Zirndorf", tags=("cat",)))
        store.write(Changes((Put(changed, Ref.of(one).hash),), (Ref.of(third),)), Progress())
    told = real_service(path, DIMENSION, vectors=vectors, words=["Zirndorf", "sofa", "allergic"], store=[texts[2]])
    assert told["words"]["Zirndorf"] == [one.key.id]
    assert told["words"]["sofa"] == []
    assert told["words"]["allergic"] == [third.key.id]
    assert told["stored"] == [[True, "Memory stored successfully"]]
    assert told["counts"] == {"default": 3}
    assert told["embeddings"] == 3
    assert {record.key.id for record in snapshot(path)} == {one.key.id, other.key.id, third.key.id}


def test_it_imports_our_export_and_we_read_its_own(tmp_path: Path) -> None:
    ours, its = tmp_path / "ours.json", tmp_path / "its.json"
    with open_store(Address("memory-service-json", str(ours)), must_exist=False) as store:
        records = taken_over(store, chroma_era(), "projects")
        info = CollectionInfo("projects", 0, 0, 0)
        store.write(Changes(tuple(Put(record, None) for record in records), collections=(info,)), Progress())
    texts = {record.key.id: record.text for record in records}
    told = real_service(
        tmp_path / "sqlite_vec.db", DIMENSION, vectors=vectors_of(records), **{"import": [str(ours)]}, export=str(its)
    )
    assert (told["imported"]["imported"], told["imported"]["errors"]) == (12, 0)
    assert told["counts"] == {"projects": 12}
    assert {hash: seen["content"] for hash, seen in told["memories"].items()} == texts
    assert {seen["type"] for seen in told["memories"].values()} == {"note"}
    with open_store(str(its)) as store:
        assert {record.key.id: record.text for record in read_snapshot(store)} == texts
