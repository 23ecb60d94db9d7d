"""A write happens wholly or not at all, and what is told of it is true."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from memdefrag.base.errors import MemdefragError, NotAStore, StoreChanged, StoreInUse, UnsupportedFormat, WriterFailed
from memdefrag.base.progress import Progress, Tick
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.postgres import transaction
from memdefrag.stores.registry import open_store
from tests.stores.contract import everything, hashes
from tests.stores.postgres.crash_worker import run_write
from tests.stores.postgres.proxy import losing_commit
from tests.stores.postgres.schemas import OWNER
from tests.stores.postgres.server import Server

Content = dict[Key, str]


@pytest.fixture
def store(bigmemory_url: str, records: list[MemoryRecord]) -> Iterator[Store]:
    with open_store(f"bigmemory:{bigmemory_url}") as opened:
        opened.write(Changes(put=tuple(Put(opened.fit(record)[0], None) for record in records)), Progress())
        yield opened


@pytest.fixture
def changes(store: Store) -> Changes:
    """One memory rewritten, one added, one removed."""
    survivor, gone, other, *_ = everything(store).values()
    new, _ = store.fit(replace(survivor, text="Said once."))
    added, _ = store.fit(replace(other, key=Key("memories", "added"), text="New."))
    return Changes((Put(new, record_hash(survivor)), Put(added, None)), (Ref.of(gone),))


def content(url: str) -> Content:
    with open_store(f"bigmemory:{url}") as fresh:
        return hashes(everything(fresh))


def after(before: Content, changes: Changes) -> Content:
    new = {put.record.key: record_hash(put.record) for put in changes.put}
    return {key: value for key, value in (before | new).items() if key not in {ref.key for ref in changes.delete}}


def at_commit(do: Callable[[], None]) -> Progress:
    """Does something when everything is written and nothing is committed."""

    def listen(tick: Tick) -> None:
        if tick.phase == "Committing":
            do()

    return Progress(listen)


def writing_pid(server: Server, url: str) -> int:
    with psycopg.connect(url) as session:
        [(pid,)] = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'memdefrag' AND state = 'idle in transaction'"
        ).fetchall()
    return int(pid)


@pytest.mark.case(40)
def test_a_backend_killed_in_the_middle_leaves_the_old_rows(
    server: Server, bigmemory_url: str, store: Store, changes: Changes
) -> None:
    before = content(bigmemory_url)
    store.close()
    with pytest.raises((WriterFailed, NotAStore)) as caught:
        store.write(changes, at_commit(lambda: os.kill(writing_pid(server, bigmemory_url), signal.SIGKILL)))
    server.wait()
    assert content(bigmemory_url) == before
    assert "not changed" in caught.value.safe
    store.write(changes, Progress())
    assert content(bigmemory_url) == after(before, changes)


@pytest.mark.case(40)
@pytest.mark.parametrize(("fault", "committed"), [("kill:1", False), ("kill:2", True)])
def test_our_own_death_leaves_old_or_new_rows(
    bigmemory_url: str, store: Store, changes: Changes, fault: str, committed: bool
) -> None:
    before = content(bigmemory_url)
    child = multiprocessing.get_context("spawn").Process(target=run_write, args=(str(store.address), fault, changes))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert content(bigmemory_url) == (after(before, changes) if committed else before)
    if not committed:
        store.write(changes, Progress())
        assert content(bigmemory_url) == after(before, changes)


@pytest.mark.case(40)
def test_a_commit_whose_answer_is_lost_is_told_as_done(
    server: Server, bigmemory_url: str, store: Store, changes: Changes
) -> None:
    before = content(bigmemory_url)
    with losing_commit(server.folder, deliver=True) as folder, through(folder, server, store) as proxied:
        proxied.write(changes, Progress())
    assert content(bigmemory_url) == after(before, changes)


@pytest.mark.case(40)
def test_a_commit_that_never_arrived_is_told_as_not_done(
    server: Server, bigmemory_url: str, store: Store, changes: Changes
) -> None:
    before = content(bigmemory_url)
    with losing_commit(server.folder, deliver=False) as folder, through(folder, server, store) as proxied:
        with pytest.raises(WriterFailed, match="took the write back") as caught:
            proxied.write(changes, Progress())
        assert caught.value.safe == MemdefragError.default_safe
    assert content(bigmemory_url) == before


@pytest.mark.case(40)
@pytest.mark.parametrize("deliver", [True, False])
def test_an_outcome_that_nobody_tells_is_told_as_unknown(
    server: Server, bigmemory_url: str, store: Store, changes: Changes, deliver: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "ANSWER_SECONDS", 0.5)
    before = content(bigmemory_url)
    with losing_commit(server.folder, deliver=deliver, die=True) as folder, through(folder, server, store) as proxied:
        with pytest.raises(WriterFailed) as caught:
            proxied.write(changes, Progress())
        assert caught.value.safe == transaction.UNKNOWN
    assert content(bigmemory_url) == (after(before, changes) if deliver else before)


def through(folder: Path, server: Server, store: Store) -> Store:
    return open_store(store.address.at(store.address.location.replace(str(server.folder), str(folder))))


@pytest.mark.case(17)
def test_another_writer_is_named_and_nothing_waits_for_ever(
    bigmemory_url: str, store: Store, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LOCK_SECONDS", 0.3)
    before = content(bigmemory_url)
    with psycopg.connect(bigmemory_url, application_name="assistant") as other:
        other.execute("UPDATE memories SET access_count = access_count + 1")
        with pytest.raises(StoreInUse) as caught:
            store.write(changes, Progress())
        assert f"process {other.info.backend_pid} (assistant)" in caught.value.message
        other.rollback()
    assert content(bigmemory_url) == before


@pytest.mark.case(17)
def test_a_writer_who_finishes_in_time_is_waited_for(bigmemory_url: str, store: Store, changes: Changes) -> None:
    before = content(bigmemory_url)
    with psycopg.connect(bigmemory_url) as other:
        other.execute("LOCK TABLE memories IN ROW EXCLUSIVE MODE")
        timer = threading.Timer(0.5, other.rollback)
        timer.start()
        store.write(changes, Progress())
        timer.join()
    assert content(bigmemory_url) == after(before, changes)


@pytest.mark.case(17)
def test_reading_goes_on_while_another_program_writes(bigmemory_url: str, store: Store) -> None:
    before = content(bigmemory_url)
    with psycopg.connect(bigmemory_url) as other:
        other.execute("UPDATE memories SET content = 'half done'")
        assert content(bigmemory_url) == before
        other.rollback()


@pytest.mark.case(18)
def test_nobody_writes_between_the_comparison_and_the_commit(
    server: Server, bigmemory_url: str, store: Store, changes: Changes
) -> None:
    refused: list[str] = []

    def interfere() -> None:
        with psycopg.connect(bigmemory_url, options="-c lock_timeout=200") as other:
            other.execute(f"SET search_path = {search_path(bigmemory_url)}")
            try:
                other.execute("UPDATE memories SET content = 'in between'")
            except psycopg.errors.LockNotAvailable as error:
                refused.append(str(error))

    before = content(bigmemory_url)
    store.write(changes, at_commit(interfere))
    assert refused
    assert content(bigmemory_url) == after(before, changes)


def search_path(url: str) -> str:
    return url.split("search_path%3D")[1].split(",")[0]


@pytest.mark.case(18)
def test_a_row_that_moved_on_stops_all_of_the_write(bigmemory_url: str, store: Store, changes: Changes) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute("UPDATE memories SET summary = 'newer' WHERE id = %s", [changes.delete[0].key.id])
    before = content(bigmemory_url)
    with pytest.raises(StoreChanged):
        store.write(changes, Progress())
    assert content(bigmemory_url) == before


@pytest.mark.case(27)
def test_a_table_with_triggers_is_only_read(bigmemory_url: str, store: Store, changes: Changes) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute(
            "CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN DELETE FROM memory_relations; RETURN NEW; END';"
            "CREATE TRIGGER wiper AFTER UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION wipe()"
        )
    before = content(bigmemory_url)
    with pytest.raises(UnsupportedFormat, match="wiper"):
        store.write(changes, Progress())
    assert content(bigmemory_url) == before
    assert any("wiper" in problem for problem in store.problems())
    assert not store.capabilities.writable


@pytest.mark.case(27)
def test_a_switched_off_trigger_and_those_of_foreign_keys_do_no_harm(
    bigmemory_url: str, store: Store, changes: Changes
) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER off AFTER UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION nothing();"
            "ALTER TABLE memories DISABLE TRIGGER off"
        )
    before = content(bigmemory_url)
    store.write(changes, Progress())
    assert content(bigmemory_url) == after(before, changes)


def test_a_rule_that_turns_writes_into_something_else_is_refused(
    bigmemory_url: str, store: Store, changes: Changes
) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute("CREATE RULE keep AS ON DELETE TO memories DO INSTEAD NOTHING")
    with pytest.raises(UnsupportedFormat, match="rules"):
        store.write(changes, Progress())


def test_rows_that_would_go_along_stop_the_write(bigmemory_url: str, store: Store, changes: Changes) -> None:
    one, other, *_ = everything(store)
    with psycopg.connect(bigmemory_url) as session:
        session.execute(
            "INSERT INTO memory_relations (id, user_id, source_memory_id, target_memory_id, relation_type) "
            "VALUES ('r', %s, %s, %s, 'x')",
            [OWNER, changes.delete[0].key.id, next(k.id for k in (one, other) if k != changes.delete[0].key)],
        )
    before = content(bigmemory_url)
    with pytest.raises(WriterFailed, match="1 rows of the table memory_relations"):
        store.write(changes, Progress())
    assert content(bigmemory_url) == before


def test_a_constraint_checked_at_commit_takes_everything_back(
    bigmemory_url: str, store: Store, changes: Changes
) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute(
            "ALTER TABLE memories DROP CONSTRAINT memories_user_id_fkey;"
            "ALTER TABLE memories ADD CONSTRAINT late FOREIGN KEY (user_id) REFERENCES users(id) "
            "DEFERRABLE INITIALLY DEFERRED"
        )
    before = content(bigmemory_url)
    [put, *_] = changes.put
    stranger = replace(put.record, owner="nobody here")
    with pytest.raises(WriterFailed, match="foreign key"):
        store.write(replace(changes, put=(Put(stranger, put.before), *changes.put[1:])), Progress())
    assert content(bigmemory_url) == before


def test_a_memory_quoted_by_the_servers_error_is_not_passed_on(
    bigmemory_url: str, store: Store, changes: Changes
) -> None:
    with psycopg.connect(bigmemory_url) as other:
        other.execute("CREATE UNIQUE INDEX ON memories (content)")
    present = [record for record in everything(store).values() if record.key != changes.put[0].record.key][-1]
    same = replace(changes.put[1].record, text=present.text)
    with pytest.raises(WriterFailed) as caught:
        store.write(Changes(put=(Put(store.fit(same)[0], None),)), Progress())
    assert present.text is not None
    assert present.text not in caught.value.message
