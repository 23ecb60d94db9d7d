"""A store that something else has emptied is looked at before it is tidied; what we know of does not count."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from memdefrag.base.errors import ConfirmationNeeded
from memdefrag.base.progress import Progress
from memdefrag.engine import history
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.backups.create import create
from memdefrag.engine.restore import restore_plan
from memdefrag.model.address import Address
from memdefrag.model.plan import Drop, Plan, Ref
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.engine.stores import make_store, merge_plan, snapshot_of


@pytest.fixture
def address(tmp_path):
    return make_store("memory-export", tmp_path)


def back_up(address: Address) -> None:
    with open_store(address) as store:
        create(store, read_snapshot(store), "by hand", Progress())


def lose(address: Address, count: int, *, archived: bool = False) -> None:
    """Another program deletes the last memories; a tidy one keeps them in the archive."""
    with closing(sqlite3.connect(address.path)) as connection, connection:
        ids = [f"id{number:03}" for number in range(20 - count, 20)]
        if archived:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS memory_archive (id INTEGER PRIMARY KEY AUTOINCREMENT, original_id TEXT NOT "
                "NULL, content TEXT NOT NULL, embedding BLOB, metadata TEXT, timestamp REAL, archived_at REAL NOT NULL)"
            )
            connection.executemany(
                "INSERT INTO memory_archive (original_id, content, archived_at) VALUES (?, 'text', 1.0)",
                [(name,) for name in ids],
            )
        table = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'memor%' AND sql LIKE '%content%'")
        connection.executemany(f"DELETE FROM {table.fetchone()[0]} WHERE id = ?", [(name,) for name in ids])


def test_a_store_that_lost_much_since_its_backup_is_not_written(address):
    back_up(address)
    lose(address, 8)
    with pytest.raises(ConfirmationNeeded, match="8 of the 20 memories"):
        apply(merge_plan(address))
    assert len(snapshot_of(address)) == 12
    apply(merge_plan(address), ApplyOptions(confirm_shrink=True))
    assert len(snapshot_of(address)) == 9


def test_what_a_restore_took_away_is_no_loss(address):
    with open_store(address) as store:
        full = create(store, None, "by hand", Progress())
    lose(address, 8)
    with open_store(address) as store:
        older = create(store, None, "by hand", Progress())
    apply(restore_plan(full, None))
    apply(restore_plan(older, None))
    assert len(snapshot_of(address)) == 12
    apply(merge_plan(address, 1))
    assert len(snapshot_of(address)) == 11


def test_what_an_undo_of_a_restore_took_away_is_no_loss(address):
    with open_store(address) as store:
        full = create(store, None, "by hand", Progress())
    lose(address, 8)
    apply(restore_plan(full, None))
    apply(history.undo_plan(history.latest(address)))
    apply(merge_plan(address, 1))
    assert len(snapshot_of(address)) == 11


def test_a_dry_run_says_so_too(address):
    back_up(address)
    lose(address, 8)
    with pytest.raises(ConfirmationNeeded):
        apply(merge_plan(address), ApplyOptions(dry_run=True))


@pytest.mark.parametrize("how", ["little", "archived"])
def test_what_is_little_or_archived_is_no_loss(address, how):
    back_up(address)
    lose(address, 5 if how == "little" else 8, archived=how == "archived")
    before = len(snapshot_of(address))
    apply(merge_plan(address))
    assert len(snapshot_of(address)) == before - 3


def test_without_a_backup_nobody_is_asked(address):
    lose(address, 18)
    apply(Plan(source=str(address), target=str(address)))


def test_what_our_own_steps_removed_is_no_loss(address):
    back_up(address)
    records = snapshot_of(address).records
    drops = tuple(Drop(Ref.of(record)) for record in records[:7])
    apply(Plan(source=str(address), target=str(address), steps=drops), ApplyOptions(confirm_shrink=True))
    back = history.undo_plan(history.latest(address))
    apply(merge_plan(address))
    assert len(snapshot_of(address)) == 10
    apply(back)
    assert len(snapshot_of(address)) == 17


def test_what_survivors_name_as_merged_is_no_loss(tmp_path):
    address = make_store("jsonl", tmp_path)
    back_up(address)
    names = [f'"id{number:03}"' for number in range(9, 20)]
    left = [line for line in address.path.read_text().splitlines() if not any(name in line for name in names)]
    keeper = f'{{"id": "keeper", "text": "all", "metadata": {{"memdefrag_merged_from": [{", ".join(names)}]}}}}'
    address.path.write_text("\n".join([*left, keeper]) + "\n")
    assert len(snapshot_of(address)) == 10
    apply(merge_plan(address))
    assert len(snapshot_of(address)) == 7


def test_more_than_was_agreed_to_is_asked_about(address):
    plan = merge_plan(address)
    for agreed, refused in ((2, True), (3, False)):
        asked = Plan(source=plan.source, target=plan.target, steps=plan.steps, settings={"agreed_removals": agreed})
        if refused:
            with pytest.raises(ConfirmationNeeded, match="only 2 were agreed to"):
                apply(asked)
        else:
            apply(asked)
    assert len(snapshot_of(address)) == 17
