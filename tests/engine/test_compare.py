from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from memdefrag.analysis.embedding import embed
from memdefrag.base.errors import ConfirmationNeeded, ModelUnavailable
from memdefrag.base.settings import cache_dir, resource
from memdefrag.engine import compare as module
from memdefrag.engine.compare import LongEmbedding, ModelOptions, compare
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

needs_model = pytest.mark.skipif(not embed.is_available(), reason="needs the models extra")


@pytest.fixture(scope="module")
def demo() -> Snapshot:
    with open_store(str(resource("demo.jsonl"))) as store:
        return read_snapshot(store)


def without_vectors(snapshot: Snapshot, ids: Sequence[str] | None = None, model: str | None = None) -> Snapshot:
    """The snapshot where these records (all of them) have no vector and the collection names this model."""
    bare = [replace(each, embedding=None) if ids is None or each.key.id in ids else each for each in snapshot]
    infos = [replace(info, model=model) for info in snapshot.collections]
    return replace(snapshot, records=tuple(bare), collections=tuple(infos))


def members(snapshot: Snapshot, **model: object) -> tuple[set[frozenset[str]], tuple[str, ...]]:
    found, notes = compare([snapshot], model=ModelOptions(**model))  # type: ignore[arg-type]
    return {frozenset(found.records[each].key.id for each in group.members) for group in found.groups()}, notes


PARAPHRASE = frozenset({"demo-24", "demo-25"})


@needs_model
def test_a_store_without_vectors_is_compared_by_meaning(demo: Snapshot) -> None:
    groups, notes = members(without_vectors(demo))
    assert groups == members(demo)[0]
    assert PARAPHRASE in groups
    assert notes == ()


@needs_model
def test_the_records_that_come_out_are_those_that_are_stored(demo: Snapshot) -> None:
    bare = without_vectors(demo)
    found, _ = compare([bare])
    assert {id(record) for record in found.records} <= {id(record) for record in bare}
    assert all(record.embedding is None for record in found.records)


def test_where_not_all_pairs_are_looked_at_the_largest_family_is_named(demo: Snapshot) -> None:
    vector = np.array([0.6, 0.8], np.float32)
    crowd = tuple(MemoryRecord(Key("some", f"id-{k}"), f"Thing {k}.", embedding=vector) for k in range(60))
    found, [note] = compare([Snapshot("here", (CollectionInfo("some", 60, 60, 60, 2),), crowd)])
    assert note == found.left_out
    assert "60 are like id-" in note
    assert compare([demo])[0].left_out is None


def test_without_a_model_words_are_compared_and_said_to_be(demo: Snapshot) -> None:
    groups, [note] = members(without_vectors(demo), use=False)
    assert PARAPHRASE not in groups
    assert note == "61 memories of demo have no vector and were compared by their words: no model was wanted."


@needs_model
def test_missing_vectors_are_made_by_the_model_the_store_names(demo: Snapshot) -> None:
    some = without_vectors(demo, ["demo-25"], model="sentence-transformers/all-MiniLM-L6-v2")
    groups, notes = members(some)
    assert PARAPHRASE in groups
    assert notes == ()


def test_stored_vectors_of_an_unknown_model_are_not_mixed_with_others(demo: Snapshot) -> None:
    groups, [note] = members(without_vectors(demo, ["demo-25"]))
    assert PARAPHRASE not in groups
    assert "not known which model" in note


@needs_model
def test_a_named_model_must_make_the_stored_vectors_anew(demo: Snapshot) -> None:
    some = without_vectors(demo, ["demo-25"])
    groups, notes = members(some, name=embed.DEFAULT_MODEL)
    assert PARAPHRASE in groups and notes == ()
    turned = tuple(
        replace(each, embedding=None if each.embedding is None else np.roll(each.embedding, 1)) for each in some
    )
    groups, [note] = members(replace(some, records=turned), name=embed.DEFAULT_MODEL)
    assert PARAPHRASE not in groups
    assert "did not make the others" in note


def test_a_named_model_that_is_not_here_is_told(demo: Snapshot) -> None:
    with pytest.raises(ModelUnavailable):
        compare([without_vectors(demo)], model=ModelOptions(name="no-such-model"))


@needs_model
def test_long_work_waits_for_a_word(demo: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG_WORK_SECONDS", -1.0)
    bare = without_vectors(demo)
    with pytest.raises(LongEmbedding, match="61 memories") as raised:
        compare([bare])
    assert raised.value.texts == 61
    assert "--yes" in raised.value.todo and "--no-model" in raised.value.todo
    assert PARAPHRASE in members(bare, long_work=True)[0]


def test_what_has_nothing_to_compare_needs_no_model() -> None:
    record = MemoryRecord(Key("c", "a"), "  ")
    found, notes = compare([Snapshot("jsonl:x", (CollectionInfo("c", 1, 1, 0),), (record,))])
    assert notes == ()
    assert found.groups() == []


def test_what_was_compared_is_kept_unless_it_is_not_wanted(demo: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memdefrag.analysis.incremental.FEWEST", 0)
    first, _ = compare([demo], remember=False)
    assert not cache_dir().exists()
    for _ in range(2):
        found, _ = compare([demo])
        assert found.as_dict() == first.as_dict()
        assert len(list((cache_dir() / "pairs").iterdir())) == 1


def test_the_question_about_long_work_has_its_figures_apart() -> None:
    asked = LongEmbedding(12_345, 1_234.5)
    assert asked.message == "Making vectors for 12,345 memories will take about 21 minutes."
    assert "2 hours" in LongEmbedding(1, 7_300).message
    told = asked.as_dict()
    assert (told["code"], told["texts"], told["seconds"]) == ("confirmation_needed", 12_345, 1234)
    assert asked.exit_code == ConfirmationNeeded.exit_code


@needs_model
def test_a_store_with_half_of_its_vectors_gets_the_other_half(demo: Snapshot) -> None:
    half = [record.key.id for number, record in enumerate(demo) if number % 2]
    assert members(without_vectors(demo, half, model=embed.DEFAULT_MODEL)) == members(demo)


@needs_model
def test_long_texts_without_a_vector_are_compared_to_their_end() -> None:
    start = "The garden gate is green and the fence around it was painted last summer by the neighbours. " * 15
    ends = "Ann drinks tea with her breakfast. ", "Two machines cool the servers. ", "Ann drinks breakfast tea. "
    records = [MemoryRecord(Key("c", str(number)), start + end * 40) for number, end in enumerate(ends)]
    found, _ = compare([Snapshot("jsonl:x", (CollectionInfo("c", 3, 3, 0),), tuple(records))])
    pairs = zip(found.pairs.i.tolist(), found.pairs.j.tolist(), found.pairs.cosine.tolist(), strict=True)
    cosine = {(i, j): cosine for i, j, cosine in pairs}
    assert cosine[0, 2] > 0.9
    assert all(not cosine.get(pair, 0) > 0.85 for pair in [(0, 1), (1, 2)])


@needs_model
def test_what_takes_long_is_prepared_for_before_it_is_asked_about(
    demo: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(embed.Embedder, "hasten", lambda self, texts, progress: asked.append(len(texts)))
    monkeypatch.setattr(embed, "estimate_seconds", lambda *_: module.WORTH_PREPARING_SECONDS + 1)
    compare([without_vectors(demo)])
    assert asked == [61]
    monkeypatch.setattr(embed, "estimate_seconds", lambda *_: module.WORTH_PREPARING_SECONDS - 1)
    compare([without_vectors(demo)])
    assert asked == [61]
