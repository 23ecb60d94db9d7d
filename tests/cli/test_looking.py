"""The options of every command that looks for what says the same: what may be done for memories without a vector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding import worker as embedding_worker
from memdefrag.base.errors import ConfirmationNeeded, ModelUnavailable
from memdefrag.engine import compare
from tests.cli.conftest import Cli

needs_model = pytest.mark.skipif(not embed.is_available(), reason="needs the models extra")

TEXTS = ("The garden gate is green.", "Green is the colour of the garden gate.", "Bob drives to Rome every winter.")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A store without any vector."""
    path = tmp_path / "bare.jsonl"
    path.write_text("".join(json.dumps({"id": str(number), "text": text}) + "\n" for number, text in enumerate(TEXTS)))
    return path


@needs_model
def test_so_many_threads_make_vectors_as_were_named(cli: Cli, bare: Path) -> None:
    embedding_worker.dismiss()
    assert cli("analyze", bare, "--threads", 1, "--json").json["count"] == 3
    [worker] = embedding_worker._waiting
    assert worker.threads == 1
    assert cli("analyze", bare, "--threads", 0).code == 2


@needs_model
def test_long_work_is_asked_about_with_figures_and_done_when_agreed(
    cli: Cli, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "LONG_WORK_SECONDS", -1.0)
    refused = cli("analyze", bare, "--json")
    assert refused.code == ConfirmationNeeded.exit_code
    told = refused.json["error"]
    assert (told["code"], told["texts"]) == ("confirmation_needed", 3) and told["seconds"] >= 0
    assert "--yes" in told["todo"] and "--no-model" in told["todo"]
    assert cli("analyze", bare, "--yes", "--json").code == 0
    assert cli("analyze", bare, "--no-model", "--json").code == 0


def test_an_unknown_model_is_told(cli: Cli, bare: Path) -> None:
    assert cli("analyze", bare, "--model", "no-such-model").code == ModelUnavailable.exit_code


def test_without_the_models_extra_words_are_compared(cli: Cli, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "is_available", lambda: False)
    ended = cli("analyze", bare)
    assert ended.code == 0
    assert "the models extra is not installed" in " ".join(ended.err.split())
