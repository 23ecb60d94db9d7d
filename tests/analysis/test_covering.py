"""Whether one sentence says all that another one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.covering import covers, said


@pytest.mark.parametrize(
    ("kept", "part"),
    [
        ("Ann likes green tea and coffee.", "ann likes GREEN tea"),
        ("“Ann’s tea” is in the cupboard", '"Ann\'s tea" is in a cupboard'),
        ("**Ann** likes `tea`", "Ann likes tea"),
        ("Nate tries new flavors in the kitchen", "Nate tries new flaovrs in the kithen"),
        ("In 1977 Barber travelled to Norway with Rob", "Barber travelled to Norway with Rob in 1977"),
        ("Ann does not like tea or milk", "Ann does not like tea"),
        ("| port | 8080 | open |", "port 8080"),
        ("我喜欢茶和咖啡", "我喜欢茶。"),
        ("```python\nx = 1\ny = 2\n```", "```python\nx = 1\n```"),
    ],
)
def test_nothing_is_missing(kept: str, part: str) -> None:
    assert covers(kept, part)


@pytest.mark.parametrize(
    ("kept", "part"),
    [
        ("ann likes green tea", "Ann likes green tea and coffee"),
        ("Ann does not like tea", "Ann does like tea"),
        ("Ann likes tea but not milk", "Ann likes tea"),
        ("one two three four", "one tow three four"),
        ("flavors kitchen", "flaovrs kithcen"),
        ("```python\nx = 1\n```", "x = 1"),
        ("x = 1 python", "```python\nx = 1\n```"),
        ("```\nx = 10\n```", "```\nx = 1\n```"),
    ],
)
def test_something_is_missing(kept: str, part: str) -> None:
    assert not covers(kept, part)


@pytest.mark.parametrize("text", ["", "---", "…", "***", " | "])
def test_ornament_says_nothing(text: str) -> None:
    assert said(text).words == ()


@pytest.mark.parametrize("text", ["a", "The", "7", "👍", "€", "茶"])
def test_anything_else_says_something(text: str) -> None:
    assert said(text).words


@given(st.text())
def test_everything_covers_itself(text: str) -> None:
    assert covers(text, text)


some_words = st.lists(st.sampled_from(["ann", "Bob", "tea", "3", "not", "茶", "likes", "/a/b"]), min_size=1, max_size=6)


@given(some_words, st.data())
def test_what_covers_is_at_least_as_large(words: list[str], data: st.DataObject) -> None:
    other = data.draw(st.permutations(words))[: data.draw(st.integers(1, len(words)))]
    kept, part = " ".join(words), " ".join(other)
    if covers(kept, part):
        assert said(kept).size[0] >= said(part).size[0]
