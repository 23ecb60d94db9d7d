"""The two portable files lose nothing, whatever a store holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base.errors import StoreChanged
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import content_hash, record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Relation, Snapshot, Vector
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.interchange import sign
from memdefrag.stores.registry import open_store
from tests.stores.test_jsonl import bodies, names, text, values

PORTABLE = ("jsonl", "parquet")
ONE, TWO, FAR = Key("memories", "1"), Key("memories", "2"), Key("other", "2")
LINK = Relation(ONE, TWO, "because", 0.5, {"n": 1}, 7.5)

whole = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
keys = st.builds(Key, st.sampled_from(["memories", "other", "ü"]), whole)
infos = st.builds(
    CollectionInfo,
    st.sampled_from(["memories", "other", "empty"]),
    st.just(0),
    st.just(0),
    st.just(0),
    metric=st.sampled_from(["cosine", "l2", "ip"]),
    model=st.none() | text,
    settings=st.dictionaries(text, values, max_size=3),
)
ends = keys | text
relations = st.builds(
    Relation,
    ends,
    ends,
    text,
    st.none() | st.floats(),
    st.dictionaries(names, values, max_size=2),
    st.none() | st.floats(-9e10, 9e10),
)


@st.composite
def contents(draw: st.DrawFn) -> Snapshot:
    """Everything that a store may hold; some links start and end at its memories."""
    records = tuple(MemoryRecord(key, **body) for key, body in draw(st.dictionaries(keys, bodies, max_size=4)).items())
    some = st.sampled_from([record.key for record in records]) if records else ends
    links = relations | st.builds(replace, relations, source=some, target=some | ends)
    described = draw(st.lists(infos, max_size=3, unique_by=lambda info: info.name))
    found = draw(st.lists(links, max_size=4, unique_by=sign))
    return Snapshot("", tuple(described), records, tuple(found))


def saved(path: Path, held: Snapshot) -> Snapshot:
    """What is read from a new file in which all this was written."""
    path.unlink(missing_ok=True)
    puts = tuple(Put(record, None) for record in held.records)
    with open_store(f"{path.suffix[1:]}:{path}", must_exist=False) as store:
        store.write(Changes(put=puts, collections=held.collections, relate=held.relations), Progress())
    with open_store(str(path)) as store:
        return read_snapshot(store)


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    assert content_hash(found.records) == content_hash(expected.records)
    assert sorted(map(sign, found.relations)) == sorted(map(sign, expected.relations))
    for record in expected.records:
        other = found.by_key[record.key].embedding
        assert (other is None) == (record.embedding is None)
        if other is not None and record.embedding is not None:
            assert bits(other) == bits(record.embedding)
    for info in expected.collections:
        same = found.collection(info.name)
        assert same is not None
        assert repr((same.metric, same.model, same.settings)) == repr((info.metric, info.model, info.settings))


def bits(vector: Vector) -> bytes:
    """The bytes of a vector; whatever is no number counts as the same."""
    return np.where(np.isnan(vector), np.float32(0), vector).tobytes()


@pytest.mark.parametrize("kind", PORTABLE)
@given(held=contents())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_everything_is_given_back(tmp_path: Path, kind: str, held: Snapshot) -> None:
    assert_same(saved(tmp_path / f"x.{kind}", held), held)


@given(held=contents())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_everything_survives_the_way_through_both(tmp_path: Path, held: Snapshot) -> None:
    first = saved(tmp_path / "x.jsonl", held)
    last = saved(tmp_path / "y.jsonl", saved(tmp_path / "x.parquet", first))
    assert_same(last, held)
    assert last.collections == first.collections or "nan" in repr(first.collections)


@pytest.mark.parametrize("kind", PORTABLE)
@given(old=contents(), new=contents())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_changes_change_just_what_they_name(tmp_path: Path, kind: str, old: Snapshot, new: Snapshot) -> None:
    """Half of what is there goes; what is new comes, in place of what has its key."""
    path = tmp_path / f"x.{kind}"
    saved(path, old)
    gone = [record for record in old.records[::2] if record.key not in new.by_key]
    hashes = {record.key: record_hash(record) for record in old.records}
    puts = tuple(Put(record, hashes.get(record.key)) for record in new.records)
    unlinked = old.relations[::2]
    marks = {sign(relation) for relation in unlinked}
    linked = tuple(relation for relation in new.relations if sign(relation) not in marks)
    with open_store(str(path)) as store:
        store.write(Changes(puts, tuple(map(Ref.of, gone)), relate=linked, unrelate=unlinked), Progress())
        found = read_snapshot(store)
    kept = {record.key: record for record in old.records if record not in gone} | new.by_key
    links = {sign(relation): relation for relation in (*old.relations[1::2], *linked)}
    assert_same(found, Snapshot("", (), tuple(kept.values()), tuple(links.values())))


@pytest.fixture(params=PORTABLE)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"x.{request.param}"


def linked(path: Path, *links: Relation) -> Store:
    """Two memories and these links."""
    saved(path, Snapshot("", (), (MemoryRecord(ONE, "one"), MemoryRecord(TWO, "two")), links))
    return open_store(str(path))


def in_order(links: Iterable[Relation]) -> list[Relation]:
    return sorted(links, key=repr)


@pytest.mark.parametrize("gone", [LINK, Relation("me", ONE)])
def test_a_link_is_removed_and_made_again(path: Path, gone: Relation) -> None:
    links = (LINK, Relation(ONE, TWO, "and"), Relation("me", ONE))
    store = linked(path, *links)
    store.write(Changes(unrelate=(gone,)), Progress())
    assert in_order(store.relations()) == in_order(link for link in links if link != gone)
    store.write(Changes(relate=(gone,)), Progress())
    assert in_order(store.relations()) == in_order(links)


def test_a_link_that_says_something_else_by_now_is_not_removed(path: Path) -> None:
    store = linked(path, LINK)
    raw = path.read_bytes()
    with pytest.raises(StoreChanged, match="no longer there"):
        store.write(Changes(unrelate=(replace(LINK, strength=0.6),)), Progress())
    assert path.read_bytes() == raw


def test_a_link_that_is_there_is_not_made_twice(path: Path) -> None:
    links = (LINK, Relation("me", ONE))
    store = linked(path, *links)
    store.write(Changes(relate=links), Progress())
    assert in_order(store.relations()) == in_order(links)


def test_a_link_outlives_its_memory_where_nobody_removes_it(path: Path) -> None:
    store = linked(path, LINK)
    [one] = store.fetch([ONE])
    store.write(Changes(delete=(Ref.of(one),)), Progress())
    assert list(store.relations()) == [LINK]
    store.write(Changes(put=(Put(one, None),), unrelate=(LINK,)), Progress())
    assert list(store.relations()) == []


def test_a_memory_and_its_links_go_together(path: Path) -> None:
    store = linked(path, LINK)
    store.write(Changes(delete=(Ref.of(*store.fetch([ONE])),), unrelate=(LINK,)), Progress())
    assert list(store.relations()) == []
    assert store.fetch([ONE, TWO]) == [MemoryRecord(TWO, "two")]


def test_an_empty_collection_keeps_its_settings_and_dimension(path: Path) -> None:
    info = CollectionInfo("c", 0, 0, 0, 384, "ip", "m", {"half": "\ud83d", "n": 1})
    assert saved(path, Snapshot("", (info,))).collections == (info,)


def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(path: Path) -> None:
    store = linked(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    store.write(Changes(relate=(LINK,)), Progress())
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_file_and_no_scrap(path: Path) -> None:
    store = linked(path)
    raw = path.read_bytes()
    with pytest.raises(StoreChanged):
        store.write(Changes(delete=(Ref(FAR, "0" * 64),)), Progress())
    assert path.read_bytes() == raw
    assert list(path.parent.glob("*x.*")) == [path]
