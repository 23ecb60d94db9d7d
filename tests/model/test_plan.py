"""Plans are plain data that survive a file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import PlanInvalid
from memdefrag.model import plan as plans
from memdefrag.model.plan import Changes, Drop, Keep, Merge, Plan, Put, Ref, Result, StoreStep, VectorRule, Write
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot


def is_one_text(text: str) -> bool:
    """Whether no two half characters stand side by side that any reader of JSON would make one of."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


HALVES = st.text(st.characters(categories=["Cs", "Lu"]), max_size=4).filter(is_one_text)
TEXT = st.text(max_size=20) | HALVES | st.just("\\ud800")
KEYS = st.builds(Key, TEXT, TEXT)
REFS = st.builds(Ref, KEYS, TEXT)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda x: st.lists(x, max_size=3), max_leaves=4)
RESULTS = st.builds(
    Result,
    text=st.none() | TEXT,
    tags=st.lists(TEXT, max_size=3).map(tuple),
    created=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    vector=st.sampled_from(VectorRule),
)
STEPS = st.one_of(
    st.builds(Keep, REFS),
    st.builds(Merge, REFS, st.lists(REFS, max_size=3).map(tuple), RESULTS, TEXT),
    st.builds(Drop, REFS, TEXT),
    st.builds(Write, REFS, KEYS, st.none() | TEXT, st.none() | RESULTS),
)


@given(st.lists(STEPS, max_size=4).map(tuple), st.lists(st.sampled_from(StoreStep), max_size=1).map(tuple))
def test_a_plan_reads_back_as_it_was(steps: tuple[plans.Step, ...], store: tuple[StoreStep, ...]) -> None:
    info = CollectionInfo("c", 1, 1, 1, settings={"a": [1, {"b": None}]})
    plan = Plan(source="a", target="b", steps=steps, store_steps=store, collections=(info,))
    assert plans.parse(plans.dump(plan)) == plan


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file"),
        (b"[]", "the file"),
        (b'{"source": "a"}', "target"),
        (b'{"source": "a", "target": "b", "memdefrag_plan": 99}', "format 99"),
        (b'{"source": "a", "target": "b", "steps": [{"do": "explode"}]}', "steps"),
        (b'{"source": "\\ud800", "memdefrag_plan": 1}', "target"),
        (b'{"source": "\\ud800"', "not JSON"),
        (b'["\\ud800", ' + b"[" * 5000, "not JSON"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_its_place(data: bytes, says: str) -> None:
    with pytest.raises(PlanInvalid, match=says):
        plans.parse(data)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanInvalid, match="cannot be read"):
        plans.load(tmp_path / "none.json")


def test_expected_puts_and_deletes_and_leaves_the_rest() -> None:
    records = tuple(MemoryRecord(Key("c", str(n)), f"text {n}") for n in range(3))
    changed = MemoryRecord(Key("c", "0"), "other")
    changes = Changes(put=(Put(changed, "h"),), delete=(Ref(Key("c", "1"), "h"),))
    after = plans.expected(Snapshot("s", (), records), changes)
    assert after == {Key("c", "0"): changed, Key("c", "2"): records[2]}


def test_removed_counts_members_and_drops() -> None:
    refs = [Ref(Key("c", str(n)), "h") for n in range(5)]
    steps = (Merge(refs[0], (refs[1], refs[2]), Result("t")), Drop(refs[3]), Keep(refs[4]))
    assert Plan(source="a", target="a", steps=steps).removed == 3
