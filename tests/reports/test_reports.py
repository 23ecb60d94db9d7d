"""Reports say what memories say and do nothing that memories ask for."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.reports import csv_file, html_file
from memdefrag.reports.files import require_known
from memdefrag.reports.rows import COLUMNS, Report, Row

EVIL = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1"]
MARKUP = ["<script>alert(1)</script>", '<img src="file:///red.png">', "</td></table><b>", "&lt;", '" on="', "\x1b[31m"]
TEXTS = st.one_of(st.sampled_from([*EVIL, *MARKUP]), st.text(max_size=20))


def report(*texts: str, id: str = "id", why: str = "why") -> Report:
    return Report(("jsonl:/a",), "All.", [Row(1, "sure", 1.0, "keep", id, text, why) for text in texts])


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.case(35)
@given(TEXTS, TEXTS, TEXTS)
def test_no_cell_is_a_formula(id: str, text: str, why: str) -> None:
    head, row = cells(csv_file.as_bytes(report(text, id=id, why=why)))
    assert head == list(COLUMNS)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)
    for said, cell in zip((id, text, why), row[4:], strict=True):
        assert cell in (_shown(said), f"'{_shown(said)}")


def _shown(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


@pytest.mark.case(35)
@pytest.mark.parametrize("text", EVIL[:-1])
def test_what_a_spreadsheet_would_obey_gets_an_apostrophe(text: str) -> None:
    assert csv_file.neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", ["plain", "a=1", "5", "Grüße", "a\nb", 'say "x", y', ""])
def test_other_cells_are_exact(text: str) -> None:
    assert cells(csv_file.as_bytes(report(text)))[1][5] == text


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text of each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def page(data: bytes) -> Page:
    seen = Page()
    seen.feed(data.decode("utf-8"))
    return seen


@pytest.mark.case(36)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_a_page_holds_only_our_own_tags(texts: list[str]) -> None:
    seen = page(html_file.as_bytes(report(*texts)))
    ours = {"html", "head", "meta", "title", "style", "body", "ul", "li", "p", "table", "tr", "th", "td", "bdi"}
    assert seen.tags == ours
    assert {name for name, _ in seen.attributes} == {"lang", "charset", "http-equiv", "content", "name", "dir"}
    assert len(seen.cells) == len(texts) * len(COLUMNS)


@pytest.mark.case(36)
@pytest.mark.parametrize("text", [*MARKUP[:-1], "plain", "Grüße\n  東京"])
def test_a_page_shows_the_text_as_it_is(text: str) -> None:
    assert page(html_file.as_bytes(report(text))).cells[5] == text


@pytest.mark.case(36)
def test_a_page_may_load_nothing() -> None:
    assert b"content=\"default-src 'none'; style-src 'unsafe-inline'\"" in html_file.as_bytes(report("x"))
    assert b"\x1b" not in html_file.as_bytes(report("\x1b[31m"))


def test_the_end_of_the_name_tells_the_format() -> None:
    require_known(Path("a.CSV"))
    require_known(Path("a.html"))
    with pytest.raises(UsageError, match=r"a\.pdf"):
        require_known(Path("a.pdf"))
