"""Migrating in the real window, by keys and buttons, between real stores."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit

from memdefrag.gui.models.entries import EntryRows
from memdefrag.model import profiles
from memdefrag.model.migration import Entry, MigrationReport, Outcome
from memdefrag.model.profiles import Profile
from memdefrag.model.records import Key
from memdefrag.presenters.asking import Question
from memdefrag.presenters.migration_entries import Entries
from memdefrag.presenters.migration_state import Step
from memdefrag.presenters.pages import Page
from tests.gui.keys import KEY, press, tab_to
from tests.presenters.stores import texts


def come(window, arrive):
    """To the page, from the menu's entry."""
    window.shell.side.show_migration()
    return arrive(Page.MIGRATION)


def at(qtbot, window, step):
    """Wait until a step is shown and nothing runs."""
    state = lambda: window.shell.side.migration.state  # noqa: E731
    done = lambda: state().step is step and window.shell.page is Page.MIGRATION and not window.tasks.busy  # noqa: E731
    qtbot.waitUntil(done, timeout=60_000)


def rehearse(qtbot, window, page, source, target):
    QTest.keyClicks(page.source.address, str(source))
    press(KEY.Key_Return)
    page.next.click()
    at(qtbot, window, Step.TARGET)
    QTest.keyClicks(QApplication.focusWidget(), str(target))
    page.next.click()
    at(qtbot, window, Step.NAMES)
    page.next.click()
    page.next.click()
    at(qtbot, window, Step.REHEARSAL)


@pytest.mark.parametrize("store", ["export_file"], indirect=True)
def test_a_file_becomes_a_chroma_folder_by_keys_alone_and_back(qtbot, window, arrive, store, tmp_path):
    target = tmp_path / "new" / "chroma"
    target.parent.mkdir()
    page = come(window, arrive)
    assert QApplication.focusWidget() is page.source.address
    QTest.keyClicks(page.source.address, str(store))
    press(KEY.Key_Return)
    tab_to(page.next)
    press(KEY.Key_Space)
    at(qtbot, window, Step.TARGET)
    assert QApplication.focusWidget() is page.target.address
    QTest.keyClicks(page.target.address, f"chroma:{target}")
    for step in (Step.NAMES, Step.OPTIONS, Step.REHEARSAL):
        tab_to(page.next)
        press(KEY.Key_Space)
        at(qtbot, window, step)
    assert not target.exists() and QApplication.focusWidget() is page.next
    assert page.next.text() == "Migrate"
    press(KEY.Key_Space)
    at(qtbot, window, Step.RESULT)
    assert texts(target) == texts(store)
    tab_to(page.result.take_back)
    press(KEY.Key_Space)
    tab_to(window._question.agree)
    press(KEY.Key_Space)
    qtbot.waitUntil(lambda: "Taken back" in page.result._title.text() and not window.tasks.busy, timeout=60_000)
    assert texts(target) == []


def test_cancelled_half_way_nothing_stays_of_it(qtbot, window, arrive, store, tmp_path):
    target = tmp_path / "chroma"
    page = come(window, arrive)
    rehearse(qtbot, window, page, store, f"chroma:{target}")
    page.next.click()
    qtbot.waitUntil(lambda: window.shell.work.state.job.phase.startswith("Writing"), timeout=60_000)
    window.page(Page.WORK).panel.cancel.click()
    at(qtbot, window, Step.REHEARSAL)
    assert window._notice.isVisible() and not target.exists()
    page.next.click()
    at(qtbot, window, Step.RESULT)
    assert texts(target) == texts(store)


def test_a_failure_is_shown_with_what_is_safe_and_what_to_do(qtbot, window, arrive, store):
    page = come(window, arrive)
    QTest.keyClicks(page.source.address, "/nowhere/at/all.db")
    press(KEY.Key_Return)
    page.next.click()
    qtbot.waitUntil(lambda: window._notice.isVisible() and not window.tasks.busy, timeout=60_000)
    assert window.shell.page is Page.MIGRATION and "/nowhere/at/all.db" in window._notice._message.text()


def test_a_failed_check_is_shown_first_and_nothing_can_be_begun(qtbot, window, arrive, store):
    page = come(window, arrive)
    rehearse(qtbot, window, page, store, store)
    assert not page.next.isEnabled() and not page.rehearsal.entries.isVisible()
    grid = page.rehearsal._checks
    assert grid.itemAtPosition(0, 0).widget().text() == "fail"
    assert "Name another target" in grid.itemAtPosition(0, 2).widget().text()


def test_collections_and_options_reach_the_plan(qtbot, window, arrive, store, tmp_path):
    page = come(window, arrive)
    rehearse(qtbot, window, page, store, tmp_path / "x.jsonl")
    presenter = window.shell.side.migration
    page.steps.button(Step.NAMES).click()
    [(_, name)] = page.names._rows
    name.setFocus()
    name.selectAll()
    QTest.keyClicks(name, "notes")
    assert name.text() == "notes" and name.hasFocus(), "typing goes on while the page follows"
    page.next.click()
    for field, said in {"prefix": "m", "tags": "work", "since": "7d", "where": "a=1"}.items():
        QTest.keyClicks(page.options._fields[field], said)
    page.options._boxes["gentle"].click()
    page.options.anew.click()
    QTest.keyClick(page.options.conflict, KEY.Key_Down)
    form = presenter.state.form
    assert (form.prefix, form.tags, form.since, form.where) == ("m", "work", "7d", "a=1")
    assert form.gentle and form.conflict == "overwrite" and form.re_embed == page.options.model.currentText()
    assert form.renames == ((str(store), "memories", "notes"),)
    assert not page.steps.button(Step.REHEARSAL).isEnabled(), "what was rehearsed is stale"


def test_pickers_fill_in_paths_and_a_new_store_gets_its_kind(window, arrive, store, tmp_path, monkeypatch):
    page = come(window, arrive)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(store), ""))
    page.source.places.file.click()
    assert window.shell.side.migration.state.form.sources == (str(store),)
    monkeypatch.setattr(QFileDialog, "exec", lambda _: True)
    monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _: [str(tmp_path / "there")])
    page.target.kind.setCurrentIndex(page.target.kind.findData("parquet"))
    page.target.new.click()
    assert page.target.address.text() == f"parquet:{tmp_path / 'there'}"


def test_a_kept_server_fills_the_fields_and_its_key_is_never_shown(qtbot, window, arrive):
    profiles.save(Profile("Work", "chroma", "http://chroma.example:8000", "team", "main", "m"))
    page = come(window, arrive)
    panel = page.source.server
    qtbot.waitUntil(lambda: panel.known.count() == 2, timeout=60_000)
    assert not panel.isVisible()
    page.source.places.server.click()
    assert panel.isVisible() and panel.key.echoMode() is QLineEdit.EchoMode.Password
    QTest.keyClick(panel.known, KEY.Key_Down)
    assert (panel.url.text(), panel.tenant.text(), panel.collection.text()) == (
        "http://chroma.example:8000", "team", "m",
    )  # fmt: skip
    panel.key.setText("canary")
    panel.use.click()
    assert panel.key.text() == ""
    presenter = window.shell.side.migration
    qtbot.waitUntil(lambda: len(presenter.state.form.sources) == 1 and not window.tasks.busy, timeout=60_000)
    assert "canary" not in repr(presenter.state)


def test_the_report_is_copied_and_the_checklist_ticked(qtbot, window, arrive, store, tmp_path):
    page = come(window, arrive)
    rehearse(qtbot, window, page, store, f"hdev:{tmp_path / 'notes'}")
    page.next.click()
    at(qtbot, window, Step.RESULT)
    page.result.copy.click()
    assert QApplication.clipboard().text().startswith("Migrated: ")
    page.result._boxes[0].click()
    page.result.stride_buttons["Catch Up"].click()
    at(qtbot, window, Step.RESULT)
    assert [box.isChecked() for box in page.result._boxes] == [True, True, False, False, False]


def test_what_a_question_is_about_can_be_read(qtbot, window):
    window.show_question(Question("Remove 3 memories?", "Remove", ("one", "two", "three")))
    line = window._question._lines.itemAt(2).widget()
    qtbot.waitUntil(lambda: not line.visibleRegion().isEmpty(), timeout=5_000)
    assert line.text() == "three"
    window.show_question(None)


def test_a_hundred_thousand_entries_are_looked_up_as_they_are_shown(qtmodeltester):
    entries = tuple(Entry(Key("m", str(n)), Key("m", str(n)), Outcome.COPY) for n in range(100_000))
    model = EntryRows()
    model.show(Entries([MigrationReport("a", "b", True, entries)]))
    assert model.rowCount() == 100_000
    assert model.data(model.index(99_999, 1)) == "m/99999"
    evil = Entry(Key("m", "<b>x</b>"), Key("m", "y"), Outcome.FAIL, "line\nbreak\x1b[31m")
    model.show(Entries([MigrationReport("a", "b", True, (evil,))]))
    assert model.data(model.index(0, 1)) == "m/<b>x</b>" and "\n" not in model.data(model.index(0, 3))
    assert model.data(model.index(0, 0), Qt.ItemDataRole.ForegroundRole) is not None
    qtmodeltester.check(model)
