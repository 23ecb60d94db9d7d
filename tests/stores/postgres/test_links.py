"""Links as rows: made, moved and removed in the transaction that writes the memories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import StoreChanged, UnsupportedFormat, UsageError, WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.history import StepState
from memdefrag.engine.relations import hashes
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Changes, Drop, Merge, Plan, Put, Ref, Relate, Result, Unrelate, Write
from memdefrag.model.records import Key, MemoryRecord, Relation
from memdefrag.stores.base import Store, StoreSettings
from memdefrag.stores.postgres.tables import OWNER_VARIABLE
from memdefrag.stores.registry import open_store
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture
from tests.engine.stores import fill_store, merge_plan, snapshot_of
from tests.stores.postgres.schemas import OWNER, bigmemory
from tests.stores.postgres.server import Server

COUNT = 12
BARE = MemoryRecord(Key("memories", "m1"), "Whose?", created=1.0)


def key(number: int, table: str = "memories") -> Key:
    return Key(table, f"id{number:03}")


def link(one: int, other: int, type: str = "follows", strength: float = 0.5) -> Relation:
    return Relation(key(one), key(other), type, strength, {"n": one, "deep": [1.5]}, 1709287200.125)


@pytest.fixture
def big(bigmemory_url: str) -> Address:
    return fill_store(Address("bigmemory", bigmemory_url), COUNT)


@pytest.fixture
def store(big: Address) -> Iterator[Store]:
    with open_store(big) as opened:
        yield opened


@pytest.fixture
def work(federated_url: str) -> Address:
    """Four memories in one module, by twos the same."""
    with psycopg.connect(federated_url) as session:
        for number in range(4):
            session.execute(
                'INSERT INTO work_memories (id, "userId", content, "updatedAt") VALUES (%s, %s, %s, now())',
                [f"id{number:03}", OWNER, f"Fact {number // 2}"],
            )
    return Address("federated", federated_url)


def rows(address: Address, table: str = "memory_relations") -> list[tuple[object, ...]]:
    with psycopg.connect(address.location) as session:
        return session.execute(f"SELECT {table}::text FROM {table} ORDER BY id").fetchall()


def relate(address: Address, *links: Relation) -> None:
    with open_store(address) as store:
        store.write(Changes(relate=links), Progress())


def state_of(address: Address) -> tuple[str, dict[str, int]]:
    snapshot = snapshot_of(address)
    return content_hash(snapshot.records), hashes(snapshot.relations)


def test_a_link_is_written_and_removed(store: Store, big: Address) -> None:
    made = link(0, 1)
    store.write(Changes(relate=(made,)), Progress())
    assert list(store.relations()) == [made]
    with psycopg.connect(big.location) as session:
        [(id, owner)] = session.execute("SELECT id, user_id FROM memory_relations").fetchall()
    assert owner == OWNER
    assert str(UUID(id)) == id
    store.write(Changes(unrelate=(made,)), Progress())
    assert list(store.relations()) == []


def test_links_between_modules_are_written(work: Address, federated_url: str) -> None:
    with psycopg.connect(federated_url) as session:
        session.execute('ALTER TABLE "personal_memories" RENAME TO project_management_memories')
        session.execute(
            'INSERT INTO project_management_memories (id, "userId", content, "updatedAt") VALUES (%s, %s, %s, now())',
            ["p", OWNER, "A plan"],
        )
    made = Relation(key(0, "work_memories"), Key("project_management_memories", "p"), "part_of", 0.5, {}, 1.5)
    relate(work, made)
    assert snapshot_of(work).relations == (made,)
    with psycopg.connect(federated_url) as session:
        found = session.execute('SELECT "sourceModule", "targetModule" FROM memory_relationships').fetchall()
    assert found == [("work", "project-management")]


def test_the_end_of_a_link_that_stays_is_spelled_as_it_was(work: Address) -> None:
    with psycopg.connect(work.location) as session:
        session.execute('ALTER TABLE "personal_memories" RENAME TO project_management_memories')
        session.execute(
            "INSERT INTO memory_relationships VALUES "
            "('r', %s, 'work', 'id001', 'project_management', 'p', 'part_of', 0.5, '{}', '2024-03-01 10:00:00')",
            [OWNER],
        )
    found = rows(work, "memory_relationships")
    apply(merge_plan(work, pairs=1))
    [(merged,)] = rows(work, "memory_relationships")
    assert merged == str(found[0][0]).replace("id001", "id000")
    apply(history.undo_plan(history.steps()[0]))
    assert rows(work, "memory_relationships") == found


def test_what_is_written_is_what_was_foreseen(store: Store) -> None:
    odd = Relation(key(0), key(1), "a\0b", None, {"z": -0.0, "n": 1.0, "k": ["\0"], "x": float("nan")}, None)
    fitted, losses = store.fit_relation(odd)
    assert fitted is not None
    assert set(losses) == {
        "the absence of a link's strength (0.5 is written)",
        "the absence of a link's time (1970 is written)",
        "the type of 'k' (kept as JSON text)",
        "the type of 'x' (kept as JSON text)",
        "zero bytes or half characters (replaced)",
    }
    assert (fitted.type, fitted.strength, fitted.created) == ("a\ufffdb", 0.5, 0.0)
    store.write(Changes(relate=(fitted,)), Progress())
    assert hashes(store.relations()) == hashes([fitted])
    assert store.fit_relation(fitted) == (fitted, ())


@given(
    type=st.text(max_size=10),
    strength=st.floats(allow_nan=False),
    metadata=st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats() | st.text()),
    created=st.none() | st.floats(-6e10, 2.5e11),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_link_reads_back_as_it_was_fitted(
    store: Store, type: str, strength: float, metadata: dict[str, object], created: float | None
) -> None:
    fitted, _ = store.fit_relation(Relation(key(0), key(1), type, strength, metadata, created))
    assert fitted is not None
    store.write(Changes(relate=(fitted,)), Progress())
    assert hashes(store.relations()) == hashes([fitted])
    store.write(Changes(unrelate=(fitted,)), Progress())


@pytest.mark.parametrize("end", ["https://example.org", Key("elsewhere", "x")])
def test_links_to_other_things_have_no_place(store: Store, end: Key | str) -> None:
    assert store.fit_relation(Relation(key(0), end)) == (None, ("a link to something that is no memory here",))


def test_a_link_that_was_changed_meanwhile_takes_everything_back(store: Store, big: Address) -> None:
    relate(big, link(0, 1))
    [record] = store.fetch([key(5)])
    with psycopg.connect(big.location) as session:
        session.execute("UPDATE memory_relations SET strength = 0.9")
    changes = Changes((Put(replace(record, text="new"), Ref.of(record).hash),), unrelate=(link(0, 1),))
    with pytest.raises(StoreChanged, match="link"):
        store.write(changes, Progress())
    assert store.fetch([key(5)]) == [record]


def test_links_follow_merged_memories_and_their_rows_come_back(big: Address) -> None:
    relate(big, link(1, 8), link(9, 10, strength=0.3), link(8, 1, "because"))
    with psycopg.connect(big.location) as session:
        session.execute("ALTER TABLE memory_relations ADD note text")
        session.execute("UPDATE memory_relations SET note = id, metadata = '[1]' WHERE strength = 0.5")
    before, found = state_of(big), rows(big)
    apply(merge_plan(big))
    ends = {(each.source, each.target) for each in snapshot_of(big).relations}
    assert ends == {(key(0), key(8)), (key(9), key(10)), (key(8), key(0))}
    apply(history.undo_plan(history.steps()[0]))
    assert (state_of(big), rows(big)) == (before, found)


def test_dropped_memories_that_are_only_marked_keep_their_links(big: Address) -> None:
    relate(big, link(1, 8))
    found = rows(big)
    apply(Plan(source=str(big), target=str(big), steps=(Drop(Ref.of(snapshot_of(big).by_key[key(8)])),)))
    assert rows(big) == found


def test_a_row_that_is_removed_for_good_takes_its_links_along(big: Address) -> None:
    relate(big, link(1, 8), link(2, 3))
    apply(Plan(source=str(big), target=str(big), steps=(Drop(Ref.of(snapshot_of(big).by_key[key(8)])),)))
    before = state_of(big)
    apply(Plan(source=str(big), target=str(big), steps=(Drop(Ref.of(snapshot_of(big).by_key[key(8)])),)))
    assert snapshot_of(big).relations == (link(2, 3),)
    assert key(8) not in snapshot_of(big).by_key
    apply(history.undo_plan(history.steps()[0]))
    assert state_of(big) == before


def test_an_undo_removes_what_a_step_added_with_links_made_since(big: Address, jsonl_file: Path) -> None:
    before = state_of(big)
    source = snapshot_of(Address("jsonl", str(jsonl_file)))
    write = Write(Ref.of(source.records[0]), Key("memories", "new"))
    wanted = Relate(Relation(Key("memories", "new"), key(3), "from", 0.7, {}, 5.0))
    apply(Plan(source=source.address, target=str(big), steps=(write, wanted)))
    assert wanted.relation in snapshot_of(big).relations
    relate(big, Relation(key(4), Key("memories", "new"), "since", 0.5, {}, 6.0))
    apply(history.undo_plan(history.steps()[0]))
    assert state_of(big) == before


def test_what_cannot_come_back_is_told_and_the_rest_does(big: Address) -> None:
    graph = (link(1, 8), link(1, 9))
    relate(big, *graph)
    step = history.find(str(apply(Plan(source=str(big), target=str(big), steps=tuple(map(Unrelate, graph)))).step))
    with psycopg.connect(big.location) as session:
        session.execute("DELETE FROM memories WHERE id = 'id009'")
    report = apply(history.undo_plan(step))
    assert [(each.record, each.reason) for each in report.skipped] == [
        ("memories/id001 -> memories/id009", "memories/id009 is not there")
    ]
    assert snapshot_of(big).relations == graph[:1]
    assert history.state(step) is StepState.PARTLY


def test_modules_lose_the_links_of_what_is_removed(work: Address) -> None:
    one, other, third = (key(number, "work_memories") for number in (0, 1, 2))
    own, member = Relation(one, third, "part_of", 0.1, {}, 1.0), Relation(other, third, "part_of", 0.9, {}, 2.0)
    relate(work, own, member, Relation(third, other, "needs", 0.5, {}, 3.0), Relation(one, other, "same", 1.0, {}, 4.0))
    before = state_of(work)
    apply(merge_plan(work, pairs=1))
    assert set(map(str, snapshot_of(work).relations)) == {str(own), str(Relation(third, one, "needs", 0.5, {}, 3.0))}
    apply(history.undo_plan(history.steps()[0]))
    assert state_of(work) == before


REASONS = {
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER told AFTER INSERT ON memory_relations EXECUTE FUNCTION f()": "has triggers",
    "ALTER TABLE memory_relations ADD approved_by text NOT NULL": "wants a value for approved_by",
    "ALTER TABLE memory_relations DROP id; ALTER TABLE memory_relations ADD id date": "are of the type date",
    "ALTER TABLE memory_relations ALTER strength TYPE real": "strength of memory_relations is of the type real",
    "CREATE RULE r AS ON DELETE TO memory_relations DO INSTEAD NOTHING": "has rewrite rules",
}


@pytest.mark.parametrize("script", REASONS, ids=REASONS.values())
def test_links_that_we_might_write_wrongly_are_only_read(bigmemory_url: str, script: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute(script)
    with open_store(f"bigmemory:{bigmemory_url}") as store:
        assert store.capabilities.relations
        assert not store.capabilities.writes_relations
        assert any(REASONS[script] in problem for problem in store.problems())
        with pytest.raises(UnsupportedFormat, match=REASONS[script]):
            store.write(Changes(relate=(link(0, 1),)), Progress())


def test_a_database_without_the_table_has_no_links(bigmemory_url: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute("DROP TABLE memory_relations")
    with open_store(f"bigmemory:{bigmemory_url}") as store:
        assert (store.capabilities.relations, store.capabilities.writes_relations) == (False, False)
        assert list(store.relations()) == []


def test_ids_that_the_server_makes_are_left_to_it(server: Server) -> None:
    script = bigmemory(vectors=server.has_vectors).replace(
        "memory_relations (\n            id text PRIMARY KEY",
        "memory_relations (\n            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    )
    assert "IDENTITY" in script
    address = fill_store(Address("bigmemory", server.schema(script)), COUNT)
    relate(address, link(1, 8), link(2, 8))
    found = rows(address)
    apply(merge_plan(address))
    apply(history.undo_plan(history.steps()[0]))
    assert rows(address) == found
    assert [str(row[0])[1] for row in found] == ["1", "2"]


def test_foreign_ids_become_uuids_where_the_column_wants_them(server: Server) -> None:
    url = server.schema(bigmemory(vectors=server.has_vectors, id_type="uuid"))
    with open_store(f"bigmemory:{url}") as store:
        made = store.key_for("memories", BARE)
        assert made == store.key_for("memories", BARE)
        assert made != store.key_for("memories", BARE.with_key(Key("memories", "m2")))
        assert store.key_for("memories", BARE.with_key(Key("x", OWNER.upper()))) == Key("memories", OWNER)
        store.write(Changes(put=(Put(store.fit(BARE.with_key(made))[0], None),)), Progress())
        assert [record.key for record in store.fetch([made])] == [made]


def test_text_ids_stay(store: Store) -> None:
    assert store.key_for("memories", BARE.with_key(Key("other", "any id"))) == Key("memories", "any id")


def test_ids_that_are_numbers_take_no_others(server: Server) -> None:
    url = server.schema(bigmemory(vectors=server.has_vectors, id_type="bigint"))
    with open_store(f"bigmemory:{url}") as store:
        assert store.key_for("memories", BARE.with_key(Key("x", "17"))) == Key("memories", "17")
        with pytest.raises(UsageError, match="numbers"):
            store.key_for("memories", BARE)


@pytest.fixture
def several(bigmemory_url: str) -> str:
    with psycopg.connect(bigmemory_url) as session:
        session.execute("INSERT INTO users (id, token) VALUES ('second', 'y')")
    return bigmemory_url


def test_a_memory_of_a_stranger_is_refused_until_an_owner_is_named(several: str) -> None:
    with open_store(f"bigmemory:{several}") as store:
        for owner in (None, "nobody"):
            fitted, _ = store.fit(replace(BARE, owner=owner))
            assert fitted.owner == owner
            assert OWNER_VARIABLE in str(store.refusal(fitted))
        assert store.refusal(replace(BARE, owner=OWNER)) is None


@pytest.mark.parametrize("by", ["setting", "environment"])
def test_the_named_owner_gets_the_memories_of_strangers(several: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = StoreSettings(owner="second") if by == "setting" else None
    if by == "environment":
        monkeypatch.setenv(OWNER_VARIABLE, "second")
    with open_store(f"bigmemory:{several}", named) as store:
        fitted, losses = store.fit(replace(BARE, owner="nobody"))
        assert (fitted.owner, store.refusal(fitted)) == ("second", None)
        assert "an owner that is no user of the database (another is written)" in losses
        assert store.fit(replace(BARE, owner=OWNER))[0].owner == OWNER
        store.write(Changes(put=(Put(fitted, None),)), Progress())
        assert [record.owner for record in store.fetch([fitted.key])] == ["second"]


@pytest.mark.parametrize("command", ["migrate", "import"])
def test_the_command_line_names_the_owner(
    several: str, command: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    monkeypatch.setenv(OWNER_VARIABLE, "misspelt")
    file = tmp_path / "one.jsonl"
    file.write_text('{"id": "m1", "text": "Whose?", "created": 1.0, "collection": "memories"}\n', encoding="utf-8")
    named = ["--collection", "memories"] if command == "import" else []
    target = f"bigmemory:{several}"
    refused = cli(command, file, target, *named, "--no-model") if command == "migrate" else None
    assert refused is None or (refused.code == 1 and "--owner ID" in refused.out)
    assert cli(command, file, target, *named, "--owner", "second").code == 0
    assert [record.owner for record in snapshot_of(parse(target))] == ["second"]


def test_a_name_that_is_no_user_helps_nobody(several: str) -> None:
    with open_store(f"bigmemory:{several}", StoreSettings(owner="misspelt")) as store:
        assert store.refusal(store.fit(BARE)[0])


def test_a_link_needs_an_owner_too(work: Address) -> None:
    with psycopg.connect(work.location) as session:
        session.execute("INSERT INTO users VALUES ('second', 'y')")
        session.execute("UPDATE work_memories SET \"userId\" = 'stranger'")
    made = Relation(key(0, "work_memories"), key(1, "work_memories"), "x", 0.5, {}, 1.0)
    with open_store(work) as store, pytest.raises(WriterFailed, match="needs an owner"):
        store.write(Changes(relate=(made,)), Progress())
    with open_store(work, StoreSettings(owner="second")) as store:
        store.write(Changes(relate=(made,)), Progress())
    with psycopg.connect(work.location) as session:
        assert session.execute('SELECT "userId" FROM memory_relationships').fetchall() == [("second",)]


@given(data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undo_is_the_identity_on_records_and_links(big: Address, data: st.DataObject) -> None:
    ends = st.integers(0, COUNT - 1)
    unique = lambda each: (each.source, each.target, each.type)  # noqa: E731
    drawn = st.lists(st.builds(link, ends, ends, st.sampled_from("ab")), max_size=12, unique_by=unique)
    with psycopg.connect(big.location) as session:
        session.execute("TRUNCATE memory_relations")
    relate(big, *data.draw(drawn))
    before, found = state_of(big), rows(big)
    report = apply(merge_plan(big, data.draw(st.integers(1, 3))))
    apply(history.undo_plan(history.find(str(report.step))))
    assert state_of(big) == before
    assert len(rows(big)) == len(found)


def test_the_links_of_a_real_database_follow_and_come_back(server: Server, shared: Path) -> None:
    script = (shared / "fixtures" / "bigmemory.sql").read_text(encoding="utf-8")
    if not server.has_vectors:
        script = script.replace("CREATE EXTENSION IF NOT EXISTS vector;", "").replace("vector(1536)", "text")
    address = Address("bigmemory", server.database(script))
    if not server.has_vectors:
        with psycopg.connect(address.location) as session:
            session.execute("ALTER TABLE memories DROP COLUMN embedding")
    before = state_of(address)
    found = rows(address)
    linked = sorted({each.source for each in snapshot_of(address).relations if isinstance(each.source, Key)})
    report = apply(_merging(address, linked[:20]), ApplyOptions(confirm_shrink=True))
    assert report.merged == 10
    gone = set(linked[1:20:2])
    assert not any({each.source, each.target} & gone for each in snapshot_of(address).relations)
    apply(history.undo_plan(history.find(str(report.step))))
    assert state_of(address) == before
    assert len(rows(address)) == len(found)


def _merging(address: Address, keys: list[Key]) -> Plan:
    records = snapshot_of(address).by_key
    steps = []
    for one, other in zip(keys[::2], keys[1::2], strict=True):
        record = records[one]
        said = Result(f"{record.text} merged", record.tags, record.created, 1.8e9, None, record.metadata)
        steps.append(Merge(Ref.of(record), (Ref.of(records[other]),), said))
    return Plan(source=str(address), target=str(address), steps=tuple(steps))
