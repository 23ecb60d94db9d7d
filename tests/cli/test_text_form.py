"""hdev's text form of a command, taken apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.cli import text_form

KNOWN = ("target_config", "source_config", "overwrite", "dry_run")
VALUES = st.text(alphabet='abz/:.-_ éß"=?&', max_size=12).filter(
    lambda value: '"' not in value and value == value.strip() and not re.search(r"\s\w+=", value)
)


@pytest.mark.parametrize(
    "name", ["!migrate_memory ", "/migrate_memory ", "migrate_memory ", "migrate-memory ", "", " "]
)
def test_the_name_may_stand_before_it_or_not(name: str) -> None:
    text = f'{name}target_config="http:https://memory.example.com" dry_run=true'
    assert text_form.pairs([text], KNOWN) == {
        "target_config": "http:https://memory.example.com",
        "dry_run": "true",
    }


@given(st.dictionaries(st.sampled_from(KNOWN), VALUES), st.booleans(), st.booleans(), st.booleans())
def test_values_come_back_however_they_are_typed(said: dict[str, str], quoted: bool, named: bool, whole: bool) -> None:
    typed = [f'{key}="{value}"' if quoted else f"{key}={value}" for key, value in said.items()]
    typed = ["!migrate_memory"] * named + typed
    assert text_form.pairs([" ".join(typed)] if whole else typed, KNOWN) == said


@given(st.dictionaries(st.sampled_from(KNOWN), VALUES), st.booleans())
def test_words_that_were_parted_stay_as_they_are(said: dict[str, str], quoted: bool) -> None:
    text = " ".join(f'{key}="{value}"' if quoted else f"{key}={value}" for key, value in said.items())
    parted = text_form.words(text)
    assert [again for word in parted for again in text_form.words(word)] == parted
    assert text_form.pairs(parted, KNOWN) == said


def test_quotes_keep_what_looks_like_a_pair_together() -> None:
    text = 'source_config="filesystem:/a b=c" overwrite=true'
    assert text_form.pairs([text], KNOWN) == {"source_config": "filesystem:/a b=c", "overwrite": "true"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("target=filesystem", "'target'"),
        ("target_config=filesystem DRY_RUN=true", "'DRY_RUN'"),
        ("filesystem", "'filesystem'"),
        ("!migrate_memory migrate_memory overwrite=true", "'!migrate_memory migrate_memory'"),
        ("overwrite=true overwrite=false", "overwrite"),
        ('target_config="filesystem', "target_config"),
        ('target_config=file"system', "target_config"),
    ],
)
def test_errors_name_the_word_that_is_wrong(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        text_form.pairs([text], KNOWN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!migrate_memory x", True),
        (" /migrate-memory", True),
        ("target_config=http", True),
        ('source_config="a"', True),
        ("/home/me/migrate_memory", False),
        ("/path target_config=x", False),
        ("--source", False),
        ("", False),
    ],
)
def test_only_what_is_surely_such_a_text_begins_so(text: str, expected: bool) -> None:
    assert text_form.begins(text) is expected
