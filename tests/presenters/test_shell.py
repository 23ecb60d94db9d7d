from __future__ import annotations

from memdefrag.engine import apart, catalogue, workspace
from memdefrag.engine.journal import Job
from memdefrag.model.address import parse
from memdefrag.model.hashing import record_hash
from memdefrag.presenters.pages import Page
from memdefrag.presenters.shell import Shell
from memdefrag.presenters.tasks import DirectRunner
from tests.presenters.fakes import FakeWindow, both_kinds, optimize, tick_everything
from tests.presenters.stores import texts


@both_kinds
def test_the_whole_job_and_back(shell, window, store):
    before = texts(store)
    shell.open(str(store))
    assert window.page is Page.SUMMARY
    shell.summary.start_analysis()
    assert window.page is Page.REVIEW
    tick_everything(shell)
    planned = shell.review.state.consequences.removed
    assert planned > 0
    optimize(shell)
    assert window.page is Page.RESULT
    assert len(texts(store)) == len(before) - planned
    shell.result.undo()
    assert shell.result.state.title == "Undone"
    assert texts(store) == before


def test_contradicting_memories_survive_everything_that_is_done_in_bulk(shell, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert sum("port 8080" in text for text in texts(store)) == 1
    assert sum("port 8081" in text for text in texts(store)) == 1
    assert not any("8080" in text and "8081" in text for text in texts(store))


@both_kinds
def test_looking_leaves_no_trace_in_the_store(shell, store):
    listing = sorted(path.name for path in store.parent.iterdir())
    content = store.read_bytes()
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    shell.review.optimize()
    assert store.read_bytes() == content
    assert sorted(path.name for path in store.parent.iterdir() if path.name != "memdefrag-data") == [
        name for name in listing if name != "memdefrag-data"
    ]


def test_a_store_named_from_here_is_found_again_from_elsewhere(shell, store, tmp_path, monkeypatch):
    monkeypatch.chdir(store.parent)
    shell.open(store.name)
    monkeypatch.chdir("/")
    assert workspace.recent() == [str(shell.opened.address)]
    shell.open(workspace.recent()[0])
    assert shell.opened.address.path == store


def test_nothing_ticked_is_no_plan(shell, window, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.tick_shown(False)
    shell.review.optimize()
    assert window.page is Page.REVIEW
    assert "Nothing is ticked" in window.notice.message


def test_a_review_goes_on_where_it_was_left(shell, window, runner, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    runner.elapse()
    again = Shell(FakeWindow(), DirectRunner())
    again.open(str(store))
    assert again.summary.state.decided == 1
    again.summary.start_analysis()
    assert again.review.saved()() == shell.review.saved()()


def test_a_decision_made_a_moment_before_the_end_is_not_lost(shell, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    assert workspace.load(parse(str(store)), "decisions") == {}
    shell.flush()
    assert len(workspace.load(parse(str(store)), "decisions")["choices"]) == 1


def test_an_unknown_file_is_refused_in_three_sentences(shell, window, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    shell.open(str(tmp_path / "photo.png"))
    assert window.page is Page.WELCOME
    assert window.notice.is_error
    assert window.notice.message and window.notice.safe and window.notice.todo


@both_kinds
def test_trying_on_a_copy_leaves_the_store_alone(shell, window, store):
    before = store.read_bytes()
    shell.open(str(store))
    shell.try_on_copy()
    assert shell.summary.state.is_copy
    assert shell.opened.address.path != store
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert window.page is Page.RESULT
    assert store.read_bytes() == before
    assert len(texts(shell.opened.address.path)) < len(texts(store))


def test_the_demo_is_always_fresh(shell, window):
    shell.open_demo()
    count = shell.summary.state.facts[0]
    shell.summary.start_analysis()
    optimize(shell)
    assert window.page is Page.RESULT
    shell.open_demo()
    assert shell.summary.state.facts[0] == count
    assert workspace.recent() == []



def test_f5_analyses_again_with_the_decisions_just_made(shell, window, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.merge_all()
    shell.analyse_again()
    assert window.page is Page.REVIEW
    assert len(shell.review.decisions) == 1


def test_what_was_told_apart_is_told_apart_for_good_and_in_every_store(shell, window, runner, store, tmp_path):
    copy = tmp_path / "elsewhere.jsonl"
    copy.write_bytes(store.read_bytes())
    shell.open(str(store))
    shell.summary.start_analysis()
    groups = len(shell.review.table)
    shell.review.not_duplicates()
    runner.elapse()
    for each in (store, copy):
        shell.open(str(each))
        shell.summary.start_analysis()
        assert len(shell.review.table) == groups - 1
    assert len(apart.told()) == 1


def test_what_was_told_apart_by_mistake_is_taken_back_from_the_list(shell, runner, store):
    shell.open(str(store))
    shell.summary.start_analysis()
    shell.review.not_duplicates()
    runner.elapse()
    shell.review.undo()
    runner.elapse()
    assert apart.told() == []


def test_what_was_told_apart_for_one_store_moves_to_the_list_for_all(shell, store):
    address = parse(str(store))
    shell.open(str(store))
    shell.summary.start_analysis()
    groups, records = len(shell.review.table), shell.review.data.analysis.records
    members = [[*records[at].key, record_hash(records[at])] for at in shell.review.table.members(0).tolist()]
    old = {"members": members, "action": "apart", "survivor": members[0], "kept": [], "text": None, "update": False}
    workspace.save(address, "decisions", {"format": 1, "choices": [old]})
    shell.analyse_again()
    assert len(shell.review.table) == groups - 1
    assert len(apart.told()) == 1
    assert workspace.load(address, "decisions")["choices"] == []


def test_closing_the_store_leads_to_the_first_page(shell, window, store):
    shell.open(str(store))
    shell.close_store()
    assert window.page is Page.WELCOME
    assert shell.welcome.state.recent[0].place == str(store)


def test_the_way_back_from_the_backups(shell, window, store):
    shell.open(str(store))
    shell.show_backups()
    shell.leave()
    assert window.page is Page.SUMMARY


def test_what_a_crash_left_is_settled_at_the_start_and_told(shell, window, store):
    before = texts(store)
    job = Job(store)
    catalogue.record("job", id="crashed", path=str(store), store=str(store))
    job.begin(id="crashed", kind="file", source_hash="")
    shell.start(str(store))
    assert not job.folder.exists()
    assert window.page is Page.SUMMARY
    assert "interrupted write" in window.notice.message
    assert texts(store) == before


def test_a_start_without_anything_to_settle_says_nothing(shell, window, store):
    shell.start(str(store))
    assert window.page is Page.SUMMARY
    assert [notice for notice in window.told if notice] == []
