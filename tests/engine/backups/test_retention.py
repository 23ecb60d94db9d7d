"""Which backups stay: over any catalogue, nothing goes that somebody may need."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import BackupNotFound
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, history
from memdefrag.engine.apply import apply
from memdefrag.engine.backups import acceptance
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.retention import DAYS, LAST, WEEKS, Budget, Entry, Facts, budget, keep, prune, warning
from memdefrag.engine.backups.shelf import Backup, all_backups
from memdefrag.model.address import Address, parse
from memdefrag.model.plan import Plan, StoreStep
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan

START = date(2026, 1, 5)
"""A Monday."""


@st.composite
def shelves(draw: st.DrawFn) -> tuple[list[Entry], Facts]:
    """Backups of two stores, made in this order under clocks that jump, and all that may be known of them."""
    days = draw(st.lists(st.integers(-400, 400), max_size=60))
    entries = [
        Entry(f"b{number}", draw(st.sampled_from("AB")), START + timedelta(day), draw(st.integers(0, 5)) > 0)
        for number, day in enumerate(days)
    ]
    ids = [entry.id for entry in entries]
    some = st.sets(st.sampled_from(ids)) if ids else st.just(set())
    # Ids say nothing of the order.
    order = {name: place for place, name in enumerate(draw(st.permutations(ids)))}
    questions = draw(st.dictionaries(st.sampled_from("AB"), st.integers(0, len(ids)), max_size=2))
    return entries, Facts(order, draw(some), draw(some), draw(st.sets(st.sampled_from("AB"), max_size=1)), draw(some),
                          questions)


def in_order(entries: list[Entry], facts: Facts, store: str) -> list[Entry]:
    return sorted((entry for entry in entries if entry.store == store), key=lambda entry: facts.order[entry.id])


@given(shelves(), st.data())
@pytest.mark.case(41)
def test_whatever_is_named_the_safe_ones_stay(shelf: tuple[list[Entry], Facts], data: st.DataObject) -> None:
    entries, facts = shelf
    named = data.draw(st.sets(st.sampled_from([entry.id for entry in entries]))) if entries else set()
    kept = keep(entries, facts, named)
    for store in "AB":
        there = in_order(entries, facts, store)
        own = [entry for entry in there if entry.id not in facts.imported] or there
        verified = [entry.id for entry in own if entry.id in facts.verified]
        assert {entry.id for entry in own[:1]} | set(verified[-1:]) <= kept.keys()
        if store in facts.busy:
            assert {entry.id for entry in there} <= kept.keys()
        since = facts.questions.get(store, len(entries))
        assert {entry.id for entry in there if facts.order[entry.id] >= since} <= kept.keys()
    assert set(facts.needed) & {entry.id for entry in entries} <= kept.keys()


@given(shelves())
def test_unnamed_ones_made_by_hand_or_taken_in_stay(shelf: tuple[list[Entry], Facts]) -> None:
    entries, facts = shelf
    kept = keep(entries, facts)
    assert {entry.id for entry in entries if not entry.automatic or entry.id in facts.imported} <= kept.keys()


@given(shelves())
def test_the_last_ones_and_one_of_each_late_day_and_week_stay(shelf: tuple[list[Entry], Facts]) -> None:
    entries, facts = shelf
    kept = keep(entries, facts)
    for store in "AB":
        own = [each for each in in_order(entries, facts, store) if each.automatic and each.id not in facts.imported]
        assert {entry.id for entry in own[-LAST:]} <= kept.keys()
        for label, number in (("%Y-%m-%d", DAYS), ("%G-%V", WEEKS)):
            late = list(dict.fromkeys(entry.made.strftime(label) for entry in reversed(own)))[:number]
            assert set(late) <= {entry.made.strftime(label) for entry in own if entry.id in kept}


@given(shelves())
def test_pruning_twice_removes_nothing_more(shelf: tuple[list[Entry], Facts]) -> None:
    entries, facts = shelf
    kept = keep(entries, facts)
    assert keep([entry for entry in entries if entry.id in kept], facts).keys() == kept.keys()


@given(shelves())
def test_a_backup_the_catalogue_does_not_know_stays(shelf: tuple[list[Entry], Facts]) -> None:
    entries, facts = shelf
    assert len(keep(entries, replace(facts, order={}))) == len(entries)


def daily(count: int) -> tuple[list[Entry], Facts]:
    """One automatic backup a day of one store, all verified."""
    entries = [Entry(f"b{number:03}", "A", START + timedelta(number)) for number in range(count)]
    order = {entry.id: place for place, entry in enumerate(entries)}
    return entries, Facts(order, verified=set(order))


def test_of_a_year_of_daily_backups_few_stay() -> None:
    kept = keep(*daily(365))
    weeks_before_the_days = WEEKS - 3
    assert len(kept) == 1 + DAYS + weeks_before_the_days
    assert {"b000", "b364", "b351"} <= kept.keys()
    assert "b100" not in kept


def test_of_many_backups_of_one_day_the_last_ten_and_the_first_stay() -> None:
    entries, facts = daily(40)
    kept = keep([replace(entry, made=START) for entry in entries], facts)
    assert sorted(kept) == ["b000", *(f"b{number:03}" for number in range(30, 40))]


@pytest.mark.case(41)
def test_a_clock_that_was_years_ahead_for_a_while_makes_no_other_backup_old() -> None:
    entries, facts = daily(60)
    entries[50] = replace(entries[50], made=date(2099, 1, 1))
    kept = keep(entries, facts)
    assert {f"b{number:03}" for number in range(48, 60)} <= kept.keys()


@pytest.mark.case(41)
def test_ids_made_at_the_same_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "utc_now", lambda: "2026-01-05T10:00:00.000000Z")
    assert len({catalogue.new_id() for _ in range(30)}) == 30


@pytest.mark.case(41)
def test_backups_are_in_the_catalogues_order_when_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_store("jsonl", tmp_path)
    made = []
    for hour in range(15, 0, -1):
        monkeypatch.setattr(catalogue, "utc_now", lambda hour=hour: f"2026-01-05T{hour:02}:00:00.000000Z")
        made.append(made_before_a_write(address).id)
    gone = {each.id for each in prune().removed}
    assert gone == set(made[1:5])


@pytest.mark.case(41)
def test_stores_whose_names_differ_only_in_case_have_shelves_that_differ_in_more(tmp_path: Path) -> None:
    one, other = (catalogue.store_id(Address("jsonl", str(tmp_path / name))) for name in ("Notes.jsonl", "notes.jsonl"))
    assert one.lower() != other.lower()


@pytest.mark.case(41)
@pytest.mark.parametrize("name", ["with space", "Grüße 東京 🦊", "/".join(["deep" * 20] * 4), "'quoted' \"name\" #1"])
def test_stores_in_unusual_folders_are_backed_up_and_pruned(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    address = make_store("jsonl", folder)
    made = [made_before_a_write(address) for _ in range(12)]
    report = prune()
    assert [each.id for each in report.removed] == [made[1].id]
    assert {backup.id for backup in all_backups(address)} == {backup.id for backup in (made[0], *made[2:])}


def test_pruning_removes_the_folder_and_says_so_in_the_catalogue(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    made = [made_before_a_write(address) for _ in range(12)]
    before = budget().total
    report = prune()
    assert not made[1].folder.exists()
    assert [event["id"] for event in catalogue.events() if event["event"] == "pruned"] == [made[1].id]
    assert before - budget().total == report.freed > 0


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    made = [made_before_a_write(address) for _ in range(12)]
    events = list(catalogue.events())
    assert [each.id for each in prune(dry_run=True).removed] == [made[1].id]
    assert len(all_backups()) == 12
    assert list(catalogue.events()) == events


@pytest.mark.parametrize("reason", ["by hand", "before optimize"])
def test_a_named_backup_goes_unless_safety_needs_it(tmp_path: Path, reason: str) -> None:
    address = make_store("jsonl", tmp_path)
    first, second, newest = (made_now(address, reason) for _ in range(3))
    assert not prune().removed
    report = prune(named=[first.id, second.id[:30], newest.id])
    assert [each.id for each in report.removed] == [second.id]
    assert report.kept[first.id] == "the first of its store"
    assert report.kept[newest.id] == "the newest verified one"


def test_a_backup_that_failed_its_last_check_is_not_the_newest_verified_one(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    _, second, newest = (made_now(address, "by hand") for _ in range(3))
    catalogue.record("damaged", id=newest.id, reason="a flipped bit")
    assert prune(dry_run=True, named=[second.id, newest.id]).kept[second.id] == "the newest verified one"


def test_an_unknown_name_prunes_nothing(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    for _ in range(12):
        made_before_a_write(address)
    with pytest.raises(BackupNotFound):
        prune(named=["nope"])
    assert len(all_backups()) == 12


def test_the_backup_of_a_restore_that_can_be_undone_stays(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    made_now(address, "by hand")
    source = made_now(address, "by hand")
    merged = apply(merge_plan(address))
    acceptance.answer(str(merged.step), True)
    report = apply(
        Plan(source=f"backup:{source.id}", target=str(address), store_steps=(StoreStep.REPLACE,),
             settings={"reason": "restore"})
    )  # fmt: skip
    acceptance.answer(str(report.step), True)
    for _ in range(LAST + 1):
        made_before_a_write(address)
    assert prune(named=[str(report.backup)]).kept[str(report.backup)] == "a step can only be undone with it"
    apply(history.undo_plan(history.find(str(report.step))))
    assert str(report.backup) in {each.id for each in prune(named=[str(report.backup)]).removed}


@pytest.mark.parametrize("name", ["step.json", "before.jsonl"])
def test_the_backup_of_a_step_whose_own_images_are_damaged_stays(tmp_path: Path, name: str) -> None:
    address = make_store("jsonl", tmp_path)
    made_before_a_write(address)
    report = apply(merge_plan(address))
    acceptance.answer(str(report.step), True)
    for _ in range(LAST + 1):
        made_before_a_write(address)
    assert str(report.backup) in {each.id for each in prune(dry_run=True).removed}
    folder = history.find(str(report.step)).folder
    assert (folder / name).exists()
    (folder / name).write_bytes(b"damaged")
    assert prune().kept[str(report.backup)] == "a step can only be undone with it"


def test_backups_since_an_open_question_stay(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    made_before_a_write(address)
    older = made_before_a_write(address)
    report = apply(merge_plan(address))
    for _ in range(LAST + 2):
        made_before_a_write(address)
    assert {each.id for each in prune().removed} == {older.id}
    acceptance.answer(str(report.step), True)
    assert str(report.backup) in {each.id for each in prune().removed}


def test_nothing_of_a_store_with_an_unfinished_write_goes(tmp_path: Path) -> None:
    address = make_store("jsonl", tmp_path)
    for _ in range(12):
        made_before_a_write(address)
    catalogue.record("job", id="x", path=address.location)
    assert not prune().removed
    catalogue.record("tidied", id="x")
    assert len(prune().removed) == 1


@pytest.mark.parametrize("point", range(1, 8))
def test_an_interrupted_pruning_is_finished_by_the_next(tmp_path: Path, point: int) -> None:
    address = make_store("jsonl", tmp_path)
    made = [made_before_a_write(address) for _ in range(13)]
    killed = subprocess.run(
        [sys.executable, "-c", "from memdefrag.engine.backups.retention import prune; prune()"],
        env=os.environ | {"MEMDEFRAG_FAULT": f"kill:{point}"}, check=False,
    )  # fmt: skip
    assert killed.returncode != 0
    whole = {backup.id for backup in all_backups()}
    assert {made[0].id, *(backup.id for backup in made[3:])} <= whole
    prune()
    assert {backup.id for backup in all_backups()} == {made[0].id, *(backup.id for backup in made[3:])}
    assert not list((data_dir() / "backups").glob(".trash-*"))


def test_the_limit_is_what_the_person_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_now(make_store("jsonl", tmp_path), "by hand")
    assert warning(budget()) is None
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", "1 kB")
    found = budget()
    assert (found.limit, found.over) == (1000, True)
    assert "more than the 1.0 kB" in str(warning(found))


def test_unsaid_the_limit_is_ten_gigabytes_or_a_fifth_of_what_would_be_free(tmp_path: Path) -> None:
    made_now(make_store("jsonl", tmp_path), "by hand")
    found = budget()
    assert found.total == sum(backup.size for backup in all_backups()) > 0
    assert found.limit <= 10_000_000_000
    assert found.limit == pytest.approx(min(10e9, (found.free + found.total) / 5), rel=0.05)


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_the_warning_comes_exactly_when_the_limit_is_passed(total: int, limit: int) -> None:
    assert (warning(Budget(total, Path("x"), 1, limit)) is not None) == (total > limit)


def made_now(address: Address, reason: str) -> Backup:
    with open_store(parse(str(address))) as store:
        return create(store, read_snapshot(store), reason, Progress())


def made_before_a_write(address: Address) -> Backup:
    return made_now(address, "before optimize")
