"""Reading Chroma folders of every version, whole and damaged, without a trace."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import CollectionNotFound, NotAStore, StoreDamaged, UnsupportedFormat
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.chroma.local import ChromaLocal
from tests.stores.chroma.folders import (
    BIG,
    ELSEWHERE,
    PLAIN,
    SMALL,
    Made,
    assert_same,
    made,
    made_by_old_chroma,
    traces,
)


def open_at(folder: Path) -> ChromaLocal:
    return ChromaLocal(Address("chroma", str(folder)), StoreSettings())


def read(folder: Path, collection: str, **options: Any) -> dict[str, MemoryRecord]:
    return {record.key.id: record for batch in open_at(folder).scan(collection, **options) for record in batch}


def everything(folder: Path) -> None:
    """Use every reading method once."""
    store = open_at(folder)
    snapshot = read_snapshot(store)
    store.fetch([record.key for record in snapshot.records[:3]])
    store.problems()
    store.sizes({})
    store.close()


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def new() -> Made:
    return made()


@pytest.fixture
def copy(new: Made, tmp_path: Path) -> Path:
    return new.copy(tmp_path / "store")


@pytest.mark.parametrize("collection", [BIG, SMALL, PLAIN, ELSEWHERE])
def test_all_that_the_library_says_is_read(new: Made, collection: str) -> None:
    found = read(new.folder, collection)
    assert found.keys() == new.truth[collection].keys()
    for id, expected in new.truth[collection].items():
        assert_same(found[id], expected)


@pytest.mark.old_chroma
@pytest.mark.parametrize("collection", [BIG, SMALL, PLAIN, ELSEWHERE])
def test_all_that_an_older_library_says_is_read(collection: str) -> None:
    old = made_by_old_chroma()
    found = read(old.folder, collection)
    assert found.keys() == old.truth[collection].keys()
    for id, expected in old.truth[collection].items():
        assert_same(found[id], expected)


@pytest.mark.parametrize("name", ["chroma_0.4.24", "chroma_0.6.3_poison"])
def test_given_folders_are_read_completely(shared: Path, name: str) -> None:
    folder = shared / "fixtures" / name
    truth = json.loads(gzip.decompress(folder.with_name(f"{name}.truth.json.gz").read_bytes()))["collections"]
    infos = open_at(folder).collections()
    assert {info.name.rpartition("/")[2] for info in infos} == truth.keys()
    for info in infos:
        expected = truth[info.name.rpartition("/")[2]]["records"]
        found = read(folder, info.name)
        assert found.keys() == expected.keys()
        assert (info.count, info.live, info.with_embedding) == (len(expected),) * 3
        for id, record in expected.items():
            kept = {
                key: value
                for key, value in (record["metadata"] or {}).items()
                if not (isinstance(value, float) and math.isnan(value))
            }
            assert_same(found[id], {**record, "text": record["document"], "metadata": kept})


def test_a_folder_of_the_service_is_read(shared: Path) -> None:
    folder = shared / "fixtures" / "chroma_mcp_e1"
    (info,) = open_at(folder).collections()
    records = read(folder, info.name)
    assert (info.count, info.dimension, info.metric, len(records)) == (60, 384, "cosine", 60)
    assert all(record.text and record.created and record.embedding is not None for record in records.values())
    assert any(record.tags for record in records.values())


@pytest.mark.case(15)
def test_a_folder_with_a_hot_journal_is_read(shared: Path) -> None:
    folder = shared / "fixtures" / "chroma_hot_journal"
    store = open_at(folder)
    (info,) = store.collections()
    records = read(folder, info.name)
    assert len(records) == info.count == 1010
    assert all(record.embedding is not None and record.text == f"doc {id[1:]}" for id, record in records.items())
    assert any("chroma.sqlite3-journal" in problem for problem in store.problems())


@pytest.mark.parametrize("name", ["chroma_0.4.24", "chroma_0.6.3_poison", "chroma_mcp_e1", "chroma_hot_journal"])
def test_reading_given_folders_leaves_no_trace(shared: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(shared / "fixtures" / name, tmp_path / "store"))
    before = traces(tmp_path)
    everything(folder)
    assert traces(tmp_path) == before


def test_reading_leaves_no_trace(copy: Path, tmp_path: Path) -> None:
    before = traces(tmp_path)
    everything(copy)
    assert traces(tmp_path) == before


def test_collections_are_described(new: Made) -> None:
    infos = {info.name: info for info in open_at(new.folder).collections()}
    assert list(infos) == [BIG, "empty", PLAIN, SMALL, ELSEWHERE]
    big, small = infos[BIG], infos[SMALL]
    assert (big.count, big.live, big.with_embedding, big.dimension, big.metric) == (340, 340, 340, 16, "cosine")
    assert (small.count, small.live, small.metric) == (len(new.truth[SMALL]), len(new.truth[SMALL]) - 1, "l2")
    assert (infos["empty"].count, infos["empty"].dimension) == (0, None)
    assert infos[ELSEWHERE].metric == "ip"
    assert small.settings["metadata"] == {"hnsw:space": "l2", "note": "été", "version": 3, "weight": 0.5}
    assert big.settings["schema"]["keys"]["#embedding"]


def test_counts_agree_with_the_records(new: Made) -> None:
    store = open_at(new.folder)
    for info in store.collections():
        records = [record for batch in store.scan(info.name) for record in batch]
        assert info.count == len(records)
        assert info.live == sum(record.state is State.LIVE for record in records)
        assert info.with_embedding == sum(record.embedding is not None for record in records)


def test_metadata_mean_tags_and_times(new: Made) -> None:
    record = read(new.folder, SMALL)["s10"]
    assert (record.tags, record.created, record.metadata["tags"]) == (("a", "b"), 1.7e9, "a,b")
    assert read(new.folder, SMALL)["a chunk"].state is State.CHUNK


def test_batches_are_bounded_and_their_order_is_stable(new: Made) -> None:
    store = open_at(new.folder)
    small = [[record.key for record in batch] for batch in store.scan(BIG, batch=7)]
    assert {len(batch) for batch in small[:-1]} == {7}
    whole = [record.key for batch in store.scan(BIG) for record in batch]
    assert [key for batch in small for key in batch] == whole


def test_vectors_may_be_left_out(new: Made) -> None:
    assert all(record.embedding is None for record in read(new.folder, BIG, vectors=False).values())


def test_records_are_fetched_by_key_in_the_order_asked(new: Made) -> None:
    keys = [Key(BIG, "b300"), Key(SMALL, "s2"), Key(BIG, "no such"), Key("no such", "x"), Key(BIG, "b1")]
    found = open_at(new.folder).fetch(keys)
    assert [record.key for record in found] == [keys[0], keys[1], keys[4]]
    for record in found:
        assert_same(record, new.truth[record.key.collection][record.key.id])


def test_format_and_capabilities_of_the_built_in_version(new: Made) -> None:
    store = open_at(new.folder)
    assert (store.format, store.library_version) == ("Chroma 1.5 (schema 2/6/10)", None)
    able = store.capabilities
    assert able.writable and able.list_values and able.commit is Commit.DIRECTORY and able.written_by is None


@pytest.mark.parametrize(
    ("name", "format", "library"),
    [
        ("chroma_0.4.24", "Chroma 0.4 (schema 1/3/4)", "0.4.24"),
        ("chroma_0.6.3_poison", "Chroma 0.5-0.6 (schema 2/4/9)", "0.5.23"),
    ],
)
def test_format_and_capabilities_of_older_versions(shared: Path, name: str, format: str, library: str) -> None:
    store = open_at(shared / "fixtures" / name)
    assert (store.format, store.library_version, store.capabilities.written_by) == (format, library, library)
    assert not store.capabilities.list_values


def test_a_newer_schema_is_read_but_not_written(copy: Path) -> None:
    sql(copy, "INSERT INTO migrations VALUES ('sysdb', 11, 'x', '', '')")
    store = open_at(copy)
    assert "unknown version" in store.format and not store.capabilities.writable
    assert len(read(copy, BIG)) == 340
    assert any("only read" in problem for problem in store.problems())


def test_the_folder_is_found_from_around_it(copy: Path, tmp_path: Path) -> None:
    segment = next(path for path in copy.iterdir() if path.is_dir())
    for path in (copy, copy / "chroma.sqlite3", segment / "header.bin", tmp_path):
        assert ChromaLocal.detect(path) == copy
    assert open_at(copy / "chroma.sqlite3").address.path == copy


def test_two_folders_in_one_are_not_chosen_from(copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy, tmp_path / "other")
    assert ChromaLocal.detect(tmp_path) is None


def test_another_file_in_the_folder_is_not_taken_for_the_store(copy: Path) -> None:
    (copy / "export.db").touch()
    assert ChromaLocal.detect(copy / "export.db") is None


def test_other_folders_are_no_chroma(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert ChromaLocal.detect(tmp_path) is None
    with pytest.raises(NotAStore):
        open_at(tmp_path)


def test_chroma_0_3_is_named(tmp_path: Path) -> None:
    (tmp_path / "chroma-collections.parquet").touch()
    with pytest.raises(UnsupportedFormat, match=r"0\.3"):
        ChromaLocal.detect(tmp_path)


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    store = open_at(tmp_path / "new")
    assert not store.exists and store.collections() == [] and store.raw_files() == []
    assert store.capabilities.writable and store.capabilities.list_values
    assert not list(tmp_path.iterdir())


def test_an_unknown_collection_is_refused(new: Made) -> None:
    with pytest.raises(CollectionNotFound):
        next(open_at(new.folder).scan("no such"))


@pytest.mark.case(12)
@pytest.mark.parametrize("content", [b"", b"<html>", b"SQLite format 3\0" + b"\0" * 4080])
def test_a_destroyed_database_is_named(copy: Path, content: bytes) -> None:
    (copy / "chroma.sqlite3").write_bytes(content)
    with pytest.raises(StoreDamaged):
        open_at(copy).collections()


def test_a_missing_table_is_named(copy: Path) -> None:
    sql(copy, "DROP TABLE segments")
    with pytest.raises(StoreDamaged, match="segments"):
        open_at(copy).collections()


@pytest.mark.case(34)
def test_raw_files_are_regular_files(copy: Path) -> None:
    (copy / "linked").symlink_to(copy / "chroma.sqlite3")
    (copy / "linked folder").symlink_to(next(path for path in copy.iterdir() if path.is_dir()))
    files = open_at(copy).raw_files()
    assert files == sorted(files) and copy / "chroma.sqlite3" in files
    assert not any("linked" in str(path) for path in files)
    assert sum(path.name == "header.bin" for path in files) >= 3


@pytest.mark.case(34)
def test_a_linked_database_is_not_followed(copy: Path, tmp_path: Path) -> None:
    (copy / "chroma.sqlite3").rename(tmp_path / "elsewhere")
    (copy / "chroma.sqlite3").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="link"):
        open_at(copy).collections()


@pytest.mark.case(34)
def test_a_linked_segment_is_not_followed(copy: Path, tmp_path: Path, new: Made) -> None:
    for segment in [path for path in copy.iterdir() if path.is_dir()]:
        segment.rename(tmp_path / segment.name)
        segment.symlink_to(tmp_path / segment.name)
    lost = [record for record in read(copy, BIG).values() if record.embedding is None]
    assert lost


@pytest.mark.case(20)
def test_undecodable_text_is_kept(copy: Path) -> None:
    sql(
        copy,
        "UPDATE embedding_metadata SET string_value = cast(x'ff41fe' AS TEXT) WHERE key = 'chroma:document' "
        "AND id = (SELECT id FROM embeddings WHERE embedding_id = 'b100')",
    )
    found = read(copy, BIG)
    text = found["b100"].text
    assert text is not None and text.encode("utf-8", "surrogateescape") == b"\xffA\xfe"
    assert found["b101"].text == "text b101"


def test_changes_that_the_tables_missed_come_from_the_queue(copy: Path, new: Made) -> None:
    """Chroma killed at the wrong moment: the queue has a change, the tables do not."""
    lagging = "(SELECT id FROM embeddings WHERE embedding_id IN ('lists', 'a chunk'))"
    sql(
        copy,
        f"DELETE FROM embedding_metadata WHERE id IN {lagging}",
        f"DELETE FROM embedding_metadata_array WHERE id IN {lagging}",
        "DELETE FROM embeddings WHERE embedding_id IN ('lists', 'a chunk')",
    )
    found = read(copy, SMALL)
    assert found.keys() == new.truth[SMALL].keys()
    for id in ("lists", "a chunk"):
        assert_same(found[id], new.truth[SMALL][id])
    assert found["a chunk"].state is State.CHUNK
    info = open_at(copy).collections()[3]
    assert (info.count, info.live) == (len(found), len(found) - 1)


@pytest.mark.parametrize("poison", ["huge", "blob", "gone"])
def test_poisoned_sequence_numbers_lose_nothing(copy: Path, new: Made, poison: str) -> None:
    change = {
        "huge": "UPDATE max_seq_id SET seq_id = 1 << 60",
        "blob": "UPDATE max_seq_id SET seq_id = x'0000000000000123'",
        "gone": "DELETE FROM max_seq_id",
    }
    sql(copy, change[poison])
    for collection, truth in new.truth.items():
        found = read(copy, collection)
        assert found.keys() == truth.keys()
        for id, expected in truth.items():
            assert_same(found[id], expected)


def test_impossible_numbers_of_records_lose_nothing(copy: Path, new: Made) -> None:
    sql(copy, "UPDATE embeddings SET seq_id = 1 << 60")
    found = read(copy, SMALL)
    assert found.keys() == new.truth[SMALL].keys()
    for id, expected in new.truth[SMALL].items():
        assert_same(found[id], expected)


def test_queued_changes_of_unknown_collections_are_ignored(copy: Path, new: Made) -> None:
    sql(
        copy,
        "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata) "
        "VALUES (0, 'persistent://default/default/11111111-0000-0000-0000-000000000000', 'x', x'00000000', "
        "'FLOAT32', '{}')",
    )
    assert {info.name: info.count for info in open_at(copy).collections()}[BIG] == 340


def test_poison_in_the_queue_is_read_as_chroma_means_it(copy: Path) -> None:
    topic = "(SELECT 'persistent://default/default/' || id FROM collections WHERE name = 'small')"
    vector = np.full(8, np.nan, np.float32).tobytes().hex()
    rows = [
        ("null document", '{"k": 1, "chroma:document": null}'),
        ("not a number", '{"f": NaN, "g": Infinity, "chroma:document": "x"}'),
        ("surrogate", '{"k": "a\\ud800b"}'),
        ("no json", "{broken"),
    ]
    sql(
        copy,
        *(
            "INSERT INTO embeddings_queue (operation, topic, id, vector, encoding, metadata) "
            f"VALUES (0, {topic}, '{id}', x'{vector}', 'FLOAT32', '{metadata}')"
            for id, metadata in rows
        ),
    )
    found = read(copy, SMALL)
    assert (found["null document"].text, found["null document"].metadata) == (None, {"k": 1})
    assert found["not a number"].metadata == {"g": math.inf}
    assert found["surrogate"].metadata == {"k": "a\ud800b"}
    assert found["no json"].metadata == {}
    embedding = found["surrogate"].embedding
    assert embedding is not None and np.isnan(embedding).all()
    problems = open_at(copy).problems()
    assert any("3 queued changes" in problem for problem in problems)
    assert any("4 vectors with numbers that are not finite" in problem for problem in problems)
