from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.base.errors import UsageError
from memdefrag.engine import calibration
from memdefrag.stores.registry import resolve
from tests.cli.conftest import Cli, traces


def answered(cli: Cli, demo: Path, file: Path, same: bool) -> Path:
    """All borderline pairs of the demo store with one answer."""
    assert cli("calibrate", demo, "--save-pairs", file, "--no-model").code == 0
    pairs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(pairs) > 1 and all(pair["same"] is None and pair["one"] != pair["other"] for pair in pairs)
    lines = [json.dumps({**pair, "same": same}) for pair in pairs]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_the_line_follows_the_answers_and_later_looks_begin_there(cli: Cli, demo: Path, tmp_path: Path) -> None:
    before = traces(demo.parent)
    file = answered(cli, demo, tmp_path / "pairs.jsonl", same=False)
    strict = cli("calibrate", demo, "--answers", file, "--no-model", "--json").json
    assert strict["threshold"] > 0.85 and strict["low"] <= strict["precision"] <= strict["high"]
    ended = cli("analyze", demo, "--no-model", "--json")
    assert ended.json["threshold"] == strict["threshold"] and "as calibrated" in ended.err
    assert cli("analyze", demo, "--no-model", "--threshold", "0.8", "--json").json["threshold"] == 0.8
    file = answered(cli, demo, tmp_path / "pairs.jsonl", same=True)
    assert cli("calibrate", demo, "--answers", file, "--no-model", "--json").json["threshold"] < strict["threshold"]
    assert traces(demo.parent) == before


def test_the_usual_threshold_comes_back(cli: Cli, demo: Path, tmp_path: Path) -> None:
    file = answered(cli, demo, tmp_path / "pairs.jsonl", same=False)
    cli("calibrate", demo, "--answers", file, "--no-model")
    assert cli("calibrate", demo, "--forget").code == 0
    assert calibration.recall(resolve(str(demo))) is None
    assert cli("analyze", demo, "--no-model", "--json").json["threshold"] == 0.85


def test_without_an_answer_nothing_is_remembered(cli: Cli, demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    cli("calibrate", demo, "--save-pairs", file, "--no-model")
    assert cli("calibrate", demo, "--answers", file, "--no-model", "--json").json["answers"] == 0
    assert calibration.recall(resolve(str(demo))) is None


def test_where_nothing_is_borderline_no_file_is_written(cli: Cli, tmp_path: Path) -> None:
    store, file = tmp_path / "one.jsonl", tmp_path / "pairs.jsonl"
    store.write_text('{"text": "Maria likes green tea."}', encoding="utf-8")
    ended = cli("calibrate", store, "--save-pairs", file, "--no-model")
    assert ended.code == 0 and "no borderline pairs" in ended.out and not file.exists()


def test_a_share_that_no_threshold_reaches_is_not_promised(cli: Cli, demo: Path, tmp_path: Path) -> None:
    file = answered(cli, demo, tmp_path / "pairs.jsonl", same=False)
    falls_short = "No threshold makes that 90%"
    assert falls_short in cli("calibrate", demo, "--answers", file, "--no-model").out
    assert falls_short not in cli("calibrate", demo, "--answers", file, "--no-model", "--precision", "0.5").out


@pytest.mark.parametrize(
    "line",
    ["nonsense", '{"same": "yes", "score": 0.8}', '{"same": true}', '{"same": true, "score": NaN}',
     '{"same": true, "score": 85}', "[1]"],
)  # fmt: skip
def test_a_line_that_is_no_answer_is_named(cli: Cli, demo: Path, tmp_path: Path, line: str) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(line, encoding="utf-8")
    ended = cli("calibrate", demo, "--answers", file, "--no-model")
    assert ended.code == UsageError.exit_code and "Line 1" in ended.err


def test_where_nobody_can_be_asked_the_way_by_a_file_is_told(cli: Cli, demo: Path) -> None:
    ended = cli("calibrate", demo)
    assert ended.code == UsageError.exit_code and "--save-pairs" in ended.err
