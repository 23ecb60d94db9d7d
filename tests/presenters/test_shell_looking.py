"""From the results and the open store to the pages that look at them in another way."""

from __future__ import annotations

from memdefrag.engine import calibration
from memdefrag.presenters.pages import Page
from tests.presenters.stores import texts


def test_a_line_drawn_by_answers_holds_here_and_the_next_time(shell, window, store):
    shell.start(str(store))
    shell.summary.start_analysis()
    shell.side.calibrate()
    assert window.page is Page.CALIBRATION
    shell.side.calibration.different()
    shell.side.calibration.use()
    assert window.page is Page.REVIEW
    remembered = calibration.recall(shell.opened.address)
    assert remembered and remembered.fitted.threshold == shell.review.state.threshold
    assert calibration.threshold_of(shell.opened.address) == shell.review.state.threshold


def test_there_is_nothing_to_calibrate_before_an_analysis(shell, window, store):
    shell.start(str(store))
    shell.side.calibrate()
    assert window.page is Page.SUMMARY


def test_junk_is_removed_by_a_plan_and_the_way_back_leads_to_the_list(shell, window, store):
    with store.open("a", encoding="utf-8") as file:
        file.write('\n{"id": "junk", "text": "this is a test"}\n')
    shell.start(str(store))
    shell.side.show_junk()
    assert window.page is Page.JUNK
    shell.side.junk.plan_removal()
    assert window.page is Page.PLAN
    shell.plan.go_back()
    assert window.page is Page.JUNK
    shell.side.junk.plan_removal()
    shell.plan.optimize()
    assert window.page is Page.RESULT
    assert "this is a test" not in texts(store)


def test_the_way_back_from_the_junk(shell, window, store):
    shell.start(str(store))
    shell.side.show_junk()
    shell.leave()
    assert window.page is Page.SUMMARY
