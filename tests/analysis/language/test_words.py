from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.language.stamps import unwrap
from memdefrag.analysis.language.words import Words, normalise, sentences


@pytest.mark.parametrize(
    "one, other",
    [
        ("Maria likes tea.", "maria  likes\ntea"),
        ("- Maria likes **tea** —", '"Maria likes tea!"'),
        ("# Maria likes tea", "> Maria likes tea …"),
        ("Don’t", "don't"),
        ("Ｃａｆé", "café"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_same_text_to_a_reader(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("3.5", "35"),
        ("-5 degrees", "5 degrees"),
        ("C++", "C"),
        ("ls -v", "ls -V"),
        ("git push --force", "git push force"),
        ("10² m", "102 m"),
        ("2½ cups", "21/2 cups"),
        ("a != b", "a = b"),
        ("50 %", "50"),
        ("She is coming?", "She is coming."),
        ("👍", "👎"),
        ("!!!", "???"),
        ("1,5", "15"),
    ],
)
def test_signs_that_carry_meaning_stay(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normalising_twice_changes_nothing_for_plain_words(text: str) -> None:
    plain = "".join(c for c in text if c.isascii() and (c.isalnum() or c == " "))
    assert normalise(normalise(plain)) == normalise(plain)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("He left. She stayed.", ["He left.", "She stayed."]),
        ("i like tea. i hate milk!", ["i like tea.", "i hate milk!"]),
        ("Dr. Smith uses v1.2.3, e.g. at 3.5 GHz. Fine?", ["Dr. Smith uses v1.2.3, e.g. at 3.5 GHz.", "Fine?"]),
        ("See https://a.org/b.html?c=1. Done", ["See https://a.org/b.html?c=1.", "Done"]),
        ("- one thing. two\n- other\n\n1. third thing", ["- one thing.", "two", "- other", "1. third thing"]),
        ("```\nx = 1. y = 2.\n```\nEnd. Of it", ["```", "x = 1. y = 2.", "```", "End.", "Of it"]),
        ("我喜欢茶。你呢？好！", ["我喜欢茶。", "你呢？", "好！"]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_long_line_that_goes_on_in_lower_case_is_one_sentence() -> None:
    first = "This line was wrapped by an editor at about seventy letters and"
    assert sentences(f"{first}\ngoes on here.\nShort\nlines stay") == [f"{first}\ngoes on here.", "Short", "lines stay"]


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "[2023-10-27] Maria likes tea.",
        "2023-07-06 14:21 - Maria likes tea.",
        "As of 14 June 2022: Maria likes tea.",
        "Maria likes tea. (noted 2024-04-24)",
        "Maria likes tea. [saved 26/04/2023]",
        "FYI - Maria likes tea. (mentioned again)",
        "Note: Remember: Maria likes tea.",
        "User mentioned that Maria likes tea.",
        "Just to note, Maria likes tea.",
        "Mon, 3 June 2024 10:15 UTC: Maria likes tea.",
        "Timestamp: 2024-04-24T10:15:00Z\nMaria likes tea.",
        "Maria likes tea. - last updated on 24 April 2024",
        "[fact] Maria likes tea.",
        "Key fact: Maria likes tea.",
        "备注：Maria likes tea.",
        "As already mentioned, Maria likes tea.",
        "Maria likes tea. (as discussed earlier)",
    ],
)
def test_stamps_and_wrappers_come_off(text: str) -> None:
    assert unwrap(text) == "Maria likes tea."


@pytest.mark.parametrize(
    "text",
    ["Note:", "[2023-10-27]", "Meeting on 2023-10-27", "Notes are in /tmp", "Important work",
     "Updated 2024-03-05 the config", "Meeting on Friday (confirmed)", "Again, Maria went running"],
)  # fmt: skip
def test_what_is_no_wrapper_stays(text: str) -> None:
    assert unwrap(text) == text


def test_details_are_told_apart_and_made_canonical() -> None:
    words = Words.of(
        "On May 5th, 2023 at 6:46 pm Nate moved v1.2.3 of ./src/app.py (see #424, https://x.org/a/) to port 8080 "
        "with --force; three tests took 1,000.50 ms."
    )
    assert words.dates == {"2023-05-05"}
    assert words.times == {"18:46"}
    assert words.versions == {"v1.2.3"}
    assert words.paths == {"./src/app.py"}
    assert words.ids == {"#424"}
    assert words.urls == {"https://x.org/a"}
    assert words.options == {"--force"}
    assert words.numbers == {"8080", "3", "1000.50"}
    assert words.ports == {"8080"}
    assert words.inner_names == {"Nate"}


@pytest.mark.parametrize(
    "text", ["5 July 2023", "July 5, 2023", "2023-07-05", "5th of July 2023", "2023/07/05", "05.07.2023"]
)
def test_a_date_is_one_however_it_is_written(text: str) -> None:
    assert Words.of(f"They met on {text} again").dates == {"2023-07-05"}


def test_negations_are_counted_with_what_they_deny() -> None:
    words = Words.of("He doesn't like tea and never drinks coffee")
    assert words.negations == 2
    assert words.denied >= {"like", "tea", "drinks", "coffee"}


def test_scripts_without_spaces_are_split_into_pairs_of_characters() -> None:
    assert Words.of("我不喜欢茶").tokens == ("我不", "不喜", "喜欢", "欢茶")
    assert Words.of("我不喜欢茶").negations == 1


@pytest.mark.parametrize(
    "text, english",
    [
        ("The server is down", True),
        ("DB port 8080", True),
        ("Der Server ist nicht erreichbar", False),
        ("El servidor no está en la red", False),
        ("サーバーが落ちた", False),
        ("Сервер не работает", False),
    ],
)
def test_the_language_is_known_by_its_function_words(text: str, english: bool) -> None:
    assert Words.of(text).english is english


@given(st.text())
def test_any_text_can_be_taken_apart(text: str) -> None:
    words = Words.of(text)
    assert words.details <= set(words.tokens)
    assert words.content <= set(words.tokens)


@pytest.mark.parametrize("unit", ["aB3", "a.b.", "a-", "a/", "1.", " ", "(", "Mr. ", "a@", "*_", "\n", "A ", "key is "])
def test_no_text_takes_forever(unit: str) -> None:
    text = unit * 10_000 + "x"
    start = time.process_time()
    for work in (normalise, sentences, unwrap, Words.of):
        work(text)
    # What grows with the square takes minutes here; ten seconds are no measure of speed.
    assert time.process_time() - start < 10


def test_canonically_equal_texts_are_equal() -> None:
    text = "Zoë café"
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)


def test_texts_that_differ_in_the_letters_of_a_password_are_not_normalised_to_the_same() -> None:
    assert normalise("The password is Hunter2!") != normalise("The password is hunter2")
    assert normalise("Set `Path` first") != normalise("Set `path` first")
    assert normalise("The password is hunter2.") == normalise('The password is "hunter2"')
    assert normalise("SET THE TOKEN TO ABC") == normalise("set the token to abc")


def test_what_is_said_again_and_again_takes_no_more_memory_than_the_text() -> None:
    text = "1 - " * 5_000
    assert sum(map(len, Words.of(text).said)) < 5 * len(text)


def test_a_text_of_very_many_set_phrases_is_done_after_some() -> None:
    assert unwrap("Note: " * 3 + "Maria likes tea") == "Maria likes tea"
    assert unwrap("Note: " * 3_000 + "Maria likes tea").endswith("Note: Maria likes tea")
