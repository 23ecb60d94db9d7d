"""A migration that was interrupted waits for the person: every command says so, `recover` takes it back."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from memdefrag.base.fsops import bytes_of
from memdefrag.engine import resume
from memdefrag.model.address import Address
from tests.cli.conftest import Cli
from tests.engine.stores import make_store
from tests.faults.harness import in_child
from tests.faults.migrating import Migration, content


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    """From a file into a new folder, killed half-way."""
    made = Migration(make_store("jsonl", tmp_path), Address("hdev", str(tmp_path / "new")), 5)
    assert in_child("", partial(made.begin, 10)) == -signal.SIGKILL
    return made


def test_a_command_says_how_to_go_on_and_leaves_it(cli: Cli, migration: Migration) -> None:
    written = len(content(migration.target))
    assert 0 < written < 20
    assert f"{migration.target} --resume" in cli("history").err
    assert len(content(migration.target)) == written
    assert resume.pending(migration.target) is not None


def test_what_was_gone_on_with_tells_its_bytes(migration: Migration) -> None:
    done = resume.go_on(migration.target)
    assert done is not None
    assert (done.written, done.bytes_before) == (20, 0)
    assert done.bytes_after == bytes_of(migration.target.path) > 0


def test_recover_takes_it_back(cli: Cli, migration: Migration) -> None:
    [told] = cli("recover", "--json").json["recovered"]
    assert (told["store"], told["outcome"]) == (str(migration.target), "discarded")
    assert len(content(migration.target)) == 0
    assert resume.pending(migration.target) is None
