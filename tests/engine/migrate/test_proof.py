"""The comparison after a migration finds whatever is not as it should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.progress import Progress
from memdefrag.engine.migrate import proof
from memdefrag.model.address import Address
from memdefrag.model.migration import Checked, Depth
from memdefrag.model.plan import Relate
from memdefrag.model.records import Key, MemoryRecord, Relation
from tests.engine.migrate.ends import memory
from tests.engine.migrate.kinds import make

RECORDS = [memory(number) for number in range(5)]
LINK = Relation(RECORDS[0].key, RECORDS[1].key, "supports")


@pytest.fixture
def target(tmp_path: Path) -> Address:
    return make(Address("jsonl", str(tmp_path / "target.jsonl")), RECORDS, [LINK])


def looked(target: Address, written: list[MemoryRecord], depth: Depth = Depth.FULL, **more: object) -> Checked:
    links = [Relate(LINK)] if "links" not in more else more["links"]
    removed = more.get("removed", set())
    return proof.checked(written, links, removed, target, depth, Progress(), searches=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", Depth)
def test_what_is_as_it_should_be_passes(target: Address, depth: Depth) -> None:
    found = looked(target, RECORDS, depth)
    assert (found.records, found.vectors, found.relations, found.differences) == (5, 5, 1, ())


@pytest.mark.parametrize("depth", Depth)
def test_what_is_missing_is_found(target: Address, depth: Depth) -> None:
    found = looked(target, [*RECORDS, memory(9)], depth)
    assert found.differences == ("memories/id009 is missing.",)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "another"}, {"metadata": {"number": 3.0}}, {"tags": ("x",)}, {"created": 1.0}, {"uri": "x:y"},
        {"owner": "o"}, {"extras": {"e": None}},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_differs_is_found(target: Address, change: dict[str, object]) -> None:
    written = [*RECORDS[:3], replace(RECORDS[3], **change)]  # type: ignore[arg-type]
    assert looked(target, written).differences == ("memories/id003 reads back differently.",)


def test_another_vector_is_found(target: Address) -> None:
    turned = replace(RECORDS[2], embedding=np.ones(8, np.float32))
    assert looked(target, [turned]).differences == ("The vector of memories/id002 reads back differently.",)
    gone = replace(RECORDS[2], embedding=None)
    assert looked(target, [gone]).differences == ("The vector of memories/id002 reads back differently.",)


def test_what_should_be_gone_is_found(target: Address) -> None:
    key = RECORDS[4].key
    assert looked(target, RECORDS[:2], removed={key, Key("memories", "gone")}).differences == (
        f"{key} should be gone.",
    )


def test_missing_links_are_counted(target: Address) -> None:
    other = Relate(replace(LINK, type="contradicts"))
    assert looked(target, RECORDS, links=[Relate(LINK), other]).differences == ("1 links are missing.",)


def test_only_some_of_many_differences_are_told(target: Address) -> None:
    found = looked(target, [memory(number) for number in range(100, 160)])
    assert len(found.differences) == proof.TOLD
