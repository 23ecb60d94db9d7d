from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.guard import differences, judge, opposites
from memdefrag.analysis.same_word import is_same_word
from memdefrag.analysis.words import Words


def told(one: str, other: str) -> list[str]:
    return [found.text for found in differences(Words.of(one), Words.of(other))]


def verdict(one: str, other: str, cosine: float = 0.95) -> str:
    sure, barred = judge(Words.of(one), Words.of(other), cosine)
    assert not (sure and barred)
    return "sure" if sure else "barred" if barred else "open"


@pytest.mark.parametrize(
    "one, other, difference",
    [
        ("The API port is 8080", "The API port is 8081", "port: 8080 / 8081"),
        ("It listens on localhost:8080", "It listens on localhost:9090", "port: 8080 / 9090"),
        ("She has three cats", "She has 4 cats", "number: 3 / 4"),
        ("It moved from 1.2.3 to 1.2.4", "It moved from 1.2.4 to 1.2.4", "version: 1.2.3 / 1.2.4"),
        ("They met on 5 July 2023", "They met on 2023-07-06", "date: 2023-07-05 / 2023-07-06"),
        ("The backup runs at 17:44", "The backup runs at 6:44 pm", "time: 17:44 / 18:44"),
        ("We use v1.2 now", "We use v1.3 now", "version: v1.2 / v1.3"),
        ("The file is /etc/a.conf", "The file is /etc/b.conf", "path: /etc/a.conf / /etc/b.conf"),
        ("Run it with --fast", "Run it with --slow", "option: --fast / --slow"),
        ("See https://a.org/x", "See https://a.org/y", "address: https://a.org/x / https://a.org/y"),
        ("It closes #424", "It closes #425", "id: #424 / #425"),
        ("He likes tea", "He doesn't like tea", "negation: – / not"),
        ("Yesterday Maria called", "Yesterday John called", "name: Maria / John"),
        ("Maria helps John", "John helps Maria", "roles: maria, john / john, maria"),
        ("The vision includes a home", "The vision excludes a home", "opposite: includes / excludes"),
        ("The production API is slow", "The staging API is slow", "opposite: production / staging"),
        ("A man turns on the radio", "A man turns off the radio", "opposite: on / off"),
        ("They won last week", "They won last month", "date: last week / last month"),
        ("Er mag nicht tanzen und singen", "Er mag tanzen und singen", "negation: not / –"),
        ("我喜欢喝茶", "我不喜欢喝茶", "negation: – / not"),
    ],
)
def test_a_contradiction_is_told_and_bars(one: str, other: str, difference: str) -> None:
    assert told(one, other)[0] == difference
    assert verdict(one, other) == "barred"


@pytest.mark.parametrize(
    "one, other",
    [
        ("They met in July 2023", "They met on 5 July 2023"),
        ("They met on 5 July", "They met on 5 July 2023"),
        ("She paid 1,000 euros", "She paid 1000 euros"),
        ("It took two days", "It took 2 days"),
        ("maria likes tea", "Maria likes tea"),
        ("Maria and John went hiking", "John and Maria went hiking"),
        ("Maria likes tea. She owns a shop.", "Maria likes tea. She owns a shop. John never came."),
    ],
)
def test_no_contradiction(one: str, other: str) -> None:
    assert verdict(one, other) != "barred"


def test_one_replaced_word_is_a_hint_that_does_not_bar() -> None:
    assert told("She loves to go hiking", "She loves to go camping") == ["word: hiking / camping"]
    assert verdict("She loves to go hiking", "She loves to go camping") == "open"


@pytest.mark.parametrize(
    "one, other",
    [
        ("Maria likes green tea", "[2023-10-27] Maria likes green tea (mentioned again)"),
        ("Maria likes green tea.", "Maria likes green tea. She owns a small shop with 3 rooms."),
        ("Maria likes green tea.", "Maria likes green tea. She hopes to own a shop."),
        ("Maria appreciates green tea", "Maria apreciates green tea"),
        ("Maria owns a shop where she sells tea", "Maria owns a shop wehre she sells tea"),
        ("Er mag grünen Tee und Kaffee", "Er mag grünen Tee und Kaffee!"),
    ],
)
def test_surely_the_same(one: str, other: str) -> None:
    assert verdict(one, other) == "sure"


@pytest.mark.parametrize(
    "one, other",
    [
        ("Maria likes green tea", "Maria hopes Ann likes green tea"),
        ("John opens a shop", "John opens a shop if he gets the loan"),
        (
            "I sent the final bill with all of the changes they asked for to the office in the old town hall in Bonn",
            "He sent the final bill with all of the changes they asked for to the office in the old town hall in Bonn",
        ),
        ("The fee is low", "The fee is low, down from 110 euros"),
        ("The dog chased the cat over the wall", "The cat chased the dog over the wall"),
        ("[2024-03-01] Went running in the park", "[2024-03-08] Went running in the park"),
        ("Maria likes tea", "Maria is looking for a cup of tea"),
        ("Er mag grünen Tee und Kaffee", "Er mag grünen Tee und Kaffee mit Zucker"),
        ("It saw a car", "It saw a cat"),
    ],
)
def test_not_surely_the_same(one: str, other: str) -> None:
    assert verdict(one, other) != "sure"


def test_diary_entries_of_different_days_say_so() -> None:
    entries = "[2024-03-01] Went running in the park", "[2024-03-08] Went running in the park"
    assert told(*entries) == ["dated: 2024-03-01 / 2024-03-08"]
    assert verdict(*entries) == "open"


def test_two_short_names_one_letter_apart_are_two_people() -> None:
    assert verdict("Jon bought a house", "John bought a house") == "barred"


def test_far_vectors_are_an_objection_but_none_at_all_are_not() -> None:
    texts = "Maria likes green tea.", "Maria likes green tea. She owns a shop."
    assert verdict(*texts, cosine=0.5) == "open"
    assert verdict(*texts, cosine=float("nan")) == "sure"


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("message", "mesage", True),
        ("message", "messages", True),
        ("understanding", "undrstandng", True),
        ("nature", "mature", False),
        ("car", "cat", False),
        ("cat", "cats", True),
        ("item1", "item2", False),
        ("form", "from", False),
        ("house", "horse", False),
        ("lives", "lived", False),
        ("dance", "dancer", False),
        ("organise", "organize", True),
        ("colour", "color", True),
        ("grey", "gray", True),
        ("kids", "children", True),
        ("iran", "irelan", False),
    ],
)
def test_typing_errors(one: str, other: str, same: bool) -> None:
    assert is_same_word(one, other) is same
    assert is_same_word(other, one) is same


@pytest.mark.parametrize("one, other", [("folding", "unfolding"), ("encourages", "discourages"), ("import", "export")])
def test_opposites_by_prefix(one: str, other: str) -> None:
    assert other in opposites(one)
    assert one in opposites(other)


def test_a_short_rest_is_no_stem() -> None:
    assert not opposites("into") & {"to"}
    assert not opposites("under") & {"der"}


SENTENCES = st.lists(
    st.sampled_from(
        ["Maria", "John", "likes", "hates", "not", "never", "tea", "the", "8080", "8081", "on", "off", "v1.2.3", "July",
         "2023-07-05", "--fast", "/etc/a.conf", "and", "by", ".", "hiking", "我不喜欢", "don't"]
    ),
    max_size=9,
).map(" ".join)


@given(SENTENCES, SENTENCES)
def test_the_guards_are_symmetric(one: str, other: str) -> None:
    a, b = Words.of(one), Words.of(other)
    swapped = [(found.kind, found.theirs, found.ours, found.bars) for found in differences(b, a)]
    there = [(found.kind, found.ours, found.theirs, found.bars) for found in differences(a, b)]
    assert list(map(normal, there)) == list(map(normal, swapped))
    assert judge(a, b, 0.9) == judge(b, a, 0.9)


def normal(difference: tuple[str, tuple[str, ...], tuple[str, ...], bool]) -> object:
    kind, ours, theirs, bars = difference
    return kind, sorted(ours) if kind == "opposite" else ours, sorted(theirs) if kind == "opposite" else theirs, bars


@given(SENTENCES)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert told(text, text) == []
    assert verdict(text, text) == "sure"
