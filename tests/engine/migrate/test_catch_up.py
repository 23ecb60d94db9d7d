"""What happened at the source since the last migration comes after; nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.base.errors import NotAStore, StoreDamaged, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import MigrateOptions, MigrationReport, Outcome
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, State
from memdefrag.stores.registry import open_store
from tests.engine.migrate.kinds import FILES, NAME, NO_MODEL, make
from tests.engine.stores import snapshot_of
from tests.stores.hdev.server import serving

CATCH_UP = MigrateOptions(catch_up=True)
MIRROR = MigrateOptions(catch_up=True, mirror=True)
TARGETS = ("jsonl", "memory-export", "hdev", "memory-service")


@pytest.fixture
def source(tmp_path: Path) -> Address:
    return make(Address("jsonl", str(tmp_path / "source.jsonl")), [memory(id) for id in "abc"])


@pytest.fixture(params=TARGETS)
def target(tmp_path: Path, source: Address, request: pytest.FixtureRequest) -> Address:
    """A store of each kind that the source was migrated to."""
    (tmp_path / "there").mkdir()
    address = Address(request.param, str(tmp_path / "there" / FILES[request.param]))
    assert migrate(source, address, None, NO_MODEL).copied == 3
    return address


def memory(id: str, text: str | None = None) -> MemoryRecord:
    return MemoryRecord(Key(NAME, id), text or f"Memory {id}", {"n": 1}, created=1.7e9)


def change(address: Address, put: Iterable[MemoryRecord] = (), delete: Iterable[str] = ()) -> None:
    """What another program does, by the text of what it removes."""
    with open_store(address) as store:
        present = {record.key: record for info in store.collections() for batch in store.scan(info.name)
                   for record in batch}  # fmt: skip
        puts = [Put(record, record_hash(present[record.key]) if record.key in present else None) for record in put]
        gone = [Ref.of(record) for record in present.values() if record.text in delete]
        store.write(Changes(put=tuple(puts), delete=tuple(gone)), Progress())


def texts(address: Address) -> set[str | None]:
    return {record.text for record in snapshot_of(address)}


def outcomes(report: MigrationReport) -> dict[str, Outcome]:
    return {entry.source.id: entry.outcome for entry in report.entries}


def test_only_what_was_added_or_changed_is_copied(source: Address, target: Address) -> None:
    change(source, [memory("b", "B has changed"), memory("d")])
    report = migrate(source, target, CATCH_UP, NO_MODEL)
    assert outcomes(report) == {
        "a": Outcome.SAME, "b": Outcome.COPY, "c": Outcome.SAME, "d": Outcome.COPY,
    }  # fmt: skip
    assert report.checked and report.checked.differences == ()
    assert texts(target) >= {"Memory a", "B has changed", "Memory c", "Memory d"}


def test_doing_it_again_copies_nothing(source: Address, target: Address) -> None:
    change(source, [memory("d")])
    migrate(source, target, CATCH_UP, NO_MODEL)
    again = migrate(source, target, CATCH_UP, NO_MODEL)
    assert (again.copied, again.step, again.gone) == (0, None, ())


def test_no_collection_is_made_for_what_is_elsewhere_already(source: Address, tmp_path: Path) -> None:
    address = Address("jsonl", str(tmp_path / "elsewhere.jsonl"))
    migrate(source, address, MigrateOptions(target_collection="other"), NO_MODEL)
    before = address.path.read_bytes()
    report = migrate(source, address, CATCH_UP, NO_MODEL)
    assert (report.copied, report.step) == (0, None)
    assert address.path.read_bytes() == before


def test_what_disappeared_is_told_and_stays(source: Address, target: Address) -> None:
    change(source, delete=["Memory b"])
    report = migrate(source, target, CATCH_UP, NO_MODEL)
    assert (report.gone, report.removed) == ((Key(NAME, "b"),), 0)
    assert "Memory b" in texts(target)
    assert migrate(source, target, CATCH_UP, NO_MODEL).gone == report.gone


def test_a_mirror_removes_what_disappeared(source: Address, target: Address) -> None:
    change(source, delete=["Memory b"])
    told = migrate(source, target, replace(MIRROR, dry_run=True), NO_MODEL)
    assert "Memory b" in texts(target)
    report = migrate(source, target, MIRROR, NO_MODEL)
    assert told.gone == report.gone == (Key(NAME, "b"),)
    assert told.removed == report.removed == 1
    live = {record.text for record in snapshot_of(target) if record.state == "live"}
    assert "Memory b" not in live and {"Memory a", "Memory c"} <= live
    assert migrate(source, target, MIRROR, NO_MODEL).gone == ()


def test_a_mirror_leaves_what_was_changed_or_added_in_the_target(source: Address, target: Address) -> None:
    [mine] = [record for record in snapshot_of(target) if record.text == "Memory b"]
    with open_store(target) as store:
        theirs = store.fit(replace(mine, metadata={**mine.metadata, "seen": "x"}))[0]
        own = store.fit(replace(mine, key=store.key_for(mine.key.collection, memory("own")), text="Memory own"))[0]
    change(target, [theirs, own])
    change(source, delete=["Memory b"])
    report = migrate(source, target, MIRROR, NO_MODEL)
    assert (report.gone, report.removed) == ((Key(NAME, "b"),), 0)
    after = snapshot_of(target).by_key
    assert after[theirs.key].metadata["seen"] == "x"
    assert after[own.key].text == "Memory own"


def test_what_changed_at_both_ends_is_a_conflict(source: Address, target: Address) -> None:
    [mine] = [record for record in snapshot_of(target) if record.text == "Memory b"]
    with open_store(target) as store:
        change(target, [store.fit(replace(mine, metadata={**mine.metadata, "seen": "x"}))[0]])
    change(source, [replace(memory("b"), metadata={"n": 2})])
    report = migrate(source, target, CATCH_UP, NO_MODEL)
    assert outcomes(report)["b"] is Outcome.CONFLICT
    assert snapshot_of(target).by_key[mine.key].metadata["seen"] == "x"


@pytest.mark.parametrize("target", ["jsonl", "memory-export", "hdev"], indirect=True)
def test_what_was_removed_from_the_target_does_not_come_back_by_itself(source: Address, target: Address) -> None:
    change(target, delete=["Memory b"])
    report = migrate(source, target, CATCH_UP, NO_MODEL)
    assert (report.copied, "Memory b" in texts(target)) == (0, False)
    [warning] = report.warnings
    assert warning.startswith("1 memory was removed from the target")
    migrate(source, target, None, NO_MODEL)
    assert "Memory b" in texts(target)


def test_a_server_is_caught_up_with(tmp_path: Path, source: Address) -> None:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as server:
        target = parse(server.address)
        migrate(source, target, None, NO_MODEL)
        change(source, [memory("a", "Changed")], ["Memory b"])
        report = migrate(source, target, MIRROR, NO_MODEL)
        assert (report.copied, report.removed) == (1, 1)
        assert texts(target) >= {"Changed", "Memory c"}
        assert "Memory b" not in texts(target)


def test_without_a_migration_there_is_nothing_to_catch_up_with(source: Address, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to catch up with"):
        migrate(source, Address("jsonl", str(tmp_path / "new.jsonl")), CATCH_UP, NO_MODEL)


@pytest.mark.parametrize("target", ["jsonl"], indirect=True)
def test_a_target_that_is_gone_is_not_caught_up_with(source: Address, target: Address) -> None:
    target.path.unlink()
    with pytest.raises(NotAStore, match="any more"):
        migrate(source, target, CATCH_UP, NO_MODEL)
    assert not target.path.exists()
    assert migrate(source, target, None, NO_MODEL).copied == 3


@pytest.mark.parametrize("target", ["jsonl"], indirect=True)
def test_damaged_notes_stop_only_what_needs_them(source: Address, target: Address) -> None:
    [notes] = (data_dir() / "migrations").glob("*.jsonl")
    notes.write_bytes(notes.read_bytes()[:-50])
    with pytest.raises(StoreDamaged, match="notes of the last migration"):
        migrate(source, target, CATCH_UP, NO_MODEL)
    assert migrate(source, target, None, NO_MODEL).count(Outcome.SAME) == 3
    change(source, [memory("d")])
    assert migrate(source, target, CATCH_UP, NO_MODEL).copied == 1


@pytest.mark.parametrize("kind", ["jsonl", "hdev", "memory-export"])
def test_a_mirror_keeps_what_the_target_had_before(source: Address, tmp_path: Path, kind: str) -> None:
    (tmp_path / "there").mkdir()
    target = Address(kind, str(tmp_path / "there" / FILES[kind]))
    first = make(Address("jsonl", str(tmp_path / "first.jsonl")), [memory("b")])
    migrate(first, target, None, NO_MODEL)
    assert migrate(source, target, None, NO_MODEL).count(Outcome.SAME) == 1
    change(source, delete=["Memory b", "Memory c"])
    report = migrate(source, target, MIRROR, NO_MODEL)
    assert (len(report.gone), report.removed) == (2, 1)
    assert texts(target) == {"Memory a", "Memory b"}


def test_a_mirror_keeps_what_another_memory_of_the_source_is_there_too(tmp_path: Path) -> None:
    twice = [replace(memory("a"), key=Key(collection, "a")) for collection in ("one", "two")]
    source = make(Address("jsonl", str(tmp_path / "twice.jsonl")), [*twice, memory("b")])
    target = Address("jsonl", str(tmp_path / "target.jsonl"))
    migrate(source, target, MigrateOptions(target_collection="all"), NO_MODEL)
    with open_store(source) as store:
        store.write(Changes(delete=(Ref.of(twice[0]),)), Progress())
    report = migrate(source, target, replace(MIRROR, target_collection="all"), NO_MODEL)
    assert (report.gone, report.removed) == ((twice[0].key,), 0)
    assert texts(target) == {"Memory a", "Memory b"}


def test_a_mirror_keeps_what_the_source_cannot_read_any_more(source: Address, tmp_path: Path) -> None:
    folder, target = tmp_path / "entries", Address("jsonl", str(tmp_path / "target.jsonl"))
    folder.mkdir()
    entries = Address("hdev", str(folder))
    migrate(source, entries, None, NO_MODEL)
    migrate(entries, target, None, NO_MODEL)
    (folder / "b.metadata.json").write_text("{broken")
    report = migrate(entries, target, MIRROR, NO_MODEL)
    assert (report.failed, report.gone, report.removed) == (1, (), 0)
    assert "Memory b" in texts(target)


def test_a_mirror_keeps_the_words_of_what_got_another_name(source: Address, tmp_path: Path) -> None:
    target = Address("jsonl", str(tmp_path / "target.jsonl"))
    migrate(source, target, None, NO_MODEL)
    change(source, [memory("renamed", "Memory b")], ["Memory b"])
    report = migrate(source, target, replace(MIRROR, skip_duplicates=True), NO_MODEL)
    assert (report.copied, report.removed) == (1, 1)
    assert texts(target) == {"Memory a", "Memory b", "Memory c"}


@pytest.mark.parametrize("target", ["hdev", "memory-export"], indirect=True)
def test_what_the_source_marks_as_deleted_has_disappeared(source: Address, target: Address) -> None:
    change(source, [replace(memory("b"), state=State.DELETED)])
    told = migrate(source, target, CATCH_UP, NO_MODEL)
    assert (told.gone, told.removed, "Memory b" in texts(target)) == ((Key(NAME, "b"),), 0, True)
    report = migrate(source, target, MIRROR, NO_MODEL)
    assert (report.gone, report.removed) == (told.gone, 1)
    assert "Memory b" not in texts(target)


@pytest.mark.parametrize("target", ["jsonl", "hdev"], indirect=True)
def test_what_was_merged_in_the_target_is_never_written_over_by_catching_up(source: Address, target: Address) -> None:
    [mine] = [record for record in snapshot_of(target) if record.text == "Memory b"]
    change(target, [replace(mine, text="Memory b, merged")])
    told = migrate(source, target, CATCH_UP, NO_MODEL)
    assert "was changed since" in next(entry.reason for entry in told.entries if entry.source.id == "b")
    change(source, [memory("b", "Memory b, edited")])
    assert outcomes(migrate(source, target, CATCH_UP, NO_MODEL))["b"] is Outcome.CONFLICT
    change(source, delete=["Memory b, edited"])
    assert migrate(source, target, MIRROR, NO_MODEL).removed == 0
    assert "Memory b, merged" in texts(target)
