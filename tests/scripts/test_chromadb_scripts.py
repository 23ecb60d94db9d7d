"""The guide's export and import scripts, typed as in the guide, on real folders."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.stores.registry import open_store
from tests.scripts.conftest import ROOT, make, run
from tests.stores.chroma.folders import OLD_PYTHON, traces

EXPORT, IMPORT = ROOT / "scripts/export_chromadb.py", ROOT / "scripts/import_to_chromadb.py"
BARE_PYTHON = "/usr/bin/python3"

ANSWER = """
import json, sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1], settings=chromadb.Settings(anonymized_telemetry=False))
memories = client.get_collection("memory_collection", embedding_function=None)
memories.add(ids=["after"], documents=["added after"], embeddings=[[0.0, 0.0, 9.0, 0.0]], metadatas=[{"a": 1}])
best = memories.query(query_embeddings=[[0.0, 0.0, 9.0, 0.0]], n_results=1)["ids"][0][0]
found = memories.get(include=["documents", "metadatas"])
print(json.dumps({"texts": dict(zip(found["ids"], found["documents"])), "best": best,
                  "metadata": dict(zip(found["ids"], found["metadatas"])),
                  "other": client.get_collection("other", embedding_function=None).count()}))
"""


def answer(python: Path | str, folder: Path) -> dict[str, dict[str, object]]:
    return dict(json.loads(run([python, "-c", ANSWER, folder], folder.parent).splitlines()[-1]))


def optimise(file: Path) -> None:
    """What the middle step of the guide leaves: one memory merged into another."""
    run([sys.executable, "-m", "memdefrag", "optimize", file, "--auto", "sure"], ROOT)


@pytest.mark.slow
def test_the_guides_three_steps(folder: Path, tmp_path: Path) -> None:
    run([sys.executable, EXPORT, "--chroma-path", folder, "--output", "my_memories.db"], tmp_path)
    optimise(tmp_path / "my_memories.db")
    run([sys.executable, IMPORT, "my_memories.db", "--chroma-path", folder], tmp_path)
    found = answer(sys.executable, folder)
    assert set(found["texts"]) == {"hash0", "hash2", "hash3", "after"}
    assert (found["best"], found["other"]) == ("after", 1)
    assert found["metadata"]["hash2"] == {
        "content_hash": "hash2", "timestamp": 1.7e9 + 2, "tags": "garden", "weight": 2
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.old_chroma
def test_the_guides_three_steps_on_a_folder_of_chromadb_0_5_23(tmp_path: Path) -> None:
    if not OLD_PYTHON.exists():
        pytest.skip(f"{OLD_PYTHON} is not there; scripts/test makes it")
    folder = make(OLD_PYTHON, tmp_path / "chroma_db")
    run([sys.executable, EXPORT, "--chroma-path", folder], tmp_path)
    optimise(tmp_path / "memory_export.db")
    before = traces(folder)
    said = run([sys.executable, IMPORT, "memory_export.db", "--chroma-path", folder], tmp_path, code=25)
    assert "--chroma-python" in said and traces(folder) == before
    run([sys.executable, IMPORT, "memory_export.db", "--chroma-path", folder, "--chroma-python", OLD_PYTHON], tmp_path)
    found = answer(OLD_PYTHON, folder)
    assert set(found["texts"]) == {"hash0", "hash2", "hash3", "after"}
    assert (found["best"], found["other"]) == ("after", 1)
    # The answer is remembered: the same import, typed as in the guide, needs no choice any more.
    with closing(sqlite3.connect(tmp_path / "memory_export.db")) as file:
        file.execute("DELETE FROM memories WHERE id = 'hash3'")
        file.commit()
    run([sys.executable, IMPORT, "memory_export.db", "--chroma-path", folder, "--no-backup"], tmp_path)
    with open_store(f"chroma:{folder}") as store:
        ids = {record.key.id for batch in store.scan("memory_collection") for record in batch}
    assert ids == {"hash0", "hash2", "after"}


def test_an_unknown_collection_is_named_with_those_present(folder: Path, tmp_path: Path) -> None:
    said = run([sys.executable, EXPORT, "--chroma-path", folder, "--collection", "nope"], tmp_path, code=11)
    assert "ChromaDB collection not found" in said
    assert "memory_collection" in said and "other" in said


def test_a_missing_folder_is_no_crash(tmp_path: Path) -> None:
    said = run([sys.executable, EXPORT, "--chroma-path", tmp_path / "nothing"], tmp_path, code=11)
    assert "ChromaDB collection not found" in said and "Traceback" not in said
    assert not (tmp_path / "memory_export.db").exists()


def test_a_missing_file_is_no_crash(folder: Path, tmp_path: Path) -> None:
    said = run([sys.executable, IMPORT, "nothing.db", "--chroma-path", folder], tmp_path, code=10)
    assert "export_chromadb.py" in said and "Traceback" not in said


def test_default_folder_is_memory_services(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_MEMORY_CHROMA_PATH", str(folder))
    run([sys.executable, EXPORT], tmp_path)
    with open_store(str(tmp_path / "memory_export.db")) as store:
        assert store.collections()[0].count == 4


def test_an_absent_folder_is_made(folder: Path, tmp_path: Path) -> None:
    run([sys.executable, EXPORT, "--chroma-path", folder], tmp_path)
    run([sys.executable, IMPORT, "memory_export.db", "--chroma-path", tmp_path / "fresh" / "chroma_db"], tmp_path)
    with open_store(f"chroma:{tmp_path / 'fresh' / 'chroma_db'}") as store:
        [info] = store.collections()
    assert (info.name, info.count, info.metric) == ("memory_collection", 4, "cosine")


def test_missing_vectors_without_a_model_say_what_the_guide_says(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([sys.executable, EXPORT, "--chroma-path", folder], tmp_path)
    with closing(sqlite3.connect(tmp_path / "memory_export.db")) as file:
        file.execute("UPDATE memories SET content = 'changed', embedding = '[]' WHERE id = 'hash0'")
        file.commit()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sentence_transformers.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hidden"), str(ROOT)]))
    before = traces(folder)
    said = run([sys.executable, IMPORT, "memory_export.db", "--chroma-path", folder], tmp_path, code=40)
    assert "No embedding function available" in said
    assert traces(folder) == before


@pytest.mark.skipif(not Path(BARE_PYTHON).exists(), reason="needs a Python without memdefrag")
def test_any_python_starts_the_checkouts_own(folder: Path, tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the checkout is not set up in .venv")
    run([BARE_PYTHON, EXPORT, "--chroma-path", folder], tmp_path)
    assert (tmp_path / "memory_export.db").exists()
