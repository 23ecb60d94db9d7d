"""Opening other people's SQLite files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.base.errors import NotAStore, NotPermitted, StoreChanged, StoreDamaged
from memdefrag.stores import sqlite_safe

Traces = dict[str, tuple[bytes, int]]


def traces(folder: Path) -> Traces:
    """Everything a reader could have disturbed: names, bytes and times."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in paths}


def make(path: Path, rows: int = 100, mode: str = "delete") -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text)")
        connection.executemany("INSERT INTO t (text) VALUES (?)", [(f"row {i}",) for i in range(rows)])
        connection.commit()
    return path


def killed_writer(path: Path, mode: str) -> None:
    """A process that dies in (delete mode) or right after (WAL mode) writing 900 rows to a file with 100."""
    commit = "c.commit()" if mode == "wal" else "c.execute('PRAGMA cache_spill=1')"
    script = f"""
import os, sqlite3, sys
c = sqlite3.connect({str(path)!r})
c.execute("PRAGMA cache_size=2")
c.executemany("INSERT INTO t (text) VALUES (?)", [("x" * 500,) for i in range(900)])
{commit}
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)


def count(path: Path) -> int:
    with sqlite_safe.open_readonly(path) as connection:
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate", "persist"])
def test_reading_leaves_no_trace(tmp_path: Path, mode: str) -> None:
    path = make(tmp_path / "a b#?%.db", mode=mode)
    before = traces(tmp_path)
    assert count(path) == 100
    assert traces(tmp_path) == before


@pytest.mark.case(15)
def test_a_hot_journal_is_rolled_back_on_a_private_copy(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    killed_writer(path, "delete")
    assert sqlite_safe.pending(path) == [tmp_path / "a.db-journal"]
    before = traces(tmp_path)
    assert count(path) == 100
    assert traces(tmp_path) == before


@pytest.mark.case(15)
def test_a_write_ahead_log_is_read_on_a_private_copy(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", mode="wal")
    killed_writer(path, "wal")
    assert sqlite_safe.pending(path) == [tmp_path / "a.db-wal"]
    before = traces(tmp_path)
    assert count(path) == 1000
    assert traces(tmp_path) == before


def test_the_private_copy_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.db", mode="wal")
    killed_writer(path, "wal")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with sqlite_safe.open_readonly(path):
        assert list(temporary.iterdir())
    assert not list(temporary.iterdir())


@pytest.mark.case(30)
def test_a_read_only_connection_refuses_to_write(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with pytest.raises(NotPermitted), sqlite_safe.open_readonly(path) as connection:
        connection.execute("DELETE FROM t")
    assert count(path) == 100


@pytest.mark.case(30)
def test_untrusted_files_are_opened_with_care(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    careful = {"trusted_schema": 0, "cell_size_check": 1, "mmap_size": 0}
    with sqlite_safe.open_readonly(path) as connection:
        for name, value in {**careful, "query_only": 1}.items():
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)
    with sqlite_safe.open_staged(path) as connection:
        for name, value in {**careful, "synchronous": 2, "foreign_keys": 0}.items():
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)


@pytest.mark.case(20)
def test_undecodable_text_survives(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", rows=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO t VALUES (1, cast(x'ff41fe' as text))")
        connection.execute("INSERT INTO t VALUES (2, cast(x'410042' as text))")
        connection.commit()
    with sqlite_safe.open_readonly(path) as connection:
        texts = [text for (text,) in connection.execute("SELECT text FROM t ORDER BY id")]
    assert texts[0].encode("utf-8", "surrogateescape") == b"\xffA\xfe"
    assert texts[1] == "A\0B"


@pytest.mark.case(12)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"SQLite format 3"])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(StoreDamaged), sqlite_safe.open_readonly(path):
        pass


def test_a_missing_file_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(NotAStore), sqlite_safe.open_readonly(tmp_path / "none.db"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_named(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    path.chmod(0)
    with pytest.raises(NotPermitted), sqlite_safe.open_readonly(path):
        pass


@pytest.mark.case(12)
@pytest.mark.case(13)
@pytest.mark.parametrize("damage", ["page", "half", "page count"])
def test_damage_is_reported_as_such(tmp_path: Path, damage: str) -> None:
    path = make(tmp_path / "a.db", rows=5000)
    data = bytearray(path.read_bytes())
    if damage == "page":
        data[4096 * 2 : 4096 * 3] = b"\xaa" * 4096
    elif damage == "half":
        del data[len(data) // 2 :]
    else:
        data[28:32] = b"\xff\xff\xff\xf0"
    path.write_bytes(data)
    with pytest.raises(StoreDamaged), sqlite_safe.open_readonly(path) as connection:
        complaints = sqlite_safe.check(connection)
        connection.execute("SELECT * FROM t").fetchall()
        raise StoreDamaged("; ".join(complaints)) if complaints else AssertionError("the damage went unseen")


def test_a_sound_file_passes_the_check(tmp_path: Path) -> None:
    with sqlite_safe.open_readonly(make(tmp_path / "a.db")) as connection:
        assert sqlite_safe.check(connection) == []


def test_a_write_during_the_read_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with pytest.raises(StoreChanged), sqlite_safe.open_readonly(path) as connection:
        connection.execute("SELECT * FROM t").fetchone()
        with closing(sqlite3.connect(path)) as other:
            other.execute("INSERT INTO t (text) VALUES ('more')")
            other.commit()


@pytest.mark.case(28)
def test_a_view_does_not_pass_for_a_table(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW memories AS SELECT * FROM t")
        connection.commit()
    with sqlite_safe.open_readonly(path) as connection:
        sqlite_safe.require_tables(connection, path, {"t"})
        with pytest.raises(StoreDamaged):
            sqlite_safe.require_tables(connection, path, {"t", "memories"})


@pytest.mark.case(28)
def test_an_endless_statement_meets_its_deadline(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    started = time.monotonic()
    with (
        pytest.raises(StoreDamaged),
        sqlite_safe.open_readonly(path) as connection,
        sqlite_safe.deadline(connection, 0.1),
    ):
        connection.execute(endless).fetchone()
    assert time.monotonic() - started < 60


@pytest.mark.case(20)
def test_fast_reading_falls_back_where_text_is_not_utf8(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", rows=1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO t VALUES (2, cast(x'ff' as text))")
        connection.commit()
    with sqlite_safe.open_readonly(path) as connection:
        rows = sqlite_safe.fetch_fast(connection, lambda: connection.execute("SELECT text FROM t").fetchall())
        assert rows == [("row 0",), ("\udcff",)]
        assert connection.text_factory is sqlite_safe.LENIENT_TEXT


@pytest.mark.case(29)
@pytest.mark.parametrize("name", ['x"; drop table t;--', "😀", "a b", "n" * 512])
def test_names_are_quoted(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {sqlite_safe.quote(name)} ({sqlite_safe.quote(name)} TEXT)")
        connection.commit()
    with sqlite_safe.open_readonly(path) as connection:
        assert sqlite_safe.tables(connection) == {"t", name}
        assert sqlite_safe.columns(connection, name) == {name}


@pytest.mark.case(27)
def test_a_stranger_s_trigger_does_not_fire_on_a_staged_copy(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other AS SELECT * FROM t")
        connection.execute("CREATE TRIGGER bomb AFTER DELETE ON t BEGIN DELETE FROM other; END")
        connection.commit()
    with pytest.raises(StoreDamaged), sqlite_safe.open_staged(path) as connection:
        connection.execute("DELETE FROM t WHERE id = 1")
    with sqlite_safe.open_staged(path, triggers={"bomb"}) as connection:
        connection.execute("DELETE FROM t WHERE id = 1")
        assert connection.execute("SELECT count(*) FROM other").fetchone() == (0,)


def test_a_staged_file_is_made_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with pytest.raises(NotAStore), sqlite_safe.open_staged(path):
        pass
    with sqlite_safe.open_staged(path, create=True) as connection:
        connection.execute("CREATE TABLE t (id)")
        connection.execute("INSERT INTO t VALUES (1)")
    assert count(path) == 1
