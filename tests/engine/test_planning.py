"""From an analysis to a plan that merges what surely says the same, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.merge import CreatedRule, SurvivorRule
from memdefrag.analysis.result import Analysis
from memdefrag.base.progress import Progress
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.planning import Choice, build_plan, by_collection, choice_of, sure_choices
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Merge, Put, VectorRule, dump, parse
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

NOW = 1_800_000_000.0
FACTS = {
    "a1": "The staging server runs in Helsinki on rack four.",
    "a2": "the staging server runs in Helsinki on rack four",
    "b1": "Ann's blue bicycle is in the cellar next to the boxes.",
    "b2": "Ann's blue bicycle is in the cellar next to the boxes. She rides it on Sundays.",
    "port1": "The gateway of the office listens on port 8080.",
    "port2": "The gateway of the office listens on port 8081.",
    "alone": "Bob prefers tabs over spaces in every Makefile.",
}


def snapshot(tmp_path: Path, records: list[MemoryRecord]) -> Snapshot:
    """The records, written to a JSON lines file and read back."""
    names = {record.key.collection for record in records}
    infos = tuple(CollectionInfo(name, 0, 0, 0) for name in sorted(names))
    with open_store(Address("jsonl", str(tmp_path / "store.jsonl")), must_exist=False) as store:
        puts = tuple(Put(store.fit(record)[0], None) for record in records)
        store.write(Changes(put=puts, collections=infos), Progress())
        return read_snapshot(store)


def memories(collection: str = "facts", prefix: str = "") -> list[MemoryRecord]:
    """`FACTS`, oldest first; alike in text means alike in vector."""
    rng = np.random.default_rng(3)
    directions = {name.rstrip("12"): rng.normal(size=16) for name in FACTS}
    return [
        MemoryRecord(
            Key(collection, prefix + name),
            text,
            embedding=(directions[name.rstrip("12")] + 0.05 * rng.normal(size=16)).astype(np.float32),
            created=1_700_000_000.0 + number,
        )
        for number, (name, text) in enumerate(FACTS.items())
    ]


@pytest.fixture
def found(tmp_path: Path) -> Analysis:
    return analyze([snapshot(tmp_path, memories())])


def ids(analysis: Analysis, choice: Choice) -> tuple[str, list[str]]:
    """The survivor's id, and all members' ids."""
    name = [record.key.id for record in analysis.records]
    return name[choice.survivor], sorted(name[member] for member in choice.members)


def test_a_merge_leaves_a_persons_own_string_of_the_form_of_ours_a_string(tmp_path: Path) -> None:
    own = {"k": 'memdefrag:json:{"a":1}'}
    analysis = analyze([snapshot(tmp_path, [replace(record, metadata=own) for record in memories()])])
    plan = build_plan(analysis, sure_choices(analysis, SurvivorRule.OLDEST), now=NOW, settings={})
    apply(plan, ApplyOptions(), Progress())
    with open_store(analysis.stores[0]) as store:
        assert {record.metadata["k"] for record in read_snapshot(store)} == {own["k"]}


def test_what_is_sure_is_chosen_and_what_contradicts_is_not(found: Analysis) -> None:
    chosen = sorted(ids(found, choice) for choice in sure_choices(found, SurvivorRule.OLDEST))
    assert chosen == [("a1", ["a1", "a2"]), ("b1", ["b1", "b2"])]


def test_each_clique_has_the_survivor_of_the_rule(found: Analysis) -> None:
    chosen = sorted(ids(found, choice)[0] for choice in sure_choices(found, SurvivorRule.NEWEST))
    assert chosen == ["a2", "b2"]


def test_above_every_score_only_equal_texts_are_chosen(found: Analysis) -> None:
    chosen = sure_choices(found, SurvivorRule.OLDEST, threshold=1.01)
    assert [ids(found, choice) for choice in chosen] == [("a1", ["a1", "a2"])]


def test_nothing_is_merged_across_collections_on_its_own(tmp_path: Path) -> None:
    work = [record for record in memories("work") if record.key.id in ("a1", "alone")]
    home = [record for record in memories("home") if record.key.id in ("a2", "b1", "b2")]
    analysis = analyze([snapshot(tmp_path, work + home)])
    assert [ids(analysis, choice) for choice in sure_choices(analysis, SurvivorRule.OLDEST)] == [("b1", ["b1", "b2"])]


def test_members_are_parted_by_store_and_collection(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    snapshots = [snapshot(tmp_path / folder, memories()) for folder in ("one", "two")]
    analysis = analyze(snapshots)
    a = [index for index, record in enumerate(analysis.records) if record.key.id in ("a1", "a2")]
    parts = by_collection(analysis, a)
    assert sorted(len(part) for part in parts) == [2, 2]
    assert all(len({int(analysis.store[member]) for member in part}) == 1 for part in parts)


def test_a_plan_names_records_with_what_they_said(found: Analysis) -> None:
    [choice, *_] = sure_choices(found, SurvivorRule.OLDEST)
    plan = build_plan(found, [choice], now=NOW, settings={"threshold": 0.85, "rule": "oldest"}, fingerprint="f")
    [step] = plan.steps
    assert isinstance(step, Merge)
    by_key = {record.key: record for record in found.records}
    for ref in (step.survivor, *step.members):
        assert ref.hash == record_hash(by_key[ref.key])
    assert step.result.vector is VectorRule.MEAN
    assert step.result.updated == NOW
    assert step.reason
    assert plan.source == plan.target == found.stores[0]
    assert plan.source_fingerprint == "f"
    noted = {"reason": "optimize", "agreed_removals": plan.removed, "created": "earliest"}
    assert plan.settings == noted | {"threshold": 0.85, "rule": "oldest"}
    assert plan.removed == len(choice.members) - 1


def test_a_plan_says_whose_time_of_creation_is_carried(found: Analysis) -> None:
    [choice, *_] = sure_choices(found, SurvivorRule.OLDEST)
    plan = build_plan(found, [choice], now=NOW, settings={}, created=CreatedRule.LATEST)
    [step] = plan.steps
    assert isinstance(step, Merge)
    assert step.result.created == max(found.records[member].created or 0 for member in choice.members)
    assert plan.settings["created"] == "latest"


def test_a_plan_survives_its_file(found: Analysis) -> None:
    plan = build_plan(found, sure_choices(found, SurvivorRule.OLDEST), now=NOW, settings={})
    assert parse(dump(plan)) == plan


def test_the_person_may_choose_survivor_members_and_wording(found: Analysis) -> None:
    by_id = {record.key.id: index for index, record in enumerate(found.records)}
    choice = Choice((by_id["port1"], by_id["port2"]), survivor=by_id["port2"], text="The gateway listens on 8081 now.")
    [step] = build_plan(found, [choice], now=NOW, settings={}).steps
    assert isinstance(step, Merge)
    assert (step.survivor.key.id, [ref.key.id for ref in step.members]) == ("port2", ["port1"])
    assert step.result.text == "The gateway listens on 8081 now."
    assert step.result.vector is VectorRule.EMBED


def test_a_choice_by_rule_keeps_its_members(found: Analysis) -> None:
    assert choice_of(found, (4, 5), SurvivorRule.OLDEST) == Choice((4, 5), survivor=4)


def test_the_applied_plan_leaves_the_store_without_sure_duplicates(tmp_path: Path) -> None:
    before = snapshot(tmp_path, memories())
    analysis = analyze([before])
    plan = build_plan(analysis, sure_choices(analysis, SurvivorRule.OLDEST), now=NOW, settings={})
    apply(plan, ApplyOptions(), Progress())
    with open_store(before.address) as store:
        after = read_snapshot(store)
    assert sorted(record.key.id for record in after) == ["a1", "alone", "b1", "port1", "port2"]
    merged = after.by_key[Key("facts", "b1")]
    assert merged.text == FACTS["b2"]
    assert merged.metadata["memdefrag_merged_from"] == ["b2"]
    assert sure_choices(analyze([after]), SurvivorRule.OLDEST) == []
