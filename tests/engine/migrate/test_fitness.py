"""Whether vectors that meet in a collection are equally long, of one metric and of one model; and the longest text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from memdefrag.analysis.embedding import embed as models
from memdefrag.base.errors import ModelUnavailable, UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine.migrate import fitness
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.preflight import require
from memdefrag.engine.migrate.routing import Route
from memdefrag.model.address import Address
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.conftest import fill
from tests.engine.migrate.ends import failures, looked_at, memory, source_of

DIMENSION, METRIC, MODEL = "dimension of memories", "metric of memories", "model of memories"


def target_of(folder: Path, records: Sequence[MemoryRecord] = ()) -> Address:
    address = Address("memory-export", str(folder / "target.db"))
    if records:
        fill(address, list(records))
    return address


def models_of(
    records: Sequence[MemoryRecord],
    target: Address,
    one: str | None,
    other: str | None,
    options: MigrateOptions | None = None,
    dimension: int = 8,
) -> list[Check]:
    """What is said of the models of `records` and of the target's vectors, where their stores name these."""
    here = CollectionInfo("memories", 9, 9, 9, dimension, model=one)
    there = CollectionInfo("memories", 9, 9, 9, dimension, model=other)
    way = Route({"memories": "memories"}, (), {"memories": there})
    with open_store(target) as store:
        return list(
            fitness.same_models([here], {"memories": records}, store, way, options or MigrateOptions(), Progress())
        )


def test_vectors_of_one_length_pass(tmp_path: Path) -> None:
    found = looked_at(source_of(tmp_path, [memory(1), memory(2), memory(3, None)]), target_of(tmp_path))
    assert found[DIMENSION].passed and found[DIMENSION].detail == "2 vectors of 8 dimensions."
    beside = looked_at(source_of(tmp_path / "more", [memory(4)]), target_of(tmp_path, [memory(5)]))
    assert beside[DIMENSION].passed


@pytest.mark.case(23)
def test_mixed_lengths_are_counted(tmp_path: Path) -> None:
    mixed = [memory(1), memory(2, 16), memory(3, 16), memory(4, None)]
    found = looked_at(source_of(tmp_path, mixed), target_of(tmp_path))
    assert failures(found) == [DIMENSION]
    with pytest.raises(UsageError) as raised:
        require(list(found.values()))
    assert "1 vector of 8 dimensions, 2 vectors of 16 dimensions" in raised.value.message
    assert "--re-embed" in raised.value.todo


def test_collections_that_become_one_are_counted_together(tmp_path: Path) -> None:
    one, other = memory(1), replace(memory(2, 16), key=Key("second", "id002"))
    coming = {"both": [one, other]}
    way = Route({"memories": "both", "second": "both"}, (), {})
    with open_store(target_of(tmp_path, [memory(9)])) as store:
        [mixed] = fitness.dimensions(coming, store, way, MigrateOptions())
        apart = fitness.dimensions({"a": [one], "b": [other]}, store, way, MigrateOptions())
        assert mixed.passed is False and [check.passed for check in apart] == [True, True]


def test_vectors_of_another_length_than_the_targets_are_refused(tmp_path: Path) -> None:
    found = looked_at(source_of(tmp_path, [memory(1, 16)]), target_of(tmp_path, [memory(2)]))
    assert DIMENSION in failures(found)
    assert "8 dimensions" in found[DIMENSION].detail and "16 dimensions" in found[DIMENSION].detail


def test_a_file_that_is_handed_on_takes_any_length(tmp_path: Path) -> None:
    source = source_of(tmp_path, [memory(1), memory(2, 16)])
    assert failures(looked_at(source, Address("jsonl", str(tmp_path / "new.jsonl")))) == []


def test_where_no_vector_is_kept_none_is_looked_at(tmp_path: Path) -> None:
    source = source_of(tmp_path / "one", [memory(1), memory(2, 16)])
    found = looked_at(source, Address("hdev", str(tmp_path / "new")))
    assert failures(found) == [] and DIMENSION not in found


def test_another_metric_is_told(tmp_path: Path) -> None:
    here = CollectionInfo("memories", 1, 1, 1, 8, metric="l2")
    way = Route({"memories": "memories"}, (), {"memories": replace(here, metric="cosine")})
    with open_store(target_of(tmp_path), must_exist=False) as target:
        [differs] = fitness.metrics([here], target, way)
        assert differs.is_warning and "distances will differ" in differs.detail
        [same] = fitness.metrics([here], target, replace(way, present={"memories": here}))
        assert same.detail == "Both measure by l2."
        assert list(fitness.metrics([here], target, replace(way, present={}))) == []


def test_two_known_models_are_refused_and_one_passes(tmp_path: Path) -> None:
    target = target_of(tmp_path, [memory(9)])
    [two] = models_of([memory(1)], target, "all-MiniLM-L6-v2", "all-mpnet-base-v2")
    assert two.passed is False and "all-mpnet-base-v2" in two.detail and "--re-embed" in two.remedy
    [one] = models_of([memory(1)], target, "sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2")
    assert one.passed and not one.is_warning


@pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2"])
def test_an_unknown_model_is_a_warning(tmp_path: Path, name: str | None) -> None:
    [unknown] = models_of([memory(1)], target_of(tmp_path, [memory(9)]), name, None)
    assert unknown.is_warning and "not known" in unknown.detail


def test_what_both_hold_tells_more_than_names(tmp_path: Path) -> None:
    target = target_of(tmp_path, [memory(number) for number in range(5)])
    [same] = models_of([memory(number) for number in range(5)], target, "one", "other")
    assert same.passed and not same.is_warning
    [other] = models_of([memory(number, turn=9.0) for number in range(5)], target, "one", "one")
    assert other.passed is False and "two models" in other.detail


def test_memories_that_say_something_else_tell_nothing_of_the_model(tmp_path: Path) -> None:
    target = target_of(tmp_path, [memory(number) for number in range(5)])
    changed = [memory(number, text="new words", turn=9.0) for number in range(5)]
    [unknown] = models_of(changed, target, None, None)
    assert unknown.is_warning


@pytest.mark.skipif(not models.is_available(), reason="needs the models extra")
def test_the_model_itself_tells_whose_vectors_are_its_own(tmp_path: Path) -> None:
    texts = [f"The {what} is in the garden." for what in ("cat", "door key", "old bench", "blue bicycle")]
    vectors = models.load().embed(texts)
    own = [replace(memory(n, text=text), embedding=vectors[n]) for n, text in enumerate(texts)]
    others = [memory(100 + n, 384, text=text) for n, text in enumerate(texts)]
    target = target_of(tmp_path, [replace(record, key=Key("memories", record.key.id + "x")) for record in own])
    [same] = models_of(own, target, None, None, dimension=384)
    [foreign] = models_of(others, target, None, "all-MiniLM-L6-v2", dimension=384)
    assert same.passed and not same.is_warning
    assert foreign.passed is False and "not those of the source" in foreign.detail


def test_new_vectors_need_neither_the_old_length_nor_the_old_model(tmp_path: Path) -> None:
    source, target = source_of(tmp_path, [memory(1, 16)]), target_of(tmp_path, [memory(2)])
    found = looked_at(source, target, MigrateOptions(re_embed=str(tmp_path / "no-model")))
    assert failures(found) == ["model"] and found["model"].error is ModelUnavailable
    if models.is_available():
        assert failures(looked_at(source, target, MigrateOptions(re_embed=models.DEFAULT_MODEL))) == []


def test_the_longest_text_is_told_and_what_the_target_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = source_of(tmp_path, [memory(1), memory(2, text="ä" * 500)]), target_of(tmp_path)
    found = looked_at(source, target)["largest memory"]
    assert found.passed and not found.is_warning and "id002" in found.detail and "1,000 bytes" in found.detail
    with open_store(target, must_exist=False) as store:
        monkeypatch.setattr(
            type(store), "refusal", lambda self, record: "it is too large" if len(record.text) > 99 else None
        )
    told = looked_at(source, target)["largest memory"]
    assert told.is_warning and "refuses it: it is too large" in told.detail
