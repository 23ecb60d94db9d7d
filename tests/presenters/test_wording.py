import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.presenters.wording import duration, elided, named_place, one_line, place_of, utc_moment


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than a second"), (1, "1 second"), (12.4, "12 seconds"), (61, "1 minute"), (3600, "1 hour")],
)
def test_durations_are_rough(seconds, words):
    assert duration(seconds) == words


@given(st.text(), st.integers(2, 50))
def test_one_line_has_no_breaks_and_is_no_longer_than_asked(text, length):
    line = one_line(text, length)
    assert len(line) <= length
    assert len(line.splitlines()) <= 1


def test_one_line_says_that_something_is_missing():
    assert one_line("word " * 100, 20).endswith("…")
    assert one_line("short text", 20) == "short text"


def test_a_long_text_is_cut_and_says_by_how_much():
    assert elided("a" * 30, 30) == "a" * 30
    assert elided("a" * 1_040, 40).startswith("a" * 40 + "\n… (1,000 more")


def test_a_time_that_is_none_stays_as_it_is():
    assert utc_moment("yesterday") == "yesterday"
    assert utc_moment("2025-03-04T05:06:07Z").startswith("2025-03-0")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/home/nora/.memory/store.db", "store.db · /home/nora/.memory"),
        ("C:\\Users\\Nora\\store.db", "store.db · C:/Users/Nora"),
        ("//host:8000/base", "//host:8000/base"),
        ("postgresql://host/base", "postgresql://host/base"),
        ("store.db", "store.db"),
    ],
)
def test_the_name_of_a_store_comes_before_its_folder(location, said):
    assert named_place(location) == said


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("chroma:/data/db#notes", "/data/db"),
        ("hdev+https://host:8443", "https://host:8443"),
        ("bigmemory:postgresql://host/base", "postgresql://host/base"),
        ("jsonl:/data/it's: odd.jsonl", "/data/it's: odd.jsonl"),
    ],
)
def test_a_place_is_a_path_or_a_url(address, place):
    assert place_of(address) == place


@pytest.mark.case(20)
@pytest.mark.parametrize("shown", [one_line, elided])
def test_bytes_that_are_no_text_and_hidden_directions_are_seen(shown):
    """Qt leaves out the one and obeys the other."""
    assert shown("caf\udce9 \u202eabc\x00", 40) == "caf\ufffd \ufffdabc\ufffd"
