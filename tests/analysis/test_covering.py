"""Whether one sentence says all that another one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.covering import covers, has_words, said


@pytest.mark.parametrize(
    ("kept", "part"),
    [
        ("Ann likes green tea and coffee.", "ann likes GREEN tea"),
        ("“Ann’s tea” is in the cupboard", '"Ann\'s tea" is in a cupboard'),
        ("**Ann** likes `tea`", "Ann likes tea"),
        ("Ivo tries new flavors in the kitchen", "Ivo tries new flaovrs in the kithen"),
        ("Ivo finds all of the turtles calming", "Ivo fnds all of the turttles calming"),
        ("The job is described in the param table", "The job is decsribed in the paarm table"),
        ("Ann and her children enjoy painting in the garden", "Ann and her kids like painting in the garden"),
        ("Ann also enjoys reading books", "Ann also ennjoys reading books"),
        ("Ann also ennjoys reading books", "Ann also enjoys reading books"),
        ("Ann is at the moment painting her fence", "Ann is currently painting her fence"),
        ("Ann doesn't organise the colour tables", "Ann does not organize the color tables"),
        ("The trip to Oslo took 5 kilometers", "The trip to Oslo took 5 km"),
        ("Ann invited Bob, Carl and Dora", "Ann invited Bob, Dora and Carl"),
        ("After the long winter Ann came to power", "Ann came to power after the long winter"),
        ("Ann came to power after the long winter and stayed", "After the long winter Ann came to power and stayed"),
        ("Yesterday Ann went home", "Ann went home yesterday"),
        ("Ann plays chess and wants to learn go", "Ann plays chess"),
        ("Anna trinkt jeden Morgen einen Kaffee", "Anna tirnkt jeden Morgen einen Kaffee"),
        ("In 1977 Barber travelled to Norway with Rob", "Barber travelled to Norway with Rob in 1977"),
        ("Ann does not like tea with milk", "Ann does not like tea"),
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
        ("The meeting is in room B", "The meeting is in room A"),
        ("Vitamin is good for Ann", "Vitamin A is good for Ann"),
        ("Ann has a few friends", "Ann has few friends"),
        ("Der Server ist aus", "Der Server ist an"),
        ("The bus to town seldom stops here", "The bus to town stops here"),
        ("Ann does not like tea", "Ann does like tea"),
        ("Ann likes tea but not milk", "Ann likes tea"),
        ("one two three four", "one tow three four"),
        ("flavors kitchen", "flaovrs kithcen"),
        ("We install it with pip on all the servers", "We install it with pipx on all the servers"),
        ("He bought the small house near the river", "He bought the small horse near the river"),
        ("We compile it with rust on all the servers", "We compile it with rustc on all the servers"),
        ("The large trail ran for a week", "The large trial ran for a week"),
        ("Ann probably lives in Rome", "Ann lives in Rome"),
        ("They assist us in all of this", "They help the United States in all of this"),
        ("With Bob Ann went home in the rain", "Ann went home in the rain with Bob"),
        ("She has a low blood pressure, called hypotension", "She has a low blood pressure, called hypertension"),
        ("Ann likes the old car in the yard", "Ann likes the old cars in the yard"),
        ("Ann looks after the 3 kids in the garden", "Ann looks after the 4 children in the garden"),
        ("Ann does not look after the kids here", "Ann does look after the children here"),
        ("Joan looks after the children in the garden", "John looks after the kids in the garden"),
        ("They assist the United States in this", "They help us in this"),
        ("The client sends the large file to the server", "The server sends the large file to the client"),
        (
            "The client of the new mobile application sends the request to the server",
            "The server of the new mobile application sends the request to the client",
        ),
        ("Ann went by train from Rome to Oslo in May", "Ann went by train from Oslo to Rome in May"),
        ("Ann travelled from Rome to Oslo", "Ann travelled from Oslo"),
        ("Ann was helped by Bob", "Ann helped Bob"),
        ("Ann ate before she slept and then ran", "Ann slept before she ate and then ran"),
        ("Cats of the old town chase dogs of the new town", "Dogs of the old town chase cats of the new town"),
        ("In the garden the boy saw the man with the dog", "The boy with the dog saw the man in the garden"),
        ("If it rains the match is cancelled", "The match is cancelled"),
        ("The match is cancelled and the party moved unless it is dry", "The match is cancelled"),
        ("Ann wants to live in Rome", "Ann live in Rome"),
        ("Family visits Ann often", "Ann visits family often"),
        ("Ann pays 80 % of the large house", "Ann pays 80 of the big house"),
        ("The large build passes?", "The big build passes"),
        ("Er wohnt in dem großen Auto", "Er wohnt in dem großen Wagen"),
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


@pytest.mark.parametrize(
    ("kept", "part"), [("Remember: As of 20 May 2023:", "Remember:"), ("[2024-05-01]", "2024-05-01")]
)
def test_words_around_a_sentence_are_compared_to_the_letter(kept: str, part: str) -> None:
    assert has_words(kept, part)
    assert not has_words(part + " x", kept + " y")


roles = st.sampled_from(["Ann", "Bob", "the server", "the client", "a child", "the kid"])
links = st.sampled_from(["helps", "assists", "sends the file to", "comes from", "is older than", "ran before"])
around = st.sampled_from(["", " in the garden", " on 3 May", " at the moment", " with great care and joy every week"])


@given(roles, links, roles, around)
def test_who_does_what_to_whom_is_never_swapped(one: str, link: str, other: str, rest: str) -> None:
    if said(one).sense != said(other).sense:
        assert not covers(f"{one} {link} {other}{rest}", f"{other} {link} {one}{rest}")


WORDS = ["the", "old", "kids", "like", "large", "movies", "near", "garden", "often", "Rome", "12", "with", "coffee"]

english = st.lists(
    st.sampled_from(WORDS),
    min_size=4,
    max_size=9,
)


@given(english, st.sampled_from(["not", "Ann", "17", "if", "/etc/app.yaml", "garage", "v1.2"]), st.data())
def test_a_further_fact_is_never_covered(words: list[str], fact: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words)))
    assert not covers(" ".join(words), " ".join([*words[:at], fact, *words[at:]]))


@given(english, st.data())
def test_a_changed_number_or_name_is_never_covered(words: list[str], data: st.DataObject) -> None:
    kept, part = data.draw(st.permutations(["Ann", "Bob", "8080", "8081", "v1.2", "v1.3"]))[:2]
    at = data.draw(st.integers(0, len(words)))
    texts = [" ".join([*words[:at], item, *words[at:]]) for item in (kept, part)]
    assert not covers(*texts)
