"""What SQL does to a staged copy of a Chroma folder, on tables made by the real library."""

from __future__ import annotations

import json
import math
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import StoreDamaged
from memdefrag.stores.chroma import staged
from memdefrag.stores.chroma.staged import Decimal, decimals, mended
from tests.stores.chroma.folders import BIG, PLAIN, SMALL, made, made_by_old_chroma

ANY_TEXT = st.text(st.characters())
QUEUED = st.dictionaries(
    st.sampled_from(["chroma:document", "chroma:uri", "a", "b"]) | ANY_TEXT,
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made().copy(tmp_path / "chroma")


def ask(folder: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        return connection.execute(query, values).fetchall()


@given(QUEUED)
def test_mended_metadata_can_be_read_by_a_strict_parser(metadata: dict[str, Any]) -> None:
    found = mended(metadata)
    assert mended(found) == found
    for key, value in found.items():
        key.encode("utf-8")
        assert not isinstance(value, float) or math.isfinite(value)
        if isinstance(value, str):
            value.encode("utf-8")
    json.dumps(found, allow_nan=False)


@given(st.dictionaries(st.text(), st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)))
def test_sound_metadata_stay_as_they_are(metadata: dict[str, Any]) -> None:
    finite = {key: value for key, value in metadata.items() if value not in (math.inf, -math.inf)}
    assert mended(finite) == finite


def test_nulls_that_delete_a_key_are_kept() -> None:
    assert mended({"chroma:document": None, "chroma:uri": None, "a": None}) == {"a": None}


def test_poisoned_rows_and_sequence_numbers_are_mended_and_no_others(folder: Path) -> None:
    before = ask(folder, "SELECT seq_id, metadata FROM embeddings_queue ORDER BY seq_id")
    (last,) = before[-1][:1]
    poison = ['{"chroma:document": null, "k": 1}', '{"k": NaN, "f": 1.5}', '{"k": "\\ud83d"}']
    sound = ['{"k": null}', "no JSON null"]
    for number, text in enumerate(poison + sound, last + 1):
        ask(
            folder,
            "INSERT INTO embeddings_queue (seq_id, operation, topic, id, metadata) VALUES (?, 1, 't', 'x', ?)",
            number,
            text,
        )
    ask(folder, "UPDATE max_seq_id SET seq_id = CAST(x'0000000000000102' AS BLOB) WHERE segment_id = "
                "(SELECT min(segment_id) FROM max_seq_id)")  # fmt: skip
    assert staged.mend(folder) == 4
    rows = ask(folder, "SELECT seq_id, metadata FROM embeddings_queue ORDER BY seq_id")
    assert rows[: len(before)] == before
    assert [text for _, text in rows[len(before) :]] == [
        '{"k": 1}',
        '{"f": 1.5}',
        '{"k": "\\ufffd"}',
        '{"k": null}',
        "no JSON null",
    ]
    assert ask(folder, "SELECT DISTINCT typeof(seq_id) FROM max_seq_id") == [("integer",)]
    assert (258,) in ask(folder, "SELECT seq_id FROM max_seq_id")
    assert staged.mend(folder) == 0


@pytest.mark.old_chroma
def test_sequence_numbers_of_old_tables_stay_blobs(tmp_path: Path) -> None:
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    before = ask(folder, "SELECT * FROM max_seq_id ORDER BY 1")
    staged.mend(folder)
    assert ask(folder, "SELECT * FROM max_seq_id ORDER BY 1") == before


def test_decimals_of_a_record() -> None:
    metadata = {"f": 0.5, "i": 1, "b": True, "nan": math.nan, "list": [1, 0.25, "x", math.inf], "s": "0.5"}
    assert list(decimals("c", "id", metadata)) == [
        Decimal("c", "id", "f", None, 0.5),
        Decimal("c", "id", "list", 1, 0.25),
    ]


def test_only_decimals_a_bit_off_are_restored(folder: Path) -> None:
    off = math.nextafter(1.7e9, math.inf)
    wanted = [
        Decimal(SMALL, "s0", "timestamp", None, 5.0),
        Decimal(SMALL, "s0", "timestamp", None, off),
        Decimal(SMALL, "s0", "nothing of that name", None, 1.0),
        Decimal(SMALL, "no such record", "timestamp", None, off),
        Decimal("no such collection", "s0", "timestamp", None, off),
        Decimal(SMALL, "lists", "f", 1, math.nextafter(2.5, 0)),
        Decimal(SMALL, "lists", "f", 0, 7.0),
        Decimal(SMALL, "lists", "f", 9, 1.0),
    ]
    assert staged.restore_decimals(folder, wanted) == 2
    record = "(SELECT id FROM embeddings WHERE embedding_id = ?)"
    plain = f"SELECT float_value FROM embedding_metadata WHERE key = 'timestamp' AND id = {record}"
    assert ask(folder, plain, "s0") == [(off,)]
    listed = f"SELECT float_value FROM embedding_metadata_array WHERE key = 'f' AND id = {record} ORDER BY rowid"
    assert ask(folder, listed, "lists") == [(1.0,), (math.nextafter(2.5, 0),)]


def test_stripping_keeps_the_last_number_and_other_collections(folder: Path) -> None:
    segments = dict(ask(folder, "SELECT c.name, s.id FROM segments s JOIN collections c ON c.id = s.collection "
                                "WHERE s.scope = 'VECTOR'"))  # fmt: skip
    [(last,)] = ask(folder, "SELECT max(seq_id) FROM embeddings_queue")
    rows = dict(ask(folder, "SELECT topic, count(*) FROM embeddings_queue GROUP BY topic"))
    staged.strip_indexes(folder, {BIG, SMALL})
    assert not (folder / segments[BIG]).exists()
    assert (folder / segments[PLAIN]).is_dir()
    assert ask(folder, "SELECT max(seq_id) FROM embeddings_queue") == [(last,)]
    left = {(segment,) for (segment,) in ask(folder, "SELECT segment_id FROM max_seq_id")}
    assert (segments[BIG],) not in left and (segments[PLAIN],) in left
    [(plain,)] = ask(folder, "SELECT id FROM collections WHERE name = 'plain'")
    after = dict(ask(folder, "SELECT topic, count(*) FROM embeddings_queue GROUP BY topic"))
    topic = next(topic for topic in rows if topic.endswith(plain))
    assert after[topic] == rows[topic]
    assert sum(after.values()) < sum(rows.values())


def test_orphans_go_and_owned_folders_stay(folder: Path) -> None:
    owned = {path.name for path in folder.iterdir() if path.is_dir()}
    for name in ("orphan", "something else"):
        (folder / name).mkdir()
    (folder / "orphan/data_level0.bin").write_bytes(b"x")
    (folder / "something else/notes.txt").write_text("mine")
    dropped = staged.drop_orphans(folder)
    assert "orphan" in dropped and "something else" not in dropped
    assert {path.name for path in folder.iterdir() if path.is_dir()} == (owned - set(dropped)) | {"something else"}


def test_vacuum_gives_room_back(folder: Path) -> None:
    ask(folder, "DELETE FROM embedding_metadata")
    size = (folder / "chroma.sqlite3").stat().st_size
    staged.vacuum(folder)
    assert (folder / "chroma.sqlite3").stat().st_size < size


@pytest.mark.parametrize("old", [False, pytest.param(True, marks=pytest.mark.old_chroma)])
def test_labels_that_chromadb_wrote_are_harmless(old: bool) -> None:
    folder = (made_by_old_chroma() if old else made()).folder
    assert list(folder.glob("*/index_metadata.pickle"))
    staged.require_harmless_labels(folder)


class _Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("called",))


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(_Calls(), 2),
        pickle.dumps(_Calls(), 5),
        pickle.dumps({"id_to_label": {}, "x": _Calls()}),
        pickle.dumps(Path),
        b"cos\nsystem\n(S'echo'\ntR.",
        b"(S'echo'\nios\nsystem\n.",
        # The names come out of the memo, beside strings that look right.
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x8c\x07chromadb\x94h\x00h\x01\x93.",
        b"\x80\x04 not a pickle",
        b"",
    ],
)
def test_labels_that_name_anything_else_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "segment").mkdir()
    (tmp_path / "segment/index_metadata.pickle").write_bytes(data)
    with pytest.raises(StoreDamaged):
        staged.require_harmless_labels(tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ({"a": 1.1}, {"a": 1.1 + 2e-16}, True),
        ({"a": [1.1, "x"]}, {"a": [1.1 - 2e-16, "x"]}, True),
        ({"a": 1.1}, {"a": 1.1000001}, False),
        ({"a": 1.0}, {"a": 1}, False),
        ({"a": 1.1}, {"a": 1.1, "b": 1}, False),
        ({"a": [1.1]}, {"a": [1.1, 1.1]}, False),
        ({"a": "x"}, {"a": "y"}, False),
    ],
)
def test_metadata_that_differ_by_bits(one: dict[str, object], other: dict[str, object], near: bool) -> None:
    assert staged.differ_by_bits(one, other) is near
