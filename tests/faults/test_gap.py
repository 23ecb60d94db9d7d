"""Where two names cannot be exchanged, an assistant may restart between the two renames and make a new store."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.engine import catalogue
from tests.faults import protocols, worker
from tests.faults.harness import in_child, same, snapshot_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server"),
    pytest.mark.case(46),
]

RESTART = """
import sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1])
collection = client.get_or_create_collection("memories", embedding_function=None)
if sys.argv[2]:
    collection.add(ids=["new"], documents=[sys.argv[2]], embeddings=[[1.0] * 8])
client.close()
"""


@pytest.mark.parametrize("said", ["", "born in the gap"])
def test_a_store_made_between_the_two_renames_is_set_aside(place: Path, said: str) -> None:
    scene = protocols.directory_without_exchange(place)
    name = scene.address.path.name
    first = scene.points.index(f"rename {name} -> {name}")
    second = scene.points.index(f"rename {name} -> {name}", first + 1)
    assert in_child(f"kill:{second + 1}", scene.deed) == -signal.SIGKILL
    assert not scene.address.path.exists()
    subprocess.run([sys.executable, "-c", RESTART, str(scene.address.path), said], check=True)
    worker.settle(scene.address.path)
    assert same(snapshot_of(scene.address), scene.after)
    assert catalogue.unfinished_jobs() == {}
    assert not said or any(said in text for text in texts_beside(place, name))


def texts_beside(place: Path, name: str) -> list[str]:
    """The documents of every Chroma folder below `place` but the store itself."""
    found: list[str] = []
    for file in place.rglob("chroma.sqlite3"):
        if file.parent != place / name:
            with closing(sqlite3.connect(file)) as connection:
                rows = connection.execute("SELECT string_value FROM embedding_metadata WHERE key = 'chroma:document'")
                found += [text for (text,) in rows]
    return found
