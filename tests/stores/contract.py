"""What every store must do. A test class of a kind inherits all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.base.errors import Cancelled, CollectionNotFound, StoreChanged
from memdefrag.base.progress import Cancel, Progress
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve
from tests.conftest import COLLECTION, DIMENSION, fill

Tree = dict[str, tuple[bytes, int]]

ODD_METADATA: list[dict[str, Any]] = [
    {},
    {"none": None, "bool": True, "int": 1, "float": 1.0, "text": "", "big": 2**63, "small": -(2**63)},
    {"nested": {"a": [1, {"b": None}]}, "list": ["a", "b"], "empty": [], "mixed": [1, "a", True], "object": {}},
    {"nan": float("nan"), "inf": float("inf"), "tiny": 5e-324, "huge": 1.7976931348623157e308},
    {"tags": '["a", "b"]', "timestamp": "1735689600.5"},
    {"tags": "a,b", "tags_str": "c", "timestamp": 1735689600, "created_at": 1735689600.5},
    {"tags": ["a", "b"], "timestamp": 0},
    {"tags": 7, "timestamp": "yesterday", "created_at": True},
    {"is_chunk": True, "superseded_by": ""},
    {"superseded_by": "abc", "quote\"'; drop table memories;--": "x", "ключ 🗝": "значение", "k" * 300: 1},
    {"memdefrag": "memdefrag:json:{", "control": "\x01\x7f\u2028\ufeff"},
]
ODD_TEXTS: list[str | None] = [
    None,
    "",
    " \n\t ",
    "a zero \0 inside",
    "'; DROP TABLE memories; --",
    "👩‍👩‍👧‍👦 é e\u0301 \u202etfel\u202c \U0010fffd",
    "line\r\nbreaks\u2028and\u2029more\x0b\x1c",
    "memdefrag:base64:AAAA",
    "memdefrag:json:5",
    "bytes that are not UTF-8: \udcff\udc41",
    "half a character: \ud83d",
]


class StoreContract:
    """The promises of `Store`, checked on real files of one kind."""

    kind: str
    file_name: str
    collection: str = COLLECTION

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "a folder, #1"
        folder.mkdir()
        return folder / self.file_name

    @pytest.fixture
    def store(self, path: Path, records: list[MemoryRecord]) -> Store:
        fill(self.address(path), records)
        return self.open(path)

    def address(self, path: Path) -> Address:
        """The store at `path`; a server that gives it out has another address."""
        return Address(self.kind, str(path))

    def open(self, path: Path) -> Store:
        return open_store(self.address(path))

    def test_a_bare_path_is_recognised(self, store: Store, path: Path) -> None:
        assert resolve(str(path)).kind == self.kind
        assert store.exists
        assert store.format

    def test_what_was_written_is_read(self, store: Store, records: list[MemoryRecord]) -> None:
        found = everything(store)
        assert set(found) == {record.key for record in records}
        for record in (store.fit(record)[0] for record in records):
            present = found[record.key]
            assert (present.text, present.tags, present.created) == (record.text, record.tags, record.created)
            assert_same_vector(present, record)

    def test_reading_leaves_no_trace(self, store: Store, path: Path) -> None:
        before = tree(path.parent)
        snapshot = read_snapshot(store)
        store.problems()
        store.sizes({self.collection: 1})
        store.fetch([record.key for record in snapshot])
        list(store.scan(self.collection, vectors=False))
        list(store.relations())
        store.close()
        store.close()
        assert tree(path.parent) == before

    def test_a_healthy_store_has_no_problems(self, store: Store) -> None:
        assert store.problems() == []

    def test_scanning_is_stable_and_in_batches(self, store: Store, path: Path) -> None:
        batches = list(store.scan(self.collection, batch=4))
        assert [len(batch) for batch in batches] == [4, 2]
        keys = [record.key for batch in batches for record in batch]
        assert keys == [record.key for [record] in self.open(path).scan(self.collection, batch=1)]

    def test_scanning_without_vectors_gives_all_the_rest(self, store: Store) -> None:
        bare = {record.key: record for batch in store.scan(self.collection, vectors=False) for record in batch}
        assert all(record.embedding is None for record in bare.values())
        assert hashes(bare) == hashes(everything(store))

    def test_an_unknown_collection_is_refused(self, store: Store) -> None:
        with pytest.raises(CollectionNotFound):
            list(store.scan("no such collection"))

    def test_fetching_gives_what_exists_in_the_order_asked(self, store: Store, records: list[MemoryRecord]) -> None:
        keys = [record.key for record in records]
        asked = [keys[3], self.key("no such id"), keys[0], Key("no such collection", keys[1].id)]
        fetched = store.fetch(asked)
        assert [record.key for record in fetched] == [keys[3], keys[0]]
        found = everything(store)
        assert [record_hash(record) for record in fetched] == [record_hash(found[record.key]) for record in fetched]
        assert_same_vector(fetched[0], found[keys[3]])
        assert store.fetch([]) == []

    def test_counts_agree_with_the_records(self, store: Store) -> None:
        [info] = store.collections()
        found = everything(store)
        assert (info.name, info.count, info.live) == (self.collection, len(found), len(found))
        assert info.with_embedding == sum(record.embedding is not None for record in found.values())
        assert info.dimension == (DIMENSION if info.with_embedding else None)
        assert info.metric == "cosine"

    def test_a_record_fits_into_its_own_store(self, store: Store) -> None:
        for record in everything(store).values():
            fitted, losses = store.fit(record)
            assert record_hash(fitted) == record_hash(record)
            assert losses == ()

    def test_hashes_are_stable_over_reopening(self, store: Store, path: Path) -> None:
        assert hashes(everything(self.open(path))) == hashes(everything(store))
        assert self.open(path).file_stamps() == store.file_stamps()

    def test_writing_a_record_leaves_all_others(self, store: Store, path: Path) -> None:
        before = everything(store)
        old = next(iter(before.values()))
        new = self.rewritten(store, old)
        store.write(Changes(put=(Put(new, record_hash(old)),)), Progress())
        self.assert_holds(path, {**before, new.key: new})

    def test_writing_a_record_unchanged_is_the_identity(self, store: Store, path: Path) -> None:
        before = everything(store)
        puts = tuple(Put(record, record_hash(record)) for record in before.values())
        store.write(Changes(put=puts), Progress())
        self.assert_holds(path, before)

    def test_deleting_leaves_all_others(self, store: Store, path: Path) -> None:
        before = everything(store)
        gone, *_ = before.values()
        stamps = store.file_stamps()
        store.write(Changes(delete=(Ref.of(gone),)), Progress())
        del before[gone.key]
        self.assert_holds(path, before)
        assert self.open(path).file_stamps() != stamps or not store.raw_files() or not store.raw_files()

    def test_everything_at_once(self, store: Store, path: Path) -> None:
        before = everything(store)
        survivor, gone, other, *_ = before.values()
        new = self.rewritten(store, survivor)
        added, _ = store.fit(replace(other, key=self.key("added"), text="An added memory."))
        archive = (survivor, gone) if store.capabilities.archive else ()
        changes = Changes((Put(new, record_hash(survivor)), Put(added, None)), (Ref.of(gone),), archive)
        store.write(changes, Progress())
        del before[gone.key]
        self.assert_holds(path, {**before, new.key: new, added.key: added})

    def test_deleting_the_last_record_leaves_an_empty_store(self, store: Store, path: Path) -> None:
        store.write(Changes(delete=tuple(Ref.of(record) for record in everything(store).values())), Progress())
        assert everything(self.open(path)) == {}

    @pytest.mark.parametrize(
        "changes",
        [
            lambda store, record, key: Changes(put=(Put(record, "0" * 64),)),
            lambda store, record, key: Changes(put=(Put(record, None),)),
            lambda store, record, key: Changes(put=(Put(record.with_key(key), "0" * 64),)),
            lambda store, record, key: Changes(delete=(Ref(record.key, "0" * 64),)),
            lambda store, record, key: Changes(delete=(Ref(key, record_hash(record)),)),
        ],
        ids=["put-changed", "put-existing", "put-missing", "delete-changed", "delete-missing"],
    )
    def test_a_store_that_moved_on_is_not_written(
        self, store: Store, path: Path, changes: Callable[[Store, MemoryRecord, Key], Changes]
    ) -> None:
        before = everything(store)
        good, bad, *_ = before.values()
        wanted = changes(store, bad, self.key("no such id"))
        wanted = replace(wanted, put=(Put(self.rewritten(store, good), record_hash(good)), *wanted.put))
        with pytest.raises(StoreChanged):
            store.write(wanted, Progress())
        self.assert_holds(path, before)

    def test_stopping_changes_nothing(self, store: Store, path: Path) -> None:
        before = everything(store)
        cancel = Cancel()
        cancel.set()
        with pytest.raises(Cancelled):
            store.write(Changes(delete=(Ref.of(next(iter(before.values()))),)), Progress(cancel=cancel))
        self.assert_holds(path, before)

    def test_rebuilding_keeps_every_record(self, store: Store, path: Path) -> None:
        gone, *_ = everything(store).values()
        store.write(Changes(delete=(Ref.of(gone),)), Progress())
        with self.open(path) as changed:
            before = everything(changed)
            changed.rebuild(Progress())
        self.assert_holds(path, before)

    def test_odd_records_are_read_as_they_were_fitted(
        self, store: Store, path: Path, records: list[MemoryRecord]
    ) -> None:
        odd = [*self.odd_metadata(records[0]), *self.odd_texts(records[0])]
        fitted = [store.fit(record)[0] for record in odd]
        before = everything(store)
        store.write(Changes(put=tuple(Put(record, None) for record in fitted)), Progress())
        self.assert_holds(path, before | {record.key: record for record in fitted})

    def test_odd_records_survive_being_written_again(
        self, store: Store, path: Path, records: list[MemoryRecord]
    ) -> None:
        fitted = [store.fit(record)[0] for record in self.odd_metadata(records[0])]
        store.write(Changes(put=tuple(Put(record, None) for record in fitted)), Progress())
        with self.open(path) as again:
            before = everything(again)
            new = {key: self.rewritten(again, before[key]) for key in (record.key for record in fitted)}
            puts = tuple(Put(record, record_hash(before[key])) for key, record in new.items())
            again.write(Changes(put=puts), Progress())
        self.assert_holds(path, before | new)

    def test_a_document_of_ten_megabytes(self, store: Store, path: Path, records: list[MemoryRecord]) -> None:
        text = "Zehn Megabyte voller Wörter. " * 345_000
        large, losses = store.fit(replace(records[0], key=self.key("large"), text=text))
        store.write(Changes(put=(Put(large, None),)), Progress())
        [found] = self.open(path).fetch([large.key])
        assert found.text == text
        assert losses == store.fit(records[0])[1]

    def key(self, id: str) -> Key:
        """The key of a record that a test makes; stores whose ids are not free have others."""
        return Key(self.collection, id)

    def rewritten(self, store: Store, record: MemoryRecord) -> MemoryRecord:
        """The record as a merge would leave it."""
        changed = replace(
            record,
            text="What was said twice, said once.",
            tags=("merged", "x"),
            created=1700000000.5,
            updated=1750000000.0,
            metadata={**record.metadata, "merged_count": 2},
            embedding=np.full(DIMENSION, DIMENSION**-0.5, np.float32),
        )
        return store.fit(changed)[0]

    def odd_metadata(self, like: MemoryRecord) -> list[MemoryRecord]:
        return [
            replace(like, key=self.key(f"metadata {number}"), metadata=metadata, tags=("t",), created=5.5)
            for number, metadata in enumerate(ODD_METADATA)
        ]

    def odd_texts(self, like: MemoryRecord) -> list[MemoryRecord]:
        return [
            replace(like, key=self.key(f"text {number}"), text=text, uri=f"file:///{number}")
            for number, text in enumerate(ODD_TEXTS)
        ]

    def assert_holds(self, path: Path, expected: dict[Key, MemoryRecord]) -> None:
        """A fresh look at the file finds exactly these records."""
        with self.open(path) as store:
            found = everything(store)
            assert sum(info.count for info in store.collections()) == len(expected)
        assert found.keys() == expected.keys()
        for key, record in expected.items():
            assert record_hash(found[key]) == record_hash(record), (found[key], record)
            assert_same_vector(found[key], record)


def everything(store: Store) -> dict[Key, MemoryRecord]:
    return {record.key: record for info in store.collections() for batch in store.scan(info.name) for record in batch}


def hashes(records: dict[Key, MemoryRecord]) -> dict[Key, str]:
    return {key: record_hash(record) for key, record in records.items()}


def assert_same_vector(one: MemoryRecord, other: MemoryRecord) -> None:
    assert (one.embedding is None) == (other.embedding is None)
    if one.embedding is not None and other.embedding is not None:
        assert one.embedding.dtype == np.float32
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)


def tree(root: Path) -> Tree:
    """All that a reader could disturb: names, bytes and times."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in [root, *root.rglob("*")]
    }
