"""Carries changes out in one transaction: all of them or none, and never onto a record that moved on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from memdefrag.base.errors import (
    CollectionNotFound,
    MemdefragError,
    StoreChanged,
    StoreInUse,
    UnsupportedFormat,
    VerificationFailed,
    WriterFailed,
)
from memdefrag.base.fsops import fault_point
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, touched
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.postgres import rows
from memdefrag.stores.postgres.connection import plain_errors
from memdefrag.stores.postgres.links import LinkTable, LinkWriter, find
from memdefrag.stores.postgres.query import delete, fetch, insert, lock, referring, update
from memdefrag.stores.postgres.tables import Database, Schema, Table, find_tables

LOCK_SECONDS = 5.0
"""How long a write waits for other programs to finish theirs."""
ANSWER_SECONDS = 30.0
"""How long a server that went away in the middle of a COMMIT is asked what became of it."""
UNKNOWN = "The write may have happened or not, but never by halves. The backup from before it is kept."

Connect = Callable[[], Database]


def write(
    connect: Connect, location: str, schema: Schema, changes: Changes, progress: Progress, owner: str | None = None
) -> None:
    """Carry out all changes, or none. `owner`: as in `find_tables`.

    Raises:
        StoreChanged: a record no longer has the hash the changes name.
        StoreInUse: another program holds a table longer than `LOCK_SECONDS`.
        WriterFailed: the server refused, or its answer to COMMIT was lost; `safe` says which.
        VerificationFailed: what was written does not read back, and was taken back.
    """
    database = connect()
    try:
        with plain_errors(location):
            tables, links = _locked(database, schema, changes, owner)
            _carry_out(database, tables, links, changes, progress)
            progress.phase("Committing", cancellable=False)
            fault_point("commit of the transaction")
        _commit(database, connect, location)
        fault_point("report of the committed transaction")
    finally:
        database.close()


def _locked(
    database: Database, schema: Schema, changes: Changes, owner: str | None
) -> tuple[dict[str, Table], LinkTable | None]:
    """Begin, and keep everybody else from writing the tables; the tables by name and that of links, as they are under
    the lock."""
    import psycopg

    deadline = time.monotonic() + LOCK_SECONDS
    wanted = sorted({key.collection for key in touched(changes)})
    _begin(database)
    while True:
        tables, links = _require_writable(database, schema, changes, owner)
        every = {name: (tables[name].schema, name, tables[name].oid) for name in wanted}
        if links is not None:
            every[links.says.table] = (links.namespace, links.says.table, links.oid)
        try:
            for namespace, name, _ in every.values():
                lock(database, namespace, name)
            return _require_writable(database, schema, changes, owner)
        except psycopg.errors.LockNotAvailable as error:
            database.execute("ROLLBACK")
            if time.monotonic() > deadline:
                who = "; ".join(_holders(database, [oid for *_, oid in every.values()])) or "another program"
                raise StoreInUse(f"The tables {', '.join(every)} are being written by {who}.") from error
        time.sleep(0.1)
        _begin(database)


def _begin(database: Database) -> None:
    database.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    # A machine that falls asleep must not hold the assistant's tables until morning.
    database.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
    database.execute(
        "SELECT set_config('synchronous_commit', 'local', true) WHERE current_setting('synchronous_commit') = 'off'"
    )


def _require_writable(
    database: Database, schema: Schema, changes: Changes, owner: str | None
) -> tuple[dict[str, Table], LinkTable | None]:
    tables = {table.name: table for table in find_tables(database, schema, owner)}
    for info in changes.collections:
        if info.name not in tables:
            raise UnsupportedFormat(f"There is no table {info.name}; {schema.name} makes its tables itself.")
    for name in {key.collection for key in touched(changes)}:
        if name not in tables:
            raise CollectionNotFound(f"There is no table {name}.")
        for reason in tables[name].refusals:
            raise UnsupportedFormat(reason, todo="Remove it for the time of the write, if you know what it does.")
    if not (changes.relate or changes.unrelate):
        return tables, None
    links = find(database, schema.links, owner)
    if links is None or links.refusals:
        raise UnsupportedFormat(f"Links cannot be written. {' '.join(links.refusals if links else ())}".rstrip())
    return tables, links


_HOLDERS = """
    SELECT DISTINCT 'process ' || l.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '')
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE l.relation = ANY(%s::oid[]) AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') ORDER BY 1
"""


def _holders(database: Database, tables: Sequence[int]) -> list[str]:
    """Who writes the tables of these oids, as far as our user may see."""
    return [name for (name,) in database.execute(_HOLDERS, [list(tables)])]


def _carry_out(
    database: Database, tables: dict[str, Table], links: LinkTable | None, changes: Changes, progress: Progress
) -> None:
    """Links go before the memories that they belong to, and come after them."""
    linker = LinkWriter(database, links, tables, changes) if links else None
    if linker:
        linker.unlink()
    present = {record.key: record for record in _fetch(database, tables, touched(changes))}
    _require_unchanged(present, changes)
    progress.phase("Writing", len(changes.put) + len(changes.delete))
    for name, keys in _by_table(ref.key for ref in changes.delete).items():
        _require_unreferred(database, tables[name], keys)
        _counted(delete(database, tables[name], [key.id for key in keys]), len(keys), name)
        progress.step(len(keys))
    for name, puts in _puts_by_table(changes).items():
        _put(database, tables[name], puts, present)
        progress.step(len(puts))
    if linker:
        linker.link()
    _require_written(database, tables, changes)


def _require_unchanged(present: dict[Key, MemoryRecord], changes: Changes) -> None:
    wanted = [*((put.record.key, put.before) for put in changes.put), *changes.delete]
    for key, before in wanted:
        found = present.get(key)
        if before is None and found is not None:
            raise StoreChanged(f"The memory {key} exists already.")
        if before is not None and found is None:
            raise StoreChanged(f"The memory {key} is no longer there.")
        if before is not None and found is not None and record_hash(found) != before:
            raise StoreChanged(f"The memory {key} was changed meanwhile.")


def _require_unreferred(database: Database, table: Table, keys: Sequence[Key]) -> None:
    """A foreign key that would take other rows along, or empty them, is nothing an undo brings back."""
    for name, count in referring(database, table, [key.id for key in keys]):
        raise WriterFailed(
            f"{count} rows of the table {name} belong to memories that are to be removed, and would go with them.",
            todo="Remove those rows first, or keep the memories.",
        )


def _put(database: Database, table: Table, puts: Sequence[Put], present: dict[Key, MemoryRecord]) -> None:
    """Insert new rows, and set those columns of present ones that say something else."""
    updates: dict[tuple[str, ...], list[tuple[str | None, ...]]] = defaultdict(list)
    inserts = []
    for put in puts:
        new = rows.write(put.record, table)
        if put.before is None:
            inserts.append(tuple(new.values()))
            continue
        old = rows.write(present[put.record.key], table)
        changed = tuple(name for name in new if new[name] != old[name])
        if changed:
            updates[changed].append((*(new[name] for name in changed), put.record.key.id))
    for names, found in updates.items():
        _counted(update(database, table, names, found), len(found), table.name)
    _counted(insert(database, table, inserts), len(inserts), table.name)


def _counted(done: int, wanted: int, table: str) -> None:
    if done != wanted:
        raise VerificationFailed(f"{done} rows of {table} were written instead of {wanted}; they were taken back.")


def _require_written(database: Database, tables: dict[str, Table], changes: Changes) -> None:
    """Read everything back before it counts."""
    found = {record.key: record for record in _fetch(database, tables, touched(changes))}
    for put in changes.put:
        record = found.get(put.record.key)
        if record is None or record_hash(record) != record_hash(put.record) or not _same_vector(record, put.record):
            raise VerificationFailed(f"{put.record.key} reads back differently; the write was taken back.")
    for ref in changes.delete:
        if ref.key in found:
            raise VerificationFailed(f"{ref.key} is still there; the write was taken back.")


def _same_vector(one: MemoryRecord, other: MemoryRecord) -> bool:
    if one.embedding is None or other.embedding is None:
        return one.embedding is other.embedding
    return np.array_equal(one.embedding, other.embedding, equal_nan=True)


def _fetch(database: Database, tables: dict[str, Table], keys: Iterable[Key]) -> Iterator[MemoryRecord]:
    for name, found in _by_table(keys).items():
        yield from fetch(database, tables[name], [key.id for key in found])


def _by_table(keys: Iterable[Key]) -> dict[str, list[Key]]:
    grouped: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        grouped[key.collection].append(key)
    return grouped


def _puts_by_table(changes: Changes) -> dict[str, list[Put]]:
    grouped: dict[str, list[Put]] = defaultdict(list)
    for put in changes.put:
        grouped[put.record.key.collection].append(put)
    return grouped


def _commit(database: Database, connect: Connect, location: str) -> None:
    """Commit; where the answer is lost, ask the server what became of the transaction.

    Raises:
        WriterFailed: it was taken back (nothing changed), or nobody can tell (`safe` says so).
    """
    import psycopg

    with plain_errors(location):
        [(transaction,)] = database.execute("SELECT pg_current_xact_id()::text").fetchall()
    try:
        database.execute("COMMIT")
    except psycopg.Error as error:
        if not database.closed:
            with plain_errors(location):
                raise
        status = outcome(connect, transaction)
        if status == "committed":
            return
        if status == "aborted":
            raise WriterFailed("The server went away and took the write back.", todo="Try again.") from error
        raise WriterFailed("The server went away while it committed the write.", safe=UNKNOWN) from error


def outcome(connect: Connect, transaction: str) -> str | None:
    """What became of a transaction: "committed", "aborted", or None when the server does not tell in time."""
    import psycopg

    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            database = connect()
            try:
                [(status,)] = database.execute("SELECT pg_xact_status(%s::xid8)", [transaction]).fetchall()
            finally:
                database.close()
            if status in ("committed", "aborted"):
                return str(status)
        except (psycopg.Error, MemdefragError):
            # It is starting again, and answers later; or it does not, and then nobody knows.
            status = None
        if time.monotonic() > deadline:
            return None
        time.sleep(0.2)
