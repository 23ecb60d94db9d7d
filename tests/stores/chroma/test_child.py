"""The script that runs in other people's Pythons."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import WriterFailed
from memdefrag.base.progress import Progress
from memdefrag.stores.chroma import child
from memdefrag.stores.chroma.runner import place, run, work_folder
from tests.stores.chroma.folders import BIG, OLD_PYTHON, SMALL, made, made_by_old_chroma

SCRIPT = Path(child.__file__)
VALUES = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.lists(st.text())
)


def test_the_script_is_python_3_8_and_alone() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert imported - set(sys.stdlib_module_names) == {"chromadb", "numpy"}


def test_the_network_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        child._refuse_network("socket.getaddrinfo", ("example.org", 443, 0, 0, 0))
    child._refuse_network("socket.getaddrinfo", ("localhost", 8000, 0, 0, 0))
    child._refuse_network("open", ("example.org", "r", 0))


@given(st.dictionaries(st.text(), VALUES))
def test_metadata_equal_themselves(metadata: dict[str, Any]) -> None:
    assert child._same(metadata, dict(metadata))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ("1", 1), ([1], [True]), ([1], [1, 1]), ({"a": 1}, {}), (1.0, 1.00000000000001), (None, "")],
)
def test_values_of_another_type_or_size_differ(one: Any, other: Any) -> None:
    assert not child._same(one, other)
    assert not child._same(other, one)


def test_decimals_may_be_a_bit_off() -> None:
    assert child._same(1704954350.8709195, 1704954350.8709197)
    assert child._same(5e-324, 1e-323)


@pytest.mark.parametrize("old", [False, pytest.param(True, marks=pytest.mark.old_chroma)])
@pytest.mark.parametrize(
    ("deletes", "id", "new", "message"),
    [
        (["nobody"], "x", True, "1 records are not in the collection big: nobody"),
        ([], "b0", True, "1 records are already in the collection big: b0"),
        ([], "nobody", False, "1 records are not in the collection big: nobody"),
    ],
)
def test_ids_that_are_not_as_expected_stop_the_write(
    tmp_path: Path, old: bool, deletes: list[str], id: str, new: bool, message: str
) -> None:
    folder = (made_by_old_chroma() if old else made()).copy(tmp_path / "chroma")
    with work_folder() as work, pytest.raises(WriterFailed, match=message):
        work.add(0, id, np.ones(16, np.float32), new=new)
        work.order("write", folder, [place(BIG) | {"delete": deletes}])
        run(work, OLD_PYTHON if old else None, Progress())


@pytest.mark.old_chroma
def test_a_record_stored_by_halves_is_noticed(tmp_path: Path) -> None:
    """0.5.23 says nothing when a number does not fit, and keeps the record without its metadata."""
    folder = made_by_old_chroma().copy(tmp_path / "chroma")
    with work_folder() as work, pytest.raises(WriterFailed, match=r"not stored as they should be.*halved"):
        work.add(0, "halved", np.ones(8, np.float32), new=True, document="text", metadata={"n": 2**70})
        work.order("write", folder, [place(SMALL)])
        run(work, OLD_PYTHON, Progress())


def test_batches_are_bounded_in_number_and_bytes() -> None:
    class Any100:
        def batch_limit(self, place: dict[str, Any]) -> int:
            return 100

    sizes = [(0, 10)] * 250 + [(1, 10)] * 3 + [(1, child.BATCH_BYTES * 2 // 3)] * 3
    records = iter([{"collection": number, "size": size} for number, size in sizes])
    found = list(child._batches(Any100(), [{}, {}], records))  # type: ignore[arg-type]
    assert [(number, len(batch)) for number, batch in found] == [(0, 100), (0, 100), (0, 50), (1, 4), (1, 1), (1, 1)]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "document": st.none() | st.text(),
                "metadata": st.none() | st.just({}) | st.just({"a": 1}),
                "uri": st.none() | st.text(),
            }
        )
    )
)
def test_each_call_carries_records_of_the_same_parts(parts: list[dict[str, Any]]) -> None:
    batch = [{"id": str(n), "vector": [float(n)], **part} for n, part in enumerate(parts)]
    seen: dict[str, dict[str, Any]] = {}
    for call in child._alike([dict(record) for record in batch]):
        for name in ("documents", "metadatas", "uris"):
            assert None not in call.get(name, [])
            assert {} not in call.get(name, [])
        for number, id in enumerate(call["ids"]):
            seen[id] = {name: values[number] for name, values in call.items()}
    assert seen.keys() == {record["id"] for record in batch}
    for record in batch:
        call = seen[record["id"]]
        assert call["embeddings"] == record["vector"]
        assert call.get("documents") == record["document"]
        assert call.get("metadatas") == (record["metadata"] or None)
        assert call.get("uris") == record["uri"]
