"""What other programs may call."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import memdefrag
from memdefrag import find_duplicates
from memdefrag.base.errors import NotAStore, UsageError
from memdefrag.engine import apart
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store

ROOT = Path(__file__).resolve().parents[1]
TEA = "Maria likes green tea in the morning."
TEXTS = [TEA, "The staging server listens on port 8080.", TEA.upper(), "The staging server listens on port 8081."]


def test_texts_are_named_by_their_index() -> None:
    found = find_duplicates(TEXTS, no_model=True)
    (group,) = found.groups
    assert (group.members, group.tier, group.sure, group.score) == ((0, 2), "sure", ((0, 2),), 1.0)
    assert group.reasons == ("same words; only case, spaces or punctuation differ",)
    (conflict,) = found.conflicts
    assert (conflict.members, conflict.differs_in) == ((1, 3), ("port: 8080 / 8081",))
    assert (found.count, found.threshold) == (4, 0.85)


def test_texts_can_have_ids_and_vectors() -> None:
    texts = [TEA, "Rain falls in the hills.", "Every morning Maria has a cup of green tea."]
    vectors: list[list[float]] = [[1, 0, 0, 0], [0, 0, 3, 0], [2, 0.2, 0, 0]]
    found = find_duplicates(texts, vectors=vectors, ids=["a", "b", "c"])
    (group,) = found.groups
    assert (group.members, group.tier) == (("a", "c"), "likely")
    assert group.cosine == pytest.approx(1 / np.hypot(1, 0.1), abs=1e-6)
    assert find_duplicates(texts, vectors=vectors, threshold=1).groups == ()


def test_a_text_whose_vector_has_no_direction_is_compared_by_its_words() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 0], [np.nan, 0]], np.float64)
    found = find_duplicates([TEA, "Rain falls.", "Maria likes green tea in the mornings", "Snow"], vectors=vectors)
    (group,) = found.groups
    assert (group.members, group.cosine) == ((0, 2), None)


def test_a_vector_beyond_float32_stands_for_none() -> None:
    found = find_duplicates([TEA, "Maria likes green tea in the mornings"], vectors=[[1e300, 0.0], [1.0, 0.0]])
    assert [group.cosine for group in found.groups] == [None]


def test_a_store_is_read_and_left_as_it_is(jsonl_file: Path) -> None:
    before = {path: path.read_bytes() for path in jsonl_file.parent.glob("*.jsonl*")}
    for address in (jsonl_file, str(jsonl_file), f"jsonl:{jsonl_file}"):
        found = find_duplicates(address)
        assert found.count == 6
        assert [len(conflict.members) for conflict in found.conflicts] == [2]
        assert all(isinstance(member, str) for conflict in found.conflicts for member in conflict.members)
    assert {path: path.read_bytes() for path in jsonl_file.parent.glob("*.jsonl*")} == before


def test_what_was_told_apart_is_neither_duplicate_nor_conflict_in_a_store(jsonl_file: Path) -> None:
    assert find_duplicates(jsonl_file).conflicts
    with open_store(str(jsonl_file)) as store:
        apart.add(apart.pairs_among(read_snapshot(store)), str(store.address))
    found = find_duplicates(jsonl_file, threshold=0.0)
    assert (found.groups, found.conflicts) == ((), ())


def test_records_are_named_by_their_keys() -> None:
    one, other = (MemoryRecord(Key("notes", id), TEA, embedding=np.ones(4, np.float32)) for id in "ab")
    assert find_duplicates([one, other]).groups[0].members == ("a", "b")
    moved = other.with_key(Key("more", "b"))
    assert find_duplicates([one, moved]).groups == ()
    assert find_duplicates([one, moved], across_collections=True).groups[0].members == ("notes/a", "more/b")


def test_against_another_source_it_is_told_of_each_memory_whether_it_is_there() -> None:
    new = [
        TEA,
        TEA.upper(),
        "Maria likes green tea in the mornings.",
        "The staging server listens on port 8081.",
        "Rain",
    ]
    held = [MemoryRecord(Key("notes", "tea"), TEA), MemoryRecord(Key("notes", "port"), TEXTS[1])]
    found = find_duplicates(new, ids=list("abcde"), against=held, no_model=True)
    told = [(each.member, each.standing, each.partner) for each in found.known]
    assert told[:2] == [("a", "same", "tea"), ("b", "sure", "tea")]
    assert told[2][1] in ("sure", "likely")
    assert told[3:] == [("d", "contradicts", "port"), ("e", "new", None)]
    assert found.known[3].reasons[-1] == "port: 8081 / 8080"
    assert (found.count, found.groups, found.conflicts) == (5, (), ())


def test_texts_leave_nothing_on_disk(tmp_path: Path) -> None:
    find_duplicates(TEXTS, no_model=True)
    assert list(tmp_path.iterdir()) == []


def test_a_note_that_is_true_of_both_sides_is_given_once() -> None:
    notes = find_duplicates([TEA], against=[TEA], no_model=True).notes
    assert len(notes) == len(set(notes)) == 1


def test_nothing_is_printed_and_progress_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int | None]] = []
    find_duplicates(TEXTS, no_model=True, progress=lambda *tick: told.append(tick))
    assert ("Reading texts", 4, 4) in told
    assert capfd.readouterr() == ("", "")


def test_what_the_listener_raises_ends_the_work() -> None:
    def stop(phase: str, done: int, total: int | None) -> None:
        raise KeyError(phase)

    with pytest.raises(KeyError):
        find_duplicates(TEXTS, no_model=True, progress=stop)


@pytest.mark.parametrize("empty", [[], [""], ["  ", "\n"]])
def test_nothing_to_compare(empty: list[str]) -> None:
    found = find_duplicates(empty, no_model=True)
    assert (found.count, found.groups, found.conflicts) == (0, (), ())


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (TEXTS, {"threshold": 1.5}),
        (TEXTS, {"threshold": "0.9"}),
        (TEXTS, {"vectors": np.ones((4, 2), complex)}),
        (TEXTS, {"model": "some", "no_model": True}),
        (TEXTS, {"ids": ["a"]}),
        (TEXTS, {"ids": ["a", "a", "b", "c"]}),
        (TEXTS, {"vectors": np.ones((3, 2))}),
        (TEXTS, {"vectors": np.ones(4)}),
        (TEXTS, {"vectors": [["x"]] * 4}),
        (TEXTS, {"vectors": [[1], [1, 2], [1], [1]]}),
        ([1, 2], {}),
        ([TEA, None], {}),
        ({"a": TEA}, {}),
        ([MemoryRecord(Key("n", "a"), TEA)] * 2, {}),
        ([MemoryRecord(Key("n", "a"), TEA)], {"ids": ["a"]}),
        ("jsonl:anywhere", {"vectors": np.ones((1, 2))}),
    ],
)
def test_what_cannot_be_meant_is_refused(source: object, options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as raised:
        find_duplicates(source, **options)  # type: ignore[arg-type]
    assert raised.value.safe == "Nothing was read."


def test_a_single_text_is_taken_for_an_address() -> None:
    with pytest.raises(NotAStore):
        find_duplicates(TEA)


def test_the_public_names_are_there_and_no_others() -> None:
    assert dir(memdefrag) == sorted(memdefrag.__all__)
    for name in memdefrag.__all__:
        assert getattr(memdefrag, name) is not None
    with pytest.raises(AttributeError, match="find_nothing"):
        memdefrag.find_nothing  # noqa: B018
    assert (ROOT / "memdefrag/py.typed").is_file()


def test_importing_the_package_loads_nothing() -> None:
    script = (
        "import sys, memdefrag; print([m for m in sys.modules if m.startswith(('memdefrag', 'numpy', 'rapidfuzz'))])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout == "['memdefrag']\n"


def test_using_it_loads_no_window_and_no_database() -> None:
    script = (
        "import sys, memdefrag; memdefrag.find_duplicates(['a', 'b'], no_model=True);"
        "print([name for name in ('PySide6', 'torch', 'chromadb', 'typer') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout == "[]\n"


def test_the_examples_of_the_page_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) >= 5
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "docs/api.md", None, 0)
    problems: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=problems.append)
    assert "".join(problems) == ""


def test_the_page_names_every_option_and_every_part_of_a_result() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    results = (memdefrag.Duplicates, memdefrag.DuplicateGroup, memdefrag.DuplicateConflict, memdefrag.KnownMemory)
    names = [*find_duplicates.__annotations__, *(name for result in results for name in result.__slots__)]
    assert [name for name in names if name != "return" and f"`{name}`" not in page] == []
