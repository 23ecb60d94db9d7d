from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import UsageError
from memdefrag.engine.own_queries import Query, read


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queries.txt"
    path.write_bytes(text.encode())
    return path


def test_lines_and_json_lines_may_stand_side_by_side(tmp_path: Path) -> None:
    json_lines = ' {"query": "Zoë", "expect": ["a", "notes/b"]}', '{"query": "tea", "expect": null}'
    told = ("\ufeffWhere is the gate?\r", "\r", *json_lines)
    text = "\n".join(told)
    assert read(written(tmp_path, text)) == (
        Query("Where is the gate?"),
        Query("Zoë", ("a", "notes/b")),
        Query("tea"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no query"),
        (" \n\n", "no query"),
        ('tea\n{"query"', "Line 2"),
        ('{"expect": ["a"]}', 'no "query"'),
        ('{"query": " "}', 'no "query"'),
        ('{"query": "x", "expect": "a"}', "list of ids"),
        ('{"query": "x", "expect": [1]}', "list of ids"),
        ("[" * 300, None),
    ],
)
def test_what_cannot_be_meant_is_refused_by_line(tmp_path: Path, text: str, said: str | None) -> None:
    if said is None:
        assert read(written(tmp_path, text)) == (Query(text),)
        return
    with pytest.raises(UsageError, match=said):
        read(written(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "q", tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read(path)
