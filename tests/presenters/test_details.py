import pytest

from memdefrag.analysis.merge import CreatedRule
from memdefrag.base.progress import Progress
from memdefrag.base.settings import PREVIEW_CHARACTERS
from memdefrag.base.wording import moment
from memdefrag.presenters.arrange import prepare
from memdefrag.presenters.details import AUTOMATIC_NOTE, EDITED_NOTE, STRANGE_NOTE, TOO_LONG_NOTE, DetailsPresenter
from memdefrag.presenters.review import ReviewPresenter
from tests.presenters.fakes import DAY, START, FakeView, analysed


def opened(data):
    review = ReviewPresenter(FakeView(), lambda: None, lambda: None)
    review.show(data, {})
    view = FakeView()
    return review, DetailsPresenter(view, review), view


def test_a_groups_own_row_compares_the_survivor_with_another_member(data):
    _review, details, view = opened(data)
    details.refresh()
    shown = view.last
    assert "".join(span.text for span in shown.survivor) == "Nora keeps the blue ladder in the shed."
    assert "".join(span.text for span in shown.member) == "nora keeps the blue ladder in the shed"
    assert "only case" in shown.why
    assert shown.merged_text == "Nora keeps the blue ladder in the shed."
    assert shown.merged_note == AUTOMATIC_NOTE


def test_the_person_can_word_the_merged_memory(data):
    _review, details, view = opened(data)
    details.edit("The ladder is in the shed.")
    details.refresh()
    assert view.last.merged_text == "The ladder is in the shed."
    assert view.last.merged_note.startswith(EDITED_NOTE)
    assert view.last.edited
    details.use_automatic_text()
    details.refresh()
    assert not view.last.edited


def test_a_kept_member_is_not_part_of_the_merge(data):
    review, details, view = opened(data)
    review.select(2)
    review.toggle()
    details.refresh()
    merged = {value.key: value.merged for value in view.last.values}
    assert merged["memdefrag_merged_from"] == '["a3"]'


def test_the_merged_memory_carries_the_time_that_was_chosen(data):
    review, details, view = opened(data)
    carried = []
    for rule in CreatedRule:
        review.set_created(rule)
        details.refresh()
        [created] = [value for value in view.last.values if value.key == "created"]
        carried.append(created.merged)
    assert carried == [moment(START + DAY), moment(START + 3 * DAY)]


def test_an_update_shows_the_newer_against_the_older(data):
    _review, details, view = opened(data)
    names = [record.key.id for record in data.analysis.records]
    details.show_pair(names.index("c1"), names.index("c2"))
    assert view.last.survivor_name.startswith("Newer")
    assert "port: 8081 / 8080" in view.last.why
    assert not view.last.editable


def test_nothing_is_shown_where_there_is_no_group(data):
    review, details, view = opened(data)
    review.set_filter("nothing says this")
    details.refresh()
    assert view.last.survivor == ()


def test_a_text_too_long_to_show_cannot_be_edited_by_accident():
    text = "A very long story. " + "It goes on and on. " * 2_000
    data = prepare(analysed((("a1", text, 1.0), ("a2", text + "!", 2.0))), "", Progress())
    _review, details, view = opened(data)
    details.refresh()
    assert not view.last.editable
    assert len(view.last.merged_text) == PREVIEW_CHARACTERS
    assert view.last.merged_note == TOO_LONG_NOTE


@pytest.mark.case(20)
def test_a_text_that_cannot_be_shown_as_it_is_cannot_be_edited_by_accident():
    text = "The caf\udce9 opens at nine."
    data = prepare(analysed((("a1", text, 1.0), ("a2", text, 2.0))), "", Progress())
    _review, details, view = opened(data)
    details.refresh()
    assert not view.last.editable
    assert view.last.merged_text == "The caf\ufffd opens at nine."
    assert view.last.merged_note == STRANGE_NOTE


def test_marks_of_direction_stay_in_a_text_that_can_be_edited():
    text = "The caf\u200fe opens at nine."
    data = prepare(analysed((("a1", text, 1.0), ("a2", text, 2.0))), "", Progress())
    _review, details, view = opened(data)
    details.refresh()
    assert view.last.editable
    assert view.last.merged_text == text


@pytest.mark.parametrize("key", ["memdefrag_merged_from", "n"])
def test_the_metadata_after_the_merge_is_shown(data, key):
    _review, details, view = opened(data)
    details.refresh()
    assert key in [value.key for value in view.last.values]
