"""Every case that docs/safety.md numbers has a test that proves it, and every number a test names is in the table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TABLE = TESTS.parent / "docs" / "safety.md"
CASES = range(1, 47)


def numbers_marked(source: str) -> set[int]:
    """The numbers in all `pytest.mark.case(...)` of a module."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    marks = (call for call in calls if ast.unparse(call.func) == "pytest.mark.case")
    return {ast.literal_eval(argument) for call in marks for argument in call.args}


def numbers_listed(text: str) -> list[int]:
    """The numbers in the first column of the table of cases."""
    return [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.M)]


def test_every_case_is_proved() -> None:
    marked = set().union(*(numbers_marked(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py")))
    assert marked == set(CASES)


def test_every_case_is_in_the_table_once() -> None:
    assert numbers_listed(TABLE.read_text(encoding="utf-8")) == list(CASES)


def test_marks_are_found_on_tests_and_on_modules() -> None:
    source = "pytestmark = [pytest.mark.case(1)]\n@pytest.mark.case(2, 3)\ndef one(): ...\n@other.case(4)\ndef f(): ..."
    assert numbers_marked(source) == {1, 2, 3}
