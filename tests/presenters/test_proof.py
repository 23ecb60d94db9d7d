from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.engine import workspace
from memdefrag.model.address import Address
from memdefrag.model.recall import Found, LostFilter, LostHit, Recall
from memdefrag.model.records import Key
from memdefrag.presenters.proof import SHOWN, TOPIC, Wanted, figures, losses, named, remember, remembered

STORE = Address("jsonl", "/nowhere/x.jsonl")
HIT = LostHit("when is the rent due?", "m/1", "m/2", 1, None)
ITSELF = LostHit("m/3", "m/3", "m/2", 2, 1_234)
DAY = LostFilter("m/1", "m/2", "2026-01-01", "2026-02-01")
TYPE = LostFilter("m/1", "m/2", "note", "")
RECALL = Recall(10, 0.9, 0.95, 5, (HIT, ITSELF), Found(1, 0.0, 0.5), (DAY,), (), (TYPE,))
TEXTS = {"m/1": "The rent is due\non the first."}


def test_every_line_is_a_question():
    options = Wanted("one?\n\n  two?  \n", 3, 90).options(by_words=True)
    assert [query.text for query in options.queries] == ["one?", "two?"]
    assert (options.k, options.min_recall, options.by_words) == (3, 0.9, True)


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 1000), st.integers(0, 100))
def test_what_is_wanted_is_remembered_as_it_was(questions, first, percent):
    wanted = Wanted(questions, first, percent)
    remember(STORE, wanted)
    assert remembered(STORE) == wanted


@pytest.mark.parametrize(
    "saved",
    [{}, {"format": 2}, {"format": 1}, {"format": 1, "questions": "", "first": "many", "percent": 1}],
)
def test_what_cannot_be_read_is_as_usual(saved):
    workspace.save(STORE, TOPIC, saved)
    assert remembered(STORE) == Wanted()


def test_numbers_out_of_bounds_are_drawn_in():
    workspace.save(STORE, TOPIC, {"format": 1, "questions": "a", "first": 0, "percent": 500})
    assert remembered(STORE) == Wanted("a", 1, 100)


def test_the_figures_tell_of_first_hits_and_of_the_first_few():
    merged, own = (value for _, value in figures(RECALL))
    assert merged == "10 searches: 90.0% of the first hits stay first, 95.0% of those among the first 5 stay there"
    assert own.startswith("1 search: 0.0% ") and "50.0%" in own
    assert figures(None) == figures(Recall(0, 1, 1, 5)) == ()


def test_each_loss_is_told_with_its_texts():
    assert losses(RECALL, TEXTS) == (
        "Asked for “when is the rent due?”, “The rent is due on the first.” is number 1 now, not found afterwards",
        "Asked for itself, m/3 is number 2 now, number 1,234 afterwards",
        "No longer found by its day: “The rent is due on the first.” (2026-01-01, then 2026-02-01)",
        "No longer found by its type: “The rent is due on the first.” (note, then none)",
    )
    assert losses(None, {}) == ()
    assert named(RECALL) == (Key("m", "1"), Key("m", "3")) and named(None) == ()


def test_of_very_many_losses_the_first_are_told_and_the_rest_counted():
    many = replace(RECALL, lost=(HIT,) * (SHOWN + 1_000), days_lost=(DAY,) * (SHOWN + 2), types_lost=())
    lines = losses(many, {})
    assert len(lines) == 2 * SHOWN + 2
    assert lines[SHOWN] == "… and 1,000 more" and lines[-1] == "… and 2 more no longer found by their day"
