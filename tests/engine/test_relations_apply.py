"""Links through the whole engine: followed, proved, undone, restored, and taken back after a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import BackupDamaged, VerificationFailed, WriteError
from memdefrag.base.progress import Progress
from memdefrag.engine import history, images, in_place, step_details
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.shelf import find
from memdefrag.engine.history import StepState
from memdefrag.engine.relations import hashes
from memdefrag.engine.resolve import Resolution, resolve
from memdefrag.engine.restore import restore_plan
from memdefrag.engine.verify import verify_content
from memdefrag.model.address import Address
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Changes, Drop, Plan, Put, Ref, Relate, Step, Unrelate, expected, touched
from memdefrag.model.records import Key, Relation, Snapshot
from memdefrag.stores.base import StoreSettings, read_snapshot
from memdefrag.stores.jsonl import JsonLines
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan, snapshot_of
from tests.engine.test_in_place import LiveLines

COUNT = 12


def key(number: int) -> Key:
    return Key("memories", f"id{number:03}")


def link(one: int, other: int, type: str = "related", strength: float | None = None) -> Relation:
    return Relation(key(one), key(other), type, strength, {"n": one}, 1.7e9)


GRAPH = (link(1, 8, strength=0.4), link(8, 1, "because"), link(0, 1), link(9, 10), Relation(key(3), "ticket 7", "see"))
"""The first six memories are merged two by two, the even ones stay."""
MERGED = (
    replace(GRAPH[0], source=key(0)), replace(GRAPH[1], target=key(0)), GRAPH[3], replace(GRAPH[4], source=key(2))
)  # fmt: skip


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return linked(tmp_path, GRAPH)


def linked(folder: Path, graph: tuple[Relation, ...]) -> Address:
    address = make_store("jsonl", folder, COUNT)
    with open_store(address) as store:
        store.write(Changes(relate=graph), Progress())
    return address


def links_of(address: Address) -> dict[str, int]:
    return hashes(snapshot_of(address).relations)


def state_of(address: Address) -> tuple[str, dict[str, int]]:
    return content_hash(snapshot_of(address).records), links_of(address)


def plan(address: Address, *steps: Step) -> Plan:
    return Plan(source=str(address), target=str(address), steps=steps)


def test_links_follow_merged_memories_and_come_back(address: Address) -> None:
    before = state_of(address)
    report = apply(merge_plan(address))
    assert (report.linked, report.unlinked) == (3, 4)
    merged = state_of(address)
    assert merged[1] == hashes(MERGED)
    [step] = history.steps()
    assert step.links == 4 + 3
    apply(history.undo_plan(step))
    assert state_of(address) == before
    apply(history.redo_plan(step))
    assert state_of(address) == merged
    assert history.state(step) is StepState.APPLIED


def test_a_dry_run_makes_no_link(address: Address) -> None:
    before = state_of(address)
    apply(merge_plan(address), ApplyOptions(dry_run=True))
    assert state_of(address) == before


def test_links_of_a_dropped_memory_go_with_it_and_come_back(address: Address) -> None:
    before = state_of(address)
    apply(plan(address, Drop(Ref.of(snapshot_of(address).by_key[key(9)]))))
    assert links_of(address) == hashes(each for each in GRAPH if each != GRAPH[3])
    apply(history.undo_plan(history.steps()[0]))
    assert state_of(address) == before


def test_a_step_of_links_alone_counts_and_is_undone(address: Address) -> None:
    before = state_of(address)
    new = link(4, 5, "follows")
    report = apply(plan(address, Relate(new), Unrelate(GRAPH[3])))
    assert report.step and report.written == 0
    assert links_of(address) == hashes((new, *GRAPH[:3], GRAPH[4]))
    step = history.find(report.step)
    assert (step.links, history.left(step)) == (2, ())
    assert (report.linked, report.unlinked) == (1, 1)
    details = step_details.show(step)
    assert (details.records, details.linked, details.unlinked) == ((), (new,), (GRAPH[3],))
    apply(history.undo_plan(step))
    assert (state_of(address), history.state(step)) == (before, StepState.UNDONE)
    apply(history.redo_plan(step))
    assert links_of(address) == hashes((new, *GRAPH[:3], GRAPH[4]))


def test_a_link_that_hung_in_the_air_before_comes_back_so(tmp_path: Path) -> None:
    address = linked(tmp_path, (link(1, 99), link(98, 10)))
    before = state_of(address)
    step = history.find(str(apply(merge_plan(address)).step))
    assert links_of(address) == hashes((replace(link(1, 99), source=key(0)), link(98, 10)))
    apply(history.undo_plan(step))
    assert state_of(address) == before
    dropping = apply(plan(address, Drop(Ref.of(snapshot_of(address).by_key[key(10)]))))
    apply(history.undo_plan(history.find(str(dropping.step))))
    assert state_of(address) == before


def test_a_link_that_was_made_again_meanwhile_is_not_doubled_by_the_undo(address: Address) -> None:
    step = history.find(str(apply(plan(address, Unrelate(GRAPH[3]))).step))
    newer = replace(GRAPH[3], strength=0.9)
    with open_store(address) as store:
        store.write(Changes(relate=(newer,)), Progress())
    report = apply(history.undo_plan(step))
    assert [each.reason for each in report.skipped] == ["there is such a link already"]
    assert newer in snapshot_of(address).relations


def test_a_copy_that_lacks_a_link_is_not_put_in_place(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write = state_of(address), JsonLines.write

    def forgetful(store: JsonLines, changes: Changes, progress: Progress) -> None:
        write(store, replace(changes, relate=changes.relate[1:]), progress)

    monkeypatch.setattr(JsonLines, "write", forgetful)
    with pytest.raises(VerificationFailed, match="1 links are missing"):
        apply(merge_plan(address))
    monkeypatch.undo()
    assert state_of(address) == before


def test_links_that_nobody_named_are_compared_too(address: Address) -> None:
    whole = snapshot_of(address)
    with pytest.raises(VerificationFailed, match="1 links are missing"):
        verify_content(whole, Changes(), replace(whole, relations=whole.relations[1:]))
    with pytest.raises(VerificationFailed, match="1 should not be there"):
        verify_content(whole, Changes(), replace(whole, relations=(*whole.relations, link(7, 8))))


def test_a_store_without_links_tells_what_it_has_no_place_for(tmp_path: Path) -> None:
    address = make_store("memory-export", tmp_path)
    report = apply(plan(address, Relate(link(1, 2)), Relate(link(1, 3)), Unrelate(link(1, 4))))
    assert (report.step, report.losses) == (None, {"links between memories": 2})
    assert [each.reason for each in report.skipped] == ["links are only read here"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_bytes(b"{}")], ids=["gone", "changed"])
def test_damaged_notes_about_links_stop_the_undo(address: Address, spoil: Callable[[Path], object]) -> None:
    step = history.find(str(apply(merge_plan(address)).step))
    spoil(step.folder / images.LINKS)
    with pytest.raises(BackupDamaged):
        images.load(step.folder)
    with pytest.raises(BackupDamaged):
        history.undo_plan(step)


def test_links_are_saved_with_all_that_they_say(tmp_path: Path) -> None:
    odd = Relation(Key("a", "\ud83d"), "ref", "\0", float("inf"), {"deep": [1, {"x": None}], "n": 1.0}, None)
    images.save(tmp_path, [], {}, {}, related=(odd,), unrelated=GRAPH)
    found = images.load(tmp_path)
    assert hashes(found.related) == hashes([odd])
    assert found.unrelated == GRAPH
    assert set(json.loads((tmp_path / "images.json").read_text())) == {images.BEFORE, images.AFTER, images.LINKS}


graphs = st.lists(
    st.builds(link, st.integers(0, 11), st.integers(0, 11), st.sampled_from(["related", "because"])), max_size=15
)


@given(graph=graphs, pairs=st.integers(0, 3))
@settings(max_examples=6, deadline=None)
def test_undo_is_the_identity_whatever_hangs_together(
    tmp_path_factory: pytest.TempPathFactory, graph: list[Relation], pairs: int
) -> None:
    address = linked(tmp_path_factory.mktemp("graph"), tuple(graph))
    before = state_of(address)
    report = apply(merge_plan(address, pairs))
    gone = {key(2 * number + 1) for number in range(pairs)}
    assert not any({each.source, each.target} & gone for each in snapshot_of(address).relations)
    if report.step:
        apply(history.undo_plan(history.find(report.step)))
    assert state_of(address) == before


# Chosen memories of a backup.


def test_a_memory_comes_back_with_its_links(address: Address) -> None:
    backup = find(str(apply(merge_plan(address)).backup))
    apply(restore_plan(backup, snapshot_of(address), keys=[key(1)]))
    assert links_of(address) == hashes((*MERGED, *GRAPH[:3]))


def test_a_link_whose_other_end_is_gone_stays_away(address: Address) -> None:
    backup = find(str(apply(merge_plan(address)).backup))
    apply(plan(address, Drop(Ref.of(snapshot_of(address).by_key[key(8)]))))
    report = apply(restore_plan(backup, snapshot_of(address), keys=[key(1)]))
    assert report.skipped == ()
    assert GRAPH[2] in snapshot_of(address).relations
    assert GRAPH[0] not in snapshot_of(address).relations


# Stores that are written live.


@pytest.fixture
def live(address: Address) -> LiveLines:
    return LiveLines(address, StoreSettings())


def planned(store: LiveLines) -> tuple[Snapshot, Resolution]:
    before = read_snapshot(store)
    return before, resolve(merge_plan(store.address), store, before, before, None)


def test_links_are_written_into_a_live_store_and_read_back(live: LiveLines) -> None:
    _, wanted = planned(live)
    done, _ = in_place.write(live, wanted.changes, wanted.units, Progress(), links=wanted.links)
    assert (done.relate, done.unrelate) == (wanted.changes.relate, wanted.changes.unrelate)
    assert links_of(live.address) == hashes(MERGED)


@pytest.mark.parametrize("forgotten", ["relate", "unrelate"])
def test_a_live_store_that_says_done_and_is_not_is_not_believed(
    live: LiveLines, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    _, wanted = planned(live)
    lose: dict[str, tuple[Relation, ...]] = {forgotten: ()}
    monkeypatch.setattr(live, "write", lambda c, p: JsonLines.write(live, replace(c, **lose), p))
    with pytest.raises(VerificationFailed):
        in_place.write(live, wanted.changes, wanted.units, Progress(), links=wanted.links)


def test_a_step_that_is_left_out_leaves_its_links(live: LiveLines) -> None:
    before, wanted = planned(live)
    ref = wanted.changes.delete[0]
    edited = replace(before.by_key[ref.key], text="edited")
    JsonLines.write(live, Changes(put=(Put(edited, ref.hash),)), Progress())
    done, [skipped] = in_place.write(live, wanted.changes, wanted.units, Progress(), links=wanted.links)
    assert str(ref.key) in skipped.reason
    assert links_of(live.address) == hashes((*GRAPH[:4], MERGED[3]))
    assert len(done.unrelate) == 1


@pytest.mark.parametrize("fail_at", range(1, 7))
@pytest.mark.parametrize("applies", [True, False])
def test_whatever_fails_the_roll_back_gives_the_links_back(
    live: LiveLines, tmp_path: Path, fail_at: int, applies: bool
) -> None:
    before, wanted = planned(live)
    (tmp_path / "job").mkdir()
    images.save(
        tmp_path / "job", touched(wanted.changes), before.by_key, expected(before, wanted.changes),
        related=wanted.changes.relate, unrelated=wanted.changes.unrelate,
    )  # fmt: skip
    live.fail_at, live.says_done, live.applies = fail_at, True, applies
    try:
        in_place.write(live, wanted.changes, wanted.units, Progress(), links=wanted.links)
    except (VerificationFailed, WriteError):
        assert not applies
    live.fail_at = 0
    assert in_place.roll_back(live, images.load(tmp_path / "job"), Progress()) == ()
    assert read_snapshot(live).by_key == before.by_key
    assert links_of(live.address) == hashes(before.relations)
