"""What a merged record says besides its text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.analysis.merge import (
    MERGED_AT,
    MERGED_FROM,
    MERGED_TYPES,
    MERGED_URIS,
    MERGED_VECTOR,
    CreatedRule,
    SurvivorRule,
    choose_survivor,
    mean_vector,
    merge_metadata,
    merge_records,
)
from memdefrag.model import codec
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.carried import CARRIED
from memdefrag.model.plan import VectorRule
from memdefrag.model.records import Key, MemoryRecord, Metadata, Vector
from memdefrag.model.service_metadata import content_hash, read

NOW = 1_800_000_000.0


def vector(*values: float) -> Vector:
    return np.array(values, np.float32)


def memory(id: str, text: str | None = "Ann likes tea.", **fields: object) -> MemoryRecord:
    return MemoryRecord(Key("c", id), text, **fields)  # type: ignore[arg-type]


def service_memory(id: str, text: str = "Ann likes tea.", **metadata: object) -> MemoryRecord:
    """As a store reads it that keeps tags and times in the metadata."""
    meant = read(metadata)
    return memory(id, text, metadata=metadata, tags=meant.tags, created=meant.created, updated=meant.updated)


# ── the survivor ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SurvivorRule.OLDEST, "old"),
        (SurvivorRule.NEWEST, "new"),
        (SurvivorRule.LONGEST, "long"),
        (SurvivorRule.MOST_METADATA, "told"),
    ],
)
def test_the_rule_chooses(rule: SurvivorRule, expected: str) -> None:
    records = [
        memory("timeless"),
        memory("new", created=30.0),
        memory("old", created=10.0),
        memory("long", "Ann likes green tea.", created=20.0),
        memory("told", created=20.0, metadata={"a": 1, "b": "x", "empty": ""}, tags=("t",)),
        memory("empty", created=20.0, metadata=dict.fromkeys("abcdefgh", "")),
    ]
    assert records[choose_survivor(records, rule)].key.id == expected


@given(st.permutations(["a", "b", "c"]), st.sampled_from(list(SurvivorRule)))
def test_ties_do_not_depend_on_the_order(ids: list[str], rule: SurvivorRule) -> None:
    records = [memory(id) for id in ids]
    assert records[choose_survivor(records, rule)].key.id == "a"


# ── tags, times, texts ───────────────────────────────────────────────────────────────────────────────────


def test_tags_are_united_and_times_are_the_earliest_and_now() -> None:
    records = [memory("a", tags=("x", "y"), created=20.0, updated=25.0), memory("b", tags=("y", "z"), created=10.0)]
    result = merge_records(records, 0, now=NOW)
    assert (result.tags, result.created, result.updated) == (("x", "y", "z"), 10.0, NOW)


def test_a_merge_resolves_the_services_conflict_mark() -> None:
    records = [memory("a", tags=("x", "conflict:unresolved")), memory("b", tags=("conflict:unresolved",))]
    assert merge_records(records, 0, now=NOW).tags == ("x",)


def test_records_without_text_keep_none() -> None:
    assert merge_records([memory("a", None), memory("b", None)], 0, now=NOW).text is None
    assert merge_records([memory("a", None), memory("b", "Tea.")], 0, now=NOW).text == "Tea."


def test_of_equal_texts_the_survivors_stays_to_the_byte() -> None:
    records = [memory("a", "Ann likes tea"), memory("b", "ann likes TEA.")]
    assert merge_records(records, 1, now=NOW).text == "ann likes TEA."


def test_the_persons_own_wording_is_taken_as_it_is() -> None:
    records = [memory("a", embedding=vector(1, 0)), memory("b", embedding=vector(0, 1))]
    result = merge_records(records, 0, now=NOW, text="Something else. ")
    assert (result.text, result.vector) == ("Something else. ", VectorRule.EMBED)


@pytest.mark.parametrize(("rule", "created"), [(CreatedRule.EARLIEST, 10.0), (CreatedRule.LATEST, 30.0)])
def test_the_time_of_creation_is_a_choice(rule: CreatedRule, created: float) -> None:
    times = (20.0, None, 10.0, 30.0)
    records = [
        memory(str(number), created=time, metadata={"created_at": time} if time else {})
        for number, time in enumerate(times)
    ]
    result = merge_records(records, 0, now=NOW, created=rule)
    assert (result.created, result.metadata["created_at"]) == (created, created)


def test_no_time_of_creation_is_made_up() -> None:
    assert merge_records([memory("a"), memory("b")], 0, now=NOW, created=CreatedRule.LATEST).created is None


# ── metadata ─────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_values_stand_once_and_differing_ones_in_a_list() -> None:
    records = [
        memory("a", metadata={"same": 1, "differs": "x", "only_a": True, "list": ["p"]}),
        memory("b", metadata={"same": 1, "differs": "y", "only_b": None, "list": ["q", "p"]}),
        memory("c", metadata={"same": 1, "differs": "x", "list": "r"}),
    ]
    assert merge_metadata(records, 1) == {
        "same": 1,
        "differs": ["y", "x"],
        "only_a": True,
        "only_b": None,
        "list": ["q", "p", "r"],
    }


def test_values_of_different_types_are_different() -> None:
    records = [memory("a", metadata={"n": 1}), memory("b", metadata={"n": 1.0}), memory("c", metadata={"n": True})]
    merged = merge_metadata(records, 0)["n"]
    assert [(type(value), value) for value in merged] == [(int, 1), (float, 1.0), (bool, True)]


def test_what_says_nothing_conflicts_with_nothing() -> None:
    records = [memory("a", metadata={"k": "", "m": "x"}), memory("b", metadata={"k": "y", "m": None})]
    assert merge_metadata(records, 0) == {"k": "y", "m": "x"}


def test_types_stay_single_and_the_others_are_noted() -> None:
    records = [memory("a", metadata={"memory_type": "note"}), memory("b", metadata={"memory_type": "decision"})]
    metadata = merge_records(records, 0, now=NOW).metadata
    assert metadata["memory_type"] == "note"
    assert metadata[MERGED_TYPES] == ["decision"]


def test_escaped_lists_are_united_as_lists() -> None:
    records = [memory("a", metadata={"k": 'memdefrag:json:["x",1]'}), memory("b", metadata={"k": "y"})]
    assert merge_records(records, 0, now=NOW).metadata["k"] == ["x", 1, "y"]


@pytest.mark.parametrize("store", [None, Capabilities(Commit.FILE)], ids=["narrow", "wide"])
def test_a_persons_own_string_of_the_form_of_ours_stays_one(store: Capabilities | None) -> None:
    """Where nested values have a place, no such string is ours; where they have none, ours says that it is a string."""
    held = store or codec.NARROWEST
    own = codec.guarded({"k": 'memdefrag:json:{"a":1}'}, held)
    merged = merge_records([memory("a", metadata=own), memory("b")], 0, now=NOW, store=store)
    stored, _ = codec.fit(memory("a", metadata=merged.metadata), held)
    assert stored.metadata["k"] == own["k"]
    assert codec.meant(stored.metadata, held)["k"] == 'memdefrag:json:{"a":1}'


def test_what_is_carried_for_a_later_store_is_the_survivors() -> None:
    carried = {"uri": "mem://a"}
    records = [memory("a", metadata={CARRIED: carried}), memory("b", metadata={CARRIED: {"uri": "mem://b"}})]
    assert merge_records(records, 0, now=NOW).metadata[CARRIED] == carried
    assert CARRIED not in merge_records([memory("c"), *records], 0, now=NOW).metadata


def test_where_the_metadata_says_tags_and_times_it_says_the_new_ones() -> None:
    records = [
        service_memory("a", tags='["x"]', timestamp=20.5, created_at_iso="1970-01-01T00:00:20.5Z", updated_at=30.0),
        service_memory("b", tags="y,z", timestamp=10.25),
    ]
    result = merge_records(records, 0, now=NOW)
    metadata = result.metadata
    assert metadata["tags"] == json.dumps(["x", "y", "z"])
    assert metadata["timestamp"] == 10.25
    assert metadata["created_at_iso"] == "1970-01-01T00:00:10.250000Z"
    assert metadata["updated_at"] == NOW
    assert read(metadata)[:3] == (result.tags, result.created, result.updated)


def test_where_tags_and_times_stand_elsewhere_such_keys_are_plain_metadata() -> None:
    records = [
        memory("a", tags=("t",), created=5.0, metadata={"tags": "mine", "timestamp": 7}),
        memory("b", tags=("u",), created=6.0, metadata={"tags": "yours", "timestamp": 8}),
    ]
    metadata = merge_records(records, 0, now=NOW).metadata
    assert (metadata["tags"], metadata["timestamp"]) == (["mine", "yours"], [7, 8])
    assert "updated_at" not in metadata


def test_the_content_hash_follows_the_text() -> None:
    old = "0" * 64
    changed = [service_memory("a", "Tea.", content_hash=old), service_memory("b", "Rome.", content_hash="1" * 64)]
    result = merge_records(changed, 0, now=NOW)
    assert result.text is not None and result.metadata["content_hash"] == content_hash(result.text)
    same = [service_memory("a", "Tea.", content_hash=old), service_memory("b", "tea", content_hash="1" * 64)]
    assert merge_records(same, 0, now=NOW).metadata["content_hash"] == old


# ── provenance ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_record_names_all_that_ever_went_into_it() -> None:
    members = [memory("a"), memory("b"), replace(memory("x"), key=Key("other", "x"))]
    first = merge_records(members, 0, now=NOW)
    assert first.metadata[MERGED_FROM] == ["b", "other/x"]
    assert first.metadata[MERGED_AT] == "2027-01-15T08:00:00.000000Z"
    again = merge_records([memory("c"), memory("a", metadata=first.metadata)], 0, now=NOW + 1)
    assert again.metadata[MERGED_FROM] == ["b", "other/x", "a"]
    assert again.metadata[MERGED_AT] == "2027-01-15T08:00:01.000000Z"


def test_the_survivors_address_stays_and_the_others_are_noted() -> None:
    records = [memory("a"), memory("b", uri="file:b"), memory("c", uri="file:c")]
    result = merge_records(records, 0, now=NOW)
    assert (result.uri, result.metadata[MERGED_URIS]) == ("file:b", ["file:c"])


def test_nothing_is_noted_where_there_is_nothing_to_note() -> None:
    assert set(merge_records([memory("a"), memory("b")], 0, now=NOW).metadata) == {MERGED_FROM, MERGED_AT}


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("vectors", "texts", "rule", "noted"),
    [
        ((vector(1, 0), vector(0, 2)), ("Tea.", "Rome."), VectorRule.MEAN, "mean"),
        ((vector(1, 0), None), ("Tea.", "Rome."), VectorRule.EMBED, "embedded"),
        ((vector(1, 0), vector(1, 0, 0)), ("Tea.", "Rome."), VectorRule.EMBED, "embedded"),
        ((vector(1, 0), vector(0, 0)), ("Tea.", "Rome."), VectorRule.EMBED, "embedded"),
        ((vector(1, 0), vector(np.nan, 0)), ("Tea.", "Rome."), VectorRule.EMBED, "embedded"),
        ((vector(1, 0), None), ("Tea.", "tea"), VectorRule.KEEP, "kept"),
        ((None, vector(1, 0)), ("Tea.", "tea"), VectorRule.EMBED, "embedded"),
        ((None, None), ("Tea.", "Rome."), VectorRule.KEEP, None),
    ],
)
def test_where_the_vector_comes_from_is_chosen_and_noted(
    vectors: tuple[Vector | None, Vector | None], texts: tuple[str, str], rule: VectorRule, noted: str | None
) -> None:
    records = [memory(id, text, embedding=v) for id, text, v in zip("ab", texts, vectors, strict=True)]
    result = merge_records(records, 0, now=NOW)
    assert result.vector is rule
    assert result.metadata.get(MERGED_VECTOR) == noted


def test_choosing_one_members_wording_needs_no_model() -> None:
    records = [memory("a", "Tea.", embedding=vector(1, 0)), memory("b", "Rome.", embedding=vector(0, 1))]
    assert merge_records(records, 0, now=NOW, text="Rome.").vector is VectorRule.MEAN


coordinates = st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4)
directions = coordinates.filter(lambda row: any(abs(x) > 0.1 for x in row))


@given(st.lists(directions, min_size=1, max_size=5), st.sampled_from(["cosine", "l2", "ip"]))
def test_the_mean_has_the_right_length_and_leans_to_every_member(rows: list[list[float]], metric: str) -> None:
    vectors = [vector(*row) for row in rows]
    mean = mean_vector(vectors, metric)
    lengths = [float(np.linalg.norm(one)) for one in vectors]
    equal = all(row == rows[0] for row in rows)
    wanted = float(np.mean(lengths)) if metric != "cosine" or equal else 1.0
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(lengths[0] if equal else wanted, rel=1e-4)
    together = sum(float(mean @ one) / length for one, length in zip(vectors, lengths, strict=True))
    assert together >= -1e-3


def test_equal_vectors_stay_as_they_are_to_the_bit() -> None:
    one = vector(0.1, 0.7, -3)
    assert np.array_equal(mean_vector([one, one.copy()], "cosine"), one)


def test_opposite_vectors_give_the_first() -> None:
    assert np.allclose(mean_vector([vector(0, 2), vector(0, -2)], "cosine"), [0, 1])


def test_every_member_counts_alike_whatever_its_length() -> None:
    assert np.allclose(mean_vector([vector(100, 0), vector(0, 1)], "cosine"), [0.5**0.5, 0.5**0.5])
    assert np.allclose(mean_vector([vector(3, 0), vector(0, 1)], "l2"), [2 * 0.5**0.5, 2 * 0.5**0.5])


# ── for all records ──────────────────────────────────────────────────────────────────────────────────────

scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-2, 2), st.sampled_from(["", "x", "y"]))
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from("pq"), scalars, max_size=2))
metadata = st.dictionaries(st.sampled_from(["k", "l", "tags", "timestamp", "memory_type", "content_hash"]), values)


def says(merged: Metadata, key: str, value: object) -> bool:
    """Whether the value, and every item of a list, stands under the key, type and all."""
    present = merged[key] if isinstance(merged[key], list) else [merged[key]]
    wanted = value if isinstance(value, list) else [value]
    return all(json.dumps(item) in map(json.dumps, present) for item in wanted if item not in (None, ""))


@given(st.lists(metadata, min_size=1, max_size=4), st.data())
def test_no_value_is_lost_and_merging_again_changes_nothing(all_metadata: list[Metadata], data: st.DataObject) -> None:
    records = [memory(str(number), metadata=said) for number, said in enumerate(all_metadata)]
    survivor = data.draw(st.integers(0, len(records) - 1))
    merged = merge_metadata(records, survivor)
    for said in all_metadata:
        for key in said.keys() & {"k", "l"}:
            assert says(merged, key, said[key])
    again = merge_metadata([memory("again", metadata=merged), *records], 0)
    assert {key: again[key] for key in ("k", "l") if key in again} == {
        key: merged[key] for key in ("k", "l") if key in merged
    }


@given(st.lists(metadata, min_size=2, max_size=3))
def test_the_merged_record_is_plain_data(all_metadata: list[Metadata]) -> None:
    records = [memory(str(number), metadata=said) for number, said in enumerate(all_metadata)]
    result = merge_records(records, 0, now=NOW)
    assert json.loads(json.dumps(result.metadata)) == result.metadata
