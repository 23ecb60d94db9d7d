from __future__ import annotations

import numpy as np
import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.result import Analysis
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from tests.bench.merge_quality import member_recall
from tests.bench.methods import Clusters, by_cosine, by_shared_words, equal, greedy, semhash
from tests.bench.shown_differences import ALL_PROMISED, PURE, Told, told_if_shown, told_when_shown

TEXTS = (
    "The metrics service listens on port 8080.",
    "The metrics service listens on port 8081.",
    "THE METRICS SERVICE LISTENS ON PORT 8080",
    "Nora paints a boat in the garden shed.",
    "Note: Nora paints a boat in the garden shed.",
)
GROUPS = ("a", "b", "a", "c", "c")
LABELLED = (
    {"a": "0", "b": "1", "relation": "conflict", "kind": "port"},
    {"a": "1", "b": "2", "relation": "conflict", "kind": "port"},
    {"a": "0", "b": "2", "relation": "duplicate", "kind": "surface"},
    {"a": "3", "b": "4", "relation": "duplicate", "kind": "wrapper"},
    {"a": "0", "b": "3", "relation": "unjudged"},
)
GOLD = tuple({"id": str(at), "group": group} for at, group in enumerate(GROUPS))

CHAIN = np.array([[1, 0], [np.cos(0.4), np.sin(0.4)], [np.cos(0.8), np.sin(0.8)]], np.float32)
"""Neighbours have a cosine of 0.92, the first and the last one of 0.70."""


def found() -> Analysis:
    records = tuple(MemoryRecord(Key("notes", str(at)), text) for at, text in enumerate(TEXTS))
    return analyze([Snapshot("here", (CollectionInfo("notes", len(records), len(records), 0),), records)])


def as_sets(clusters: Clusters) -> set[frozenset[int]]:
    return {frozenset(members) for members in clusters}


def test_a_conflict_counts_once_for_all_copies_of_its_texts() -> None:
    told = told_when_shown(found(), GOLD, LABELLED)
    assert told["port"] == told[ALL_PROMISED] == Told(1, 1, 1)


def test_groups_of_one_label_are_pure_and_carry_no_warning() -> None:
    assert told_when_shown(found(), GOLD, LABELLED)[PURE] == Told(2, 0, 0)


def test_a_group_that_is_labelled_apart_is_a_warning_that_was_not_given() -> None:
    wrong = [*LABELLED, {"a": "3", "b": "4", "relation": "conflict", "kind": "name"}]
    assert told_when_shown(found(), GOLD, wrong)["name"] == Told(1, 0, 0)


def test_all_labelled_pairs_are_counted_by_what_the_rules_tell() -> None:
    told = told_if_shown(found(), GOLD, LABELLED)
    assert told == {"port": Told(2, 2, 2), ALL_PROMISED: Told(2, 2, 2), "duplicate": Told(2, 0, 0)}


def test_components_chain_and_greedy_takes_what_is_near_its_seed() -> None:
    assert as_sets(by_cosine(CHAIN, 0.9)) == {frozenset({0, 1, 2})}
    assert as_sets(greedy(CHAIN, 0.9)) == {frozenset({0, 1}), frozenset({2})}


def test_equal_keys_are_one_cluster() -> None:
    assert as_sets(equal(["x", "y", "x"])) == {frozenset({0, 2}), frozenset({1})}


def test_shared_words_are_looked_at_only_where_the_meaning_is_near() -> None:
    texts, near = ["tea for Nora", "Nora: tea", "tea Nora"], np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    assert as_sets(by_shared_words(texts, near, 90)) == {frozenset({0, 1}), frozenset({2})}


def test_semhash_keeps_one_of_what_is_near() -> None:
    pytest.importorskip("semhash")
    clusters = semhash(["one", "two", "three", "one"], np.vstack([CHAIN, CHAIN[:1]]), 0.9)
    assert as_sets(clusters) == {frozenset({0, 1, 3}), frozenset({2})}


def test_members_find_the_record_that_took_their_place() -> None:
    assert member_recall([[0, 1]], np.vstack([CHAIN, -CHAIN[:1]])) == {1: 1.0, 5: 1.0}
    opposed = np.array([[1, 0], [-1, 0.1], [-0.9, -0.2], [-0.8, 0.1]], np.float32)
    opposed /= np.linalg.norm(opposed, axis=1, keepdims=True)
    assert member_recall([[0, 1]], opposed, (1, 2, 3)) == {1: 0.5, 2: 0.5, 3: 1.0}
