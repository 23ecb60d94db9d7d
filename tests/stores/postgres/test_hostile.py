"""Names and tables made to mislead."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from memdefrag.base.errors import NotPermitted, UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything
from tests.stores.postgres.schemas import OWNER

NAMES = ['x"; DROP TABLE users; --', "100%s", "%(a)s %%", "🗝 ключ", "a'b\\c", "n" * 54]


@pytest.mark.case(29)
@pytest.mark.parametrize("name", NAMES)
def test_tables_columns_and_ids_of_any_name(federated_url: str, name: str) -> None:
    table = name[:20] + "_memories"
    with psycopg.connect(federated_url) as session:
        for statement, names in (
            ("ALTER TABLE work_memories RENAME TO {}", [table]),
            ("ALTER TABLE {} ADD COLUMN {} text", [table, name]),
        ):
            session.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
    with open_store(f"federated:{federated_url}") as store:
        record = MemoryRecord(Key(table, name), f"About {name}", created=1.0, owner=OWNER, extras={name: name})
        fitted, losses = store.fit(record)
        assert losses == ()
        store.write(Changes(put=(Put(fitted, None),)), Progress())
        new = replace(fitted, extras={**fitted.extras, name: "changed"})
        store.write(Changes(put=(Put(new, record_hash(fitted)),)), Progress())
        assert everything(store) == {new.key: new}
        assert store.fetch([new.key]) == [new]
        assert store.sizes({}).now > 0
        store.write(Changes(delete=(Ref.of(new),)), Progress())
        assert everything(store) == {}
    with psycopg.connect(federated_url) as session:
        assert session.execute("SELECT count(*) FROM users").fetchone() == (1,)


@pytest.mark.case(28)
@pytest.mark.parametrize(
    ("kind", "script"),
    [
        ("a view", "ALTER TABLE memories RENAME TO real_ones; CREATE VIEW memories AS SELECT * FROM real_ones"),
        (
            "a materialised view",
            "ALTER TABLE memories RENAME TO real_ones; CREATE MATERIALIZED VIEW memories AS SELECT * FROM real_ones",
        ),
        ("child tables", "CREATE TABLE child () INHERITS (memories)"),
        (
            "a partitioned table",
            "DROP TABLE memories CASCADE; CREATE TABLE memories (id text, user_id text, content text) "
            "PARTITION BY LIST (id)",
        ),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_what_is_no_plain_table_is_refused_with_the_reason(bigmemory_url: str, kind: str, script: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute(script)
    with open_store(f"bigmemory:{bigmemory_url}") as store, pytest.raises(UnsupportedFormat, match=kind):
        read_snapshot(store)


@pytest.mark.case(28)
def test_ids_that_are_not_unique_are_refused(bigmemory_url: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute("ALTER TABLE memories DROP CONSTRAINT memories_pkey CASCADE")
    with open_store(f"bigmemory:{bigmemory_url}") as store, pytest.raises(UnsupportedFormat, match="not unique"):
        read_snapshot(store)


def test_rows_hidden_by_a_policy_are_not_passed_over_in_silence(bigmemory_url: str) -> None:
    schema = bigmemory_url.split("%3D")[1].split(",")[0]
    with psycopg.connect(bigmemory_url) as session:
        session.execute(
            f"DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA {schema} TO guest;"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO guest;"
            "ALTER TABLE memories ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON memories USING (false)"
        )
    guest = bigmemory_url.replace("tester@", "guest@")
    try:
        with open_store(f"bigmemory:{guest}") as store, pytest.raises(NotPermitted, match="row-level security"):
            read_snapshot(store)
    finally:
        with psycopg.connect(bigmemory_url) as session:
            session.execute("DROP OWNED BY guest; DROP ROLE guest")


def test_who_may_only_read_is_told_so(bigmemory_url: str) -> None:
    schema = bigmemory_url.split("%3D")[1].split(",")[0]
    with psycopg.connect(bigmemory_url) as session:
        session.execute(
            f"CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA {schema} TO reader;"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader;"
            f"INSERT INTO memories (id, user_id, content, content_hash) VALUES ('m1', '{OWNER}', 'x', 'y')"
        )
    try:
        with open_store(f"bigmemory:{bigmemory_url.replace('tester@', 'reader@')}") as store:
            [record] = everything(store).values()
            with pytest.raises(NotPermitted, match="permission denied"):
                store.write(Changes(delete=(Ref.of(record),)), Progress())
    finally:
        with psycopg.connect(bigmemory_url) as session:
            session.execute("DROP OWNED BY reader; DROP ROLE reader")
