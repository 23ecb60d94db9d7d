from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from memdefrag.base import errors
from memdefrag.cli.main import app

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands(group: Any = None, path: str = "memdefrag") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words that call it."""
    group = group or typer.main.get_command(app)
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, f"{path} {name}")
        else:
            yield f"{path} {name}", each


def section(heading: str) -> str:
    """The part of docs/commands.md about a command."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    found = re.search(rf"^##+ `{re.escape(heading)}[ `](.*?)(?=^##|\Z)", text, re.M | re.S)
    return found[1] if found else ""


@pytest.mark.parametrize(("path", "command"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_every_command_and_option_has_help_and_stands_in_the_docs(path: str, command: Any) -> None:
    described = section(path)
    assert command.help
    assert described, f"docs/commands.md has no section on {path}"
    shared = section("memdefrag COMMAND")
    for parameter in command.params:
        assert parameter.name == "help" or parameter.help, f"{path} {parameter.name}"
        if parameter.param_type_name == "option":
            assert any(f"`{name}" in described + shared for name in parameter.opts), f"{path} {parameter.opts}"


def test_the_docs_describe_no_command_or_option_that_is_not_there() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    known = {path for path, _ in commands()}
    options = {name for _, each in commands() for parameter in each.params for name in parameter.opts}
    headings = set(re.findall(r"^##+ `(memdefrag [a-z -]*[a-z])", text, re.M))
    assert headings <= known
    assert set(re.findall(r"`(--[a-z0-9-]+)", text)) <= options | {"--version", "--help"}


def test_the_page_of_exit_codes_lists_exactly_the_errors() -> None:
    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    told = {(int(code), name) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.M)}
    assert told == {(kind.exit_code, kind("").code) for kind in _leaves(errors.MemdefragError)}


def test_the_sizes_in_the_readme_are_those_that_set_up_announces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS.parent / "scripts")
    sizes = importlib.import_module("_setup").SIZES
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    for parts in (("base", "models"), ("models",), ("test", "old_chroma"), ("old_chroma",)):
        for measure in ("download_mb", "disk_mb"):
            assert f"{sum(getattr(sizes[part], measure) for part in parts):,} MB" in readme, (parts, measure)


def _leaves(kind: type[errors.MemdefragError]) -> Iterator[type[errors.MemdefragError]]:
    children = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    if not children:
        yield kind
    for each in children:
        yield from _leaves(each)
