"""Migrations as people ask for them: collections, choices, and what goes wrong on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import CollectionNotFound, NotAStore, StoreInUse, UsageError
from memdefrag.base.progress import Progress, Tick
from memdefrag.base.settings import TIMEOUT_VARIABLE, server_timeout
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.migrate.run import Means, migrate
from memdefrag.engine.writers import WriterOptions
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash, record_hash
from memdefrag.model.migration import Conflict, Depth, MetadataMap, MigrateOptions, Outcome, Pace, Selection
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.conftest import DIMENSION
from tests.engine.busy import busy
from tests.engine.migrate.kinds import NAME, NO_MODEL, links, make, odd
from tests.engine.stores import snapshot_of
from tests.stores.chroma.folders import OLD_PYTHON, made, made_by_old_chroma
from tests.stores.hdev.server import serving
from tests.stores.memory_service.shapes import v7


def memory(id: str, text: str, collection: str = NAME, dimension: int = DIMENSION, **more: Any) -> MemoryRecord:
    vector = np.random.default_rng(len(text)).standard_normal(dimension).astype(np.float32)
    return MemoryRecord(Key(collection, id), text, embedding=vector, **more)


def source_of(folder: Path, *records: MemoryRecord, name: str = "source") -> Address:
    return make(Address("jsonl", str(folder / f"{name}.jsonl")), list(records))


def texts(address: Address) -> dict[str, str | None]:
    return {str(record.key): record.text for record in snapshot_of(address)}


@pytest.fixture
def target(tmp_path: Path) -> Address:
    return Address("jsonl", str(tmp_path / "target.jsonl"))


def test_all_collections_of_a_chroma_folder_go_at_once_and_come_back(tmp_path: Path) -> None:
    source = Address("chroma", str(made().copy(tmp_path / "source")))
    between, back = Address("jsonl", str(tmp_path / "between.jsonl")), Address("chroma", str(tmp_path / "back"))
    first, second = migrate(source, between), migrate(between, back)
    before, after = snapshot_of(source), snapshot_of(back)
    assert first.copied == second.copied == len(before.records)
    assert content_hash(after.records) == content_hash(before.records)
    told = {(info.name, info.count, info.dimension, info.metric) for info in before.collections if info.count}
    assert len(told) > 2
    assert {(info.name, info.count, info.dimension, info.metric) for info in after.collections if info.count} == told


def test_all_can_go_into_one_collection_and_one_of_a_name_stays(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A"), memory("b", "B"), memory("a", "Another A", "other"))
    report = migrate(source, target, MigrateOptions(target_collection="one"))
    assert (report.copied, report.conflicts) == (2, 1)
    assert texts(target) == {"one/a": "A", "one/b": "B"}


def test_the_same_with_both_kept(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A"), memory("a", "Another A", "other"))
    migrate(source, target, MigrateOptions(Conflict.KEEP_BOTH, target_collection="one"))
    assert texts(target) == {"one/a": "A", "one/a-2": "Another A"}


def test_of_two_that_want_one_name_the_last_one_overwrites(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A"), memory("a", "Another A", "other"))
    report = migrate(source, target, MigrateOptions(Conflict.OVERWRITE, target_collection="one"))
    assert (report.copied, report.conflicts) == (1, 1)
    assert texts(target) == {"one/a": "Another A"}


def test_collections_can_get_other_names(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A"), memory("b", "B", "other"))
    migrate(source, target, MigrateOptions(rename={"other": "notes"}))
    assert texts(target) == {f"{NAME}/a": "A", "notes/b": "B"}
    with pytest.raises(CollectionNotFound, match="no collection 'nothing' to rename"):
        migrate(source, target, MigrateOptions(rename={"nothing": "x"}))


def test_links_follow_their_memories_into_other_collections(tmp_path: Path, target: Address) -> None:
    source = make(Address("jsonl", str(tmp_path / "source.jsonl")), odd(), links())
    report = migrate(source, target, MigrateOptions(target_collection="notes"), NO_MODEL)
    assert (report.relations, report.relations_lost) == (2, 0)
    assert {(str(each.source), str(each.target)) for each in snapshot_of(target).relations} == {
        ("notes/plain", "notes/unicode"), ("notes/unicode", "notes/types"),
    }  # fmt: skip


def test_a_link_to_what_is_left_out_is_counted(tmp_path: Path, target: Address) -> None:
    source = make(Address("jsonl", str(tmp_path / "source.jsonl")), odd(), links())
    report = migrate(source, target, MigrateOptions(selection=Selection(prefix="u")), NO_MODEL)
    assert (report.relations, report.relations_lost) == (0, 2)


def test_several_sources_meet_in_one_target(tmp_path: Path, target: Address) -> None:
    one = source_of(tmp_path, memory("a", "A"), memory("b", "B"), name="one")
    other = source_of(tmp_path, memory("b", "Another B"), memory("c", "C"), memory("a", "A"), name="other")
    migrate(one, target)
    report = migrate(other, target)
    assert {entry.source.id: entry.outcome for entry in report.entries} == {
        "a": Outcome.SAME, "b": Outcome.CONFLICT, "c": Outcome.COPY,
    }  # fmt: skip
    assert texts(target) == {f"{NAME}/a": "A", f"{NAME}/b": "B", f"{NAME}/c": "C"}


def test_what_surely_says_the_same_can_be_left_out(tmp_path: Path, target: Address) -> None:
    text = "The staging server listens on port 8080."
    source = source_of(tmp_path, memory("a", text), memory("b", text), memory("c", "Prefer tabs over spaces."))
    report = migrate(source, target, MigrateOptions(skip_duplicates=True), NO_MODEL)
    assert {entry.source.id: entry.outcome for entry in report.entries} == {
        "a": Outcome.COPY, "b": Outcome.DUPLICATE, "c": Outcome.COPY,
    }  # fmt: skip
    again = source_of(tmp_path, memory("z", text), name="again")
    report = migrate(again, target, MigrateOptions(skip_duplicates=True), NO_MODEL)
    assert (report.copied, report.entries[0].reason) == (0, f"says the same as {NAME}/a of the target")


def test_metadata_are_changed_on_the_way(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A", metadata={"old": 1, "gone": 2}))
    map = MetadataMap(frozenset({"gone"}), {"old": "new"}, {"from": "here"})
    migrate(source, target, MigrateOptions(metadata=map))
    assert snapshot_of(target).records[0].metadata == {"new": 1, "from": "here"}


def test_all_conditions_must_hold(tmp_path: Path, target: Address) -> None:
    fits = {"metadata": {"k": 1}, "tags": ("t", "u"), "created": 1.7e9}
    wrong = {"prefix": {}, "where": {"metadata": {"k": 2}}, "tag": {"tags": ("u",)}, "since": {"created": 1.6e9}}
    records = [memory("x-right", "Right", **fits)]
    records += [
        memory(f"{'y' if why == 'prefix' else 'x'}-{why}", why, **{**fits, **how}) for why, how in wrong.items()
    ]
    chosen = Selection("x-", {"k": "1"}, frozenset({"t"}), 1.65e9)
    migrate(source_of(tmp_path, *records), target, MigrateOptions(selection=chosen))
    assert texts(target) == {f"{NAME}/x-right": "Right"}


def test_vectors_of_two_lengths_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    target = Address("memory-export", str(tmp_path / "target.db"))
    source = source_of(tmp_path, memory("a", "A"), memory("b", "B"), memory("c", "C", dimension=4))
    with pytest.raises(UsageError, match="2 vectors of 8 dimensions") as told:
        migrate(source, target)
    assert told.value.safe == "Nothing was written."
    assert not target.path.exists()


def test_all_vectors_can_be_made_anew(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "Tea at five."), memory("b", "Tea at six.", dimension=4))
    report = migrate(source, target, MigrateOptions(re_embed="all-MiniLM-L6-v2"))
    assert (report.copied, report.checked and report.checked.vectors) == (2, 2)
    assert {len(record.embedding) for record in snapshot_of(target) if record.embedding is not None} == {384}


def hooked(phase: str, work: Callable[[], object]) -> Progress:
    """Somebody else does something as soon as that phase begins."""
    done: list[object] = []

    def look(tick: Tick) -> None:
        if tick.phase.startswith(phase) and not done:
            done.append(tick)
            work()

    return Progress(look)


def rewritten(address: Address, id: str, text: str) -> None:
    """What another program does."""
    with open_store(address) as store:
        [info] = store.collections()
        [record] = store.fetch([Key(info.name, id)])
        changed = store.fit(replace(record, text=text))[0]
        store.write(Changes(put=(Put(changed, record_hash(record)),)), Progress())


FAILING = MigrateOptions(verify=Depth.FULL, rollback_on_failure=True)


@pytest.mark.parametrize("kind", ["jsonl", "hdev", "hdev+http"])
def test_where_the_comparison_fails_all_is_taken_back(tmp_path: Path, kind: str) -> None:
    place = make_target(tmp_path, "jsonl" if kind == "jsonl" else "hdev")
    source = source_of(tmp_path, memory("a", "A"), memory("b", "B"))
    with serving(place.path if kind == "hdev+http" else tmp_path) as server:
        target = Address(kind, server.url) if kind == "hdev+http" else place
        before = texts(target)
        spoilt = hooked("Comparing with the source", lambda: rewritten(target, "b", "Spoilt"))
        report = migrate(source, target, FAILING, NO_MODEL, spoilt)
        assert report.rolled_back and report.checked
        assert report.checked.differences == (f"{snapshot_of(target).collections[0].name}/b reads back differently.",)
        name = snapshot_of(target).collections[0].name
        assert texts(target) == {**before, f"{name}/b": "Spoilt"}


def make_target(folder: Path, kind: str) -> Address:
    """A store with one memory."""
    address = Address(kind, str(folder / f"target{'.jsonl' if kind == 'jsonl' else ''}"))
    with open_store(address, must_exist=False) as store:
        record = replace(
            memory("old", "Old"), key=store.key_for("global" if kind == "hdev" else NAME, memory("old", ""))
        )
        name = getattr(store, "collection_name", NAME)
        put = Put(store.fit(record.with_key(Key(name, "old")))[0], None)
        store.write(Changes(put=(put,), collections=(CollectionInfo(name, 0, 0, 0),)), Progress())
    return address


def test_a_new_store_is_emptied_again(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path, memory("a", "A"), memory("b", "B"))
    spoilt = hooked("Comparing with the source", lambda: rewritten(target, "b", "Spoilt"))
    report = migrate(source, target, FAILING, NO_MODEL, spoilt)
    assert report.rolled_back
    assert texts(target) == {f"{NAME}/b": "Spoilt"}


def test_what_somebody_writes_into_the_target_meanwhile_stays(tmp_path: Path) -> None:
    target = make_target(tmp_path, "jsonl")
    source = source_of(tmp_path, memory("a", "A"))
    report = migrate(source, target, None, NO_MODEL, hooked("Verifying", lambda: rewritten(target, "old", "Theirs")))
    assert report.copied == 1
    assert texts(target) == {f"{NAME}/old": "Theirs", f"{NAME}/a": "A"}


def test_what_was_not_written_is_told_from_what_reads_alike(tmp_path: Path, target: Address) -> None:
    taken, free = memory("c", "C", "a/b"), memory("b/c", "Another", "a")
    assert str(taken.key) == str(free.key)
    make(target, [memory("old", "Old")])
    theirs = hooked("Comparing", lambda: make(target, [replace(taken, text="Theirs")]))
    report = migrate(source_of(tmp_path, taken, free), target, None, NO_MODEL, theirs)
    assert {entry.source: entry.outcome for entry in report.entries} == {
        taken.key: Outcome.FAIL, free.key: Outcome.COPY,
    }  # fmt: skip
    assert report.checked and (report.checked.records, report.checked.differences) == (1, ())


def test_a_source_that_is_written_to_is_read_at_one_moment(export_file: Path, target: Address) -> None:
    with busy("wal", export_file):
        report = migrate(Address("memory-export", str(export_file)), target, None, NO_MODEL)
    assert report.copied == len(snapshot_of(target)) > 20
    assert report.checked and report.checked.differences == ()


def test_a_target_that_is_in_use_is_refused(tmp_path: Path, export_file: Path) -> None:
    before = export_file.read_bytes()
    with busy("idle", export_file), pytest.raises(StoreInUse):
        migrate(source_of(tmp_path, memory("a", "A")), Address("memory-export", str(export_file)), None, NO_MODEL)
    assert export_file.read_bytes() == before


def test_a_migration_is_one_step_that_undo_takes_back(tmp_path: Path) -> None:
    target = make_target(tmp_path, "jsonl")
    before = texts(target)
    report = migrate(source_of(tmp_path, memory("a", "A"), memory("b", "B")), target)
    apply(history.undo_plan(history.find(str(report.step))), ApplyOptions(confirm_shrink=True))
    assert texts(target) == before


def test_a_source_that_is_not_there_is_never_an_empty_one(tmp_path: Path, target: Address) -> None:
    with pytest.raises(NotAStore):
        migrate(Address("jsonl", str(tmp_path / "absent.jsonl")), target)
    assert not target.path.exists()


def test_an_old_database_of_the_service_goes_into_chroma(tmp_path: Path) -> None:
    source = Address("memory-service", str(v7(tmp_path / "old.db")))
    migrate(
        source_of(tmp_path, memory("a", "A", dimension=4, tags=("t",)), memory("b", "B", dimension=4, created=1.7e9)),
        source,
        None,
        NO_MODEL,
    )
    target = Address("chroma", str(tmp_path / "chroma"))
    report = migrate(source, target, MigrateOptions(target_collection="memory_collection"), NO_MODEL)
    assert (report.copied, report.losses, report.warnings) == (2, {}, ())
    found = {record.text: (record.tags, record.created) for record in snapshot_of(target)}
    assert found == {"A": (("t",), None), "B": ((), 1.7e9)}


@pytest.mark.old_chroma
def test_the_result_can_go_to_a_new_folder_beside_an_older_target(tmp_path: Path) -> None:
    old = Address("chroma", str(made_by_old_chroma().copy(tmp_path / "old")))
    before, source = texts(old), source_of(tmp_path, memory("new", "New", "small"))
    means = replace(NO_MODEL, writer=WriterOptions(output=tmp_path / "out"))
    report = migrate(source, old, None, means)
    assert report.target == f"chroma:{tmp_path / 'out'}"
    assert report.checked and report.checked.differences == ()
    assert texts(old) == before
    assert texts(Address("chroma", str(tmp_path / "out"))) == {**before, "small/new": "New"}


@pytest.mark.old_chroma
def test_memories_of_the_chroma_years_come_back_into_a_folder_of_their_own_chromadb(tmp_path: Path) -> None:
    old = Address("chroma", str(made_by_old_chroma().copy(tmp_path / "old")), "small")
    between = Address("memory-service", str(tmp_path / "sqlite_vec.db"))
    back = Address("chroma", str(tmp_path / "back"))
    there = migrate(old, between, MigrateOptions(target_collection="default"), NO_MODEL)
    means = replace(NO_MODEL, writer=WriterOptions(python=OLD_PYTHON))
    again = migrate(between, back, MigrateOptions(target_collection="small"), means)
    assert (there.failed, again.failed) == (0, 0)
    assert {entry.losses for entry in again.entries} == {()}
    with open_store(old) as one, open_store(back) as other:
        assert other.format == one.format
    wanted = {record.key.id: record.metadata for record in snapshot_of(old)}
    found = {record.key.id: record.metadata for record in snapshot_of(back)}
    assert found.keys() == wanted.keys()
    assert all(wanted[id].items() <= found[id].items() for id in wanted)


def test_what_is_overwritten_says_nothing_twice(tmp_path: Path, target: Address) -> None:
    words = "The deploy script lives in tools/deploy.sh and wants to be run by root."
    make(target, [memory("a", words)])
    source = source_of(tmp_path, memory("a", "Cats sleep for most of the day."), memory("b", words))
    migrate(source, target, MigrateOptions(Conflict.OVERWRITE, skip_duplicates=True), NO_MODEL)
    assert texts(target) == {f"{NAME}/a": "Cats sleep for most of the day.", f"{NAME}/b": words}


@pytest.mark.parametrize("is_new", [True, False])
def test_many_memories_are_taken_back_without_asking(tmp_path: Path, target: Address, is_new: bool) -> None:
    if not is_new:
        make(target, [memory("old", "Old")])
    source = source_of(tmp_path, *(memory(str(number), f"Memory {number}") for number in range(9)))
    spoilt = hooked("Comparing with the source", lambda: rewritten(target, "5", "Spoilt"))
    report = migrate(source, target, FAILING, Means(NO_MODEL.writer, NO_MODEL.model), spoilt)
    assert report.rolled_back
    assert texts(target) == {f"{NAME}/5": "Spoilt", **({} if is_new else {f"{NAME}/old": "Old"})}


@pytest.mark.parametrize("before", [None, "3"])
def test_servers_have_the_time_that_the_pace_gives_them(
    before: str | None, tmp_path: Path, target: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TIMEOUT_VARIABLE, raising=False)
    if before:
        monkeypatch.setenv(TIMEOUT_VARIABLE, before)
    given: set[float | None] = set()
    options = MigrateOptions(pace=Pace(timeout=7.0))
    migrate(source_of(tmp_path, memory("a", "A")), target, options, progress=Progress(
        lambda _: given.add(server_timeout())
    ))  # fmt: skip
    assert given == {7.0} and os.environ.get(TIMEOUT_VARIABLE) == before
