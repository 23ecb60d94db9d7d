"""Whole commands on stores of strangers: nothing crashes, nothing is obeyed, nothing is lost."""

from __future__ import annotations

import csv
import json
import pickle
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.cli.conftest import Cli, traces
from tests.stores.chroma.folders import made

SAME = "The deploy script lives in tools/deploy.sh."
CRASH = 70
OPENING = '{"a":'


def deep(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


def _lines() -> Iterator[str]:
    """Lines of JSON that say the same and carry something odd."""
    for depth in (90, 101, 480, 900, 960, 990, 100_000):
        yield f'{{"id": "l{depth}", "text": "{SAME}", "metadata": {{"x": {deep("[", "]", depth)}}}}}'
        yield f'{{"id": "o{depth}", "text": "{SAME}", "extra": {deep(OPENING, "}", depth)}}}'
    for number, odd in enumerate(
        [
            *('"metadata": {"n": ' + "9" * digits + "}" for digits in (4000, 5000)), '"created_at": ' + "9" * 4000,
            '"metadata": {"timestamp": 1e400}', '"created_at": 1e308, "updated_at": -1e308', '"embedding": [NaN, 1]',
            '"embedding": [1e39, 1]', '"embedding": [0, 0]', '"embedding": [1, 0]', '"embedding": [1, 0, 0]',
            '"embedding": {"a": 1}', '"embedding": [[1]]', '"tags": {"a": 1}, "metadata": [1], "state": {}',
            '"metadata": {"tags": 5, "superseded_by": [1], "deleted_at": {"a": 1}, "": 1, "chroma:document": "z"}',
            '"metadata": {"\\ud83d": "\\udc00"}, "tags": ["\\ud800"]',
        ]
    ):  # fmt: skip
        yield f'{{"id": "odd{number}", "text": "{SAME}", {odd}}}'
    yield '{"id": "\\ud800half", "text": "The deploy \\udfff script lives in tools/deploy.sh."}'
    yield f'{{"id": "\\u0000", "text": "{SAME}"}}'
    yield f'{{"id": {{"a": [1]}}, "text": "{SAME}"}}'
    yield f'{{"id": "twice", "text": "{SAME}"}}'
    yield '{"id": "twice", "text": "something else"}'
    yield f'{{"id": "{"x" * 10_000}", "text": "{SAME}"}}'
    yield from ('{"text": null}', '{"text": 5}', "[]", "5", "null", "{broken", '{"text": ""}')


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "hostile.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(_lines()) + "\n", encoding="utf-8")
    return path


@pytest.mark.case(20)
@pytest.mark.case(21)
@pytest.mark.case(24)
@pytest.mark.case(25)
def test_no_line_stops_a_command(cli: Cli, hostile: Path, tmp_path: Path) -> None:
    before = traces(hostile.parent)
    plan = tmp_path / "plan.json"
    for reading in (["inspect"], ["inspect", "--json"], ["search", "deploy", "--no-model"]):
        assert cli(reading[0], hostile, *reading[1:]).code == 0
    assert cli("analyze", hostile, "--no-model", "--save", plan, "--report", tmp_path / "r.csv").code == 0
    assert cli("analyze", hostile, "--no-model", "--report", tmp_path / "r.html", "--json").code == 0
    assert traces(hostile.parent) == before
    lines = hostile.read_bytes().splitlines()
    assert cli("apply", plan, "--confirm-shrink", "--min-recall", "0").code == 0
    kept = hostile.read_bytes().splitlines()
    unread = [line for line in lines if b"text" not in line or line.startswith(b"{broken")]
    assert unread and {*unread} <= {*kept} and len(kept) < len(lines)
    assert cli("undo", "last", hostile, "--confirm-shrink").code in (0, 1)
    assert cli("export", hostile, tmp_path / "out.db").code == 0
    assert cli("inspect", tmp_path / "out.db").code == 0
    agreed = ("--no-model", "--confirm-shrink", "--min-recall", "0")
    assert cli("optimize", tmp_path / "out.db", "--auto", "sure", *agreed).code == 0


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    path.write_bytes(b'{"id": "big", "text": "' + b"memory " * 15_000_000 + b'"}\n{"id": "small", "text": "x"}\n')
    with open_store(f"jsonl:{path}") as opened:
        assert [len(record.text or "") for record in read_snapshot(opened).records] == [105_000_000, 1]


TERMINAL = "\x1b]0;owned\x07\x1b[31mred\x1b[0m \u202eevil\u202c [bold]x[/bold] \x9b31m " + SAME


@pytest.mark.case(35)
@pytest.mark.case(36)
def test_a_terminal_obeys_no_memory(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts = [TERMINAL, TERMINAL + " ", "=cmd|' /C calc'!A0 " + SAME, "=cmd|' /C calc'!A0 " + SAME + " "]
    path.write_text("".join(json.dumps({"id": f"\x1b[2J{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    for command in (["inspect"], ["analyze", "--no-model", "-v"], ["search", "deploy", "--no-model"]):
        ended = cli(command[0], path, *command[1:])
        assert ended.code == 0
        for character in ended.out + ended.err:
            assert character in "\n\t\r" or unicodedata.category(character) != "Cc"
            assert character not in "\u202e\u202c"
    ended = cli("analyze", path, "--no-model", "--json", "--report", tmp_path / "r.csv")
    assert ended.out.isascii() and "[bold]x[/bold]" in cli("analyze", path, "--no-model").out
    with open(tmp_path / "r.csv", encoding="utf-8-sig", newline="") as report:
        rows = list(csv.reader(report))
    assert {row[5] for row in rows[1:]} == {*(f"'{text}" for text in texts[2:]), *texts[:2]}


def test_an_unknown_kind_of_report_is_refused_before_the_work(cli: Cli, tmp_path: Path) -> None:
    assert cli("analyze", tmp_path / "none", "--report", tmp_path / "r.pdf").code == 2


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return Path.touch, (self.marker,)


@pytest.mark.case(33)
@pytest.mark.slow
def test_a_pickle_bomb_survives_every_command(cli: Cli, tmp_path: Path) -> None:
    marker, store = tmp_path / "marker", made().copy(tmp_path / "store")
    bomb = pickle.dumps({"id_to_label": {"b1": 1}, "x": Bomb(marker)})
    placed = [path.write_bytes(bomb) for path in store.glob("*/index_metadata.pickle")]
    before = traces(store)
    assert placed
    assert "index_metadata.pickle" in cli("inspect", store, "--json").out
    for command in (["analyze", "--no-model"], ["search", "text", "--no-model"], ["backup"]):
        words = ["backup", "create", store] if command == ["backup"] else [command[0], store, *command[1:]]
        assert cli(*words).code != CRASH
    assert traces(store) == before
    ended = cli("optimize", store, "--auto", "sure", "--no-model", "--confirm-shrink")
    assert ended.code != CRASH
    assert not marker.exists()
    pickle.loads(bomb)
    assert marker.exists(), "the bomb was a dud, so the test proved nothing"


@pytest.mark.case(34)
@pytest.mark.skipif("os.name == 'nt'")
def test_a_link_to_a_store_stays_a_link(cli: Cli, demo: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(demo)
    target = demo.read_bytes()
    assert cli("optimize", link, "--auto", "sure", "--no-model").code == 0
    assert link.is_symlink() and link.resolve() == demo.resolve()
    assert demo.read_bytes() != target
    assert cli("undo", "last", link).code == 0
    assert link.is_symlink() and [path.name for path in demo.parent.iterdir()] == [demo.name]


@pytest.mark.case(34)
@pytest.mark.skipif("os.name == 'nt'")
def test_a_link_inside_a_folder_is_never_followed(cli: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    store = made().copy(tmp_path / "store")
    (store / "notes").symlink_to(secret)
    segment = next(store.glob("*/data_level0.bin"))
    (segment.parent / "extra").symlink_to("/etc")
    assert "link" in cli("inspect", store).out
    assert cli("backup", "create", store).code != CRASH
    ended = cli("optimize", store, "--auto", "sure", "--no-model", "--confirm-shrink")
    assert ended.code != CRASH
    assert secret.read_text() == "not yours"
    copies = [path for path in tmp_path.rglob("*") if path.is_file() and path != secret and not path.is_symlink()]
    assert not any(b"not yours" in path.read_bytes() for path in copies)
