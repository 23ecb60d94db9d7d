from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.wording import plain
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.presenters.compare import metadata_rows, word_diff


@given(st.text(max_size=300), st.text(max_size=300))
def test_the_runs_are_the_texts_as_they_can_be_shown(one, other):
    ours, theirs = word_diff(one, other)
    assert "".join(span.text for span in ours) == plain(one)
    assert "".join(span.text for span in theirs) == plain(other)


@given(st.text(max_size=100))
def test_a_text_does_not_differ_from_itself(text):
    ours, theirs = word_diff(text, text)
    assert not any(span.own for span in (*ours, *theirs))


def test_only_the_word_that_differs_is_marked():
    ours, theirs = word_diff("listens on port 8080 now", "listens on port 8081 now")
    assert [span.text.strip() for span in ours if span.own] == ["8080"]
    assert [span.text.strip() for span in theirs if span.own] == ["8081"]


def test_long_texts_are_compared_by_line():
    text = "\n".join(f"line {n} with words" for n in range(2_000))
    ours, _ = word_diff(text, text.replace("line 3 ", "row 3 "))
    assert any(span.own for span in ours)


def test_values_that_agree_are_shown_once():
    one = MemoryRecord(Key("m", "1"), "a", {"type": "note", "n": 1}, tags=("x",))
    other = MemoryRecord(Key("m", "2"), "b", {"type": "note", "n": 2})
    rows = {value.key: value for value in metadata_rows(one, other, None)}
    assert rows["type"].lines == (("both", "note"),)
    assert rows["n"].lines == (("survivor", "1"), ("this one", "2"))
    assert rows["tags"].lines == (("survivor", "x"),)
