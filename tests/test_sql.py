"""SQL is made of literals, placeholders and quoted names; never of what a file or a person says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "memdefrag"
_BEGINS = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|WITH|WHERE|FROM|ATTACH|REPLACE|VACUUM|LOCK|COPY)\b"
)
_HAS_HOLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE|WHERE|JOIN) \0")

LOOKED_AT = {
    "analysis/embedding/vector_cache.py": {"marks"},
    "engine/commit.py": {"name", "size"},
    "stores/chroma/health.py": {"name"},
    "stores/chroma/staged.py": {"place", "close"},
    "stores/chroma/tables.py": {"flag", "is_other"},
    "stores/enhanced_memory/schema.py": {"table", "described", "name"},
    "stores/enhanced_memory/store.py": {"active", "vector", "here"},
    "stores/enhanced_memory/writer.py": {"names", "slots"},
    "stores/foreign_sqlite.py": {"', '.join(wanted)"},
    "stores/memory_export_rows.py": {
        "embedding", "extras", "where", "names", "slots", "table.row", "slot(rowid)",
    },
    "stores/memory_service/graph.py": {"store"},
    "stores/memory_service/events.py": {"names", "marks"},
    "stores/memory_service/library.py": {"setting"},
    "stores/memory_service/schema.py": {"name", "described", "place"},
    "stores/memory_service/store.py": {
        "_store(present)", "_dead(present)", "_store(columns(connection, TABLE))", "name", "store", "within",
        "select_rows(connection)",
    },
    "stores/memory_service/writer.py": {"names", "slots", "end"},
    "stores/sqlite_safe.py": {"setting"},
}  # fmt: skip
"""Parts of statements that are literals of ours, lists of placeholders, quoted names or integers; read before added."""


def _unsafe(source: str) -> Iterator[str]:
    """What is put into SQL without being a constant, a quoted name or a table's own quoted name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
            if _BEGINS.match(text) or _HAS_HOLE.search(text):
                holes = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
                yield from (ast.unparse(hole) for hole in holes if not _is_safe(hole))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            if any(_is_sql(side) for side in (node.left, node.right)):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_sql(node.func.value):
            yield ast.unparse(node)


def _is_safe(hole: ast.expr) -> bool:
    if isinstance(hole, ast.Call):
        return ast.unparse(hole.func) in ("quote", "sqlite_safe.quote")
    constant = isinstance(hole, ast.Name) and hole.id.isupper()
    return constant or (isinstance(hole, ast.Attribute) and hole.attr == "sql")


def _is_sql(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_BEGINS.match(node.value))


@pytest.mark.case(29)
@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_sql_is_made_of_nothing_that_a_stranger_says(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    assert set(_unsafe(path.read_text(encoding="utf-8"))) <= LOOKED_AT.get(name, set())


@pytest.mark.parametrize(
    "source",
    ['x = f"SELECT * FROM {name}"', 'x = f"{head} FROM {name}"', 'x = "DELETE FROM " + name', 'x = "SELECT %s" % name',
     'x = "SELECT {}".format(name)', 'x = f"PRAGMA table_info({name!r})"'],
)  # fmt: skip
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert list(_unsafe(source))


@pytest.mark.parametrize("source", ['x = f"SELECT * FROM {quote(name)}"', 'x = f"INSERT INTO {ARCHIVE} VALUES (?)"'])
def test_the_rule_lets_quoted_names_pass(source: str) -> None:
    assert not list(_unsafe(source))
