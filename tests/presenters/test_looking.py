from __future__ import annotations

from datetime import datetime

import pytest

from memdefrag.analysis.options import Method
from memdefrag.analysis.scope import Scope
from memdefrag.base.errors import UsageError
from memdefrag.presenters.looking import METHODS, WITH_VECTORS, Looking


def test_there_is_a_choice_for_every_method():
    assert list(METHODS) == [method.value for method in Method]
    assert set(WITH_VECTORS) < set(METHODS)


def test_what_stands_in_the_fields_is_the_scope():
    looking = Looking(tags=" work, home ,", types="note", sources="*.md", since="2026-01-31", until=" 2026-02-01 ")
    assert looking.scope() == Scope(
        tags=frozenset({"work", "home"}),
        types=frozenset({"note"}),
        sources=frozenset({"*.md"}),
        since=datetime(2026, 1, 31).timestamp(),
        until=datetime(2026, 2, 2).timestamp(),
    )
    assert looking.is_narrow


def test_empty_fields_leave_nothing_out():
    assert Looking(tags=" ", since=" ").scope() == Scope()
    assert not Looking(tags=" ", since=" ").is_narrow


def test_what_is_no_date_is_refused():
    with pytest.raises(UsageError):
        Looking(until="2026-13-01").scope()


def test_the_line_says_all_that_was_chosen():
    assert Looking().line() == "By meaning and words together, all memories."
    chosen = Looking(method="exact", across=True, tags="b, a", types="note", since="2026-01-31", against="/x/new.db")
    assert chosen.line() == (
        "By the same text to the letter, across collections, only tagged a or b, only of type note, "
        "created since 2026-01-31, compared with new.db · /x."
    )
