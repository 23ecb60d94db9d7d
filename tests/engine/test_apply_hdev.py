"""Plans carried out live, in a folder of hdev memories and on a server: whole, or taken back."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from memdefrag.analysis.merge import merge_records
from memdefrag.base import http
from memdefrag.base.errors import ServerRefused, ServerUnreachable, StoreDamaged, UsageError, VerificationFailed
from memdefrag.base.http import Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history, pace, recover
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups import shelf
from memdefrag.engine.backups.create import create
from memdefrag.engine.journal import Job, JobState
from memdefrag.engine.restore import restore_plan
from memdefrag.model.address import Address, parse
from memdefrag.model.capabilities import Commit
from memdefrag.model.hashing import content_hash
from memdefrag.model.plan import Plan, Ref, VectorRule, Write
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev import names
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.registry import open_store
from tests.engine.stores import fill_store, make_store, merge_plan, snapshot_of
from tests.faults import ledger, worker
from tests.faults.harness import Scene, in_child, strike, strike_twice
from tests.stores.hdev.server import Faults, MemoryServer, serving

OLD, NEW = 20, 17
FIXED = CollectionInfo("memories", 0, 0, 0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server of this machine."""
    options = Options(silence=0.4, answer=0.6, retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that holds the memories, given out by a server or not."""
    return tmp_path / "place" / "store"


@pytest.fixture
def server(root: Path) -> Iterator[MemoryServer]:
    root.mkdir(parents=True)
    with serving(root) as running:
        yield running


@pytest.fixture
def served(server: MemoryServer) -> Address:
    """The address of a server that holds the usual records."""
    address = fill_store(parse(server.address))
    server.requests.clear()
    server.faults = Faults()
    return address


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, root: Path) -> Address:
    if request.param == "server":
        return request.getfixturevalue("served")  # type: ignore[no-any-return]
    root.parent.mkdir()
    return make_store("hdev", root.parent)


def content_of(address: Address) -> str:
    return content_hash(snapshot_of(address))


def change(root: Path, entry: str) -> None:
    """Edit a memory behind our back."""
    (root / names.content_file(entry)).write_text("Somebody else's words.", "utf-8")


def assert_tidy(address: Address) -> None:
    assert catalogue.unfinished_jobs() == {}
    assert not Job.of_live(address.whole()).folder.exists()


def test_a_plan_is_carried_out(place: Address) -> None:
    report = apply(merge_plan(place))
    assert (report.records_before, report.records_after, report.merged) == (OLD, NEW, 3)
    after = snapshot_of(place)
    assert len(after) == NEW
    assert sum((record.text or "").endswith(", merged") for record in after) == 3
    assert [step.id for step in history.steps(place.whole())] == [report.step]
    assert_tidy(place)


def test_the_backup_holds_all_records(place: Address) -> None:
    before = content_of(place)
    report = apply(merge_plan(place))
    assert report.backup is not None
    assert content_of(parse(f"backup:{shelf.find(report.backup).id}")) == before


def test_undo_brings_everything_back(place: Address) -> None:
    before = content_of(place)
    apply(merge_plan(place))
    apply(history.undo_plan(history.latest(place.whole())))
    assert content_of(place) == before
    assert_tidy(place)


def test_a_whole_backup_is_restored_record_by_record(place: Address) -> None:
    before = content_of(place)
    report = apply(merge_plan(place))
    assert report.backup is not None
    made = shelf.find(report.backup)
    apply(restore_plan(made, snapshot_of(place)))
    assert content_of(place) == before
    assert_tidy(place)


def test_what_lost_much_is_restored_without_another_word(place: Address, root: Path) -> None:
    before = content_of(place)
    with open_store(place) as store:
        made = create(store, None, "by hand", Progress())
    for file in root.glob("id00*"):
        file.unlink()
    apply(restore_plan(made, snapshot_of(place)))
    assert content_of(place) == before


def test_half_a_write_whose_notes_are_damaged_is_mended_by_a_restore(place: Address, root: Path) -> None:
    before = content_of(place)
    with open_store(place) as store:
        made = create(store, None, "by hand", Progress())
    job = Job.of_live(place.whole())
    facts = {"id": "1", "store": str(place.whole()), "pid": 2**22 + 1}
    catalogue.record("job", path=str(job.target), **facts)
    job.begin(**facts, kind=Commit.IN_PLACE)
    job.note(JobState.SWAP)
    change(root, "id001")
    with pytest.raises(StoreDamaged, match="notes to take it back are damaged"):
        recover.recover_all()
    apply(restore_plan(made, snapshot_of(place)))
    assert content_of(place) == before
    assert_tidy(place)


def test_hdev_can_go_on_counting_versions(place: Address, root: Path) -> None:
    """Where two versions meet, a list of both would stop hdev from writing the memory again."""
    one, other = sorted(snapshot_of(place), key=lambda record: record.key)[:2]
    merged = merge_records(
        [replace(one, metadata=one.metadata | {"version": 3}), replace(other, metadata={"version": 5})], 0, now=1.8e9
    )
    with open_store(place) as store:
        fitted, _ = store.fit(replace(one, metadata=merged.metadata, created=merged.created, updated=merged.updated))
    assert fitted.metadata["version"] == 3
    assert isinstance(fitted.metadata["created"], str)


def test_no_vectors_are_made_for_a_store_that_has_none(place: Address) -> None:
    plan = merge_plan(place)
    steps = tuple(replace(step, result=replace(step.result, vector=VectorRule.EMBED)) for step in plan.steps)

    def never(texts: object, like: object) -> NoReturn:
        raise AssertionError("a model was asked")

    report = apply(replace(plan, steps=steps), ApplyOptions(embed=never))
    assert (report.merged, report.losses) == (3, {})


@pytest.mark.parametrize("ids", [["../out", "a", "b/c"], ["a", "b/c", "../out"]], ids=["at once", "half-way"])
def test_a_new_folder_that_cannot_be_filled_leaves_nothing(jsonl_file: Path, tmp_path: Path, ids: list[str]) -> None:
    """One of the batches has a name that no entry may have."""
    with open_store(parse(f"jsonl:{jsonl_file}")) as source:
        refs = [Ref.of(record) for record in read_snapshot(source)]
    target = Address("hdev", str(tmp_path / "new"))
    steps = tuple(
        Write(ref, Key("memories", name)) for ref, name in zip(refs, ids, strict=False)
    )
    plan = Plan(source=f"jsonl:{jsonl_file}", target=str(target), collections=(FIXED,), steps=steps)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UsageError, match="The name"):
        patch.setattr(pace, "BATCH", 1)
        apply(plan)
    assert list(tmp_path.rglob("*.md")) == []
    assert_tidy(target)
    apply(replace(plan, steps=tuple(step for step in steps if ".." not in step.key.id)))
    assert {record.key.id for record in snapshot_of(target)} == {"a", "b/c"}


def test_a_dry_run_writes_nothing(served: Address, server: MemoryServer) -> None:
    assert apply(merge_plan(served), ApplyOptions(dry_run=True)).merged == 3
    assert server.written() == []


@pytest.mark.case(18)
def test_a_record_changed_since_is_left_alone_and_reported(place: Address, root: Path) -> None:
    plan = merge_plan(place)
    change(root, "id001")
    report = apply(plan)
    assert [skipped.record for skipped in report.skipped] == ["memories/id000"]
    assert (report.merged, len(snapshot_of(place))) == (2, NEW + 1)
    assert (root / "id001.md").read_text() == "Somebody else's words."


def test_a_folder_in_the_place_of_a_memory_is_never_deleted(served: Address, server: MemoryServer) -> None:
    """A DELETE of a folder's name would take all that is in it."""
    plan = merge_plan(served)
    below = server.root / "id001"
    below.mkdir()
    (below / "inner.md").write_text("kept")
    report = apply(plan)
    assert (below / "inner.md").read_text() == "kept"
    assert [skipped.record for skipped in report.skipped] == ["memories/id000"]


@pytest.mark.case(40)
@pytest.mark.parametrize("dies", ["dies_at", "dies_after"])
def test_a_server_that_dies_mid_batch_is_mended_when_it_is_back(
    served: Address, server: MemoryServer, dies: str
) -> None:
    before, plan = content_of(served), merge_plan(served)
    for request in range(1, 7):
        server.faults = Faults(**{dies: request})
        with pytest.raises(ServerUnreachable) as failed:
            apply(plan)
        assert "taken back" in failed.value.safe
        with pytest.raises(ServerUnreachable):
            recover.recover_all()
        server.faults = Faults()
        recover.recover_all()
        assert content_of(served) == before, request
        assert_tidy(served)
    apply(plan)
    assert len(snapshot_of(served)) == NEW


@pytest.mark.case(40)
@pytest.mark.parametrize("faults", [Faults(fails=1), Faults(fails=99), Faults(silent=1), Faults(busy=1)])
def test_what_reads_back_counts_whatever_the_server_says(
    served: Address, server: MemoryServer, faults: Faults
) -> None:
    """Every answer is 500, or none comes, although the work was done."""
    server.faults = faults
    report = apply(merge_plan(served))
    server.faults = Faults()
    assert (report.merged, len(snapshot_of(served))) == (3, NEW)
    assert_tidy(served)


@pytest.mark.case(40)
def test_a_trickling_server_is_given_up(served: Address, server: MemoryServer) -> None:
    before = content_of(served)
    server.faults = Faults(trickles=0.02)
    with pytest.raises(ServerUnreachable, match="too slowly"):
        apply(Plan(source=str(served), target=str(served)))
    server.faults = Faults()
    assert content_of(served) == before


@pytest.mark.case(40)
def test_a_failure_told_with_success_is_one(served: Address, server: MemoryServer) -> None:
    before, plan = content_of(served), merge_plan(served)
    server.faults = Faults(full=True)
    with pytest.raises(ServerRefused, match="disk is full"):
        apply(plan)
    assert content_of(served) == before
    assert_tidy(served)


@pytest.mark.case(40)
def test_success_that_was_none_is_noticed(served: Address, server: MemoryServer) -> None:
    before, plan = content_of(served), merge_plan(served)
    server.faults = Faults(lies=True)
    with pytest.raises(VerificationFailed):
        apply(plan)
    assert content_of(served) == before
    assert_tidy(served)


@pytest.mark.case(40)
def test_we_die_while_writing_to_a_server(served: Address, server: MemoryServer, tmp_path: Path) -> None:
    before, deed = content_of(served), partial(worker.carry_out, merge_plan(served))
    pristine = shutil.copytree(server.root, tmp_path / "pristine")
    listing = tmp_path / "points"
    assert in_child(f"list:{listing}", deed) == worker.DONE
    after = content_of(served)
    points = listing.read_text().splitlines()
    first = next(number for number, name in enumerate(points, 1) if " and remove " in name)
    outcomes = set()
    for point in (*range(first - 2, len(points), 1 if ledger.ALL_POINTS else 9), len(points)):
        shutil.rmtree(server.root)
        shutil.copytree(pristine, server.root)
        shutil.rmtree(data_dir(), ignore_errors=True)
        assert in_child(f"kill:{point}", deed) == -signal.SIGKILL
        recover.recover_all()
        outcome = content_of(served)
        assert outcome in (before, after), points[point - 1]
        assert_tidy(served)
        outcomes.add(outcome)
    assert outcomes == {before, after}


class FolderScene(Scene):
    """A folder that is the old one again has its old bytes, and nothing half written beside them."""

    def outcome(self) -> str:
        outcome = super().outcome()
        assert outcome == ledger.NEW or self._hash() == self._old_hash, "something is left in the folder"
        return outcome


@pytest.fixture
def scene(root: Path) -> Scene:
    """The usual merge in a folder, to be interrupted."""
    root.parent.mkdir()
    address = make_store("hdev", root.parent)
    return FolderScene("hdev folder", address, partial(worker.carry_out, merge_plan(address)))


@pytest.mark.parametrize("fault", ["kill", "enospc", "eio"])
def test_a_folder_interrupted_anywhere_is_old_or_new(scene: Scene, fault: str) -> None:
    points = scene.chosen()
    if not ledger.ALL_POINTS:
        half_written = next(number for number, name in enumerate(scene.points, 1) if name.startswith("fsync .id"))
        points = sorted({*points[::5], half_written})
    assert strike(scene, fault, points) == {ledger.OLD, ledger.NEW}


@pytest.mark.case(4)
def test_a_recovery_interrupted_anywhere_is_recovered(scene: Scene) -> None:
    removal = next(number for number, name in enumerate(scene.points, 1) if name == "remove id003.md")
    strike_twice(scene, removal, None if ledger.ALL_POINTS else range(1, 99, 12))


def test_what_a_store_made_something_else_of_is_named_where_it_stays(
    root: Path, jsonl_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Address("hdev", str(root))
    fill_store(place, OLD)
    [record, *_] = read_snapshot(open_store(str(jsonl_file))).records
    real = HdevFiles._put

    def altering(store: HdevFiles, record: MemoryRecord, present: MemoryRecord | None) -> None:
        real(store, replace(record, text="Something else", metadata={"odd": True}), present)

    monkeypatch.setattr(HdevFiles, "_put", altering)
    write = Write(Ref.of(record), Key("memories", "new"))
    with pytest.raises(VerificationFailed) as caught:
        apply(Plan(source=f"jsonl:{jsonl_file}", target=str(place), steps=(write,)))
    assert "left alone, the first is memories/new" in caught.value.safe
    assert "not changed" not in caught.value.safe
    assert len(snapshot_of(place)) == OLD + 1
