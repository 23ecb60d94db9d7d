"""Going on from another source than the one that was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.engine import staging
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import Key
from tests.engine.migrate.ends import memory
from tests.engine.migrate.kinds import NO_MODEL, make
from tests.engine.stores import snapshot_of


class _Crash(BaseException):
    """The process dies: nothing of it is tidied up."""


def _crash(*_: object) -> None:
    raise _Crash


def test_the_copy_from_another_source_is_given_up_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(Address("jsonl", str(tmp_path / "first.jsonl")), [memory(1), memory(2)])
    second = make(Address("jsonl", str(tmp_path / "second.jsonl")), [memory(3)])
    target = Address("chroma", str(tmp_path / "chroma"))
    with monkeypatch.context() as patch, pytest.raises(_Crash):
        patch.setattr(staging.Staging, "proved", _crash)
        patch.setattr("memdefrag.engine.apply.recover.settle", _crash)
        migrate(first, target, None, NO_MODEL)
    report = migrate(second, target, MigrateOptions(resume=True), NO_MODEL)
    assert any(str(first) in warning and "given up" in warning for warning in report.warnings)
    assert (report.found, report.copied) == (1, 1)
    assert set(snapshot_of(target).by_key) == {Key("memories", "id003")}
