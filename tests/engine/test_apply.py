"""The one engine that writes: what it promises, on real files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import (
    Cancelled,
    ConfirmationNeeded,
    ModelUnavailable,
    NoSpace,
    NotAStore,
    NotPermitted,
    PlanInvalid,
    SearchLoss,
    StoreChanged,
    StoreInUse,
    UnfinishedJob,
)
from memdefrag.base.progress import Cancel, Progress, Tick
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, guards, history, staging
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.shelf import Backup, find
from memdefrag.engine.backups.verify import verify
from memdefrag.engine.journal import Job
from memdefrag.engine.search_proof import ProofOptions
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Drop, Keep, Merge, Plan, Put, Ref, StoreStep, VectorRule, Write
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.registry import open_store
from tests.engine.stores import DIMENSION, make_store, merge_plan, snapshot_of

KINDS = ("memory-export", "jsonl")


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    (tmp_path / "place").mkdir()
    return make_store(request.param, tmp_path / "place")


def traces(address: Address) -> dict[str, str]:
    """Every file around the store with its hash."""
    files = sorted(path for path in address.path.parent.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def add_memory(address: Address, name: str) -> None:
    """What an assistant does behind our back."""
    with open_store(address) as store:
        key = Key(store.collections()[0].name, name)
        record, _ = store.fit(MemoryRecord(key, "Something new", embedding=np.ones(DIMENSION, np.float32)))
        store.write(Changes(put=(Put(record, None),)), Progress())


def test_merge_writes_exactly_the_plan(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(merge_plan(address))
    after = snapshot_of(address)
    assert (report.merged, report.removed, report.records_before, report.records_after) == (3, 3, 20, 17)
    assert len(after) == 17
    for number in range(6, 20):
        key = Key("memories", f"id{number:03}")
        assert after.by_key[key].text == before.by_key[key].text
    survivor = after.by_key[Key("memories", "id000")]
    assert survivor.text == "Fact number 0 about the garden, merged"
    assert survivor.tags == ("a", "b", "c")
    assert survivor.metadata["number"] == 0


def test_the_merged_vector_is_the_mean_of_unit_vectors(address: Address) -> None:
    before = snapshot_of(address).by_key
    apply(merge_plan(address, pairs=1))
    members = [before[Key("memories", name)].embedding for name in ("id000", "id001")]
    mean = sum(np.float64(v) / np.linalg.norm(np.float64(v)) for v in members if v is not None)
    found = snapshot_of(address).by_key[Key("memories", "id000")].embedding
    assert found is not None
    assert float(found @ mean) / float(np.linalg.norm(found) * np.linalg.norm(mean)) > 1 - 1e-6


def test_nothing_is_left_beside_the_store(address: Address) -> None:
    apply(merge_plan(address))
    assert [path.name for path in address.path.parent.iterdir()] == [address.path.name]


def test_a_dry_run_changes_nothing_anywhere(address: Address) -> None:
    before = traces(address)
    report = apply(merge_plan(address), ApplyOptions(dry_run=True))
    assert (report.dry_run, report.removed, report.step) == (True, 3, None)
    assert traces(address) == before
    assert not data_dir().exists()


def test_the_backup_before_holds_the_old_store(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(merge_plan(address))
    kept = find(str(report.backup))
    assert before.fingerprint
    assert kept.manifest["content"] == before.fingerprint.content
    verify(kept, Progress(), deep=True)


def test_undo_brings_back_every_byte_of_meaning(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(merge_plan(address))
    undone = apply(history.undo_plan(history.find(str(report.step))))
    after = snapshot_of(address)
    assert undone.skipped == ()
    assert before.fingerprint and after.fingerprint
    assert after.fingerprint.content == before.fingerprint.content
    for key, record in before.by_key.items():
        np.testing.assert_allclose(after.by_key[key].embedding, record.embedding, atol=1e-6)


def test_undo_keeps_what_was_added_since(address: Address) -> None:
    report = apply(merge_plan(address))
    add_memory(address, "later")
    apply(history.undo_plan(history.find(str(report.step))))
    after = snapshot_of(address)
    assert len(after) == 21
    assert after.by_key[Key("memories", "later")].text == "Something new"


def test_undo_leaves_what_was_edited_since_and_says_so(address: Address) -> None:
    report = apply(merge_plan(address, pairs=1))
    changed = snapshot_of(address).by_key[Key("memories", "id000")]
    edited = replace(changed, text="Edited by hand")
    with open_store(address) as store:
        store.write(Changes(put=(Put(store.fit(edited)[0], Ref.of(changed).hash),)), Progress())
    undone = apply(history.undo_plan(history.find(str(report.step))))
    assert [skipped.record for skipped in undone.skipped] == ["memories/id000"]
    assert snapshot_of(address).by_key[Key("memories", "id000")].text == "Edited by hand"
    assert Key("memories", "id001") in snapshot_of(address).by_key


def test_undo_can_be_undone(address: Address) -> None:
    first = apply(merge_plan(address))
    merged = snapshot_of(address)
    second = apply(history.undo_plan(history.find(str(first.step))))
    assert history.undone(address) == {first.step}
    apply(history.undo_plan(history.find(str(second.step))))
    after = snapshot_of(address)
    assert merged.fingerprint and after.fingerprint
    assert after.fingerprint.content == merged.fingerprint.content
    assert history.undone(address) == {second.step}


def test_restore_brings_back_the_backup_and_keeps_a_way_forward(address: Address) -> None:
    before = snapshot_of(address)
    report = apply(merge_plan(address))
    merged = snapshot_of(address)
    plan = Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,))
    restored = apply(plan)
    now = snapshot_of(address)
    assert now.fingerprint and before.fingerprint and merged.fingerprint
    assert now.fingerprint.content == before.fingerprint.content
    assert find(str(restored.backup)).manifest["content"] == merged.fingerprint.content


def test_a_changed_record_is_skipped_and_listed(address: Address) -> None:
    plan = merge_plan(address)
    changed = snapshot_of(address).by_key[Key("memories", "id001")]
    with open_store(address) as store:
        put = Put(store.fit(replace(changed, text="Edited"))[0], Ref.of(changed).hash)
        store.write(Changes(put=(put,)), Progress())
    report = apply(plan)
    assert (report.merged, [skipped.record for skipped in report.skipped]) == (2, ["memories/id000"])
    assert "id001 was changed" in report.skipped[0].reason
    assert snapshot_of(address).by_key[Key("memories", "id001")].text == "Edited"


def test_a_store_that_vanished_is_told(address: Address) -> None:
    plan = merge_plan(address)
    address.path.unlink()
    with pytest.raises(NotAStore):
        apply(plan)
    assert list(address.path.parent.iterdir()) == []


def test_a_plan_that_fits_nothing_writes_nothing(address: Address) -> None:
    plan = merge_plan(address)
    apply(plan)
    before = traces(address)
    report = apply(plan)
    assert (report.merged, len(report.skipped), report.backup) == (0, 3, None)
    assert traces(address) == before


def test_two_steps_about_one_record_are_refused(address: Address) -> None:
    record = snapshot_of(address).records[0]
    steps = (Drop(Ref.of(record)), Drop(Ref.of(record)))
    with pytest.raises(PlanInvalid, match="2 steps"):
        apply(Plan(source=str(address), target=str(address), steps=steps))


def test_keeping_is_doing_nothing(address: Address) -> None:
    before = traces(address)
    record = snapshot_of(address).records[0]
    apply(Plan(source=str(address), target=str(address), steps=(Keep(Ref.of(record)),)))
    assert traces(address) == before


def test_removing_much_needs_a_word(address: Address) -> None:
    steps = tuple(Drop(Ref.of(record)) for record in snapshot_of(address).records[:7])
    plan = Plan(source=str(address), target=str(address), steps=steps)
    before = traces(address)
    with pytest.raises(ConfirmationNeeded, match="7 of 20"):
        apply(plan)
    assert traces(address) == before
    assert apply(plan, ApplyOptions(confirm_shrink=True)).removed == 7


def test_a_text_without_a_vector_needs_a_model(address: Address) -> None:
    record = snapshot_of(address).records[0]
    plan = merge_plan(address, pairs=1)
    merge = plan.steps[0]
    assert not isinstance(merge, Keep | Drop | Write)
    step = replace(merge, result=replace(merge.result, vector=VectorRule.EMBED))
    with pytest.raises(ModelUnavailable):
        apply(replace(plan, steps=(step,)))
    ones = np.ones((1, DIMENSION), np.float32)
    apply(replace(plan, steps=(step,)), ApplyOptions(embed=lambda texts, neighbours: ones))
    found = snapshot_of(address).by_key[record.key].embedding
    np.testing.assert_allclose(found, ones[0], atol=1e-6)


def test_a_rehearsal_says_whose_vector_is_not_made_yet(address: Address) -> None:
    plan = merge_plan(address, pairs=2)
    first = plan.steps[0]
    assert isinstance(first, Merge)
    step = replace(first, result=replace(first.result, vector=VectorRule.EMBED))
    ones = np.ones((1, DIMENSION), np.float32)
    options = ApplyOptions(dry_run=True, embed=lambda texts, neighbours: ones)
    told = apply(replace(plan, steps=(step, plan.steps[1])), options)
    assert told.recall and told.recall.queries == 2
    assert "cannot be asked for yet" in told.recall.notes[0]


def test_a_plan_by_which_searches_lose_is_refused_before_anything_is_written(address: Address) -> None:
    before = traces(address)
    plan = merge_plan(address)
    merges = [step for step in plan.steps if isinstance(step, Merge)]
    steps = tuple(replace(step, result=replace(step.result, vector=VectorRule.EMBED)) for step in merges)
    far = replace(plan, steps=steps)
    ones = np.ones((len(steps), DIMENSION), np.float32)
    away = ApplyOptions(embed=lambda texts, neighbours: -ones, proof=ProofOptions(1, 1.0))
    with pytest.raises(SearchLoss):
        apply(far, away)
    assert traces(address) == before
    assert not (data_dir() / "backups").exists()
    assert catalogue.unfinished_jobs() == {}


def test_the_history_keeps_the_figures_of_the_proof(address: Address) -> None:
    report = apply(merge_plan(address))
    assert report.recall
    assert history.find(str(report.step)).recall == report.recall.figures()
    undone = apply(history.undo_plan(history.find(str(report.step))))
    assert undone.recall is None and history.find(str(undone.step)).recall is None


def test_cancelling_leaves_the_store_and_no_traces(address: Address) -> None:
    before = traces(address)
    cancel = Cancel()

    def stop(tick: Tick) -> None:
        if tick.phase.startswith("Verifying"):
            cancel.set()

    with pytest.raises(Cancelled):
        apply(merge_plan(address), progress=Progress(stop, cancel))
    assert traces(address) == before
    assert history.steps(address) == []
    assert catalogue.unfinished_jobs() == {}


def test_a_change_during_the_work_stops_it(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = merge_plan(address)
    extract = staging.extract

    def somebody_writes(kept: Backup, target: Path, progress: Progress) -> None:
        add_memory(address, "meanwhile")
        extract(kept, target, progress)

    monkeypatch.setattr(staging, "extract", somebody_writes)
    with pytest.raises(StoreChanged):
        apply(plan)
    after = snapshot_of(address)
    assert len(after) == 21
    assert not Job(address.path).folder.exists()


def test_too_little_space_is_told_with_numbers(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "free_bytes", lambda path: 1_000_000)
    before = traces(address)
    with pytest.raises(NoSpace, match=r"1\.0 MB free; [\d.]+ MB are needed"):
        apply(merge_plan(address))
    assert traces(address) == before


def test_a_store_held_by_a_program_is_not_written(address: Address) -> None:
    hold = "import sys; handle = open(sys.argv[1], 'rb'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(address.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        with pytest.raises(StoreInUse, match=str(child.pid)):
            apply(merge_plan(address))
        child.stdin.close()
    assert len(snapshot_of(address)) == 20


def test_an_interrupted_job_blocks_the_next(address: Address) -> None:
    Job(address.path.resolve()).begin(id="1", pid=2**22 + 1, process_created=0.0)
    with pytest.raises(UnfinishedJob):
        apply(merge_plan(address))


def test_a_link_to_a_store_is_written_where_it_points(address: Address, tmp_path: Path) -> None:
    link = tmp_path / f"link{address.path.suffix}"
    link.symlink_to(address.path)
    apply(merge_plan(address.at(link)))
    assert link.is_symlink()
    assert len(snapshot_of(address)) == 17


class BrokenStore:
    """Wraps the class's write so that it changes a record nobody named."""

    @staticmethod
    def break_write(kind: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
        honest = kind.write

        def write(self: Store, changes: Changes, progress: Progress) -> None:
            victim = next(record for batch in self.scan("memories") for record in batch if record.key.id == "id019")
            bad = Put(self.fit(replace(victim, text="altered"))[0], Ref.of(victim).hash)
            honest(self, replace(changes, put=(*changes.put, bad)), progress)

        monkeypatch.setattr(kind, "write", write)


def test_a_wrong_copy_never_becomes_the_store(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    from memdefrag.base.errors import VerificationFailed

    before = traces(address)
    with open_store(address) as store:
        BrokenStore.break_write(type(store), monkeypatch)
    with pytest.raises(VerificationFailed, match="untouched record memories/id019"):
        apply(merge_plan(address))
    assert traces(address) == before


def test_a_write_at_the_last_moment_is_not_lost(address: Address) -> None:
    plan = merge_plan(address)

    def write_late(tick: Tick) -> None:
        if tick.phase == "Putting the new store in place":
            add_memory(address, "late")

    with pytest.raises(StoreChanged):
        apply(plan, progress=Progress(write_late))
    assert Key("memories", "late") in snapshot_of(address).by_key
    assert [path.name for path in address.path.parent.iterdir()] == [address.path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_store_keeps_its_permissions(address: Address) -> None:
    address.path.chmod(0o660)
    apply(merge_plan(address))
    assert address.path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize("damage", ["nothing", "garbage", "half"])
def test_a_backup_takes_the_place_of_a_damaged_database(tmp_path: Path, damage: str) -> None:
    address = make_store("memory-export", tmp_path)
    before = snapshot_of(address)
    report = apply(merge_plan(address))
    whole = address.path.read_bytes()
    left = {"nothing": b"", "garbage": b"<html>" * 1000, "half": whole[: len(whole) // 2 + 77]}[damage]
    address.path.write_bytes(left)
    log = address.path.with_name(address.path.name + "-wal")
    log.write_bytes(b"of the damaged one")
    restored = apply(Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,)))
    assert snapshot_of(address).by_key.keys() == before.by_key.keys()
    assert not log.exists()
    kept = {entry["path"]: entry["sha256"] for entry in find(str(restored.backup)).files}
    assert kept[address.path.name] == hashlib.sha256(left).hexdigest()
    assert log.name in kept


def test_a_backup_takes_the_place_of_lines_that_cannot_be_read(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    report = apply(merge_plan(address))
    address.path.write_text("<html>")
    beside = tmp_path / f"{address.path.name}-wal"
    beside.write_text("somebody else's")
    apply(Plan(source=f"backup:{report.backup}", target=str(address), store_steps=(StoreStep.REPLACE,)))
    assert len(snapshot_of(address)) == 20
    assert beside.exists()


def test_a_plan_that_mixes_dimensions_keeps_a_whole_vector(address: Address) -> None:
    with open_store(address) as store:
        odd, _ = store.fit(MemoryRecord(Key("memories", "odd"), "Odd", embedding=np.ones(DIMENSION + 1, np.float32)))
        store.write(Changes(put=(Put(odd, None),)), Progress())
    plan = merge_plan(address, pairs=1)
    step = plan.steps[0]
    assert isinstance(step, Merge)
    survivor = snapshot_of(address).by_key[step.survivor.key]
    odd = snapshot_of(address).by_key[odd.key]
    apply(replace(plan, steps=(replace(step, members=(Ref.of(odd),)),)))
    found = snapshot_of(address).by_key[survivor.key].embedding
    assert found is not None and survivor.embedding is not None
    np.testing.assert_array_equal(found, survivor.embedding)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_is_not_replaced(address: Address) -> None:
    address.path.chmod(0o400)
    before = traces(address)
    with pytest.raises(NotPermitted, match="read-only"):
        apply(merge_plan(address))
    assert traces(address) == before


def test_a_volume_of_its_own_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = make_store("jsonl", tmp_path)
    monkeypatch.setattr(Path, "is_mount", lambda path: path == address.path)
    with pytest.raises(NotPermitted, match="volume"):
        apply(merge_plan(address))


def test_a_source_that_was_read_already_is_not_read_again(address: Address, tmp_path: Path) -> None:
    held = snapshot_of(address)
    record = replace(held.records[0], key=Key("memories", "brought"))
    source = replace(held, records=(record,))
    plan = Plan(source=f"jsonl:{tmp_path}/gone.jsonl", target=str(address), steps=(Write(Ref.of(record), record.key),))
    assert apply(plan, source=source).written == 1
    assert snapshot_of(address).by_key[record.key].text == record.text
