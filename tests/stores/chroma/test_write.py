"""Real Chroma folders, written by the real libraries: exactly what was asked, nothing else, and still theirs."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import Cancelled, StoreChanged, StoreDamaged, WriterFailed, WriterNeeded
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.engine.verify import verify_content
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.chroma import write
from memdefrag.stores.chroma.local import ChromaLocal
from memdefrag.stores.chroma.write import index_settings, is_found, unstorable
from tests.stores.chroma.folders import BIG, ELSEWHERE, OLD_PYTHON, PLAIN, SMALL, made, made_by_old_chroma, traces

ROOT = OLD_PYTHON.parents[2]
MOMENT = 1704954350.8709195
"""A time that chromadb 1.5.9 reads back as 1704954350.8709197."""


@pytest.fixture(params=["built-in", pytest.param("old", marks=pytest.mark.old_chroma)])
def python(request: pytest.FixtureRequest) -> Path | None:
    """The interpreter that owns the folder `store` opens: None is the built-in one."""
    return OLD_PYTHON if request.param == "old" else None


@pytest.fixture
def folder(python: Path | None, tmp_path: Path) -> Path:
    return (made_by_old_chroma() if python else made()).copy(tmp_path / "chroma")


def opened(folder: Path, python: Path | None = None, *, upgrade: bool = False) -> ChromaLocal:
    return ChromaLocal(Address("chroma", str(folder)), StoreSettings(chroma_python=python, chroma_upgrade=upgrade))


def merged(record: MemoryRecord) -> MemoryRecord:
    """A record that says something else in every part; none of its old metadata is left."""
    metadata = {"merged": "x,y", "at": MOMENT, "whole": 3.0, "yes": True}
    assert record.embedding is not None
    return MemoryRecord(record.key, "said once", metadata, record.embedding + np.float32(0.25))


def changes_for(before: Snapshot) -> Changes:
    """Some of everything, in three collections, one of them another tenant's."""
    puts, deletes = [], []
    for name, replaced, deleted in ((BIG, 30, 60), (SMALL, 4, 3), (ELSEWHERE, 1, 1)):
        records = [record for record in before.records if record.key.collection == name]
        puts += [Put(merged(record), record_hash(record)) for record in records[:replaced]]
        deletes += [Ref.of(record) for record in records[replaced : replaced + deleted]]
        for number in range(3):
            like = records[number % len(records)]
            new = MemoryRecord(Key(name, f"new {number}"), like.text, embedding=like.embedding, uri=f"file:///{number}")
            puts.append(Put(new, None))
    return Changes(tuple(puts), tuple(deletes))


def test_what_was_asked_is_done_and_nothing_else(folder: Path, python: Path | None) -> None:
    before = read_snapshot(opened(folder, python))
    untouched = index_bytes(folder, before, PLAIN)
    changes = changes_for(before)
    opened(folder, python).write(changes, Progress())
    after = read_snapshot(opened(folder, python))
    verify_content(before, changes, after)
    assert index_bytes(folder, after, PLAIN) == untouched
    assert opened(folder, python).migrations == opened((made_by_old_chroma() if python else made()).folder).migrations
    assert [settings(info) for info in after.collections] == [settings(info) for info in before.collections]
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    findable = [record for record in after.records if np.any(record.embedding)]
    assert write.lost_in_search(opened(folder, python), findable, Progress()) == []


def settings(info: CollectionInfo) -> Any:
    """All of a collection that a write leaves alone; the schema lists each metadata key ever seen."""
    kept = {name: info.settings[name] for name in ("id", "metadata", "configuration", "embedding_function")}
    return info.name, info.metric, info.dimension, kept, index_settings(info)


def index_bytes(folder: Path, snapshot: Snapshot, name: str) -> dict[str, bytes]:
    """The index files of a collection, by path."""
    from memdefrag.stores.chroma.tables import FILE, read_collections
    from memdefrag.stores.sqlite_safe import open_readonly

    with open_readonly(folder / FILE) as connection:
        [segment] = [item.vector_segment for item in read_collections(connection) if item.name == name]
    assert segment
    return {path.name: path.read_bytes() for path in (folder / segment).iterdir()}


USE = """
import json, sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
collection = client.get_collection("big", embedding_function=None)
vector = json.loads(sys.argv[2])
found = collection.query(query_embeddings=[vector], n_results=1)
collection.add(ids=["later"], embeddings=[[9.0] * 16], documents=["added later"], metadatas=[{"n": 1}])
again = collection.query(query_embeddings=[[9.0] * 16], n_results=1)
print(json.dumps([str(collection.id), found["ids"], found["documents"], again["ids"], collection.count()]))
"""


def test_the_owning_library_opens_searches_and_adds_afterwards(folder: Path, python: Path | None) -> None:
    before = read_snapshot(opened(folder, python))
    opened(folder, python).write(changes_for(before), Progress())
    opened(folder, python).rebuild(Progress())
    [put] = [put for put in changes_for(before).put if put.record.key == Key(BIG, "b0")]
    assert put.record.embedding is not None
    command = [str(python or sys.executable), "-c", USE, str(folder), json.dumps(put.record.embedding.tolist())]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1])
    info = before.collection(BIG)
    assert info
    assert told == [info.settings["id"], [["b0"]], [["said once"]], [["later"]], info.count - 60 + 3 + 1]


def test_rebuilding_shrinks_the_index_and_keeps_everything(folder: Path, python: Path | None) -> None:
    store = opened(folder, python)
    before = read_snapshot(store)
    gone = [record for record in before.records if record.key.collection == BIG][::2]
    store.write(Changes(delete=tuple(Ref.of(record) for record in gone)), Progress())
    smaller = read_snapshot(store)
    orphan = folder / "0b0e7f3c-1111-4222-8333-444455556666"
    orphan.mkdir()
    (orphan / "data_level0.bin").write_bytes(bytes(100))
    size = sum(path.stat().st_size for path in store.raw_files())
    ticks: list[Tick] = []
    store.rebuild(Progress(ticks.append))
    assert sum(path.stat().st_size for path in store.raw_files()) < 0.9 * size
    verify_content(smaller, Changes(), read_snapshot(opened(folder, python)))
    assert not orphan.exists()
    assert ticks[-1].done == ticks[-1].total == len(smaller.records)
    assert write.lost_in_search(store, smaller.records[::5], Progress()) == []


def test_decimals_are_exact_for_written_and_for_queued_records(tmp_path: Path) -> None:
    """chromadb 1.5.9 reads one in five a bit off, when it moves queued changes into its tables."""
    folder = made().copy(tmp_path / "chroma")
    moments = [MOMENT + number / 7 for number in range(100)]
    metadata = [{"at": moment, "list": [moment, 0.5]} for moment in moments]
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        [(collection,)] = connection.execute("SELECT id FROM collections WHERE name = 'plain'")
        vector = np.ones(4, "<f4").tobytes()
        connection.executemany(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata) "
            "VALUES (0, 'persistent://default/default/' || ?, ?, ?, 'FLOAT32', ?)",
            [(collection, f"queued {n}", vector, json.dumps({"at": at})) for n, at in enumerate(moments)],
        )
    before = read_snapshot(opened(folder))
    new = [MemoryRecord(Key(PLAIN, f"{n}"), "t", said, np.ones(4, np.float32)) for n, said in enumerate(metadata)]
    changes = Changes(tuple(Put(record, None) for record in new))
    opened(folder).write(changes, Progress())
    after = read_snapshot(opened(folder))
    assert [after.by_key[Key(PLAIN, f"queued {n}")].metadata["at"] for n in range(100)] == moments
    verify_content(before, changes, after)


def test_decimals_that_an_interrupted_write_left_inexact_are_mended_without_the_library(tmp_path: Path) -> None:
    folder = made().copy(tmp_path / "chroma")
    said = {"at": MOMENT + 1 / 7, "list": [MOMENT + 2 / 7, 0.5]}
    vector = np.array([1, 2, 3, 4], np.float32)
    wanted = [MemoryRecord(Key(PLAIN, name), "t", said | {"n": 1}, vector) for name in ("off", "moved")]
    opened(folder).write(Changes(tuple(Put(record, None) for record in wanted)), Progress())
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        for table in ("embedding_metadata", "embedding_metadata_array"):
            connection.execute(f"UPDATE {table} SET float_value = ? WHERE float_value = ?", _next_to(said, table))
    rows = "SELECT embedding_id, seq_id FROM embeddings ORDER BY id"
    before, numbers = read_snapshot(opened(folder)), read(folder, rows)
    wanted[1] = replace(wanted[1], metadata=said | {"n": 2})
    changes = Changes(tuple(Put(record, record_hash(before.by_key[record.key])) for record in wanted))
    assert all(before.by_key[record.key].metadata["at"] != said["at"] for record in wanted)
    opened(folder).write(changes, Progress())
    verify_content(before, changes, read_snapshot(opened(folder)))
    after = dict(read(folder, rows))
    assert {id for id, number in numbers if after[id] != number} == {"moved"}


def _next_to(said: dict[str, Any], table: str) -> tuple[float, float]:
    """A float that is a bit off one of these, and that one."""
    value = said["at"] if table == "embedding_metadata" else said["list"][0]
    return np.nextafter(value, 0).item(), value


def read(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        return connection.execute(statement).fetchall()


def test_a_fresh_folder_gets_collections_with_their_settings(tmp_path: Path, python: Path | None) -> None:
    if python:
        made_by_old_chroma()
    function = {"type": "known", "name": "sentence_transformer", "config": {"model_name": "all-MiniLM-L6-v2"}}
    kept = {"hnsw:space": "cosine", "hnsw:M": 32, "description": "MCP memory", "weight": 0.5, "flag": True}
    wanted = (
        CollectionInfo("memory_collection", 0, 0, 0, settings={"metadata": kept, "embedding_function": function}),
        CollectionInfo("plain", 0, 0, 0, metric="ip"),
        CollectionInfo("team/archive/notes", 0, 0, 0, metric="l2", settings={"metadata": {"a": 1}}),
    )
    record = MemoryRecord(Key("team/archive/notes", "1"), "text", {}, np.ones(3, np.float32))
    store = opened(tmp_path / "new" / "chroma", python)
    warnings = write.write(store, Changes((Put(record, None),), collections=wanted), Progress())
    found = {info.name: info for info in store.collections()}
    assert [(info.name, info.metric, info.count) for info in found.values()] == [
        ("memory_collection", "cosine", 0),
        ("plain", "ip", 0),
        ("team/archive/notes", "l2", 1),
    ]
    assert found["memory_collection"].settings["metadata"] == kept
    if python:
        assert ["sentence_transformer" in warning for warning in warnings] == [True]
    else:
        assert warnings == []
        assert found["memory_collection"].settings["embedding_function"] == function
        assert found["memory_collection"].model == "all-MiniLM-L6-v2"


@pytest.mark.old_chroma
def test_an_older_folder_is_not_touched_by_the_built_in_library(tmp_path: Path) -> None:
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    before = traces(folder)
    gone = Ref.of(next(iter(read_snapshot(opened(folder)).records)))
    with pytest.raises(WriterNeeded, match=r"0\.5\.7 to 0\.6\.3"):
        opened(folder).write(Changes(delete=(gone,)), Progress())
    with pytest.raises(WriterNeeded, match=r"0\.5\.7 to 0\.6\.3"):
        opened(folder).rebuild(Progress())
    assert traces(folder) == before


@pytest.mark.old_chroma
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for a Python is a shell script")
def test_an_upgrade_that_nobody_asked_for_is_noticed(tmp_path: Path) -> None:
    """The table of levels may not know a release to come."""
    liar = tmp_path / "python"
    liar.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo 0.5.23 || exec "{sys.executable}" "$@"\n')
    liar.chmod(0o755)
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    gone = Ref.of(next(iter(read_snapshot(opened(folder)).records)))
    with pytest.raises(WriterFailed, match="would upgrade"):
        opened(folder, liar).write(Changes(delete=(gone,)), Progress())


@pytest.mark.old_chroma
def test_an_upgrade_that_was_asked_for_keeps_every_record(tmp_path: Path) -> None:
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    before = read_snapshot(opened(folder))
    opened(folder, upgrade=True).write(Changes(), Progress())
    after = opened(folder)
    verify_content(before, Changes(), read_snapshot(after))
    assert after.capabilities.written_by is None


def test_queued_changes_that_stop_the_new_library_are_mended(shared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared / "fixtures/chroma_0.6.3_poison", tmp_path / "chroma"))
    before = read_snapshot(opened(folder))
    opened(folder, upgrade=True).write(Changes(), Progress())
    verify_content(before, Changes(), read_snapshot(opened(folder)))


@pytest.mark.old_chroma
def test_a_memory_service_folder_stays_its_own(shared: Path, tmp_path: Path) -> None:
    made_by_old_chroma()
    folder = Path(shutil.copytree(shared / "fixtures/chroma_mcp_e1", tmp_path / "chroma"))
    store = opened(folder, OLD_PYTHON)
    before = read_snapshot(store)
    first, second, *_ = before.records
    changes = Changes((Put(merged(first), record_hash(first)),), (Ref.of(second),))
    store.write(changes, Progress())
    verify_content(before, changes, read_snapshot(opened(folder, OLD_PYTHON)))
    store.rebuild(Progress())
    verify_content(before, changes, read_snapshot(opened(folder, OLD_PYTHON)))


@pytest.mark.old_chroma
def test_replaced_records_are_found_under_chroma_0_4(shared: Path, tmp_path: Path) -> None:
    """Up to 0.5.4 an added record whose delete is still queued never enters the index."""
    python = ROOT / ".venv-chroma-0.4.24/bin/python"
    if not python.exists():
        pytest.skip(f"{python} is not there")
    folder = Path(shutil.copytree(shared / "fixtures/chroma_0.4.24", tmp_path / "chroma"))
    store = opened(folder, python)
    records = [record for record in read_snapshot(store).records if record.key.collection == "many_rows"][:10]
    store.write(Changes(tuple(Put(record, record_hash(record)) for record in records)), Progress())
    assert write.lost_in_search(store, records, Progress()) == []


def test_a_changed_record_stops_the_write(tmp_path: Path) -> None:
    folder = made().copy(tmp_path / "chroma")
    before = traces(folder)
    [record, *_] = read_snapshot(opened(folder)).records
    for changes in (
        Changes((Put(record, "another hash"),)),
        Changes((Put(record, None),)),
        Changes(delete=(Ref(record.key, "another hash"),)),
    ):
        with pytest.raises(StoreChanged):
            opened(folder).write(changes, Progress())
    assert traces(folder) == before


def test_stopping_ends_the_child(tmp_path: Path) -> None:
    folder = made().copy(tmp_path / "chroma")
    records = read_snapshot(opened(folder)).records
    cancel = Cancel()

    def stop(tick: Tick) -> None:
        if tick.phase.startswith("Writing"):
            cancel.set()

    with pytest.raises(Cancelled):
        opened(folder).write(Changes(delete=tuple(map(Ref.of, records))), Progress(stop, cancel))


def test_an_index_file_with_a_program_is_never_opened(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    folder = made().copy(tmp_path / "chroma")
    [victim, *_] = sorted(folder.glob("*/index_metadata.pickle"))
    victim.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(StoreDamaged, match="never writes"):
        opened(folder).rebuild(Progress())
    with pytest.raises(StoreDamaged, match="never writes"):
        write.check_opens(folder, None, [(PLAIN, np.ones(4, np.float32))])
    assert not (tmp_path / "exploded").exists()


def test_a_check_leaves_no_trace(folder: Path, python: Path | None) -> None:
    before = traces(folder)
    probes = [(BIG, np.ones(16, np.float32)), (PLAIN, np.ones(4, np.float32)), (BIG, np.zeros(16, np.float32))]
    result = write.check_opens(folder, python, probes)
    assert traces(folder) == before
    # An index that holds deleted records may find less than it is asked for.
    assert all(1 <= len(answer) <= 10 for answer in result.answers) and len(result.answers) == len(probes)
    assert result.counts == [340, 231]
    for answer in result.answers:
        assert [distance for _, distance in answer] == sorted(distance for _, distance in answer)


@pytest.mark.parametrize(
    ("answer", "metric", "found"),
    [
        ([("other", 0.0), ("me", 0.0)], "l2", True),
        ([("other", 0.2), ("me", 0.3)], "cosine", False),
        ([("other", 0.2)], "cosine", False),
        ([(str(n), 0.0) for n in range(10)], "cosine", True),
        ([*((str(n), 0.0) for n in range(9)), ("far", 0.1)], "cosine", False),
        ([("longer", -20.0), ("me", -3.0)], "ip", True),
        ([(str(n), -20.0) for n in range(10)], "ip", True),
        ([(str(n), -20.0) for n in range(9)], "ip", False),
        ([], "l2", False),
    ],
)
def test_a_record_counts_as_found_among_its_equals(answer: list[tuple[str, float]], metric: str, found: bool) -> None:
    assert is_found("me", np.ones(4, np.float32), metric, answer) is found


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"embedding": None}, "no vector"),
        ({"embedding": np.array([1, np.nan], np.float32)}, "not finite"),
        ({"embedding": np.array([], np.float32)}, "no vector"),
        ({"text": "half \ud83d"}, "Unicode"),
        ({"key": Key("c", "\udcff")}, "Unicode"),
        ({"metadata": {"\ud800": 1}}, "Unicode"),
        ({"metadata": {"list": ["a", "\ud800"]}}, "Unicode"),
        ({"metadata": {"n": 2**63}}, "64 bits"),
        ({"metadata": {"n": -(2**63) - 1}}, "64 bits"),
        ({"metadata": {"n": float("inf")}}, "not finite"),
        ({"metadata": {"n": [1.0, float("nan")]}}, "not finite"),
        ({"metadata": {"n": 2**63 - 1, "m": -(2**63), "b": True, "l": [1, 2]}, "text": None}, None),
    ],
)
def test_what_chroma_cannot_hold_is_named_beforehand(change: dict[str, Any], fault: str | None) -> None:
    record = replace(MemoryRecord(Key("c", "id"), "text", {}, np.ones(2, np.float32)), **change)
    found = unstorable(record)
    assert found is None if fault is None else fault in (found or "")


def test_a_record_that_cannot_be_stored_is_refused_before_anything_starts(tmp_path: Path) -> None:
    folder = made().copy(tmp_path / "chroma")
    before = traces(folder)
    record = MemoryRecord(Key(PLAIN, "bad one"), "text", {}, None)
    with pytest.raises(WriterFailed, match="plain/bad one: it has no vector"):
        opened(folder).write(Changes((Put(record, None),)), Progress())
    assert traces(folder) == before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"space": "cosine"}),
        ({"metadata": {"hnsw:space": "cosine"}, "configuration": {"hnsw": {"space": "l2"}}}, {}),
        ({"configuration": {"hnsw_configuration": {"space": "l2", "M": 16}}}, {"space": "cosine"}),
        (
            {"configuration": {"hnsw": {"space": "cosine", "ef_construction": 200, "num_threads": None, "other": 1}}},
            {"space": "cosine", "ef_construction": 200},
        ),
        ({"schema": {"keys": {"#embedding": None}}}, {"space": "cosine"}),
    ],
)
def test_index_settings_are_those_in_force(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    info = CollectionInfo("memories", 0, 0, 0, metric="cosine", settings=settings)
    assert index_settings(info) == expected


def test_index_settings_of_a_real_schema_come_back(tmp_path: Path) -> None:
    """What the library records of a collection makes the same collection in a new folder."""
    hnsw = {"space": "ip", "ef_construction": 77, "max_neighbors": 9}
    first, second = (opened(tmp_path / name) for name in ("first", "second"))
    info = CollectionInfo("memories", 0, 0, 0, metric="ip", settings={"configuration": {"hnsw": hnsw}})
    first.write(Changes(collections=(info,)), Progress())
    second.write(Changes(collections=tuple(first.collections())), Progress())
    [one], [other] = first.collections(), second.collections()
    assert one.settings["schema"] == other.settings["schema"]
    assert hnsw.items() <= index_settings(other).items()
