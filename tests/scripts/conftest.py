"""Scripts typed as their guides type them, and the Chroma folders they work on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memdefrag.stores.registry import open_store
from tests.stores.chroma.running import ChromaServer, running

ROOT = Path(__file__).resolve().parents[2]
MAKE = """
import sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1], settings=chromadb.Settings(anonymized_telemetry=False))
memories = client.create_collection("memory_collection", metadata={"hnsw:space": "cosine"}, embedding_function=None)
texts = ["The garden gate is green.", "The garden gate is green!", "Tomatoes are watered at six.", "Seeds: tin 4."]
memories.add(
    ids=[f"hash{n}" for n in range(len(texts))], documents=texts,
    metadatas=[{"content_hash": f"hash{n}", "timestamp": 1.7e9 + n, "tags": "garden", "weight": n}
               for n in range(len(texts))],
    embeddings=[[1.0, float(n == 0), float(n), 0.5] for n in range(len(texts))],
)
client.create_collection("other", embedding_function=None).add(ids=["1"], documents=["kept"], embeddings=[[1.0, 2.0]])
"""


def run(command: list[str | Path], cwd: Path, code: int = 0) -> str:
    """stdout and stderr of a command typed without a terminal."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def make(python: Path | str, folder: Path) -> Path:
    """A folder with four memories and another collection, made by that Python's chromadb."""
    run([python, "-c", MAKE, folder], folder.parent)
    return folder


def texts(address: str) -> dict[str, str | None]:
    """The memories of Memory Service's collection, by id."""
    with open_store(address) as store:
        return {record.key.id: record.text for batch in store.scan("memory_collection") for record in batch}


def as_json(said: str) -> dict[str, object]:
    """The object that a command printed between its other lines."""
    return dict(json.loads(said[said.index("{") : said.rindex("}") + 1]))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(sys.executable, tmp_path_factory.mktemp("made") / "chroma_db")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A folder of the built-in chromadb."""
    return Path(shutil.copytree(made, tmp_path / "chroma_db"))


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A server of the installed chromadb. Each test makes a database of its own on it."""
    with running(tmp_path_factory.mktemp("chroma-server") / "data") as server:
        yield server
