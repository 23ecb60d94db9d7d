"""What the person types into the migration page, as the engine takes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.model.migration import GENTLE, Conflict, Depth, MigrateOptions, Pace
from memdefrag.presenters.migration_form import CONFLICTS, Form, legs, remembered

HAVE = {"chroma:/a": ["m", "n"], "/b.jsonl": ["m"]}


def planned(**fields):
    return legs(Form(sources=tuple(HAVE), **fields), HAVE)


def test_an_empty_form_takes_all_of_each_source():
    assert planned() == [("chroma:/a", MigrateOptions()), ("/b.jsonl", MigrateOptions())]


def test_every_field_reaches_the_engine(tmp_path):
    mapping = tmp_path / "map.json"
    mapping.write_text('{"drop": ["session"]}', encoding="utf-8")
    [leg, _] = planned(
        conflict="newest", prefix="note-", where="a=1, b=x", tags="work, home", since="2025-03-01T00:00Z",
        mapping=str(mapping), skip_duplicates=True, re_embed=" some-model ", gentle=True, full=True, rollback=True,
        one="all",
    )  # fmt: skip
    options = leg.options
    assert (options.conflict, options.verify, options.pace) == (Conflict.NEWEST, Depth.FULL, GENTLE)
    assert options.selection.prefix == "note-" and options.selection.where == {"a": "1", "b": "x"}
    assert options.selection.tags == {"work", "home"} and options.selection.since == 1740787200.0
    assert options.metadata.drop == {"session"}
    assert (options.skip_duplicates, options.re_embed, options.rollback_on_failure) == (True, "some-model", True)
    assert options.target_collection == "all" and not options.resume


def test_a_collection_is_renamed_for_its_own_source_alone():
    one, other = planned(renames=(("chroma:/a", "m", "memories"), ("chroma:/a", "gone", "x")))
    assert one.options.rename == {"m": "memories"} and other.options.rename == {}


def test_where_all_go_into_one_no_name_counts():
    assert planned(renames=(("chroma:/a", "m", "x"),), one="all")[0].options.rename == {}


def test_of_a_source_only_what_takes_part_is_read():
    assert [leg.source for leg in planned(left_out=(("chroma:/a", "m"),))] == ["chroma:/a#n", "/b.jsonl"]
    with pytest.raises(UsageError, match="No collection"):
        planned(left_out=tuple((source, name) for source, names in HAVE.items() for name in names))


def test_the_pace_is_gentle_or_as_it_is_typed():
    typed = {"batch": "20", "delay": "0.5", "rate": "7", "timeout": "90"}
    assert planned(**typed)[0].options.pace == Pace(20, 0.5, 7.0, 90.0)
    assert planned(**typed, gentle=True)[0].options.pace == Pace(GENTLE.batch, GENTLE.delay, 7.0, 90.0)


@pytest.mark.parametrize(("field", "said"), [
    ("since", "soon"), ("where", "work"), ("batch", "0"), ("delay", "-1"), ("rate", "nan"), ("rate", "fast"),
    ("timeout", "0.5"),
])  # fmt: skip
def test_what_cannot_be_understood_is_told_without_options_of_the_command(field, said):
    with pytest.raises(UsageError) as caught:
        planned(**{field: said})
    assert said in caught.value.message and caught.value.todo
    assert "--" not in f"{caught.value.message} {caught.value.todo}"


def test_the_ways_to_meet_are_the_engines():
    assert {*CONFLICTS} == {each.value for each in Conflict}


texts = st.text(max_size=5)
forms = st.builds(
    Form, sources=st.lists(texts).map(tuple), target=texts, where=texts, gentle=st.booleans(),
    left_out=st.lists(st.tuples(texts, texts)).map(tuple), renames=st.lists(st.tuples(texts, texts, texts)).map(tuple),
)  # fmt: skip


@given(forms)
def test_a_form_comes_back_from_json_as_it_was(form):
    assert remembered(json.loads(json.dumps(form.as_dict()))) == form


def test_what_is_strange_in_a_remembered_form_is_as_usual():
    assert remembered({"sources": 3, "gentle": "yes", "target": None, "other": 1}) == Form()
