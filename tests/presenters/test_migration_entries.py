"""The table of a migration's memories, and a migration in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memdefrag.model.migration import Checked, Entry, MigrationReport, Outcome
from memdefrag.model.records import Key
from memdefrag.presenters import migration_words as words
from memdefrag.presenters.migration_entries import ALL, Entries

KEY = Key("m", "a")


def report(*outcomes: Outcome, **fields) -> MigrationReport:
    entries = tuple(Entry(Key("m", f"id{n}"), KEY, outcome, f"Because {n}") for n, outcome in enumerate(outcomes))
    return MigrationReport("jsonl:/a", "chroma:/b", fields.pop("dry_run", False), entries, **fields)


def shown(entries: Entries) -> list[str]:
    return [entries.text(row, 1) for row in range(len(entries))]


def test_the_most_urgent_come_first_and_stand_out():
    entries = Entries([report(Outcome.SAME, Outcome.COPY, Outcome.FAIL)], done=True)
    assert shown(entries) == ["m/id2", "m/id1", "m/id0"]
    assert [entries.is_alarming(row) for row in range(3)] == [True, False, False]
    assert entries.choices == ((ALL, "all 3"), ("fail", "1 could not be copied"), ("copy", "1 copied"),
                               ("same", "1 there already"))  # fmt: skip


def test_they_are_filtered_by_outcome_and_by_what_they_say():
    entries = Entries([report(Outcome.COPY, Outcome.FAIL, Outcome.COPY)])
    assert shown(entries.filtered("copy", "")) == ["m/id0", "m/id2"]
    assert shown(entries.filtered(ALL, " BECAUSE 1 ")) == ["m/id1"]
    assert shown(entries.filtered("copy", "because 2").filtered(ALL, "")) == shown(entries)


@given(st.lists(st.sampled_from(Outcome)), st.sampled_from(["", *Outcome]), st.sampled_from(["", "1", "m/"]))
def test_a_filter_shows_exactly_what_fits(outcomes, outcome, text):
    entries = Entries([report(*outcomes)])
    fitting = {
        f"m/id{n}"
        for n, each in enumerate(outcomes)
        if outcome in ("", each) and (text in f"m/id{n}" or (text and text in f"Because {n}"))
    }
    assert set(shown(entries.filtered(outcome, text))) >= fitting
    if not text:
        assert set(shown(entries.filtered(outcome, text))) == fitting


def test_a_rehearsal_says_what_would_be():
    told = dict(words.facts([report(Outcome.COPY, Outcome.CONFLICT, dry_run=True, bytes=2_000_000, estimate=90.0)]))
    assert told["Found"] == "2" and told["Would be copied"] == "1" and told["Conflicts, left alone"] == "1"
    assert told["To write"] == "about 2.0 MB" and told["It will take"] == "about 2 minutes"


def test_what_was_done_is_told_with_its_proof():
    done = report(Outcome.COPY, checked=Checked(1, 1, 2, 1, 1), relations=2, backup="B", step="S", seconds=3.0)
    told = dict(words.facts([done, done]))
    assert told["Copied"] == "2" and told["Links"] == "4" and told["Took"] == "6 seconds"
    assert told["Compared with the source"] == (
        "2 memories (2 of them once more in the end), 2 vectors, 4 links, 2 searches: all the same"
    )
    assert words.title([done]) == "Migrated" and words.went_well([done])


def test_differences_failures_and_what_to_do_are_not_hidden():
    done = report(Outcome.FAIL, checked=Checked(1, 0, 0, 0, 0, ("a differs",)), step="S", next_steps=("Mend it.",))
    assert words.title([done]) == "Migrated, with failures"
    assert words.problems([done]) == ("a differs", "Mend it.")
    text = words.as_text([done])
    assert "could not be copied: m/id0: Because 0" in text and "1 not as they should be" in text


def test_nothing_to_do_is_said():
    assert words.title([report(Outcome.SAME)]) == "Nothing had to be copied"
    assert words.title([report(Outcome.COPY, rolled_back=True)]) == "Taken back"
