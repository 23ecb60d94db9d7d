from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from memdefrag.base.errors import NotAStore
from memdefrag.cli import output

UNTRUSTED = st.text(alphabet=st.characters(codec=None, exclude_categories=()))


@given(UNTRUSTED)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = output.plain(text)
    assert len(shown) == len(text)
    assert all(letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs") for letter in shown)


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Cf"))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert output.plain(text) == text


@given(UNTRUSTED, st.integers(2, 50))
def test_a_preview_is_one_line_of_at_most_that_length(text: str, length: int) -> None:
    shown = output.preview(text, length)
    assert len(shown) <= length
    assert len(shown.splitlines()) <= 1


def test_escape_sequences_and_direction_overrides_are_shown_not_obeyed() -> None:
    assert output.plain("\x1b[2Jgone\x9b1m\u202etxt.exe") == "\ufffd[2Jgone\ufffd1m\ufffdtxt.exe"


def test_markup_in_a_memory_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_answer("[bold red]not red[/] :smile:")
    assert capsys.readouterr().out == "[bold red]not red[/] :smile:\n"


def test_cells_of_tables_are_text_too(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_answer(output.table("Memory", "Count", rows=[("[link=x]\x1b]8;;y\x07", 1234)]))
    out = capsys.readouterr().out
    assert "[link=x]\ufffd]8;;y\ufffd" in out
    assert "1,234" in out


@given(UNTRUSTED)
def test_json_is_ascii_and_keeps_every_text(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr(output.sys.stdout, "write", written.append)
        output.print_json({"text": text})
    assert written[0].isascii()
    assert json.loads(written[0]) == {"text": text}


def test_an_error_says_what_failed_what_is_safe_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(NotAStore("There is nothing at /x.", todo="Look again."), as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "Error: There is nothing at /x.",
        "Your store was not changed.",
        "Look again.",
    ]


def test_an_error_as_json_stands_on_stdout_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(NotAStore("postgresql://me:hunter2@host is silent."), as_json=True)
    told = capsys.readouterr()
    assert told.err == ""
    assert json.loads(told.out)["error"] == {
        "code": "not_a_store",
        "message": "postgresql://me:***@host is silent.",
        "safe": NotAStore.default_safe,
        "todo": NotAStore.default_todo,
    }


@pytest.mark.parametrize("heading", output.NAMES)
def test_a_name_to_be_pasted_is_not_broken_by_a_narrow_terminal(heading: str) -> None:
    name, store = "20261120T215648639708Z-fe724e9a", "/a/long/path/" * 9
    console = Console(width=50, record=True, file=io.StringIO())
    console.print(output.table(heading, "Store", rows=[(name, store)]))
    assert name in console.export_text()
