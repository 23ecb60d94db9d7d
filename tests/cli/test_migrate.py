"""What `memdefrag migrate` says of a rehearsal and of what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.analysis.embedding import embed as models
from tests.cli.conftest import Cli


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Two memories in a file."""
    return written(tmp_path / "old.jsonl", "The key is under the mat.", "Tea is in the tin.")


def written(file: Path, *texts: str) -> Path:
    lines = [{"id": f"{file.stem}-{number}", "text": text} for number, text in enumerate(texts)]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return file


def test_a_rehearsal_says_what_would_be_written_and_how_long_only_if_it_knows(cli: Cli, old: Path) -> None:
    ended = cli("migrate", old, old.with_name("new.jsonl"), "--dry-run")
    assert ended.code == 0
    assert ("would be copied", "2") in {tuple(line.rsplit(None, 1)) for line in ended.out.splitlines()}
    assert "how long that takes is not known before the first time. Nothing was written." in ended.out
    assert not old.with_name("new.jsonl").exists()


def test_a_column_without_anything_in_it_is_not_shown(cli: Cli, old: Path) -> None:
    new = old.with_name("new.jsonl")
    assert " Why" not in cli("migrate", old, new, "--dry-run").out
    assert cli("migrate", old, new).code == 0
    again = cli("migrate", old, new, "--dry-run").out
    assert " Why" in again and " As " not in again
    assert "There is nothing to write." in again


def test_on_failure_too_stdout_is_one_object(cli: Cli, tmp_path: Path) -> None:
    ended = cli("migrate", tmp_path / "nowhere", f"chroma:{tmp_path / 'new'}", "--json")
    assert ended.code == 10
    assert ended.json["error"]["safe"]


def test_a_word_that_an_option_does_not_know_is_told_with_those_that_it_knows(cli: Cli, old: Path) -> None:
    ended = cli("migrate", old, old, "--on-conflict", "merge")
    assert ended.code == 2
    assert ended.err.startswith("Error: Invalid value for '--on-conflict': 'merge' is not one of 'skip', ")


@pytest.mark.skipif(not models.is_available(), reason="needs the models extra")
def test_a_second_store_without_vectors_joins_the_first(cli: Cli, old: Path, tmp_path: Path) -> None:
    """The model that made the first one's vectors is recognised and makes the second one's."""
    more = written(tmp_path / "more.jsonl", "The spare key hangs in the shed.")
    target = f"memory-service:{tmp_path / 'both.db'}"
    for source in (old, more):
        ended = cli("migrate", source, target, "--target-collection", "default", "--json")
        assert (ended.code, ended.json["failed"]) == (0, 0)
