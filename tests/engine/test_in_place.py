"""Writing into a live store: whole steps or none, read back, and taken back after any failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import StoreChanged, VerificationFailed, WriteError
from memdefrag.base.progress import Progress
from memdefrag.engine import images, in_place, pace
from memdefrag.engine.resolve import Resolution, resolve
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Pace
from memdefrag.model.plan import Changes, Put, expected, touched
from memdefrag.model.records import Key, Snapshot
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.jsonl import JsonLines
from tests.engine.stores import make_store, merge_plan, snapshot_of


class LiveLines(JsonLines):
    """A file of JSON lines that is written live, and may fail or lie at the n-th write."""

    fail_at = 0
    says_done = False
    applies = False

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        self.writes = 0

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, commit=Commit.IN_PLACE)

    def write(self, changes: Changes, progress: Progress) -> None:
        self.writes += 1
        failing = self.writes == self.fail_at
        if not failing or self.applies:
            super().write(changes, progress)
        if failing and not self.says_done:
            raise WriteError("The server went away.")


@pytest.fixture
def store(tmp_path: Path) -> LiveLines:
    return LiveLines(make_store("jsonl", tmp_path), StoreSettings())


def planned(store: LiveLines, pairs: int = 3) -> tuple[Snapshot, Resolution]:
    before = read_snapshot(store)
    return before, resolve(merge_plan(store.address, pairs), store, before, before, None)


def saved(folder: Path, before: Snapshot, changes: Changes) -> images.Images:
    folder.mkdir()
    images.save(folder, touched(changes), before.by_key, expected(before, changes))
    return images.load(folder)


def test_all_is_written(store: LiveLines) -> None:
    before, wanted = planned(store)
    done, skipped = in_place.write(store, wanted.changes, wanted.units, Progress())
    assert (done.put, done.delete, skipped) == (wanted.changes.put, wanted.changes.delete, ())
    assert snapshot_of(store.address).by_key == expected(before, wanted.changes)


def test_the_survivor_stands_before_the_others_disappear(store: LiveLines) -> None:
    before, wanted = planned(store)
    store.fail_at = 2
    with pytest.raises(WriteError):
        in_place.write(store, wanted.changes, wanted.units, Progress())
    present = snapshot_of(store.address).by_key
    assert present.keys() == before.by_key.keys()
    assert all(present[put.record.key] == put.record for put in wanted.changes.put)


def test_a_step_whose_record_was_changed_is_left_out_whole(store: LiveLines) -> None:
    before, wanted = planned(store)
    member = before.by_key[wanted.changes.delete[1].key]
    JsonLines.write(
        store, Changes(put=(Put(replace(member, text="edited"), wanted.changes.delete[1].hash),)), Progress()
    )
    done, [skipped] = in_place.write(store, wanted.changes, wanted.units, Progress())
    assert str(member.key) in skipped.reason
    assert (len(done.put), len(done.delete)) == (2, 2)
    present = snapshot_of(store.address).by_key
    assert present[member.key].text == "edited"
    assert present[wanted.changes.put[1].record.key] == before.by_key[wanted.changes.put[1].record.key]


@pytest.mark.case(40)
def test_a_failure_after_the_write_is_told_by_reading_back(store: LiveLines) -> None:
    before, wanted = planned(store)
    store.fail_at, store.applies = 1, True
    in_place.write(store, wanted.changes, wanted.units, Progress())
    assert snapshot_of(store.address).by_key == expected(before, wanted.changes)


def test_a_success_that_wrote_nothing_is_not_believed(store: LiveLines) -> None:
    _, wanted = planned(store)
    store.fail_at, store.says_done = 1, True
    with pytest.raises(VerificationFailed):
        in_place.write(store, wanted.changes, wanted.units, Progress())


def back(store: LiveLines, journal: images.Images) -> tuple[Key, ...]:
    return in_place.roll_back(store, journal, Progress())


def forth(store: LiveLines, journal: images.Images) -> tuple[Key, ...]:
    return in_place.roll_forward(store, journal, Progress())


@given(
    fail_at=st.integers(1, 12), applies=st.booleans(), again_at=st.integers(0, 3), way=st.sampled_from([back, forth])
)
@settings(max_examples=60, deadline=None)
def test_whatever_fails_the_roll_back_gives_the_store_back_and_the_roll_forward_the_new_one(
    tmp_path_factory: pytest.TempPathFactory,
    fail_at: int,
    applies: bool,
    again_at: int,
    way: Callable[[LiveLines, images.Images], tuple[Key, ...]],
) -> None:
    folder = tmp_path_factory.mktemp("live")
    store = LiveLines(make_store("jsonl", folder), StoreSettings())
    before, wanted = planned(store, 9)
    journal = saved(folder / "job", before, wanted.changes)
    store.fail_at, store.says_done, store.applies = fail_at, True, applies
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "BATCH", 4)
        try:
            in_place.write(store, wanted.changes, wanted.units, Progress())
        except VerificationFailed:
            assert not applies
        store.writes, store.fail_at, store.says_done = 0, again_at, False
        store.applies = False
        try:
            assert way(store, journal) == ()
        except WriteError:
            store.fail_at = 0
            assert way(store, journal) == ()
    after = snapshot_of(store.address)
    promised = before.by_key if way is back else expected(before, wanted.changes)
    assert after.by_key == promised
    assert all((r.embedding == promised[r.key].embedding).all() for r in after.records)


def test_what_somebody_changed_meanwhile_is_not_rolled_back(store: LiveLines, tmp_path: Path) -> None:
    before, wanted = planned(store)
    journal = saved(tmp_path / "job", before, wanted.changes)
    in_place.write(store, wanted.changes, wanted.units, Progress())
    survivor = wanted.changes.put[0].record
    now = snapshot_of(store.address).by_key[survivor.key]
    edited = replace(now, text="edited since")
    JsonLines.write(store, Changes(put=(Put(edited, record_hash(now)),)), Progress())
    assert in_place.roll_back(store, journal, Progress()) == (survivor.key,)
    after = snapshot_of(store.address).by_key
    assert after[survivor.key].text == "edited since"
    assert {key: r for key, r in after.items() if key != survivor.key} == {
        key: r for key, r in before.by_key.items() if key != survivor.key
    }


def test_what_somebody_changed_meanwhile_is_not_rolled_forward(store: LiveLines, tmp_path: Path) -> None:
    before, wanted = planned(store)
    journal = saved(tmp_path / "job", before, wanted.changes)
    old = before.by_key[wanted.changes.put[0].record.key]
    JsonLines.write(store, Changes(put=(Put(replace(old, text="edited since"), record_hash(old)),)), Progress())
    assert forth(store, journal) == (old.key,)
    after = snapshot_of(store.address).by_key
    assert after.pop(old.key).text == "edited since"
    assert after == {key: r for key, r in expected(before, wanted.changes).items() if key != old.key}


@pytest.mark.parametrize("way", [back, forth])
def test_a_record_that_a_crash_left_half_written_is_ours(
    store: LiveLines, tmp_path: Path, way: Callable[[LiveLines, images.Images], tuple[Key, ...]]
) -> None:
    before, wanted = planned(store)
    journal = saved(tmp_path / "job", before, wanted.changes)
    old, new = before.by_key[wanted.changes.put[0].record.key], wanted.changes.put[0].record
    half = replace(old, text=new.text)
    JsonLines.write(store, Changes(put=(Put(half, record_hash(old)),)), Progress())
    assert way(store, journal) == ()
    promised = before.by_key if way is back else expected(before, wanted.changes)
    assert snapshot_of(store.address).by_key == promised


def test_batches_are_as_large_and_as_far_apart_as_the_pace_says(
    store: LiveLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, wanted = planned(store, 9)
    monkeypatch.setattr(store, "write", lambda changes, progress: (
        sizes.append(len(changes.put)), JsonLines.write(store, changes, progress)
    ))  # fmt: skip
    sizes: list[int] = []
    progress = Waits()
    in_place.write(store, wanted.changes, wanted.units, progress, pace=Pace(batch=6, delay=7.0))
    assert [size for size in sizes if size] == [3, 3, 3]
    assert [round(seconds) for seconds in progress.waited] == [0, 7, 7]
    assert snapshot_of(store.address).by_key == expected(before, wanted.changes)


class LiveServer(LiveLines):
    """The same at an address that is no file's."""

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(address, settings)
        self.wrote: list[int] = []

    def write(self, changes: Changes, progress: Progress) -> None:
        super().write(changes, progress)
        self.wrote += [len(changes.put)] if changes.put else []


def test_a_server_gets_one_memory_before_the_rest(store: LiveLines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Address, "is_local", False)
    server = LiveServer(store.address, StoreSettings())
    before, wanted = planned(server, 9)
    progress = Waits()
    in_place.write(server, wanted.changes, wanted.units, progress, pace=Pace(batch=6, delay=7.0))
    assert server.wrote == [1, 3, 3, 2]
    assert [round(seconds) for seconds in progress.waited] == [0, 7, 7, 7]
    assert snapshot_of(store.address).by_key == expected(before, wanted.changes)


class Waits(Progress):
    """Notes the waits and lets no time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, seconds: float, why: str) -> None:
        self.waited.append(seconds)


def test_somebody_writing_between_the_look_and_the_write_stops_it(
    store: LiveLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, wanted = planned(store, 1)
    key = wanted.changes.put[0].record.key
    write = store.write

    def late(changes: Changes, progress: Progress) -> None:
        old = before.by_key[key]
        JsonLines.write(store, Changes(put=(Put(replace(old, text="late"), record_hash(old)),)), progress)
        write(changes, progress)

    monkeypatch.setattr(store, "write", late)
    with pytest.raises(StoreChanged):
        in_place.write(store, wanted.changes, wanted.units, Progress())
    assert snapshot_of(store.address).by_key[key].text == "late"


def test_batches_hold_whole_units() -> None:
    units = [tuple(Key("c", f"{n}-{m}") for m in range(n % 3 + 1)) for n in range(20)]
    batches = list(in_place._sized(units, 5))
    assert [unit for batch in batches for unit in batch] == units
    assert all(sum(map(len, batch)) <= 5 for batch in batches)
