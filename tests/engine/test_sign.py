"""Who works with another data folder sees who writes a folder file by file, and what a crash left in it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from memdefrag.base.errors import StoreInUse, UnfinishedJob, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import catalogue, recover, sign
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions, Pace
from memdefrag.model.records import Key, MemoryRecord
from tests.engine.migrate.kinds import NAME, NO_MODEL, make
from tests.engine.stores import snapshot_of

SMALL = MigrateOptions(pace=Pace(batch=2))


class _Crash(BaseException):
    """The process dies: nothing of it is tidied up."""


class _Dying(Progress):
    def step(self, units: int = 1) -> None:
        super().step(units)
        if self.name == "Writing":
            raise _Crash

    def phase(self, name: str, total: int | None = None, *, cancellable: bool = True) -> None:
        super().phase(name, total, cancellable=cancellable)
        self.name = name


@pytest.fixture
def source(tmp_path: Path) -> Address:
    records = [MemoryRecord(Key(NAME, f"id{n}"), f"Memory {n}", {}) for n in range(6)]
    return make(Address("jsonl", str(tmp_path / "source.jsonl")), records)


@pytest.fixture
def target(tmp_path: Path) -> Address:
    (tmp_path / "there" / "memory").mkdir(parents=True)
    return Address("hdev", str(tmp_path / "there" / "memory"))


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Work with another data folder for a while."""

    @contextmanager
    def with_other() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "other-data"))
            yield

    return with_other


@pytest.fixture
def crashed(source: Address, target: Address, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The target, with a part of the source in it."""
    with monkeypatch.context() as patch, pytest.raises(_Crash):
        patch.setattr("memdefrag.engine.apply.recover.settle", _crash)
        migrate(source, target, SMALL, NO_MODEL, _Dying())
    assert 0 < len(snapshot_of(target).records) < 6
    return target


def _crash(*_: object) -> None:
    raise _Crash


def sign_of(target: Address) -> Path:
    return target.path.with_name("memory.memdefrag-writing")


def forge(target: Address, data: Path, **more: object) -> None:
    said = {"id": "x", "host": platform.node(), "data": str(data), "pid": 1, "process_created": 0.0}
    sign_of(target).write_text(json.dumps({**said, **more}))


def test_a_finished_write_leaves_no_sign(source: Address, target: Address) -> None:
    migrate(source, target, SMALL, NO_MODEL)
    assert [path.name for path in target.path.parent.iterdir()] == ["memory"]


def test_what_a_crash_left_is_not_finished_with_another_data_folder(
    source: Address, crashed: Address, other: Any
) -> None:
    with other(), pytest.raises(UnfinishedJob) as refused:
        migrate(source, crashed, SMALL, NO_MODEL)
    assert f"{DATA_DIR_VARIABLE}=" in refused.value.todo
    recover.recover_all(asked=True)
    assert snapshot_of(crashed).records == ()
    assert not sign_of(crashed).exists()
    with other():
        assert migrate(source, crashed, SMALL, NO_MODEL).copied == 6
    assert recover.recover_all(asked=True) == []
    assert len(snapshot_of(crashed).records) == 6


def test_going_on_takes_the_sign_away(source: Address, crashed: Address) -> None:
    assert sign_of(crashed).exists()
    assert migrate(source, crashed, MigrateOptions(resume=True), NO_MODEL).copied == 6
    assert not sign_of(crashed).exists()


def test_who_is_writing_with_another_data_folder_is_named(source: Address, target: Address, tmp_path: Path) -> None:
    parent = psutil.Process(os.getppid())
    forge(target, tmp_path / "other", pid=parent.pid, process_created=parent.create_time())
    with pytest.raises(StoreInUse, match=f"process {parent.pid}"):
        migrate(source, target, SMALL, NO_MODEL)
    assert snapshot_of(target).records == ()


def test_a_write_that_another_machine_left_is_settled_there(source: Address, target: Address, tmp_path: Path) -> None:
    forge(target, tmp_path / "other", host="elsewhere")
    with pytest.raises(UnfinishedJob, match="on elsewhere") as refused:
        migrate(source, target, SMALL, NO_MODEL)
    assert recover.recover_all(asked=True) == []
    way_out = next(line for line in refused.value.todo.splitlines() if line.startswith("  rm "))
    subprocess.run(way_out, shell=True, check=True)
    assert migrate(source, target, SMALL, NO_MODEL).copied == 6


@pytest.mark.parametrize("said", ["", "{", "[]", '{"pid": -1}', '{"data": 3}', "[" * 9_000])
def test_what_is_no_sign_stops_nobody(source: Address, target: Address, said: str) -> None:
    sign_of(target).write_text(said)
    assert migrate(source, target, SMALL, NO_MODEL).copied == 6
    assert not sign_of(target).exists()


def test_a_sign_whose_data_folder_is_gone_stops_nobody(source: Address, target: Address, tmp_path: Path) -> None:
    forge(target, tmp_path / "gone")
    assert migrate(source, target, SMALL, NO_MODEL).copied == 6


def test_who_goes_on_is_told_to_be_at_work_and_nobody_waits_for_that(source: Address, crashed: Address) -> None:
    refused: list[str] = []

    class Watching(Progress):
        def step(self, units: int = 1) -> None:
            super().step(units)
            if not refused and len(snapshot_of(crashed).records) > 3:
                assert recover.recover_all() == []
                with pytest.raises(StoreInUse) as told:
                    migrate(source, crashed, MigrateOptions(resume=True), NO_MODEL)
                refused.append(told.value.message)

    options = MigrateOptions(resume=True, pace=Pace(batch=1))
    assert migrate(source, crashed, options, NO_MODEL, Watching()).copied == 6
    assert "still running" in refused[0]


def test_what_was_gone_on_with_is_told_though_the_rest_cannot_be_done(source: Address, crashed: Address) -> None:
    options = MigrateOptions(resume=True, target_collection="other")
    with pytest.raises(UsageError) as failed:
        migrate(source, crashed, options, NO_MODEL)
    assert len(snapshot_of(crashed).records) == 6
    assert "6 memories are there now" in failed.value.safe and "memdefrag undo" in failed.value.safe


def test_a_sign_that_may_not_be_removed_holds_nobody_up(
    source: Address, target: Address, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refused(self: Path, missing_ok: bool = False) -> None:
        if self.name.endswith(sign.SUFFIX) and self.exists():
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        assert migrate(source, target, None, NO_MODEL).copied == 6
    assert target.path.with_name(target.path.name + sign.SUFFIX).exists()
    assert catalogue.unfinished_jobs() == {}
    more = make(Address("jsonl", f"{source.path}.more"), [MemoryRecord(Key(NAME, "more"), "One more", {})])
    with other():
        assert migrate(more, target, None, NO_MODEL).copied == 1
