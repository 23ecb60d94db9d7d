"""SQLite files of strangers: whatever is in them, they are read as data or refused with a reason."""

from __future__ import annotations

import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.base.errors import MemdefragError, NotPermitted, StoreDamaged, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.stores import sqlite_safe
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.chroma.folders import Made, made
from tests.stores.exports import DDL, make, row

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
COLUMNS = "id, content, embedding, metadata, timestamp, content_hash"


@pytest.fixture(scope="module")
def new() -> Made:
    return made()


@pytest.fixture(params=["export", "chroma"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """An address and the SQLite file in it."""
    if request.param == "export":
        rows = [row(id=str(number), content=f"text {number} " + "x" * 40) for number in range(3000)]
        make(tmp_path / "a.db", rows).close()
        return f"memory-export:{tmp_path / 'a.db'}", tmp_path / "a.db"
    folder = request.getfixturevalue("new").copy(tmp_path / "store")
    return f"chroma:{folder}", folder / "chroma.sqlite3"


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def read_all(address: str) -> list[str]:
    """Read everything there is; the problems that the store names."""
    with open_store(address) as opened:
        read_snapshot(opened)
        return opened.problems()


def _html(data: bytearray) -> None:
    data[:] = b"<html><body>404 Not Found</body></html>"


def _no_header(data: bytearray) -> None:
    data[:100] = bytes(100)


def _page_three(data: bytearray) -> None:
    page = struct.unpack(">H", data[16:18])[0]
    data[2 * page : 3 * page] = b"\xaa" * page


def _half(data: bytearray) -> None:
    del data[len(data) // 2 :]


def _mid_page(data: bytearray) -> None:
    del data[len(data) - 1000 :]


def _lying_page_count(data: bytearray) -> None:
    data[28:32] = b"\xff\xff\xff\xf0"


@pytest.mark.case(12)
@pytest.mark.case(13)
@pytest.mark.parametrize(
    "damage", [bytearray.clear, _html, _no_header, _page_three, _half, _mid_page, _lying_page_count]
)
def test_damage_is_refused_or_told(store: tuple[str, Path], damage: Callable[[bytearray], None]) -> None:
    address, path = store
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    try:
        told = read_all(address)
    except MemdefragError as error:
        assert isinstance(error, StoreDamaged) and error.message and error.todo
    else:
        assert told
    assert path.read_bytes() == data


@pytest.mark.case(12)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_scattered_damage_never_ends_in_a_crash(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.db"
    path.unlink(missing_ok=True)
    make(path, [row(id=str(number), content="x" * 50) for number in range(150)]).close()
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(chance.randrange(1, 30)):
        data[chance.randrange(100 if chance.random() < 0.7 else 0, len(data))] = chance.randrange(256)
    path.write_bytes(data)
    try:
        read_all(f"memory-export:{path}")
    except MemdefragError as error:
        assert error.exit_code < 70


@pytest.mark.case(20)
def test_text_of_any_bytes_is_counted_and_read_whole(tmp_path: Path) -> None:
    make(tmp_path / "a.db", []).close()
    execute(
        tmp_path / "a.db",
        "INSERT INTO memories VALUES ('1', cast(x'ff41fe' as text), NULL, NULL, 1, NULL)",
        "INSERT INTO memories VALUES ('2', x'00ff', NULL, NULL, 1, NULL)",
        "INSERT INTO memories VALUES ('3', cast(x'610062' as text), NULL, NULL, 1, NULL)",
        "INSERT INTO memories VALUES (cast(x'ff' as text), 'a text', NULL, NULL, 1, NULL)",
    )
    with open_store(f"memory-export:{tmp_path / 'a.db'}") as opened:
        found = read_snapshot(opened).by_key
    texts = [(record.text or "").encode("utf-8", "surrogateescape") for record in found.values()]
    assert sorted(texts) == [b"\x00\xff", b"a\x00b", b"a text", b"\xffA\xfe"]
    assert all(key.id.isascii() for key in found)


@pytest.mark.case(21)
@pytest.mark.case(22)
@pytest.mark.case(23)
def test_vectors_that_cannot_be_compared_make_no_pair(tmp_path: Path) -> None:
    vectors = ["[0, 0]"] * 2 + ["[NaN, 1]"] * 2 + ["[1e39, 1]"] * 2 + ["[Infinity, 1]", "[1, 0, 0]", "[1, 0]"]
    texts = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india"]
    rows = [row(id=text, content=text, embedding=vector) for text, vector in zip(texts, vectors, strict=True)]
    with make(tmp_path / "a.db", rows) as opened:
        snapshot, told = read_snapshot(opened), " ".join(opened.problems())
    assert len(snapshot.records) == len(vectors)
    found = analyze([snapshot], AnalysisOptions(threshold=0.01))
    assert found.groups() == []
    assert "no numbers" in told and "zeros" in told and "3 dimensions" in told


@pytest.mark.case(23)
def test_vectors_are_compared_within_their_own_dimension(tmp_path: Path) -> None:
    texts = ["alpha bravo charlie", "delta echo foxtrot", "golf hotel india", "juliett kilo lima"]
    vectors = ["[1, 0]", "[1, 0.01]", "[1, 0, 0]", "[1, 0.01, 0]"]
    rows = [row(id=text[0], content=text, embedding=vector) for text, vector in zip(texts, vectors, strict=True)]
    with make(tmp_path / "a.db", rows) as opened:
        found = analyze([read_snapshot(opened)], AnalysisOptions(threshold=0.01))
    groups = [tuple(found.name(member) for member in group.members) for group in found.groups()]
    assert sorted(groups) == [("a", "d"), ("g", "j")]


@pytest.mark.case(28)
@pytest.mark.parametrize("name", ["memories", "Memories"])
def test_a_view_that_never_ends_is_not_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.db"
    execute(path, f"CREATE VIEW {name}({COLUMNS}) AS {ENDLESS} SELECT i, i, i, i, i, i FROM n")
    with pytest.raises(UnsupportedFormat), open_store(f"memory-export:{path}") as opened:
        opened.collections()


@pytest.mark.case(28)
@pytest.mark.parametrize("table", ["embeddings", "collections", "segments", "embedding_metadata", "embeddings_queue"])
def test_a_view_among_chroma_s_tables_is_not_asked(new: Made, tmp_path: Path, table: str) -> None:
    folder = new.copy(tmp_path / "store")
    execute(
        folder / "chroma.sqlite3",
        f"ALTER TABLE {table} RENAME TO old_{table}",
        f"CREATE VIEW {table} AS {ENDLESS} SELECT i AS id, * FROM n",
    )
    with pytest.raises(StoreDamaged, match=table):
        read_all(f"chroma:{folder}")


@pytest.mark.case(28)
def test_a_virtual_table_does_not_pass_for_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    execute(path, f"CREATE VIRTUAL TABLE memories USING fts5({COLUMNS})")
    with pytest.raises(UnsupportedFormat), open_store(f"memory-export:{path}") as opened:
        opened.collections()


@pytest.mark.case(28)
def test_a_check_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "a.db", [row(id=str(number)) for number in range(3000)]).close()
    monkeypatch.setattr(sqlite_safe, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(sqlite_safe, "_INSTRUCTIONS_BETWEEN_LOOKS", 100)
    assert any("given up" in problem for problem in read_all(f"memory-export:{tmp_path / 'a.db'}"))


@pytest.mark.case(30)
def test_a_value_that_would_take_all_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    execute(path, "CREATE TABLE t (a, b AS (zeroblob((1 << 28) + 1)))", "INSERT INTO t (a) VALUES (1)")
    with pytest.raises(StoreDamaged, match="too big"), sqlite_safe.open_readonly(path) as connection:
        connection.execute("SELECT length(b) FROM t").fetchone()


@pytest.mark.case(30)
def test_the_file_cannot_reach_beyond_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    execute(path, "CREATE TABLE t (a)", "CREATE VIEW loads AS SELECT load_extension('nothing')")
    for statement in ("SELECT load_extension('nothing')", "SELECT * FROM loads", "DELETE FROM t", "DROP TABLE t"):
        with pytest.raises((StoreDamaged, NotPermitted)), sqlite_safe.open_readonly(path) as connection:
            connection.execute(statement).fetchall()
    with sqlite_safe.open_staged(path) as connection:
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED) == 1
        connection.execute("VACUUM")


@pytest.mark.case(29)
@pytest.mark.parametrize("name", ['x"; drop table memories;--', "😀", "a b", "n" * 512, "'", "]", "select", "a\nb"])
def test_columns_of_any_name_are_kept_and_written_back(tmp_path: Path, name: str) -> None:
    column = sqlite_safe.quote(name)
    ddl = DDL.replace("content_hash TEXT", f"content_hash TEXT, {column}")
    with make(tmp_path / "a.db", [(*row(), "kept")], ddl) as opened:
        [record] = read_snapshot(opened).records
        assert record.extras == {name: "kept"}
        _rewrite(opened, "changed text")
        [record] = read_snapshot(opened).records
    assert (record.text, record.extras) == ("changed text", {name: "kept"})


def _rewrite(opened: Store, text: str) -> None:
    [record] = read_snapshot(opened).records
    opened.write(Changes(put=(Put(replace(record, text=text), record_hash(record)),)), Progress())


@pytest.mark.case(29)
@pytest.mark.parametrize("name", ['x"; drop table collections;--', "😀", "../../etc", "n" * 512, "'", "a/b", "", "#"])
def test_collections_of_any_name_are_read(new: Made, tmp_path: Path, name: str) -> None:
    folder = new.copy(tmp_path / "store")
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        connection.execute("UPDATE collections SET name = ? WHERE name = 'big'", (name,))
    with open_store(f"chroma:{folder}") as opened:
        snapshot = read_snapshot(opened)
    assert sum(record.key.collection == name for record in snapshot.records) == len(new.truth["big"])


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
ODD = st.sampled_from(["{", "[" * 5000, '{"a":' * 3000, "9" * 5000, "NaN", "big", b"\xff"])
CELLS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), TEXTS, st.binary(max_size=9), ODD)
COLUMNS_OF = {
    "collections": "name dimension config_json_str schema_str id",
    "segments": "scope id collection",
    "embeddings": "embedding_id seq_id segment_id",
    "embedding_metadata": "key string_value int_value",
    "collection_metadata": "key str_value",
    "embeddings_queue": "metadata vector operation topic id encoding",
    "max_seq_id": "seq_id",
    "migrations": "version dir",
    "databases": "name tenant_id",
}
PLACES = st.sampled_from([(table, column) for table, names in COLUMNS_OF.items() for column in names.split()])


@pytest.mark.case(25)
@settings(max_examples=40)
@given(changes=st.lists(st.tuples(PLACES, CELLS), min_size=1, max_size=3))
def test_any_cell_of_chroma_s_tables_may_hold_anything(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str, str], Any]]
) -> None:
    folder = made().copy(tmp_path_factory.mktemp("hostile") / "store")
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for (table, column), value in changes:
            some = f"rowid IN (SELECT rowid FROM {table} LIMIT 2)"
            with suppress(sqlite3.Error):
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {some}", (value,))
        connection.commit()
    try:
        read_all(f"chroma:{folder}")
    except MemdefragError as error:
        assert error.exit_code < 70


@pytest.mark.case(26)
@pytest.mark.slow
def test_a_document_of_a_hundred_megabytes_is_read(tmp_path: Path) -> None:
    text = "memory " * (100_000_000 // 7)
    with make(tmp_path / "a.db", [row(content=text), row(id="2", content="short")]) as opened:
        snapshot = read_snapshot(opened)
        assert sorted(len(record.text or "") for record in snapshot.records) == [5, len(text)]
    assert np.isfinite([record.embedding.sum() for record in snapshot.records if record.embedding is not None]).all()
