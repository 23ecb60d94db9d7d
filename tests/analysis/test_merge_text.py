"""Merged texts lose nothing, repeat nothing and do not grow."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdefrag.analysis.language.words import sentences
from memdefrag.analysis.merge_text import merge_texts
from tests.bench.merge_quality import labelled_groups, measure


def merged(*texts: str, first: int = 0) -> str:
    return merge_texts(texts, first=first).text


# ── what stays ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Maria helps John", "John helps Maria"),
        ("Bob owns 3 cats and Ann owns 5 cats", "Ann owns 3 cats and Bob owns 5 cats"),
        ("The gateway listens on port 8080", "The gateway listens on port 8081"),
        ("Deploys are allowed on Friday", "Deploys are not allowed on Friday"),
        ("Config lives in /etc/app/Main.yaml", "Config lives in /etc/app/main.yaml"),
        ("The token is aB3x9", "The token is AB3x9"),
        ("He bought the small house near the river", "He bought the small horse near the river"),
        ("The house has 3 rooms on floor 5 over the yard", "The house has 5 rooms on floor 3 over the yard"),
        ("cats chase old dogs", "dogs chase old cats"),
        ("The choice seemed moral to them", "The choice seemed amoral to them"),
        ("we met caroline at the new office", "We met Carolin at the new office"),
        ("We met Caroline at the new office", "we met carolin at the new office"),
        ("我喜欢茶", "我喜欢茶吗？"),
        ("Call before lunch", "Call after lunch"),
        ("Retry when x > 5", "Retry when x < 5"),
        ("The build passes", "The build passes?"),
        ("我喜欢茶。", "我不喜欢茶。"),
        ("Written in C++ today", "Written in C today"),
        ("Costs 5 $ each", "Costs 5 € each"),
    ],
)
def test_sentences_that_differ_in_meaning_are_both_kept(one: str, other: str) -> None:
    text = merged(one, other)
    assert one in text and other in text


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("User likes tea.", "User likes tea. User lives in Rome."),
        ("user likes TEA", "Yesterday the user likes tea and coffee"),
        ("tea", "- tea\n- coffee\n"),
        ("Nobody waters the old fig tree.", "Nobody waters the old fig tree while Ann is in Rome."),
        ("The value is 3.5 and 8 GB.", "  The value is 3.5 and 8 GB, says Ann.\n\n\tSecond paragraph.  "),
        ("x = 1", "x = 1\ny = 2"),
        ("```\nx = 1\n```", "Intro.\n\n```\nx = 1\ny = 2\n```\nOutro."),
        ("我喜欢茶。", "我喜欢茶和咖啡。"),
        ("", "User likes tea."),
        ("!!! ---", "User likes tea."),
        ("User likes tea.", "[2024-03-09] User likes tea."),
    ],
)
def test_a_text_that_covers_the_other_is_the_result_to_the_byte(short: str, long: str) -> None:
    assert merged(short, long) == merged(long, short) == long


@pytest.mark.parametrize(
    "text", ["", " ", "…", "User likes tea.\n\n- a\n- b\n", "```\nx\n\n  y", "👍", "你好", "a\r\nb"]
)
def test_equal_texts_stay_as_they_are(text: str) -> None:
    assert merged(text, text, text) == text


def test_of_equally_telling_texts_the_first_leads() -> None:
    texts = ["user likes tea", "User likes tea!"]
    assert merged(*texts, first=0) == texts[0]
    assert merged(*texts, first=1) == texts[1]


def test_a_slip_of_the_pen_is_forgiven_and_listed() -> None:
    result = merge_texts(["Ivo tries new flavors in the kitchen", "Ivo tries new flaovrs in the kitchen"])
    assert result.text == "Ivo tries new flavors in the kitchen"
    assert [drop.sentence for drop in result.dropped] == ["Ivo tries new flaovrs in the kitchen"]
    assert result.dropped[0].by == result.text


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_spellings_of_a_sentence_the_right_one_stays(first: int) -> None:
    right, wrong = "Ivo uses his cooking skills for good.", "Ivo uses his cookng skills for good."
    assert merged(right, wrong, first=first) == merged(wrong, right, first=first) == right
    stamped = f"[2024-03-09] {wrong} He is tall."
    assert merged(right, stamped, first=first) == f"[2024-03-09] {right} He is tall."


def test_synonyms_and_units_are_said_once_and_listed() -> None:
    result = merge_texts(["Ann's kids currently run 5 km.", "Ann's children at the moment run 5 kilometers."])
    assert len(result.sources) == 1
    assert [(drop.sentence, drop.by) for drop in result.dropped] in (
        [("Ann's kids currently run 5 km.", result.text)],
        [("Ann's children at the moment run 5 kilometers.", result.text)],
    )


def test_several_stamps_stand_before_the_sentence_once() -> None:
    text = merged(
        "[2023-10-01] Painting helps Ann relax after a long day.",
        "[2023-10-27] Painting helps Ann relax after a long day.",
        "[2023-07-02] Painting helps Ann rlax affter a long day.",
    )
    assert text.count("Painting helps Ann relax after a long day.") == 1 == len(sentences(text))
    assert sorted(re.findall(r"[\d-]+", text)) == ["2023-07-02", "2023-10-01", "2023-10-27"]


def test_set_phrases_around_a_sentence_do_not_pile_up() -> None:
    texts = ["As of 20 May 2023: Rex likes bones.", "Remember: Rex likes bones.", "Just to note, Rex enjoys bones."]
    once = merged(*texts)
    assert [merged(once, text) for text in texts] == [once] * 3


def test_a_misspelt_name_is_another_name() -> None:
    assert "Carolin" in merged("We met Caroline in the new office", "We met Carolin in the new office").split()


# ── where it goes ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_missing_is_appended_to_the_text_that_says_most() -> None:
    text = merged("Ann lives in Rome. She has two cats.", "Ann lives in Rome. She has a large dog named Rex.")
    assert text == "Ann lives in Rome. She has a large dog named Rex. She has two cats."


def test_a_longer_version_takes_the_place_of_the_shorter_one() -> None:
    text = merged("- Likes tea.\n- Lives in Rome.\n- Plays chess and go.", "Lives in Rome near the old river.")
    assert text == "- Likes tea.\n- Lives in Rome near the old river.\n- Plays chess and go."


def test_stamps_join_the_sentence_they_belong_to() -> None:
    text = merged("[2025-07-09] Rex likes bones.", "[2025-10-07] Rex likes bones.", "Rex likes bones.")
    assert text == "[2025-10-07] [2025-07-09] Rex likes bones."


def test_a_stamp_does_not_join_a_numbered_item() -> None:
    texts = ["1. Ann\n[2024-05-01] Ann", "Ann Ann Ann Ann Ann"]
    assert merged(merged(*texts), *texts) == merged(*texts)
    assert "[2024-05-01] 1. Ann" not in merged(*texts)


def test_stamps_behind_stay_behind() -> None:
    text = merged("2023-09-05 05:42 - Rex likes bones", "Rex likes bones [saved 13/07/2023]")
    assert text == "2023-09-05 05:42 - Rex likes bones [saved 13/07/2023]"


def test_a_negating_phrase_in_front_is_not_torn_off() -> None:
    assert "Not verified: Rex likes bones" in merged("Rex likes bones", "Not verified: Rex likes bones")


def test_texts_of_several_lines_get_new_lines() -> None:
    text = merged("# Rome\n- Ann likes tea\n- Ann sleeps a lot\n", "# Rome\n- Ann likes tea\n- Ann swims")
    assert text == "# Rome\n- Ann likes tea\n- Ann sleeps a lot\n- Ann swims"


def test_indented_neighbours_keep_their_shape() -> None:
    text = merged("A long text that says most.\nSecond line of it.", "Steps:\n- fetch\n    - unpack\n- build")
    assert text.endswith("\nSteps:\n- fetch\n    - unpack\n- build")


def test_a_wrapped_sentence_that_is_appended_stands_on_one_line() -> None:
    wrapped = "Whoever wants to reach the office after eight must ring the bell at\nthe back door and wait."
    lead = "The office is on the first floor. Its door is green and has a very old brass bell that nobody hears."
    text = merged(lead, wrapped)
    assert text.splitlines()[1:] == [wrapped.replace("\n", " ")]


def test_code_stays_in_one_piece() -> None:
    block = "```python\ndef f():\n\n    return 1\n```"
    text = merged("The function is short and says nothing. Ask Ann.", f"Look:\n{block}")
    assert block in text


def test_text_after_an_open_code_block_is_not_swallowed_by_it() -> None:
    text = merged("Look at all of this code here:\n```\nx = 1", "Ask Ann. ```no fence")
    assert text == "Look at all of this code here:\n```\nx = 1\n```\nAsk Ann. ```no fence"


def test_nothing_is_written_about_the_merge() -> None:
    text = merged("Ann lives in Rome.", "Bob lives in Oslo.")
    assert sorted(sentences(text)) == ["Ann lives in Rome.", "Bob lives in Oslo."]


def test_sources_name_the_member_of_each_kept_sentence() -> None:
    result = merge_texts(["Ann lives in Rome.", "Bob lives in Oslo. Ann lives in Rome."])
    assert result.lead == 1
    assert result.sources == (("Bob lives in Oslo.", 1), ("Ann lives in Rome.", 1))
    assert result.dropped == (("Ann lives in Rome.", 0, "Ann lives in Rome."),)


# ── for all texts ────────────────────────────────────────────────────────────────────────────────────────

WORDS = re.findall(
    r"\S+",
    "Ann Bob Maria Rome likes sells paints never not tea coffee river bridge garden window the a of in and 3 17 2.5 "
    "v1.2.3 /etc/app.yaml https://example.org/a?b=1 user_id #42 --force 2024-03-09 x=1 80% 🙂 茶 咖啡 naïve it's",
)

phrase = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)
line = st.tuples(
    st.sampled_from(["", "", "", "- ", "* ", "1. ", "# ", "> ", "    ", "[2024-05-01] ", "Note: ", "| "]),
    phrase,
    st.sampled_from(["", ".", ".", "!", "?", ":", "。", " [saved 2023-01-01]", " —"]),
).map("".join)
block = st.lists(line, max_size=3).map(lambda lines: "\n".join(["```", *lines, "```"]))
text = st.lists(st.one_of(line, line, line, block, st.sampled_from(["", "---", "```"])), max_size=5).flatmap(
    lambda lines: st.sampled_from([" ", "\n", "\n\n", "  ", "\r\n"]).map(lambda gap: gap.join(lines))
)
members = st.lists(text, min_size=1, max_size=4)

SAID = re.compile(r"https?://\S+|[\w/][\w./=-]*\w|\w|🙂")


def facts(text: str) -> set[str]:
    """Words, numbers and addresses to the letter, in lower case, without articles and "'s"."""
    plain = text.casefold().replace("'s", "")
    return {word.strip(string.punctuation) for word in SAID.findall(plain)} - {"a", "the"}


@given(members)
@settings(max_examples=400, deadline=None)
def test_no_word_or_number_is_lost(texts: list[str]) -> None:
    said = facts(merged(*texts))
    for text in texts:
        assert facts(text) <= said


@given(members)
@settings(max_examples=400, deadline=None)
def test_merging_again_changes_nothing(texts: list[str]) -> None:
    once = merged(*texts)
    for text in texts:
        assert merged(once, text) == once
    assert merged(once, *texts) == once


@given(members, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_texts_does_not_matter_to_what_is_said(texts: list[str], random: object) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert facts(merged(*texts)) == facts(merged(*shuffled))


@given(members)
@settings(max_examples=200, deadline=None)
def test_no_appended_sentence_is_covered_by_another(texts: list[str]) -> None:
    result = merge_texts(texts)
    for sentence, member in result.sources:
        others = [other for other, _ in result.sources if other is not sentence]
        if member != result.lead and facts(sentence) and "```" not in sentence:
            for other in others:
                assert merged(other, sentence) != other or merged(sentence, other) == sentence


@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_text_at_all_can_be_merged_and_merged_again(texts: list[str]) -> None:
    once = merged(*texts)
    assert merged(once, texts[-1]) == once


ALIKE = re.findall(
    r"\S+",
    "Ann Bob kids children childdren large big film movie movies currently helps assists halps the a not if wants from "
    "to before in Rome garden gardn km kilometers 5 5 before organise organize don't and coffee tea often 2024-03-09",
)
alike = st.lists(st.sampled_from(ALIKE), min_size=3, max_size=8).map(" ".join)
versions = st.lists(alike, min_size=1, max_size=3).flatmap(
    lambda pool: st.lists(
        st.lists(st.tuples(st.sampled_from(["", "[2024-05-01] ", "Note: "]), st.sampled_from(pool)).map("".join),
                 min_size=1, max_size=3).map(". ".join),
        min_size=2, max_size=4,
    )
)  # fmt: skip


@st.composite
def rewritten(draw: st.DrawFn) -> list[str]:
    """Texts that say the same in other words, or nearly."""
    texts = draw(versions)
    swaps = [("kids", "children"), ("big", "large"), ("movie", "film"), ("garden", "gardn"), ("km", "kilometers")]
    for one, other in draw(st.lists(st.sampled_from(swaps), max_size=4)):
        texts.append(draw(st.sampled_from(texts)).replace(one, other))
    return texts


@given(rewritten())
@settings(max_examples=100, deadline=None)
def test_what_is_left_out_is_listed_with_a_kept_sentence_that_covers_it(texts: list[str]) -> None:
    result = merge_texts(texts)
    listed = " ".join([result.text, *(drop.sentence for drop in result.dropped)])
    for text in texts:
        assert facts(text) <= facts(listed)
    kept = {sentence for sentence, _ in result.sources}
    assert all(drop.by in kept or not facts(drop.sentence) for drop in result.dropped)


@given(rewritten())
@settings(max_examples=100, deadline=None)
def test_merging_other_words_for_the_same_again_changes_nothing(texts: list[str]) -> None:
    once = merged(*texts)
    for text in texts:
        assert merged(once, text) == once
    assert merged(once, *texts) == once


@given(rewritten())
@settings(max_examples=60, deadline=None)
def test_a_merged_text_is_never_longer_than_all_of_them(texts: list[str]) -> None:
    assert len(merged(*texts)) <= len("\n\n".join(texts))


# ── labelled memories ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_labelled_groups_are_merged_well(shared: Path) -> None:
    figures = measure(labelled_groups(shared / "quality" / "dev.jsonl"))
    print(figures)
    assert figures.words_kept_or_covered == figures.details_kept == figures.numbers_kept == 1
    assert figures.addresses_kept == figures.stable == 1
    assert figures.redundancy <= 0.15
    assert figures.length <= 1.5


@pytest.mark.parametrize("first", [0, 1])
def test_of_equal_texts_the_one_in_capitals_gives_way(first: int) -> None:
    shouted, said = "THE SERVER RUNS ON PORT 8080", "The server runs on port 8080"
    assert merge_texts([shouted, said], first=first).text == said
    assert merge_texts([said, shouted], first=first).text == said


def test_what_only_stands_in_capitals_stays() -> None:
    texts = ["THE SERVER RUNS ON PORT 8080. IT IS BIG.", "The server runs on port 8080."]
    assert "IT IS BIG" in merge_texts(texts).text
