"""Damaged Chroma folders: what can be read is read, and what cannot is said."""

from __future__ import annotations

import os
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from memdefrag.model.address import Address
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.base import StoreSettings
from memdefrag.stores.chroma.local import ChromaLocal
from tests.stores.chroma.folders import BIG, PLAIN, SMALL, Made, assert_same, made, made_by_old_chroma


@pytest.fixture
def new() -> Made:
    return made()


@pytest.fixture
def copy(new: Made, tmp_path: Path) -> Path:
    return new.copy(tmp_path / "store")


def open_at(folder: Path) -> ChromaLocal:
    return ChromaLocal(Address("chroma", str(folder)), StoreSettings())


def read(folder: Path, collection: str = BIG) -> dict[str, MemoryRecord]:
    return {record.key.id: record for batch in open_at(folder).scan(collection) for record in batch}


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def segment_of(folder: Path, collection: str = BIG) -> Path:
    query = (
        "SELECT segments.id FROM segments JOIN collections ON collections.id = collection "
        "WHERE scope = 'VECTOR' AND name = ?"
    )
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        return folder / str(connection.execute(query, (collection,)).fetchone()[0])


def assert_texts_are_whole(folder: Path, new: Made) -> dict[str, MemoryRecord]:
    found = read(folder)
    truth = new.truth[BIG]
    assert {id: (record.text, record.metadata) for id, record in found.items()} == {
        id: (record["text"], record["metadata"]) for id, record in truth.items()
    }
    return found


def assert_whole(folder: Path, new: Made) -> None:
    found = read(folder)
    assert found.keys() == new.truth[BIG].keys()
    for id, expected in new.truth[BIG].items():
        assert_same(found[id], expected)


def lost(found: dict[str, MemoryRecord]) -> int:
    return sum(record.embedding is None for record in found.values())


def says(folder: Path, *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in open_at(folder).problems())


def test_only_the_orphan_is_wrong_with_a_sound_folder(new: Made) -> None:
    (problem,) = open_at(new.folder).problems()
    assert "1 index folder without a collection" in problem


@pytest.mark.parametrize("content", [b"", b"garbage" * 100_000])
def test_link_lists_are_not_needed(copy: Path, new: Made, content: bytes) -> None:
    (segment_of(copy) / "link_lists.bin").write_bytes(content)
    assert_whole(copy, new)
    assert says(copy, "link_lists.bin", "larger") == bool(content)


def test_half_of_the_vectors_survive_half_of_the_file(copy: Path, new: Made) -> None:
    path = segment_of(copy) / "data_level0.bin"
    os.truncate(path, path.stat().st_size // 2)
    found = assert_texts_are_whole(copy, new)
    assert 0 < lost(found) < len(found) * 0.7
    for id, record in found.items():
        if record.embedding is not None:
            assert_same(record, new.truth[BIG][id])
    assert says(copy, "data_level0.bin", "cut short")
    assert says(copy, f"{lost(found)} of {len(found)} records without a vector")
    info = open_at(copy).collections()[0]
    assert info.with_embedding == len(found) - lost(found)


@pytest.mark.parametrize("header", [b"", b"\0" * 100, b"\xff" * 100, b"\1\0\0\0" + b"\x10\0\0\0\0\0\0\0" * 12])
def test_a_destroyed_header_loses_nothing(copy: Path, new: Made, header: bytes) -> None:
    (segment_of(copy) / "header.bin").write_bytes(header)
    assert_whole(copy, new)
    assert says(copy, "header.bin", "damaged")


def test_without_norms_vectors_have_unit_length(copy: Path, new: Made) -> None:
    (segment_of(copy) / "length.bin").unlink()
    found = assert_texts_are_whole(copy, new)
    for id, record in found.items():
        wanted = np.array(new.truth[BIG][id]["embedding"], np.float32)
        assert record.embedding is not None
        cosine = record.embedding @ wanted / np.linalg.norm(record.embedding) / np.linalg.norm(wanted)
        assert cosine == pytest.approx(1, abs=1e-6)
    assert says(copy, "length.bin", "unit length")


def test_lost_index_files_leave_texts_and_queued_vectors(copy: Path, new: Made) -> None:
    segment = segment_of(copy)
    for path in segment.iterdir():
        path.unlink()
    segment.rmdir()
    found = assert_texts_are_whole(copy, new)
    assert 0 < lost(found) < len(found)
    assert says(copy, "without a vector")


def test_a_cut_label_table_is_used_as_far_as_it_goes(copy: Path, new: Made) -> None:
    path = segment_of(copy) / "index_metadata.pickle"
    os.truncate(path, path.stat().st_size // 4)
    found = assert_texts_are_whole(copy, new)
    assert 0 < lost(found) < len(found)
    for id, record in found.items():
        if record.embedding is not None:
            assert_same(record, new.truth[BIG][id])
    assert says(copy, "index_metadata.pickle", "cut short")


def test_a_missing_label_table_never_gives_a_wrong_vector(copy: Path, new: Made) -> None:
    (segment_of(copy) / "index_metadata.pickle").unlink()
    found = assert_texts_are_whole(copy, new)
    for id, record in found.items():
        if record.embedding is not None:
            assert_same(record, new.truth[BIG][id])
    assert says(copy, "index_metadata.pickle", "missing")


def test_a_missing_label_table_is_worked_out_from_the_order_of_the_records(copy: Path, new: Made) -> None:
    (segment_of(copy, PLAIN) / "index_metadata.pickle").unlink()
    found = read(copy, PLAIN)
    for id, expected in new.truth[PLAIN].items():
        assert_same(found[id], expected)


@pytest.mark.old_chroma
@pytest.mark.parametrize("collection", [BIG, PLAIN])
def test_a_missing_label_table_of_an_older_chroma_is_not_guessed(tmp_path: Path, collection: str) -> None:
    old = made_by_old_chroma()
    folder = old.copy(tmp_path / "store")
    (segment_of(folder, collection) / "index_metadata.pickle").unlink()
    found = read(folder, collection)
    assert lost(found)
    for id, record in found.items():
        if record.embedding is not None:
            assert_same(record, old.truth[collection][id])


class Bomb:
    """What a malicious folder holds: a pickle that does something when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return Path.touch, (self.marker,)


@pytest.mark.case(33)
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_bomb_does_not_go_off(copy: Path, new: Made, tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    bomb = pickle.dumps({"id_to_label": {"b1": 1}, "x": Bomb(marker)}, protocol)
    (segment_of(copy) / "index_metadata.pickle").write_bytes(bomb)
    assert_texts_are_whole(copy, new)
    assert says(copy, "index_metadata.pickle", "none of plain data")
    assert not marker.exists()
    pickle.loads(bomb)
    assert marker.exists(), "the bomb was a dud, so the test proved nothing"


def test_a_configuration_that_lies_about_the_metric_is_told(copy: Path) -> None:
    sql(
        copy,
        """UPDATE collections SET config_json_str = '{"hnsw_configuration": {"space": "ip"}}'
                 WHERE name = 'big'""",
    )
    assert open_at(copy).collections()[0].metric == "cosine"
    assert says(copy, "says ip", "cosine")


def test_settings_may_be_missing(copy: Path, new: Made) -> None:
    sql(copy, "UPDATE collections SET config_json_str = NULL, schema_str = NULL")
    assert_whole(copy, new)


def test_the_full_text_table_is_not_needed(copy: Path, new: Made) -> None:
    sql(copy, "DROP TABLE embedding_fulltext_search")
    assert_whole(copy, new)


def test_sequence_numbers_of_an_older_form_are_told(copy: Path) -> None:
    sql(copy, "UPDATE max_seq_id SET seq_id = x'0000000000000123'")
    assert says(copy, "sequence number", "0.6 or older")


def test_impossible_sequence_numbers_are_told(copy: Path) -> None:
    sql(copy, "UPDATE max_seq_id SET seq_id = 1 << 60")
    assert says(copy, "sequence number", "impossibly large")


@pytest.mark.case(34)
def test_links_are_told(copy: Path, tmp_path: Path) -> None:
    (copy / "linked").symlink_to(tmp_path)
    assert says(copy, "linked", "not followed")


@pytest.mark.case(12)
def test_a_torn_page_is_told(copy: Path) -> None:
    path = copy / "chroma.sqlite3"
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'embedding_metadata_string_value'"
        ).fetchone()
    data[(page - 1) * 4096 + 8 : (page - 1) * 4096 + 40] = b"\xff" * 32
    path.write_bytes(data)
    assert says(copy, "chroma.sqlite3")


@pytest.mark.case(22)
def test_zero_vectors_are_told_where_they_cannot_be_compared(copy: Path) -> None:
    sql(copy, f"UPDATE embeddings_queue SET vector = x'{bytes(64).hex()}' WHERE id = 'b300' AND operation = 1")
    assert says(copy, "1 vector of zeros")


def test_sizes_forecast_what_removing_and_rebuilding_free(new: Made) -> None:
    store = open_at(new.folder)
    nothing, half, all = store.sizes({}), store.sizes({BIG: 170}), store.sizes({BIG: 340, SMALL: 99, PLAIN: 300})
    assert nothing.now == sum(path.stat().st_size for path in store.raw_files())
    for sizes in (nothing, half, all):
        assert 0 <= sizes.after_compact <= sizes.after_apply <= sizes.now
    assert all.after_compact < half.after_compact < nothing.after_compact
    assert half.compact_seconds < nothing.compact_seconds


@pytest.mark.old_chroma
def test_an_old_small_index_does_not_shrink_below_what_it_reserves() -> None:
    old = made_by_old_chroma()
    index = sum(path.stat().st_size for path in old.folder.rglob("data_level0.bin"))
    assert open_at(old.folder).sizes({}).after_compact >= index
