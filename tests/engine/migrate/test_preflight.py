"""What is looked at before a migration: both ends, the room, the permission; and that looking leaves no trace."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from memdefrag.base import http
from memdefrag.base.errors import CollectionNotFound, NoSpace, NotPermitted, StoreChanged, StoreInUse, UsageError
from memdefrag.base.http import Options, Retry
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.base.wording import size
from memdefrag.engine import guards
from memdefrag.engine.backups.create import create
from memdefrag.engine.migrate import preflight
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.estimate import estimate
from memdefrag.engine.migrate.preflight import GROWTH_FACTOR, require, warnings
from memdefrag.model.address import Address, parse
from memdefrag.model.migration import Conflict, MigrateOptions, Selection
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev.files import HdevFiles
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.busy import busy
from tests.engine.migrate.ends import failures, looked_at, memory, source_of
from tests.engine.stores import make_store
from tests.faults import worker
from tests.faults.harness import in_child
from tests.faults.test_disk import NOBODY
from tests.stores.hdev.server import serving


@pytest.fixture
def source(tmp_path: Path) -> Address:
    return source_of(tmp_path / "one", [memory(number) for number in range(5)])


@pytest.fixture
def target(tmp_path: Path) -> Address:
    return Address("memory-export", str(tmp_path / "other" / "new.db"))


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_a_new_target_that_may_be_written_passes(source: Address, target: Address) -> None:
    found = looked_at(source, target)
    assert failures(found) == [] and warnings(list(found.values())) == ()
    assert found["source"].detail == "JSON lines: 5 memories in 1 collection, 5 of them take part."
    assert "will be made" in found["target"].detail
    require(list(found.values()))


def test_looking_leaves_no_trace(source: Address, tmp_path: Path) -> None:
    target = make_store("hdev", tmp_path / "one")
    before = everything(tmp_path)
    looked_at(source, target)
    assert everything(tmp_path) == before


def test_only_what_is_chosen_counts(source: Address, target: Address) -> None:
    found = looked_at(source, target, MigrateOptions(selection=Selection(prefix="id003")))
    assert "5 memories in 1 collection, 1 of them" in found["source"].detail


def test_the_same_place_is_refused_by_whatever_path(source: Address, tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(source.path)
    found = looked_at(source, source.at(link))
    assert failures(found) == ["two stores"] and "--target-collection" in found["two stores"].remedy


def test_a_format_with_one_collection_has_no_other(source: Address, target: Address) -> None:
    for options in (MigrateOptions(), MigrateOptions(target_collection="memories")):
        assert failures(looked_at(source, target, options)) == []
    found = looked_at(source, target, MigrateOptions(target_collection="other"))
    assert failures(found) == ["collections"] and "'other'" in found["collections"].detail
    assert failures(looked_at(source, target.select("other"))) == ["collections"]


def test_a_private_copy_is_told_by_where_the_source_really_is(source: Address, tmp_path: Path) -> None:
    copy = source.at(shutil.copy(source.path, tmp_path / "copy.jsonl"))
    assert failures(looked_at(copy, source)) == []
    assert failures(looked_at(copy, source, origin=source)) == ["two stores"]


def test_another_collection_of_the_same_store_is_another_place(tmp_path: Path) -> None:
    chroma = Address("chroma", str(tmp_path / "chroma"))
    fill(chroma, [memory(1)])
    assert failures(looked_at(chroma, chroma)) == ["two stores"]
    assert failures(looked_at(chroma, chroma.select("second"))) == []
    assert failures(looked_at(chroma, chroma, MigrateOptions(target_collection="second"))) == []
    assert failures(looked_at(chroma, chroma, MigrateOptions(rename={"memories": "second"}))) == []


def test_one_server_is_one_place(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as server:
        found = looked_at(parse(server.address), parse(server.address.replace("127.0.0.1", "localhost")))
    assert failures(found) == ["two stores"]


def test_a_target_inside_the_source_is_refused_and_the_other_way_round(tmp_path: Path) -> None:
    folder = make_store("hdev", tmp_path)
    inside = folder.path / "export.jsonl"
    found = looked_at(folder, Address("jsonl", str(inside)))
    assert failures(found) == ["two stores"] and "lies inside" in found["two stores"].detail
    inner = source_of(folder.path / "deep", [memory(1)])
    assert failures(looked_at(inner, folder)) == ["two stores"]


def test_what_can_only_be_read_is_no_target(source: Address, tmp_path: Path) -> None:
    with open_store(make_store("memory-export", tmp_path)) as store:
        backup = create(store, None, "by hand", Progress())
    found = looked_at(source, Address("backup", backup.id))
    assert "target writable" in failures(found)
    with pytest.raises(NotPermitted, match="can only be read"):
        require(list(found.values()))


def test_the_permission_of_a_server_is_not_known_before_the_first_write(source: Address, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as server:
        found = looked_at(source, parse(server.address))
        assert server.written() == []
    assert found["target writable"].passed is None and "before the first write" in found["target writable"].detail
    assert failures(found) == []


def test_a_server_that_does_not_answer_is_never_an_empty_target(
    source: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(silence=0.4, answer=0.6, retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)
    found = looked_at(source, parse("hdev+http://127.0.0.1:9"))
    assert found["target"].passed is False and list(found) == ["source", "target"]
    assert found["target"].error.exit_code == 16


def test_a_collection_that_is_not_there_to_be_renamed_is_told(source: Address, target: Address) -> None:
    found = looked_at(source, target, MigrateOptions(rename={"absent": "new"}))
    assert failures(found) == ["collections"] and found["collections"].error is CollectionNotFound


@pytest.fixture
def anyones(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="memdefrag-anyones-"))
    folder.chmod(0o777)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(folder / "data"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps other permissions")
@pytest.mark.parametrize("closed", ["store", "folder", "data"])
def test_what_may_not_be_written_is_found_before_anything_is_tried(anyones: Path, closed: str) -> None:
    source, place = source_of(anyones / "one", [memory(1)]), anyones / "place"
    place.mkdir()
    address, data = make_store("memory-export", place), anyones / "data"
    data.mkdir(exist_ok=True)
    (anyones / "one").chmod(0o755)
    for path in anyones.rglob("*"):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    shut = {"store": address.path, "folder": place, "data": data}[closed]
    shut.chmod(0o400 if closed == "store" else 0o500)
    assert in_child("", partial(refused, source, address)) == worker.DONE
    shut.chmod(0o700)
    assert in_child("", partial(accepted, source, address)) == worker.DONE


def without_rights() -> None:
    if os.geteuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def refused(source: Address, target: Address) -> None:
    """For a child, which gives up all rights."""
    without_rights()
    found = looked_at(source, target)
    assert failures(found) == ["target writable"]
    assert found["target writable"].error is NotPermitted


def accepted(source: Address, target: Address) -> None:
    without_rights()
    assert failures(looked_at(source, target)) == []


def test_a_target_that_a_program_holds_stops_a_write_and_is_told_in_a_rehearsal(
    source: Address, tmp_path: Path
) -> None:
    target = make_store("memory-export", tmp_path)
    with busy("idle", target.path):
        found = looked_at(source, target)
        rehearsed = looked_at(source, target, MigrateOptions(dry_run=True))
    assert failures(found) == ["target free"]
    with pytest.raises(StoreInUse):
        require(list(found.values()))
    assert failures(rehearsed) == [] and rehearsed["target free"].is_warning
    assert looked_at(source, target)["target free"].passed


def test_too_little_room_is_told_with_both_numbers(
    source: Address, target: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "free_bytes", lambda folder: 70_000_000)
    assert failures(looked_at(source, target)) == []
    monkeypatch.setattr(guards, "SPACE_RESERVE", 80_000_000)
    found = looked_at(source, target)
    assert failures(found) == ["room"] and "70.0 MB free" in found["room"].detail
    with pytest.raises(NoSpace):
        require(list(found.values()))


def test_room_is_wanted_for_what_is_new_and_for_copies_of_what_is_there(
    source: Address, target: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SPACE_RESERVE", 0)
    five = [memory(number) for number in range(5)]
    new = estimate(five, target).bytes
    assert f"about {size(new * (GROWTH_FACTOR + 1))} are needed" in looked_at(source, target)["room"].detail
    target.path.parent.mkdir()
    there = fill(target, five).stat().st_size
    copies = there * (guards.SPACE_FACTOR + guards.BACKUP_FACTOR)
    assert f"about {size(copies)} are needed" in looked_at(source, target)["room"].detail


def test_memories_without_a_time_are_told_where_the_time_decides(tmp_path: Path, target: Address) -> None:
    source = source_of(tmp_path / "one", [memory(1), replace(memory(2), created=None)])
    assert "times" not in looked_at(source, target)
    newest = looked_at(source, target, MigrateOptions(conflict=Conflict.NEWEST))["times"]
    assert newest.is_warning and "1 memory tells no time" in newest.detail
    assert looked_at(source, target, MigrateOptions(selection=Selection(since=5.0)))["times"].is_warning


def test_the_first_failure_names_the_error_and_all_are_told() -> None:
    checks = [
        Check("good", True, "Good."),
        Check("warned", True, "Odd.", "Look."),
        Check("unknown", None, "Who knows."),
        Check("first", False, "One is wrong.", "Mend one.", NotPermitted),
        Check("second", False, "Two is wrong.", "Mend two.", UsageError),
    ]
    with pytest.raises(NotPermitted) as raised:
        require(checks)
    assert raised.value.message == "One is wrong. Two is wrong."
    assert raised.value.todo == "Mend one. Mend two."
    assert raised.value.safe == "Nothing was written."
    assert warnings(checks) == ("Odd. Look.",)
    require(checks[:3])


def test_a_file_that_goes_away_while_it_is_looked_at_means_that_somebody_writes(
    source: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Address("hdev", str(tmp_path / "memory"))
    fill(target, [memory(1)])
    files = HdevFiles.raw_files
    monkeypatch.setattr(HdevFiles, "raw_files", lambda store: [*files(store), store.root / ".gone.md.partial"])
    with pytest.raises(StoreChanged, match=r"\.gone\.md\.partial"):
        looked_at(source, target)
    with open_store(target) as store, pytest.raises(StoreChanged, match=r"\.gone\.md\.partial"):
        read_snapshot(store)
