"""Export, tidy, import: what was dropped goes, what came or changed since stays and is listed."""

from __future__ import annotations

import errno
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.errors import CollectionNotFound, ModelUnavailable, NoSpace, StoreInUse
from memdefrag.base.progress import Progress
from memdefrag.engine import exchange, export_record
from memdefrag.engine.apply import ApplyOptions
from memdefrag.engine.exchange import ImportChoices, export_store, import_plan, import_store
from memdefrag.engine.export_record import RECORD_SUFFIX
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import Key, MemoryRecord, Relation, State
from memdefrag.model.report import ApplyReport
from memdefrag.model.service_metadata import content_hash as text_hash
from memdefrag.stores.registry import open_store
from tests.engine.stores import DIMENSION, make_store, snapshot_of

WILLING = ApplyOptions(confirm_shrink=True)


@pytest.fixture
def store(tmp_path: Path) -> Address:
    """What the assistant uses."""
    (tmp_path / "place").mkdir()
    return make_store("jsonl", tmp_path / "place", count=6)


@pytest.fixture
def file(store: Address, tmp_path: Path) -> Address:
    """A fresh export of it."""
    target = Address("memory-export", str(tmp_path / "memory_export.db"))
    export_store(str(store), target)
    return target


def sql(file: Address, statement: str, *values: object) -> None:
    """What Memory Defragmenter, or a person, does to the file."""
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def edit(store: Address, name: str, text: str | None) -> None:
    """What the assistant does to its store since: changes, adds or (None) removes a memory."""
    present = snapshot_of(store).by_key.get(Key("memories", name))
    with open_store(store) as opened:
        if text is None:
            assert present
            changes = Changes(delete=(Ref.of(present),))
        else:
            vector = np.ones(DIMENSION, np.float32)
            record = replace(present or MemoryRecord(Key("memories", name), "", embedding=vector), text=text)
            changes = Changes(put=(Put(record, Ref.of(present).hash if present else None),))
        opened.write(changes, Progress())


def bring_back(file: Address, store: Address, **choices: bool | str) -> ApplyReport:
    return import_store(str(file), store, choices=ImportChoices(**choices), options=WILLING)  # type: ignore[arg-type]


def texts(address: Address) -> dict[str, str | None]:
    return {record.key.id: record.text for record in snapshot_of(address).records}


def test_export_holds_everything(store: Address, file: Address) -> None:
    assert texts(file) == texts(store)
    original = snapshot_of(store).by_key
    for key, record in snapshot_of(file).by_key.items():
        assert record.tags == original[key].tags
        assert record.created == original[key].created
        assert record.metadata["number"] == original[key].metadata["number"]
        np.testing.assert_allclose(record.embedding, original[key].embedding, atol=1e-6)


def test_the_store_is_only_read(store: Address, tmp_path: Path) -> None:
    before = store.path.read_bytes()
    export_store(str(store), Address("memory-export", str(tmp_path / "out.db")))
    assert store.path.read_bytes() == before
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_importing_an_untouched_export_changes_nothing(store: Address, file: Address) -> None:
    before = store.path.read_bytes()
    report = bring_back(file, store)
    assert (report.written, report.removed, report.kept) == (0, 0, ())
    assert store.path.read_bytes() == before


def test_dropped_memories_are_dropped_and_changed_ones_changed(store: Address, file: Address) -> None:
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    sql(file, "UPDATE memories SET content = 'Merged' WHERE id = 'id000'")
    report = bring_back(file, store)
    found = texts(store)
    assert (report.written, report.removed) == (1, 1)
    assert "id001" not in found and found["id000"] == "Merged"
    assert len(found) == 5


def test_what_the_assistant_added_since_is_kept_and_listed(store: Address, file: Address) -> None:
    edit(store, "later", "Added since")
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    report = bring_back(file, store)
    assert texts(store)["later"] == "Added since"
    assert [kept.record for kept in report.kept] == ["memories/later"]


def test_what_was_edited_since_is_kept_though_the_file_dropped_it(store: Address, file: Address) -> None:
    edit(store, "id001", "Edited since")
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    report = bring_back(file, store)
    assert texts(store)["id001"] == "Edited since"
    assert "edited in the store since" in report.kept[0].reason


def test_what_was_edited_on_both_sides_keeps_the_stores_version(store: Address, file: Address) -> None:
    edit(store, "id001", "Edited since")
    sql(file, "UPDATE memories SET content = 'Merged' WHERE id = 'id001'")
    report = bring_back(file, store)
    assert texts(store)["id001"] == "Edited since"
    assert [kept.record for kept in report.kept] == ["memories/id001"]


def test_what_the_assistant_removed_since_stays_removed(store: Address, file: Address) -> None:
    edit(store, "id002", None)
    report = bring_back(file, store)
    assert "id002" not in texts(store)
    assert "removed from the store" in report.kept[0].reason


def test_the_next_import_starts_from_the_last(store: Address, file: Address) -> None:
    sql(file, "UPDATE memories SET content = 'Merged' WHERE id = 'id000'")
    bring_back(file, store)
    again = bring_back(file, store)
    assert (again.written, again.kept) == (0, ())
    sql(file, "UPDATE memories SET content = 'Merged once more' WHERE id = 'id000'")
    assert bring_back(file, store).written == 1
    assert texts(store)["id000"] == "Merged once more"


def test_mirror_drops_what_the_file_never_held(store: Address, file: Address) -> None:
    edit(store, "later", "Added since")
    bring_back(file, store, mirror=True)
    assert "later" not in texts(store)


def test_without_a_record_of_the_export_unknown_memories_stay(store: Address, file: Address) -> None:
    file.path.with_name(file.path.name + ".export-record.json").unlink()
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    report = bring_back(file, store)
    assert "id001" in texts(store)
    assert [kept.record for kept in report.kept] == ["memories/id001"]


def test_types_survive_a_program_that_turns_values_into_strings(store: Address, file: Address) -> None:
    metadata = '{"number": "0", "weight": "0.0", "odd": "False", "tags": "a,b"}'
    sql(file, "UPDATE memories SET content = 'Merged', metadata = ? WHERE id = 'id000'", metadata)
    bring_back(file, store)
    found = snapshot_of(store).by_key[Key("memories", "id000")]
    assert found.text == "Merged"
    assert (found.metadata["number"], found.metadata["weight"], found.metadata["odd"]) == (0, 0.0, False)


def test_a_text_whose_vector_is_missing_needs_a_model(store: Address, file: Address) -> None:
    sql(file, "UPDATE memories SET content = 'Merged', embedding = '[]' WHERE id = 'id000'")
    with pytest.raises(ModelUnavailable):
        bring_back(file, store)


def test_an_older_file_is_kept_under_another_name(store: Address, file: Address) -> None:
    before = file.path.read_bytes()
    edit(store, "later", "Added since")
    export_store(str(store), file)
    assert len(texts(file)) == 7
    kept = list(file.path.parent.glob("memory_export.db.*.bak"))
    assert [path.read_bytes() for path in kept] == [before]


def test_the_older_files_new_name_is_said(store: Address, file: Address) -> None:
    report = export_store(str(store), file)
    [kept] = file.path.parent.glob("memory_export.db.*.bak")
    assert any(str(kept) in warning for warning in report.warnings)


@pytest.fixture
def two(tmp_path: Path) -> Address:
    """A store of two collections, one of them Memory Service's."""
    path = tmp_path / "two.jsonl"
    names = ("memory_collection", "other")
    lines = [{"id": name[0], "text": f"Of {name}.", "collection": name, "embedding": [1.0, 2.0]} for name in names]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return Address("jsonl", str(path))


def test_an_export_comes_back_into_its_own_collection(two: Address, tmp_path: Path) -> None:
    file = Address("jsonl", str(tmp_path / "other.jsonl"))
    export_store(str(two), file, collection="other")
    assert bring_back(file, two).kept == ()
    assert texts(two) == {"m": "Of memory_collection.", "o": "Of other."}


def test_an_export_that_goes_into_another_collection_is_all_new_there(two: Address, tmp_path: Path) -> None:
    file = Address("jsonl", str(tmp_path / "other.jsonl"))
    export_store(str(two), file, collection="other")
    written = bring_back(file, two, collection="memory_collection").written
    assert written == 1
    assert Key("memory_collection", "o") in snapshot_of(two).by_key
    assert bring_back(file, two).written == 0


def test_an_unknown_collection_is_named_with_those_present(store: Address, tmp_path: Path) -> None:
    with pytest.raises(CollectionNotFound, match="ChromaDB collection not found") as raised:
        export_store(str(store), Address("jsonl", str(tmp_path / "x.jsonl")), collection="nonsense")
    assert "memories" in raised.value.todo


def test_limit_and_where_choose(store: Address, tmp_path: Path) -> None:
    few = Address("jsonl", str(tmp_path / "few.jsonl"))
    export_store(str(store), few, limit=2)
    assert len(texts(few)) == 2
    odd = Address("jsonl", str(tmp_path / "odd.jsonl"))
    export_store(str(store), odd, where={"odd": "True"})
    assert set(texts(odd)) == {"id001", "id003", "id005"}


def test_a_dry_import_changes_nothing(store: Address, file: Address) -> None:
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    before = store.path.read_bytes()
    report = import_store(str(file), store, options=ApplyOptions(dry_run=True))
    assert report.removed == 1
    assert store.path.read_bytes() == before


def test_an_absent_store_is_made(file: Address, tmp_path: Path) -> None:
    target = Address("jsonl", str(tmp_path / "new" / "store.jsonl"))
    plan, kept = import_plan(str(file), target, ImportChoices(), Progress())
    assert (len(plan.steps), kept) == (6, ())
    import_store(str(file), target)
    assert len(texts(target)) == 6


def test_an_export_that_fails_does_not_make_the_older_file_drop_memories(store: Address, file: Address) -> None:
    edit(store, "since", "New")
    hold = "import sys; handle = open(sys.argv[1], 'rb'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(file.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        with pytest.raises(StoreInUse):
            export_store(str(store), file)
        child.stdin.close()
    bring_back(file, store)
    assert "since" in texts(store)


@pytest.mark.parametrize("forged", ['{"source": 5}', '{"records": {"id000": "x"}}', '{"records": {"id000": {}}}', "[]"])
def test_a_forged_record_of_an_export_is_no_record(store: Address, file: Address, forged: str) -> None:
    record = file.path.with_name(file.path.name + RECORD_SUFFIX)
    given = json.loads(forged)
    record.write_text(json.dumps({**json.loads(record.read_bytes()), **given} if given else given))
    before = texts(store)
    bring_back(file, store)
    assert texts(store) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_live_memory_is_not_imported_as_a_deleted_one(tmp_path: Path) -> None:
    """Its own store has a place for the state; in the other one the metadata decide."""
    told = {"id": "a", "text": "A live one.", "state": "live", "metadata": {"deleted_at": 1.7e9}, "embedding": [1, 0]}
    source, target = Address("jsonl", str(tmp_path / "a.jsonl")), Address("memory-export", str(tmp_path / "b.db"))
    source.path.write_text(f"{json.dumps(told)}\n{json.dumps({**told, 'id': 'b', 'metadata': {}})}\n", "utf-8")
    report = bring_back(source, target)
    assert list(texts(target)) == ["b"]
    assert any("is live" in skipped.reason and "'deleted_at'" in skipped.reason for skipped in report.kept)


def test_an_export_is_private(store: Address, file: Address) -> None:
    assert [path.stat().st_mode & 0o77 for path in file.path.parent.glob("memory_export*")] == [0, 0]


def record_of(file: Address) -> Path:
    return file.path.with_name(file.path.name + RECORD_SUFFIX)


def test_a_record_that_was_changed_is_none_and_that_is_said(store: Address, file: Address) -> None:
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    said = json.loads(record_of(file).read_bytes())
    said["records"]["id001"]["store"] = said["records"]["id002"]["store"]
    record_of(file).write_text(json.dumps(said))
    report = bring_back(file, store)
    assert "id001" in texts(store)
    assert any(str(record_of(file)) in warning for warning in report.warnings)


def test_a_new_store_keeps_nothing_and_is_told_nothing_of_the_record(file: Address, tmp_path: Path) -> None:
    assert bring_back(file, Address("jsonl", str(tmp_path / "new.jsonl"))).warnings == ()


def test_a_record_of_an_older_export_has_no_checksum_and_counts(store: Address, file: Address) -> None:
    said = json.loads(record_of(file).read_bytes())
    del said["sha256"]
    record_of(file).write_text(json.dumps(said))
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    report = bring_back(file, store)
    assert (report.removed, report.warnings) == (1, ())
    assert "id001" not in texts(store)


def test_an_import_that_cannot_be_noted_is_done_and_says_so(
    store: Address, file: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql(file, "DELETE FROM memories WHERE id = 'id001'")
    monkeypatch.setattr(export_record, "write_durable", full)
    report = bring_back(file, store)
    assert "id001" not in texts(store)
    assert any("The import is done" in warning for warning in report.warnings)


def test_a_full_disk_leaves_the_older_export_and_no_scratch(
    store: Address, file: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.path.read_bytes()
    monkeypatch.setattr(exchange, "fsync_file", full)
    with pytest.raises(NoSpace):
        export_store(str(store), file)
    assert file.path.read_bytes() == before
    assert [path.name for path in file.path.parent.glob(".*.export*")] == []


def full(*_: object) -> None:
    """A disk without room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def link(one: str | Key, other: str | Key, kind: str = "causes") -> Relation:
    ends = (Key("memories", end) if isinstance(end, str) and end.startswith("id") else end for end in (one, other))
    return Relation(*ends, kind, 0.5, {"why": "rain"}, 1.7e9)


def linked(store: Address, *links: Relation) -> None:
    with open_store(store) as opened:
        fitted = (opened.fit_relation(each)[0] for each in links)
        opened.write(Changes(relate=tuple(each for each in fitted if each)), Progress())


def links(address: Address) -> set[tuple[str, str, str]]:
    return {(str(each.source), str(each.target), each.type) for each in snapshot_of(address).relations}


def test_links_are_exported_and_come_back(store: Address, tmp_path: Path) -> None:
    linked(store, link("id001", "id002"), link("id002", "https://elsewhere"), link("id000", "id005"))
    before = snapshot_of(store).relations
    file = Address("jsonl", str(tmp_path / "some.jsonl"))
    export_store(str(store), file, limit=3)
    assert links(file) == {
        ("memories/id001", "memories/id002", "causes"),
        ("memories/id002", "https://elsewhere", "causes"),
    }
    edit(store, "id001", None)
    edit(store, "id001", "Said anew")
    export = import_store(str(file), Address("jsonl", str(tmp_path / "new.jsonl")), options=WILLING)
    assert export.losses == {}
    assert links(Address("jsonl", str(tmp_path / "new.jsonl"))) == {
        ("memory_collection/id001", "memory_collection/id002", "causes"),
        ("memory_collection/id002", "https://elsewhere", "causes"),
    }
    bring_back(file, store)
    assert sorted(map(str, snapshot_of(store).relations)) == sorted(map(str, before))
    assert bring_back(file, store).skipped == ()


def test_links_that_a_file_has_no_place_for_are_told(store: Address, tmp_path: Path) -> None:
    linked(store, link("id001", "id002"))
    report = export_store(str(store), Address("memory-export", str(tmp_path / "without.db")))
    assert report.losses["links between memories"] == 1


def test_links_of_memories_that_were_removed_since_stay_away(store: Address, tmp_path: Path) -> None:
    linked(store, link("id001", "id002"))
    file = Address("jsonl", str(tmp_path / "whole.jsonl"))
    export_store(str(store), file)
    edit(store, "id001", None)
    with open_store(store) as opened:
        opened.write(Changes(unrelate=tuple(opened.relations())), Progress())
    report = bring_back(file, store)
    assert report.skipped == ()
    assert "id001" not in texts(store)
    assert links(store) == set()


@pytest.fixture
def service(tmp_path: Path) -> Address:
    """A database whose ids are hashes of the texts, with a link."""
    address = Address("memory-service", str(tmp_path / "sqlite_vec.db"))
    with open_store(address, must_exist=False) as opened:
        records = [
            MemoryRecord(Key("default", text_hash(f"Fact {n}")), f"Fact {n}", embedding=np.eye(4, dtype=np.float32)[n])
            for n in range(3)
        ]
        said, _ = opened.fit_relation(Relation(records[0].key, records[1].key, "causes", 0.5, {}, 1.7e9))
        assert said
        opened.write(Changes(tuple(Put(opened.fit(r)[0], None) for r in records), relate=(said,)), Progress())
    return address


def rewritten(file: Address, old: str, new: str) -> None:
    lines = file.path.read_text(encoding="utf-8").replace(f'"{old}"', f'"{new}"')
    file.path.write_text(lines, encoding="utf-8")


def test_an_edited_text_stands_under_its_own_hash_and_keeps_its_links(service: Address, tmp_path: Path) -> None:
    file = Address("jsonl", str(tmp_path / "facts.jsonl"))
    export_store(str(service), file)
    for old, new in (("Fact 0", "Fact zero"), ("Fact zero", "Fact nought")):
        rewritten(file, old, new)
        report = bring_back(file, service)
        assert (report.skipped, report.kept) == ((), ())
        present = {r.key: r.text for r in snapshot_of(service) if r.state is State.LIVE}
        assert {key.id: text for key, text in present.items()} == {
            text_hash(text): text for text in (new, "Fact 1", "Fact 2")
        }
        assert links(service) == {(f"default/{text_hash(new)}", f"default/{text_hash('Fact 1')}", "causes")}
        again = bring_back(file, service)
        assert (again.written, again.removed) == (0, 0)
    mirrored = bring_back(file, service, mirror=True)
    assert {r.text for r in snapshot_of(service) if r.state is State.LIVE} == {"Fact nought", "Fact 1", "Fact 2"}
    assert mirrored.skipped == ()


def test_a_new_memory_of_the_file_gets_a_name_that_the_store_takes(service: Address, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text(json.dumps({"id": "mine", "text": "Brought along", "embedding": [1, 0, 0, 0]}), encoding="utf-8")
    for written in (1, 0):
        assert bring_back(Address("jsonl", str(path)), service).written == written
        assert text_hash("Brought along") in texts(service)
        assert "mine" not in texts(service)
