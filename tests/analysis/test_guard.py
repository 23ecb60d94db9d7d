from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.guard import differences, opposites, taken_for_equal
from memdefrag.analysis.language.same_word import is_same_word
from memdefrag.analysis.language.words import Words
from memdefrag.analysis.sure import judge


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
        ("Our Maria helps John", "John helps maria", "roles: maria, john / john, maria"),
        ("It moved from Monday to Friday", "It moved from Friday to Monday", "roles: monday, friday / friday, monday"),
        ("The vision includes a home", "The vision excludes a home", "opposite: includes / excludes"),
        ("The production API is slow", "The staging API is slow", "opposite: production / staging"),
        ("A man turns on the radio", "A man turns off the radio", "opposite: on / off"),
        ("Set the timeout to 30 seconds", "Set the timeout to 30 minutes", "opposite: seconds / minutes"),
        ("The weight is 80 kg", "The weight is 80 lb", "opposite: kg / lb"),
        ("Always use tabs", "Never use tabs", "negation: – / not"),
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


@pytest.mark.parametrize(
    "one, other, difference",
    [
        ("his car is red", "her car is red", "word: his / her"),
        ("Anna was a nurse", "Anna is a nurse", "word: was / is"),
        ("We stay at home if it rains", "We stay at home when it rains", "word: if / when"),
        ("The user wants tea or coffee now", "The user wants tea and coffee now", "word: or / and"),
        ("the dog bit the man", "the man bit the dog", "order: dog, bit, man / man, bit, dog"),
        ("I prefer tea to coffee", "I prefer coffee to tea", "order: tea, to, coffee / coffee, to, tea"),
    ],
)
def test_other_small_words_and_another_order_are_a_hint(one: str, other: str, difference: str) -> None:
    assert told(one, other) == [difference]
    assert verdict(one, other) == "open"


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


@pytest.mark.parametrize(
    "one, other",
    [
        ("The server isn't reachable from the office", "The server is not reachable from office"),
        ("Set the timeout to 5 min", "Set the timeout to 5 minutes"),
        ("Fixed a crash in the parser of dates", "Repaired a crash in the parser of dates"),
        ("Maria runs 5 km every day", "Maria runs 5 kilometres every day"),
        ("Maria's favourite colour is grey", "Maria's favorite color is gray"),
        ("The app uses a PostgreSQL db", "The application uses a postgres database"),
        ("She lives in the U.S. with two kids", "She resides in the US with 2 children"),
        ("She grows apples, pears and figs", "She grows apples, figs and pears"),
        ("A lot of users like the new menu", "Lots of users enjoy the new menu"),
        ("MARIA'S CAT IS NAMED TOM", "Maria's cat is named Tom"),
        ("Maria recently moved to a big flat", "Maria recntly moved to a big flat"),
        ("Caroline has been painting since May", "Caroline 's been painting since May"),
        ("The fee is 1,000.00 euros", "The fee is 1000 euros"),
        ("The password is *Hunter2*.", "The password is 'Hunter2'"),
        ("Set `PATH` first", "SET `PATH` FIRST"),
        ("Gina lost a job at the mill", "Gina lost a job at the mill during the summer"),
        ("Gina lost a job", "Gina lost a job, which was a shock"),
        ("In short, the door of the office is red", "The door of the office is red"),
        ("Reminder to self: renew the passport", "Renew the passport (as already mentioned)"),
        ("She works with Ann, Bob and Carl at the bank", "She works with Carl, Ann and Bob at the bank"),
    ],
)  # fmt: skip
def test_other_ways_to_write_the_same_are_sure(one: str, other: str) -> None:
    assert verdict(one, other) == "sure"


@pytest.mark.parametrize(
    "one, other",
    [
        ("Maria bought a house near the lake", "Maria bought a horse near the lake"),
        ("John lives in the old mill", "John lived in the old mill"),
        ("She has few friends in town", "She has a few friends in town"),
        ("She buys green tea and coffee", "She buys green coffee and tea"),
        ("Maria loves John and Anna loves Tom", "Maria loves Anna and John loves Tom"),
        ("The teams finished Ann, Bob and Carl in this order", "The teams finished Carl, Ann and Bob in this order"),
        ("jon bought the old mill", "john bought the old mill"),
        ("It is in the top 10", "It is in the top 10%"),
        ("The CEO is Ann", "The former CEO is Ann"),
        ("Anna likes tea", "Anna pretends she likes tea"),
        ("Anna likes tea", "It is false that Anna likes tea"),
        ("The server is on port 8080", "The test server is on port 8080"),
        ("The room is for 5 users", "The room is for up to 5 users"),
        ("The bus leaves from platform A", "The bus leaves from platform B"),
        ("The meeting is in room 4a", "The meeting is in room 4b"),
        ("The cat of the user is called momo", "The cat of the user is called mono"),
        ("He has few chairs in the room", "He has too few chairs in the room"),
        ("We should deploy today", "We should deploy today?"),
        ("He has a sister in Rome", "He has sisters in Rome"),
        (
            "The rollout of the new service in the northern region is planned by the platform team and it is funded",
            "The rollout of the new service in the northern region was planned by the platform team and it is funded",
        ),
        ("Maria doesn't believe that the bus is late", "Maria believes that the bus is late"),
        ("The app needs Python 3.10", "The app needs Python 3.1"),
        ("Use http for the API", "Use https for the API"),
        ("It costs 1.000 euros", "It costs 1 euro"),
        ("It takes 2 tsp of sugar", "It takes 2 tbsp of sugar"),
        ("She is one of the princes", "She is one of the princess"),
        ("Tell Ann about the new show", "Tell Ann about the news show"),
        ("Anna has a twin sister", "Anna has twin sisters"),
        ("Anna lives in Rome", "Anna lives in Rome is a lie"),
        ("Anna lives in Rome.", "Anna lives in Rome. That is wrong."),
        ("Anna lives in Rome.", "Ignore the following. Anna lives in Rome."),
        ("Deploy to production", "Deploy to production is forbidden by the team"),
        ("Deploy on a Friday", "Deploy on a Friday is bad advice"),
        ("Send the mail to Anna", "Send the mail to Anna's boss"),
        ("Maria works for Apple", "Maria works for Apple Records"),
        ("Maria bought a car", "Maria bought a car toy"),
        ("Anna is married to Tom", "Anna is married to Tom but left him"),
        ("Backups run each day", "Backups run each day or week"),
        ("Merge the branch", "Merge the branch after the review"),
    ],
)
def test_what_only_looks_the_same_is_not_sure(one: str, other: str) -> None:
    assert verdict(one, other) != "sure"


@pytest.mark.parametrize(
    "one, other, difference",
    [
        ("They met in the park last year", "They met in the park two years ago", "date: last year / 2 year ago"),
        ("jon won the race", "Maria won the race", "name: jon / maria"),
        ("JOHN HELPS MARIA WITH THE TAX", "Maria helps John with the tax", "roles: john, maria / maria, john"),
        ("He began to smoke again", "He stopped to smoke again", "opposite: began / stopped"),
        ("Bump it to 1.6.10 today", "Bump it to 1.6.11 today", "version: 1.6.10 / 1.6.11"),
        ("The backup runs at 5 a.m. each day", "The backup runs at 5 p.m. each day", "time: 05:00 / 17:00"),
        ("The freezer is set to \u22125 degrees", "The freezer is set to 5 degrees", "number: -5 / 5"),
        ("The app needs Python 3.10", "The app needs Python 3.1", "number: 3.10 / 3.1"),
        ("All users see the report", "Some users see the report", "opposite: all / some"),
        ("Users may delete it", "Users must delete it", "opposite: may / must"),
        ("It takes at least 5 people", "It takes at most 5 people", "opposite: least / most"),
        ("The password is Hunter2", "The password is hunter2", "spelling: Hunter2 / hunter2"),
        ("My API key is ab-c", "My API key is a-bc", "spelling: ab-c / a-bc"),
        ("The variable is called `Foo`", "The variable is called `foo`", "spelling: Foo / foo"),
        ("The separator is ;", "The separator is ,", "spelling: ; / ,"),
        ("Es kostet 1.000 Euro", "Es kostet 1 Euro", "number: 1.000 / 1"),
        ("Er raucht", "Er raucht nicht", "negation: – / not"),
        ("Il fume", "Il ne fume pas", "negation: – / not"),
        ("Hij rookt", "Hij rookt niet", "negation: – / not"),
        ("Saya suka teh", "Saya tidak suka teh", "negation: – / not"),
        ("Der Server ist an", "Der Server ist aus", "opposite: an / aus"),
    ],
)
def test_differences_of_other_forms_are_told(one: str, other: str, difference: str) -> None:
    assert told(one, other)[0] == difference
    assert verdict(one, other) == "barred"


@pytest.mark.parametrize(
    "one, other",
    [
        ("The production server is slow", "The prod server is slow"),
        ("She wears a grey hat", "She wears a gray hat"),
        ("They met last autumn", "They met last fall"),
        ("The nations of Kenya, Chile and Macedonia took part", "The nations of Chile, Macedonia and Kenya took part"),
        ("Court Orders New York Mayor to Pay", "The court orders the mayor of New York to pay"),
    ],
)
def test_other_ways_to_write_the_same_are_not_barred(one: str, other: str) -> None:
    assert verdict(one, other) != "barred"


def test_words_that_count_as_equal_are_named() -> None:
    texts = "Maria enjoys green tea with her kids", "Maria likes green taes with her children"
    assert taken_for_equal(*map(Words.of, texts)) == [("enjoys", "likes"), ("kids", "children")]


DETAILS = {
    "number": st.integers(2, 9_999).map(str),
    "word": st.sampled_from(["two", "three", "seven", "twelve", "twenty"]),
    "port": st.integers(1_000, 65_535).map(lambda number: f"port {number}"),
    "host": st.integers(1_000, 65_535).map(lambda number: f"localhost:{number}"),
    "date": st.dates(datetime.date(2001, 1, 1), datetime.date(2099, 1, 1)).map(str),
    "day": st.tuples(st.integers(1, 28), st.sampled_from(["May", "June", "October"])).map("{0[0]} {0[1]}".format),
    "time": st.tuples(st.integers(10, 23), st.integers(10, 59)).map(lambda time: f"{time[0]}:{time[1]}"),
    "version": st.tuples(*[st.integers(0, 30)] * 3).map(lambda parts: "v" + ".".join(map(str, parts))),
    "release": st.tuples(*[st.integers(0, 30)] * 3).map(lambda parts: ".".join(map(str, parts))),
    "path": st.sampled_from(["/etc/app.conf", "/etc/app/main.conf", "src/main.py", "src/util.py", "~/notes.md"]),
    "name": st.sampled_from(["Maria", "Marie", "John", "Joan", "Jon", "Anna", "Hannah", "Theodor", "Theodora"]),
    "option": st.sampled_from(["--fast", "--slow", "-v", "-V", "--no-cache"]),
    "id": st.integers(1, 9_999).map(lambda number: f"#{number}"),
    "address": st.sampled_from(["https://a.org/x", "https://a.org/y", "https://b.org/x", "me@a.org", "me@b.org"]),
    "negation": st.sampled_from(["surely", "never", "not"]),
}  # fmt: skip
FRAMES = ["{} {detail} in the old office", "In the old office is {} {detail}", "{detail} was told to {} as before"]
WRAPS = ["{}", "Note: {}", "[saved 2024-03-01] {}", "{} (mentioned again)", "{}. The door is red."]


@st.composite
def one_detail_apart(draw: st.DrawFn) -> tuple[str, str, str]:
    """A text, and the same in other words and wrapping; and that with one detail changed."""
    kind = draw(st.sampled_from(sorted(DETAILS)))
    detail, changed = draw(st.lists(DETAILS[kind], min_size=2, max_size=2, unique=True))
    frame = draw(st.sampled_from(FRAMES))
    one = frame.format("the kids like", detail=detail)
    wrap = draw(st.sampled_from(WRAPS))
    word = draw(st.sampled_from(["the kids like", "the children like", "the kids enjoy"]))
    return one, wrap.format(frame.format(word, detail=detail)), wrap.format(frame.format(word, detail=changed))


@given(one_detail_apart())
def test_one_changed_detail_is_never_sure(texts: tuple[str, str, str]) -> None:
    one, same, changed = texts
    assert verdict(one, same) == verdict(same, one) == "sure"
    assert verdict(one, changed) != "sure"
    assert verdict(changed, one) != "sure"


@pytest.mark.parametrize(
    "one, other",
    [
        ("Melanie ran in a race last Saturday.", "Last Saturday Melanie ran in a race."),
        ("Recently Caroline went to an LGBTQ group.", "Caroline recently went to an LGBTQ group."),
        ("Project Atlas: staging uses PostgreSQL.", "Atlas project: staging uses PostgreSQL."),
        ("In May Maria moved.", "Maria moved in May."),
    ],
)
def test_when_it_was_and_the_first_word_of_a_sentence_play_no_role(one: str, other: str) -> None:
    assert verdict(one, other) != "barred" and not any(each.startswith("roles") for each in told(one, other))
