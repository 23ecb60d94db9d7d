"""Which collection goes where."""

from __future__ import annotations

import pytest

from memdefrag.base.errors import CollectionNeeded, CollectionNotFound
from memdefrag.engine.migrate.routing import route
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import CollectionInfo

ONE, TWO = CollectionInfo("one", 3, 3, 3, 8, "l2"), CollectionInfo("two", 2, 2, 2, 8)


def test_each_collection_goes_into_one_of_its_own_name() -> None:
    way = route([ONE, TWO], [TWO], MigrateOptions())
    assert [way.collection(name) for name in ("one", "two")] == ["one", "two"]
    assert [info.name for info in way.new] == ["one"]


def test_a_new_collection_has_the_metric_of_its_source() -> None:
    [made] = route([ONE], [], MigrateOptions()).new
    assert (made.metric, made.count, made.settings) == ("l2", 0, {"metadata": {"hnsw:space": "l2"}})


def test_settings_of_chroma_are_taken_along() -> None:
    settings = {"id": "x", "metadata": {"hnsw:space": "ip", "owner": "me"}, "embedding_function": {"name": "mine"}}
    [made] = route([CollectionInfo("c", 1, 1, 1, 8, "ip", settings=settings)], [], MigrateOptions()).new
    assert made.settings == {name: settings[name] for name in ("metadata", "embedding_function")}


def test_a_named_collection_takes_all() -> None:
    way = route([ONE, TWO], [], MigrateOptions(target_collection="all"))
    assert {way.collection(name) for name in ("one", "two")} == {"all"}
    assert [info.name for info in way.new] == ["all"]


def test_the_collection_of_the_targets_address_takes_all() -> None:
    assert route([ONE], [], MigrateOptions(), chosen="picked").collection("one") == "picked"


def test_a_format_with_one_collection_takes_all() -> None:
    assert route([ONE, TWO], [], MigrateOptions(), fixed="memories").collection("two") == "memories"


def test_a_format_with_one_collection_keeps_no_metric() -> None:
    [made] = route([ONE], [], MigrateOptions(), fixed="memories").new
    assert (made.name, made.metric, made.dimension, made.settings) == ("memories", "cosine", 8, {})


def test_a_collection_may_be_renamed() -> None:
    assert route([ONE, TWO], [], MigrateOptions(rename={"one": "uno"})).names == {"one": "uno", "two": "two"}


def test_renaming_what_is_not_there_is_refused() -> None:
    with pytest.raises(CollectionNotFound, match="'three'"):
        route([ONE], [], MigrateOptions(rename={"three": "drei"}))


def test_the_only_collection_of_a_program_takes_all() -> None:
    assert route([ONE], [TWO], MigrateOptions(), makes=False).collection("one") == "two"


def test_of_several_fixed_collections_one_must_be_named() -> None:
    with pytest.raises(CollectionNeeded) as caught:
        route([ONE], [TWO, CollectionInfo("three", 0, 0, 0)], MigrateOptions(), makes=False)
    assert "two, three" in caught.value.todo


def test_a_fixed_collection_that_is_not_there_is_refused() -> None:
    with pytest.raises(CollectionNotFound):
        route([ONE], [TWO], MigrateOptions(target_collection="four"), makes=False)


def test_the_dimension_of_what_is_there_counts() -> None:
    way = route([ONE], [CollectionInfo("one", 1, 1, 1, 384)], MigrateOptions())
    assert (way.dimension("one"), way.dimension("new")) == (384, None)


def test_where_all_share_an_index_a_new_collection_measures_as_the_others_do() -> None:
    shared = ("cosine", "l2")
    assert route([ONE], [TWO], MigrateOptions(), shared=shared).metric("one") == "cosine"
    assert route([ONE], [], MigrateOptions(), shared=shared).metric("one") == "l2"
    assert route([ONE, TWO], [], MigrateOptions(), shared=shared).metric("one") == "cosine"
    assert route([CollectionInfo("ip", 1, 1, 1, 8, "ip")], [], MigrateOptions(), shared=shared).metric("ip") == "cosine"
