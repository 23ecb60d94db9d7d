from memdefrag.engine.in_use import Holder
from memdefrag.engine.inspect import Summary
from memdefrag.model.records import CollectionInfo
from memdefrag.presenters.looking import Looking
from memdefrag.presenters.summary import ALL_COLLECTIONS, SummaryPresenter, summary_state
from tests.presenters.fakes import FakeView


def summary(*collections: CollectionInfo, **more) -> Summary:
    fields = {
        "address": "chroma:/data/chroma_db",
        "kind": "chroma",
        "format": "Chroma 1.5",
        "writable": True,
        "written_by": None,
        "in_use": (),
        "collections": collections,
        "problems": (),
        "bytes": 1_500_000,
        "modified": 1.7e9,
    }
    return Summary(**(fields | more))


ONE, OTHER = CollectionInfo("one", 1_200, 1_200, 1_200, 384), CollectionInfo("other", 10, 10, 4, 384)


def test_the_facts():
    state = summary_state(summary(ONE, OTHER), None, 0, is_copy=False)
    assert dict(state.facts)["Memories"] == "1,210"
    assert dict(state.facts)["Kind"] == "Chroma folder"
    assert state.title == "chroma_db"
    assert state.without_vector == 6
    assert state.choices == (ALL_COLLECTIONS, "one", "other")


def test_one_collection_leaves_nothing_to_choose():
    assert summary_state(summary(ONE), None, 0, is_copy=False).choices == ()


def test_the_collection_of_the_address_is_chosen():
    assert summary_state(summary(ONE, OTHER), "other", 0, is_copy=False).chosen == 2


def test_who_holds_the_store_and_how_it_is_closed_is_said():
    holder = Holder(42, "chroma", "chroma run")
    [note] = summary_state(summary(ONE, in_use=(holder,)), None, 0, is_copy=False).notes
    assert "process 42" in note
    assert "Stop the Chroma server" in note


def test_an_older_folder_and_problems_are_said():
    notes = summary_state(summary(ONE, written_by="0.5.23", problems=("Odd.",)), None, 0, is_copy=False).notes
    assert "0.5.23" in notes[0]
    assert notes[1] == "Odd."


def opened():
    calls = []
    presenter = SummaryPresenter(FakeView(), lambda *call: calls.append(call), lambda: None)
    presenter.show(summary(ONE, OTHER), None, 0, is_copy=False)
    return presenter, calls


def test_what_is_chosen_is_analysed():
    presenter, calls = opened()
    presenter.start_analysis()
    presenter.choose(2)
    presenter.set_no_model(True)
    presenter.start_analysis()
    assert calls == [(None, Looking()), ("other", Looking(no_model=True))]


def test_long_work_is_begun_only_when_the_person_agrees():
    presenter, calls = opened()
    presenter.ask_about_long_work("It takes 10 minutes.")
    assert presenter.state.question
    presenter.start_analysis(long_work=True)
    assert presenter.state.question == ""
    presenter.ask_about_long_work("It takes 10 minutes.")
    presenter.start_by_words()
    presenter.ask_about_long_work("It takes 10 minutes.")
    presenter.cancel()
    assert presenter.state.question == ""
    assert calls == [(None, Looking(long_work=True)), (None, Looking(no_model=True))]


def test_another_way_to_look_is_said_in_a_line_and_kept_for_the_next_time():
    presenter, calls = opened()
    presenter.look(method="fuzzy", tags="work, home")
    presenter.start_analysis()
    presenter.start_analysis()
    assert calls == [(None, Looking(method="fuzzy", tags="work, home"))] * 2
    presenter.look_as_usual()
    assert presenter.state.looking == Looking()


def test_what_is_no_date_is_said_and_nothing_begins():
    presenter, calls = opened()
    presenter.look(since="yesterday")
    presenter.start_analysis()
    assert "'yesterday' is no date" in presenter.state.problem and calls == []
    presenter.look(since="2026-01-31")
    assert presenter.state.problem == ""
