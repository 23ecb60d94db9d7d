"""SQLite databases that others have changed: what is in them is kept, and what cannot be kept is not begun."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import NotPermitted, UnsupportedFormat, WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.compare import ModelOptions
from memdefrag.engine.migrate.run import Means, migrate
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash, record_hash
from memdefrag.model.migration import MigrateOptions, MigrationReport
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.engine.stores import merge_plan, snapshot_of

KINDS = ("memory-export", "memory-service", "enhanced")
AGREED = ApplyOptions(confirm_shrink=True)
COLLECTION = "memories"

Change = Callable[[Path], None]


def memory(number: int, text: str) -> MemoryRecord:
    vector = np.random.default_rng(number).standard_normal(4).astype(np.float32)
    return MemoryRecord(
        Key(COLLECTION, str(number)),
        text,
        {"number": number, "ü": "東京"},
        vector,
        ("a",),
        created=1.7e9,
        updated=1.7e9,
    )


def made(kind: str, folder: Path) -> Address:
    folder.mkdir()
    address = Address(kind, str(folder / "store.db"))
    with open_store(address, must_exist=False) as store:
        puts = [store.fit(memory(number, f"Fact {number} über 🦊"))[0] for number in range(1, 7)]
        store.write(Changes(tuple(Put(record, None) for record in puts)), Progress())
    return address


def run(*statements: str) -> Change:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def table(pattern: str, put: str) -> Change:
    """The table of memories made anew, with another definition."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            about = "SELECT sql FROM sqlite_master WHERE tbl_name = 'memories' AND type {} 'table' AND sql IS NOT NULL"
            [(definition,)] = connection.execute(about.format("="))
            others = [sql for (sql,) in connection.execute(about.format("<>"))]
            names = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(memories)"))
            connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM memories")
            connection.execute("DROP TABLE memories")
            connection.execute(re.sub(pattern, put, definition, count=1, flags=re.S))
            more = {row[1] for row in connection.execute("PRAGMA table_info(memories)")} - {*names.split(", ")}
            extra = "".join(f", {name}" for name in sorted(more))
            connection.execute(
                f"INSERT INTO memories ({names}{extra}) SELECT {names}{', id' * len(more)} FROM temp.kept"
            )
            for sql in others:
                connection.execute(sql)
            connection.commit()

    return change


def with_column(described: str) -> Change:
    return table(r"\(", f"({described}, ")


def in_utf16(path: Path) -> None:
    """The same in another encoding: every table that is one, and the words of those that are not."""
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy, isolation_level=None)) as new:
        new.execute("PRAGMA encoding = 'UTF-16be'")
        made = "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_master WHERE sql IS NOT NULL"
        rows = [row for row in old.execute(made) if not row[1].startswith("sqlite_")]
        for _, name, _, sql, root in rows:
            if root and sql.startswith("CREATE TABLE"):
                new.execute(sql)
                for values in old.execute(f'SELECT * FROM "{name}"'):
                    new.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(values))})', values)
        new.execute("PRAGMA writable_schema = ON")
        for kind, name, of, sql, root in rows:
            if kind == "table" and not root:
                new.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, 0, ?)", (kind, name, of, sql))
        new.execute("PRAGMA writable_schema = RESET")
        for kind, _, _, sql, _ in rows:
            if kind != "table":
                new.execute(sql)
    copy.replace(path)


def with_log(path: Path) -> None:
    """A program that was killed left its log."""
    kept = path.with_name("kept")
    with closing(sqlite3.connect(path)) as killed:
        killed.execute("PRAGMA journal_mode = WAL")
        killed.execute("PRAGMA wal_autocheckpoint = 0")
        killed.execute("CREATE TABLE written_last AS SELECT 1")
        killed.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", f"{kept}{end}")
    for end in ("", "-wal"):
        Path(f"{kept}{end}").replace(f"{path}{end}")


FINE: dict[str, Change] = {
    "a view": run("CREATE VIEW v AS SELECT content FROM memories"),
    "a view of what is gone": run("CREATE TABLE z (a)", "CREATE VIEW v AS SELECT a FROM z", "DROP TABLE z"),
    "a computed column": run("ALTER TABLE memories ADD COLUMN twice AS (content || content)"),
    "a computed column that is stored": with_column("twice TEXT NOT NULL AS (content || 'x') STORED"),
    "a column": run("ALTER TABLE memories ADD COLUMN mood TEXT DEFAULT 'calm'"),
    "links from another table": run(
        "CREATE TABLE notes (m REFERENCES memories(id) ON DELETE CASCADE)", "INSERT INTO notes SELECT id FROM memories"
    ),
    "links to nothing": run("CREATE TABLE notes (m REFERENCES gone(id))", "INSERT INTO notes VALUES ('x')"),
    "small pages": run("PRAGMA page_size = 512", "VACUUM"),
    "pages that are given back": run("PRAGMA auto_vacuum = FULL", "VACUUM"),
    "marks": run("PRAGMA user_version = 77", "PRAGMA application_id = 1234"),
    "utf-16": in_utf16,
    "a log": with_log,
    "an index of some": run("CREATE INDEX i ON memories (lower(content)) WHERE content LIKE 'F%'"),
    "a table that no program here reads": run(
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_master VALUES ('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING unheard_of(x)')",
    ),
}
DEFAULTS = {
    "text": ("TEXT NOT NULL DEFAULT 'it''s calm'", "it's calm"),
    "number": ("REAL NOT NULL DEFAULT 0.5", 0.5),
    "count": ("INTEGER NOT NULL DEFAULT 3", 3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FINE)
def test_it_is_merged_taken_back_and_migrated_into(tmp_path: Path, kind: str, name: str) -> None:
    address = made(kind, tmp_path / "place")
    FINE[name](address.path)
    before, about = snapshot_of(address), described(address.path)
    apply(merge_plan(address, 1), AGREED)
    assert kept(before.by_key, address, but=2) and described(address.path) == about
    apply(history.undo_plan(history.steps()[-1]), AGREED)
    assert content_hash(snapshot_of(address).records) == content_hash(before.records)
    report = migrated_into(address, tmp_path)
    assert (report.copied, report.failed) == (2, 0)
    assert kept(before.by_key, address) and described(address.path) == about
    texts = {record.text for record in snapshot_of(address)} - {record.text for record in before}
    assert texts == {"New 101 über 🦊", "New 102 über 🦊"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_trigger_is_told_before_anything_is_written(tmp_path: Path, kind: str) -> None:
    address = made(kind, tmp_path / "place")
    run("CREATE TRIGGER t AFTER UPDATE ON memories BEGIN UPDATE memories SET content = 'x'; END")(address.path)
    before = address.path.read_bytes()
    with open_store(address) as store:
        assert any("It is only read: it has a trigger (t)" in problem for problem in store.problems())
    with pytest.raises(NotPermitted, match=r"trigger \(t\)"):
        apply(merge_plan(address, 1), AGREED)
    with pytest.raises(NotPermitted, match=r"trigger \(t\)"):
        migrated_into(address, tmp_path)
    assert address.path.read_bytes() == before


@pytest.mark.parametrize("kind", ["memory-export", "memory-service"])
@pytest.mark.parametrize("name", DEFAULTS)
def test_a_column_with_a_default_gets_it(tmp_path: Path, kind: str, name: str) -> None:
    address = made(kind, tmp_path / "place")
    sql, value = DEFAULTS[name]
    run(f"ALTER TABLE memories ADD COLUMN mood {sql}")(address.path)
    assert migrated_into(address, tmp_path).copied == 2
    assert {record.extras["mood"] for record in snapshot_of(address)} == {value}


@pytest.mark.parametrize("kind", ["memory-export", "memory-service"])
def test_a_column_that_wants_what_a_memory_does_not_have_refuses_it(tmp_path: Path, kind: str) -> None:
    address = made(kind, tmp_path / "place")
    with_column("mood TEXT NOT NULL")(address.path)
    before = snapshot_of(address)
    report = migrated_into(address, tmp_path)
    assert (report.copied, report.failed) == (0, 2)
    assert {entry.reason for entry in report.entries} == {
        "the database wants a value for 'mood', which the memory does not have"
    }
    apply(merge_plan(address, 1), AGREED)
    assert kept(before.by_key, address, but=2)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_database_does_not_take_leaves_it_as_it_was(tmp_path: Path, kind: str) -> None:
    address = made(kind, tmp_path / "place")
    with_column("mood INTEGER CHECK (content LIKE 'Fact%')")(address.path)
    before = address.path.read_bytes()
    with pytest.raises(WriterFailed, match="CHECK constraint failed"):
        migrated_into(address, tmp_path)
    assert address.path.read_bytes() == before


ROWS = {
    "no row numbers": table(r"\)$", ") WITHOUT ROWID"),
    "a column of that name": with_column("rowid TEXT"),
    "columns of all its names": with_column("rowid TEXT, oid TEXT, _rowid_ TEXT"),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_export_whose_rows_have_no_numbers_is_written_by_id(tmp_path: Path, name: str) -> None:
    address = made("memory-export", tmp_path / "place")
    ROWS[name](address.path)
    before = snapshot_of(address)
    assert len(before) == 6
    apply(merge_plan(address, 1), AGREED)
    assert kept(before.by_key, address, but=2)
    apply(history.undo_plan(history.steps()[-1]), AGREED)
    assert content_hash(snapshot_of(address).records) == content_hash(before.records)
    assert migrated_into(address, tmp_path).copied == 2


def test_an_id_that_is_no_text_tells_its_row_apart_all_the_same(tmp_path: Path) -> None:
    address = made("memory-export", tmp_path / "place")
    ROWS["no row numbers"](address.path)
    run("UPDATE memories SET id = CAST(x'66ff' AS TEXT) WHERE id = '1'")(address.path)
    [odd] = [record for record in snapshot_of(address) if record.metadata["number"] == 1]
    with open_store(address) as store:
        new, _ = store.fit(replace(odd, text="Another fact."))
        store.write(Changes((Put(new, record_hash(odd)),)), Progress())
        assert store.fetch([odd.key]) == [new]


def test_an_export_under_another_name_of_its_table_is_migrated_into(tmp_path: Path) -> None:
    """The app that owns the format takes three names."""
    address = made("memory-export", tmp_path / "place")
    run("ALTER TABLE memories RENAME TO knowledge_graph")(address.path)
    source = made("memory-export", tmp_path / "source")
    report = migrate(source, address, MigrateOptions())
    assert (report.copied, report.skipped, report.failed) == (0, 6, 0)


def test_rows_that_nothing_tells_apart_are_refused_with_a_reason(tmp_path: Path) -> None:
    address = made("memory-export", tmp_path / "place")
    table(r"id TEXT PRIMARY KEY(.*)\)$", r"id TEXT\1, PRIMARY KEY (content)) WITHOUT ROWID")(address.path)
    with pytest.raises(UnsupportedFormat, match="tells the rows"):
        snapshot_of(address)


def test_a_service_without_row_numbers_is_only_read(tmp_path: Path) -> None:
    address = made("memory-service", tmp_path / "place")
    table(r"AUTOINCREMENT(.*)\)$", r"\1) WITHOUT ROWID")(address.path)
    assert len(snapshot_of(address)) == 6
    with pytest.raises(NotPermitted, match="have no numbers"):
        apply(merge_plan(address, 1), AGREED)


def test_a_hash_that_stands_twice_loses_no_memory(tmp_path: Path) -> None:
    address = made("memory-service", tmp_path / "place")
    table("UNIQUE NOT NULL", "")(address.path)
    run("UPDATE memories SET content_hash = (SELECT min(content_hash) FROM memories)")(address.path)
    copy = Address("jsonl", str(tmp_path / "copy.jsonl"))
    assert migrate(address, copy).copied == 6
    with pytest.raises(NotPermitted, match="one content_hash"):
        apply(merge_plan(address, 1), AGREED)


IN_USE = (
    "INSERT INTO sync_events (event_id, op, content_hash, payload, created_at) VALUES ('e', 'create', 'h', '{}', 1)"
)


def test_a_clock_that_is_no_number_starts_anew(tmp_path: Path) -> None:
    address = made("memory-service", tmp_path / "place")
    run(IN_USE, "INSERT OR REPLACE INTO metadata VALUES ('sync_hlc_physical', 'junk')")(address.path)
    assert migrated_into(address, tmp_path).copied == 2
    with closing(sqlite3.connect(address.path)) as service:
        assert service.execute("SELECT count(*) FROM sync_events WHERE hlc_physical > 0").fetchone() == (2,)


@pytest.mark.parametrize(
    "statements",
    [("DROP TABLE sync_events", "CREATE TABLE sync_events (a)", "INSERT INTO sync_events VALUES (1)"),
     (IN_USE, "DROP TABLE metadata")],
)  # fmt: skip
def test_a_log_of_changes_that_cannot_be_kept_forbids_writing(tmp_path: Path, statements: tuple[str, ...]) -> None:
    address = made("memory-service", tmp_path / "place")
    run(*statements)(address.path)
    with pytest.raises(NotPermitted, match="log of changes"):
        apply(merge_plan(address, 1), AGREED)


def test_a_table_of_links_that_is_not_the_services_is_left_alone(tmp_path: Path) -> None:
    address = made("memory-service", tmp_path / "place")
    run("DROP TABLE memory_graph", "CREATE TABLE memory_graph (a)", "INSERT INTO memory_graph VALUES (1)")(address.path)
    apply(merge_plan(address, 1), AGREED)
    with closing(sqlite3.connect(address.path)) as service:
        assert service.execute("SELECT * FROM memory_graph").fetchall() == [(1,)]


@pytest.mark.parametrize("kind", ["memory-service", "enhanced"])
def test_a_strength_that_is_no_number_stays_with_its_link(tmp_path: Path, kind: str) -> None:
    address = made(kind, tmp_path / "place")
    ids = [record.key.id for record in snapshot_of(address)]
    link = {
        "memory-service": f"INSERT INTO memory_graph VALUES ('{ids[4]}', '{ids[5]}', 'strong', '[]', '{{}}', 1, 'r')",
        "enhanced": "INSERT INTO relations (name, source_memory_id, target_memory_id, owner_id, strength) "
        "VALUES ('r', 5, 6, 1, 'strong')",
    }
    run(link[kind])(address.path)
    [found] = snapshot_of(address).relations
    assert (found.strength, "strong" in found.metadata.values()) == (None, True)
    copy = Address("jsonl", str(tmp_path / "copy.jsonl"))
    migrate(address, copy)
    assert "strong" in copy.path.read_text("utf-8")
    apply(merge_plan(address, 1), AGREED)


def migrated_into(address: Address, folder: Path) -> MigrationReport:
    source = Address("jsonl", str(folder / "source.jsonl"))
    records = [memory(number, f"New {number} über 🦊") for number in (101, 102)]
    if not source.path.exists():
        with open_store(source, must_exist=False) as store:
            store.write(Changes(tuple(Put(record, None) for record in records)), Progress())
    means = Means(model=ModelOptions(use=False), confirm_shrink=True)
    return migrate(source, address, MigrateOptions(target_collection=COLLECTION), means)


def kept(before: dict[Key, MemoryRecord], address: Address, but: int = 0) -> bool:
    """Whether all are as they were, but for the first few of them by name."""
    after = snapshot_of(address).by_key
    left = sorted(before)[but:]
    return all(key in after and record_hash(after[key]) == record_hash(before[key]) for key in left)


def described(path: Path) -> dict[str, Any]:
    """What a database says beside its memories."""
    marks = ("user_version", "application_id", "page_size", "auto_vacuum", "encoding")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        schema = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'").fetchall()
        found = {mark: connection.execute(f"PRAGMA {mark}").fetchone() for mark in marks}
        own = {name: sql for name, sql in schema if name != "memory_archive"}
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in own if name == "notes"}
    return {**found, **own, "rows": rows}
