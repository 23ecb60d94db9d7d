"""What a migration may change without a word: nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.engine.migrate.links import SECOND
from memdefrag.engine.migrate.run import migrate
from memdefrag.model.address import Address
from memdefrag.model.carried import CARRIED
from memdefrag.model.codec import ESCAPE
from memdefrag.model.migration import Conflict, MigrateOptions, Outcome
from memdefrag.model.records import Key, MemoryRecord, Relation, State
from memdefrag.stores.registry import open_store
from tests.engine.migrate.kinds import FILES, NAME, NO_MODEL, make, odd
from tests.engine.stores import snapshot_of

EXAMPLES = 30 if os.environ.get("MEMDEFRAG_FAULTS") == "all" else 2
PLAIN = odd()[0]
LOOKS = ESCAPE + '{"a":[1,null]}'
values: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([1, 1.5, True, "x", None, 2**70, ["a"], [1, "a"], {"b": None}, LOOKS, ESCAPE + "null", ESCAPE]),
    lambda inner: inner.map(lambda value: ESCAPE + json.dumps(value)),
    max_leaves=3,
)


def copied(source: Address, target: Address, options: MigrateOptions | None = None) -> list[tuple[Outcome, str]]:
    report = migrate(source, target, options, NO_MODEL)
    assert report.checked is None or report.checked.differences == ()
    return [(entry.outcome, ", ".join(entry.losses)) for entry in report.entries]


def said(address: Address) -> dict[str, dict[str, Any]]:
    return {record.key.id: record.metadata for record in snapshot_of(address)}


@pytest.mark.parametrize("kind", ["chroma", "memory-export", "memory-service", "hdev", "parquet"])
def test_a_string_of_the_form_of_ours_is_the_string_it_was(tmp_path: Path, kind: str) -> None:
    metadata = {"own": LOOKS, "twice": ESCAPE + json.dumps(LOOKS), "list": ESCAPE + '["a"]', "nested": {"a": [1, None]}}
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), [replace(PLAIN, metadata=metadata)])
    there, back = Address(kind, str(tmp_path / FILES[kind])), Address("jsonl", str(tmp_path / "b.jsonl"))
    copied(source, there)
    copied(there, back)
    assert metadata.items() <= said(back)[PLAIN.key.id].items()
    assert {outcome for outcome, _ in copied(source, there)} == {Outcome.SAME}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=8, max_size=20))
def test_whatever_goes_through_chroma_comes_back(tmp_path_factory: pytest.TempPathFactory, given: Any) -> None:
    folder = tmp_path_factory.mktemp("through")
    records = [replace(PLAIN, key=Key(NAME, str(n)), metadata=metadata) for n, metadata in enumerate(given)]
    source = make(Address("jsonl", str(folder / "a.jsonl")), records)
    between, back = Address("chroma", str(folder / "chroma")), Address("jsonl", str(folder / "b.jsonl"))
    copied(source, between)
    copied(between, back)
    assert said(back) == said(source)


def test_a_backup_of_chroma_says_what_chroma_said(tmp_path: Path) -> None:
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), [replace(PLAIN, metadata={"n": {"a": 1}, "own": LOOKS})])
    chroma = Address("chroma", str(tmp_path / "chroma"))
    copied(source, chroma)
    other = make(Address("jsonl", str(tmp_path / "o.jsonl")), [replace(PLAIN, key=Key(NAME, "other"))])
    backup = migrate(other, chroma, None, NO_MODEL).backup
    back = Address("jsonl", str(tmp_path / "b.jsonl"))
    copied(Address("backup", str(backup)), back)
    assert said(back) == said(source)


@pytest.mark.parametrize("half", ["\udcff", "\ud800"])
def test_half_characters_anywhere_stop_nothing(tmp_path: Path, half: str) -> None:
    odd_one = f"k{half}"
    records = [
        PLAIN,
        replace(PLAIN, key=Key(NAME, "key"), metadata={odd_one: 1, "k?": 2}),
        replace(PLAIN, key=Key(NAME, "uri"), uri=odd_one),
        replace(PLAIN, key=Key(NAME, "tag"), tags=(odd_one,), owner=odd_one),
        replace(PLAIN, key=Key(NAME, "value"), metadata={"v": odd_one, "n": {odd_one: [odd_one]}}),
        replace(PLAIN, key=Key(NAME, "extra"), extras={odd_one: odd_one, "memory_type": odd_one, "title": odd_one}),
        replace(PLAIN, key=Key(NAME, "hash"), metadata={"content_hash": odd_one, "timestamp": odd_one}),
    ]
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), records)
    found = copied(source, Address("chroma", str(tmp_path / "chroma")))
    assert {outcome for outcome, _ in found} == {Outcome.COPY}
    told = " ".join(losses for _, losses in found)
    assert f"the name of {odd_one!r} (kept as 'k??')" in told
    assert "bytes that are not UTF-8" in told
    assert copied(source, Address("memory-export", str(tmp_path / "export.db"))) != []


@pytest.mark.parametrize("kind", ["chroma", "jsonl", "parquet", "memory-export"])
def test_an_id_that_is_no_unicode_gets_a_name_that_is(tmp_path: Path, kind: str) -> None:
    with open_store(Address(kind, str(tmp_path / FILES[kind])), must_exist=False) as store:
        assert store.key_for(NAME, replace(PLAIN, key=Key("x", "o\udcffd"))) == Key(NAME, "o?d")
        assert store.key_for(NAME, replace(PLAIN, key=Key("x", "ö"))) == Key(NAME, "ö")


@pytest.mark.parametrize("half", ["\udcff", "\ud800"])
def test_half_characters_in_a_link_stop_nothing(tmp_path: Path, half: str) -> None:
    one, other = odd()[0].key, odd()[1].key
    links = [
        Relation(one, other, f"t{half}", 0.5, {f"k{half}": half}, 1.0),
        Relation(one, f"x{half}", "t", 0.5, {}, 1.0),
    ]
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), odd()[:2], links)
    report = migrate(source, Address("memory-service", str(tmp_path / "m.db")), None, NO_MODEL)
    assert (report.relations, report.relations_lost) == (2, 0)
    assert report.checked and report.checked.differences == ()
    assert bool(report.relation_losses) == (half == "\ud800")


def test_what_links_lose_is_in_the_report_and_in_its_rehearsal(tmp_path: Path) -> None:
    one, other = odd()[0].key, odd()[1].key
    links = [Relation(one, other, "supports"), Relation(one, other, "contradicts"), Relation(other, one)]
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), odd()[:2], links)
    target = Address("memory-service", str(tmp_path / "m.db"))
    for dry_run in (True, False):
        report = migrate(source, target, MigrateOptions(dry_run=dry_run), NO_MODEL)
        assert report.relation_losses == {
            "that a link has no strength (0 is written)": 2, "that a link has no time (1970 is written)": 2, SECOND: 1,
        }  # fmt: skip
        assert report.as_dict()["relations"] == {"copied": 2, "lost": 1, "losses": report.relation_losses}
    assert migrate(source, target, None, NO_MODEL).relation_losses == {SECOND: 1}


def test_a_memory_that_no_search_finds_misses_no_vector(tmp_path: Path) -> None:
    dead = [
        replace(PLAIN, key=Key(NAME, state.value), text=state.value, state=state, embedding=None)
        for state in (State.DELETED, State.SUPERSEDED, State.LIVE)
    ]
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), [PLAIN, *dead])
    report = migrate(source, Address("memory-service", str(tmp_path / "m.db")), None, NO_MODEL)
    losing = [entry.source.id for entry in report.entries if "vector" in " ".join(entry.losses)]
    assert losing == ["live"]


def test_metadata_copied_from_another_memory_give_nobody_its_name(tmp_path: Path) -> None:
    source = make(Address("jsonl", str(tmp_path / "a.jsonl")), [replace(PLAIN, owner="ada")])
    between = Address("memory-service-json", str(tmp_path / "m.json"))
    copied(source, between)
    [record] = snapshot_of(between)
    foreign = make(Address("jsonl", str(tmp_path / "f.jsonl")), [
        replace(PLAIN, key=Key(NAME, "copy"), text="Another text", metadata=record.metadata),
    ])  # fmt: skip
    back = Address("jsonl", str(tmp_path / "b.jsonl"))
    copied(between, back)
    copied(foreign, back, MigrateOptions(Conflict.OVERWRITE))
    assert {each.key.id: (each.text, each.owner) for each in snapshot_of(back)} == {
        PLAIN.key.id: (PLAIN.text, "ada"), "copy": ("Another text", None),
    }  # fmt: skip
    assert said(back)["copy"][CARRIED][CARRIED].keys() == {"id", "owner", "check"}


def test_two_names_that_read_alike_are_two(tmp_path: Path) -> None:
    records = [replace(PLAIN, key=Key("a/b", "c")), replace(PLAIN, key=Key("a", "b/c"), text="Another text")]
    assert len({str(record.key) for record in records}) == 1
    source, target = (make_one(tmp_path, name, records) for name in ("source", "target"))
    assert [outcome for outcome, _ in copied(source, target)] == [Outcome.SAME, Outcome.SAME]


def make_one(folder: Path, name: str, records: list[MemoryRecord]) -> Address:
    return make(Address("jsonl", str(folder / f"{name}.jsonl")), records)
