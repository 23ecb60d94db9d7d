"""A folder of memories: every trap is told, nothing is left out without a word, nothing outside is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import StoreChanged, UsageError
from memdefrag.base.progress import Progress
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev import folder
from memdefrag.stores.hdev.folder import listed, pair
from memdefrag.stores.hdev.store import COLLECTION, fit
from memdefrag.stores.registry import open_store
from tests.stores.contract import tree
from tests.stores.hdev import server
from tests.stores.hdev.folders import TIMES, delete, entry, open_folder, put, record, texts


def test_an_entry_is_what_its_files_say(root: Path) -> None:
    entry(root, "a/b", "Grüße\r\n", {**TIMES, "k": None, "tags": ["x"]})
    [found] = read_snapshot(open_folder(root))
    assert found.key == Key("memories", "a/b")
    assert found.text == "Grüße\r\n"
    assert found.metadata == {**TIMES, "k": None, "tags": ["x"]}
    assert (found.created, found.updated, found.tags) == (1700000000.5, 1795177582.5007188, ("x",))


def test_an_entry_beside_a_folder_of_its_name_is_read_with_all_below(root: Path) -> None:
    entry(root, "topic", "beside")
    entry(root, "topic/inner", "below")
    assert texts(root) == {"topic": "beside", "topic/inner": "below"}


def test_names_that_share_a_file_are_read_once_and_told_and_not_written(root: Path) -> None:
    entry(root, "rel/v1.2", "first")
    entry(root, "rel/v1.3", "second")
    assert texts(root) == {"rel/v1.2": "second"}
    store = open_folder(root)
    assert any("rel/v1.3" in problem and "written last" in problem for problem in store.problems())
    with pytest.raises(UsageError, match=r"shares the file 'rel/v1\.md'"):
        delete(root, "rel/v1.2")
    with pytest.raises(UsageError):
        put(root, record("rel/v1.4"))
    assert texts(root) == {"rel/v1.2": "second"}


@pytest.mark.parametrize("name", ["rel/v1.2", "note.md", ".hidden", "a.b/c"])
def test_a_dotted_name_is_read_written_and_removed_whole(root: Path, name: str) -> None:
    entry(root, name, "old")
    assert texts(root) == {name: "old"}
    [old] = read_snapshot(open_folder(root))
    delete(root, name)
    assert [path for path in root.rglob("*") if path.is_file()] == []
    put(root, old)
    [again] = read_snapshot(open_folder(root))
    assert record_hash(again) == record_hash(old)
    assert server.get(root, name)["content"] == "old"


def test_a_missing_metadata_file_is_told_and_the_text_is_read(root: Path) -> None:
    entry(root, "lonely", "words", None)
    assert texts(root) == {"lonely": "words"}
    assert any("'lonely' has no metadata" in problem for problem in open_folder(root).problems())


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [(b"{", "not JSON"), (b"[1, 2]", "no JSON object"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON")],
)
def test_broken_metadata_is_told_and_never_written_over(root: Path, metadata: bytes, reason: str) -> None:
    entry(root, "good")
    entry(root, "bad")
    (root / "bad.metadata.json").write_bytes(metadata)
    assert texts(root) == {"good": "text"}
    assert any(problem.startswith("'bad' cannot be read") and reason in problem
               for problem in open_folder(root).problems())  # fmt: skip
    with pytest.raises(UsageError, match="leaves it alone"):
        put(root, record("bad"))
    assert (root / "bad.metadata.json").read_bytes() == metadata


def test_a_text_that_is_not_utf8_is_told_and_never_written_over(root: Path) -> None:
    entry(root, "latin")
    (root / "latin.md").write_bytes(b"caf\xe9")
    assert texts(root) == {}
    assert any("not UTF-8" in problem for problem in open_folder(root).problems())
    with pytest.raises(UsageError):
        put(root, record("latin"))
    assert (root / "latin.md").read_bytes() == b"caf\xe9"


def test_what_is_no_memory_is_listed(root: Path) -> None:
    entry(root, "a")
    (root / "UPPER.MD").write_text("x")
    (root / "picture.png").write_bytes(b"x")
    (root / "orphan.metadata.json").write_text("{}")
    (root / "empty").mkdir()
    (root / "link.md").symlink_to("/etc/passwd")
    (root / "elsewhere").symlink_to("/etc")
    told = " ".join(open_folder(root).problems())
    for name in ("UPPER.MD", "picture.png", "orphan.metadata.json", "empty", "link.md", "elsewhere"):
        assert name in told
    assert texts(root) == {"a": "text"}


@pytest.mark.case(34)
def test_links_are_neither_read_nor_written_through(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    entry(outside, "secret", "secret")
    entry(root, "a")
    (root / "linked").symlink_to(outside)
    (root / "file.md").symlink_to(outside / "secret.md")
    before = tree(outside)
    assert texts(root) == {"a": "text"}
    assert open_folder(root).fetch([Key(COLLECTION, "linked/secret"), Key(COLLECTION, "file")]) == []
    assert not any("linked" in path.parts for path in open_folder(root).raw_files())
    for name in ("linked/new", "file"):
        with pytest.raises(UsageError):
            put(root, record(name))
    (root / "b.metadata.json").symlink_to(outside / "secret.metadata.json")
    with pytest.raises(UsageError, match="is a link"):
        put(root, record("b"))
    assert tree(outside) == before


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "", "a/../../out", "a\\b", "C:out", "a\0", "a//b", "\udc80"])
def test_hostile_names_are_refused_before_anything_is_written(root: Path, name: str) -> None:
    entry(root, "a")
    before = tree(root.parent)
    with pytest.raises(UsageError, match="The name"):
        put(root, record("good"), record(name))
    assert open_folder(root).fetch([Key(COLLECTION, name)]) == []
    assert tree(root.parent) == before


@pytest.mark.parametrize(("present", "new"), [("v1.2", "v1"), ("v1", "v1.2"), ("x.md", "x")])
def test_an_entry_that_would_share_the_file_of_another_is_refused(root: Path, present: str, new: str) -> None:
    entry(root, present)
    before = tree(root)
    assert "share" in str(open_folder(root).refusal(record(new)))
    with pytest.raises(UsageError):
        put(root, record(new))
    assert tree(root) == before


def test_new_entries_that_would_share_a_file_are_refused(root: Path) -> None:
    with pytest.raises(UsageError):
        put(root, record("v1.2"), record("v1.3"))
    assert list(root.iterdir()) == []


def test_an_entry_beside_a_folder_of_its_name_is_written_and_told(root: Path) -> None:
    put(root, record("topic", "beside"), record("topic/inner", "below"))
    put(root, record("topic/inner/most"))
    assert texts(root) == {"topic": "beside", "topic/inner": "below", "topic/inner/most": "text"}
    told = [problem for problem in open_folder(root).problems() if "hidden from hdev" in problem]
    assert [problem.split(" ")[0] for problem in told] == ["'topic'", "'topic/inner'"]


def test_what_can_be_written_is_not_refused(root: Path) -> None:
    entry(root, "a")
    store = open_folder(root)
    assert [store.refusal(record(name)) for name in ("a", "b", "a/b", "c/d")] == [None] * 4
    (root / "b.md").mkdir()
    assert "'b.md' stands where 'b' would" in str(store.refusal(record("b")))


def test_a_folder_is_listed_once_for_many_questions_and_again_when_something_came(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(root, "a")
    entry(root, "v1.2")
    os.utime(root, (1e9, 1e9))
    asked: list[str] = []

    def noted(root: Path, within: str) -> tuple[list[str], list[str], list[str]]:
        asked.append(within)
        return listed(root, within)

    monkeypatch.setattr(folder, "listed", noted)
    store = open_folder(root)
    assert [store.refusal(record(f"n{number}")) for number in range(20)] == [None] * 20
    assert "share" in str(store.refusal(record("v1")))
    assert asked == [""]
    entry(root, "w1.2")
    assert "share" in str(store.refusal(record("w1")))


@given(st.lists(st.sampled_from(["a", "a.1", "a.2", "ab", "b/a", "b/a.1"]), unique=True))
def test_one_entry_looks_the_same_alone_and_among_others(
    tmp_path_factory: pytest.TempPathFactory, present: list[str]
) -> None:
    root = tmp_path_factory.mktemp("memory")
    for name in present:
        entry(root, name)
    store = open_folder(root)
    every = ["a", "a.1", "a.2", "ab", "b/a", "b/a.1", "c"]
    assert store._look(every) == {name: store.look(name) for name in every}


def test_a_folder_where_a_text_would_be_is_not_touched(root: Path) -> None:
    (root / "x.md" / "inside").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"'x\.md' stands where"):
        put(root, record("x"))
    assert (root / "x.md" / "inside").is_dir()


def test_a_folder_that_is_there_already_hides_nothing_more(root: Path) -> None:
    entry(root, "a")
    entry(root, "a/b")
    put(root, record("a/c"))
    assert set(texts(root)) == {"a", "a/b", "a/c"}


def test_another_collection_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="one collection"):
        put(root, record("a").with_key(Key("others", "a")))


def test_reading_never_makes_the_global_entry(root: Path) -> None:
    entry(root, "a")
    before = tree(root)
    with open_store(f"hdev:{root}") as store:
        read_snapshot(store)
        store.problems()
    assert tree(root) == before


def test_a_new_folder_is_made_on_writing(tmp_path: Path) -> None:
    put(tmp_path / "deep" / "new", record("a/b"))
    assert texts(tmp_path / "deep" / "new") == {"a/b": "text"}


def test_hdev_reads_what_was_written(root: Path) -> None:
    put(root, record("notes/door", "The door is green.", k=[1, "ä"]))
    assert server.get(root, "notes/door")["content"] == "The door is green."
    assert server.get(root, "notes/door")["metadata"] == {**TIMES, "k": [1, "ä"]}
    raw = (root / "notes/door.metadata.json").read_bytes()
    assert raw.isascii()
    assert not raw.endswith(b"\n")


def test_the_permissions_of_a_file_are_kept(root: Path) -> None:
    entry(root, "a")
    (root / "a.md").chmod(0o640)
    [old] = read_snapshot(open_folder(root))
    open_folder(root).write(Changes(put=(Put(record("a", "new"), record_hash(old)),)), Progress())
    assert (root / "a.md").stat().st_mode & 0o777 == 0o640


def test_files_of_unchanged_parts_are_left_alone(root: Path) -> None:
    entry(root, "a")
    (root / "a.metadata.json").write_text(json.dumps(TIMES), "utf-8")
    before = (root / "a.metadata.json").stat().st_mtime_ns
    [old] = read_snapshot(open_folder(root))
    open_folder(root).write(Changes(put=(Put(record("a", "new"), record_hash(old)),)), Progress())
    assert (root / "a.metadata.json").stat().st_mtime_ns == before
    assert texts(root) == {"a": "new"}


def test_deleting_leaves_folders_and_neighbours(root: Path) -> None:
    entry(root, "a/b")
    entry(root, "a")
    entry(root, "a/bc")
    delete(root, "a/b", "a")
    assert texts(root) == {"a/bc": "text"}
    delete(root, "a/bc")
    assert (root / "a").is_dir()


def test_times_that_are_all_the_same_are_told(root: Path) -> None:
    for name in "abc":
        entry(root, name)
    assert any("same moment" in problem for problem in open_folder(root).problems())


@pytest.mark.parametrize("half", [".a.md.17.partial", ".a.metadata.json.17.partial"])
def test_what_a_crash_left_of_an_entry_is_swept_up(root: Path, half: str) -> None:
    entry(root, "a")
    entry(root, "b")
    for name in (half, "b-not.partial", ".b.md.17.partial", "new.metadata.json", "other.metadata.json"):
        (root / name).write_text("{}")
    open_folder(root).sweep([Key(COLLECTION, "a"), Key(COLLECTION, "new")])
    left = {path.name for path in root.iterdir()}
    assert left == {"a.md", "a.metadata.json", "b.md", "b.metadata.json", "b-not.partial", ".b.md.17.partial",
                    "other.metadata.json"}  # fmt: skip


def test_a_changed_entry_is_not_written(root: Path) -> None:
    entry(root, "a")
    [old] = read_snapshot(open_folder(root))
    (root / "a.md").write_text("changed")
    with pytest.raises(StoreChanged):
        open_folder(root).write(Changes(put=(Put(record("a", "new"), record_hash(old)),)), Progress())
    assert texts(root) == {"a": "changed"}


files = st.sampled_from(["a", "a.b", "v1.2", "v1", "note.md", ".x", "b"]).flatmap(
    lambda name: st.sampled_from([f"{name}.md", f"{name}.metadata.json", f"{name}.json", name, f".{name}.1.partial"])
)


@given(st.sets(files))
def test_every_file_belongs_to_one_entry_or_is_told(present: set[str]) -> None:
    found = pair("", present)
    told = set(found.others)
    for each in found.entries.values():
        mine = {each.content, *(f"{owner}.metadata.json" for owner in each.shared)}
        mine |= {each.metadata} if each.metadata else set()
        assert mine <= present
        assert not mine & told
        told |= mine
    assert told == present
    assert all(f"{name}" in found.owners.values() for name in found.entries)
    assert {name for name in present if name.endswith(".md") and name != ".md"} <= found.owners.keys()


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5)), st.text(max_size=20),
       st.lists(st.text(max_size=4), max_size=3), st.none() | st.floats(-1e10, 1e10))  # fmt: skip
def test_fitting_twice_is_fitting_once(
    metadata: dict[str, Any], text: str, tags: list[str], created: float | None
) -> None:
    given = MemoryRecord(Key(COLLECTION, "a"), text, metadata, tags=tuple(tags), created=created)
    once, _ = fit(given)
    twice, losses = fit(once)
    assert record_hash(twice) == record_hash(once)
    assert losses == ()
    assert created is None or once.created == created


def test_the_entry_that_hdev_makes_by_itself_is_a_placeholder(root: Path) -> None:
    said = "Global memory storage for critical information"
    entry(root, "global", said)
    entry(root, "other", said)
    store = open_folder(root)
    made, other = store.fetch([Key(COLLECTION, "global"), Key(COLLECTION, "other")])
    assert store.is_placeholder(made)
    assert not store.is_placeholder(other)
    for text, metadata in ((said + ".", TIMES), (said, {**TIMES, "version": 2}), (said, {**TIMES, "tags": ["a"]})):
        entry(root, "global", text, metadata)
        [mine] = store.fetch([Key(COLLECTION, "global")])
        assert not store.is_placeholder(mine)


def test_an_entry_whose_text_another_one_replaced_cannot_be_read(root: Path) -> None:
    entry(root, "v1.2", "older")
    entry(root, "v1.3", "newer")
    assert texts(root) == {"v1.2": "newer"}
    told = "shares the file 'v1.md' with 'v1.2'; hdev kept one text for both"
    assert open_folder(root).unreadable() == [(Key(COLLECTION, "v1.3"), told)]
