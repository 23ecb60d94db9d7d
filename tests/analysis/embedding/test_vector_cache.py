"""Vectors remembered on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis.embedding import vector_cache
from memdefrag.analysis.embedding.vector_cache import VectorCache


def test_vectors_come_back_to_the_bit_and_per_model(tmp_path: Path) -> None:
    one = np.array([0.1, -2.5e-30, 3], np.float32)
    cache = VectorCache(tmp_path / "deep" / "cache.sqlite3", "model")
    cache.add({"h1": one})
    assert np.array_equal(VectorCache(tmp_path / "deep" / "cache.sqlite3", "model").find(["h0", "h1"])["h1"], one)
    assert VectorCache(tmp_path / "deep" / "cache.sqlite3", "other").find(["h1"]) == {}


def test_more_can_be_asked_for_than_sqlite_takes_at_once(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "cache.sqlite3", "model")
    vectors = {f"h{number}": np.full(2, number, np.float32) for number in range(3 * vector_cache._ASKED_AT_ONCE)}
    cache.add(vectors)
    assert cache.find(list(vectors)).keys() == vectors.keys()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "KEPT", 10)
    cache = VectorCache(tmp_path / "cache.sqlite3", "model")
    for number in range(25):
        cache.add({f"h{number}": np.zeros(2, np.float32)})
    assert list(cache.find([f"h{number}" for number in range(25)])) == [f"h{number}" for number in range(15, 25)]


def test_a_file_that_another_program_keeps_locked_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = VectorCache(tmp_path / "cache.sqlite3", "model")
    cache.add({"h1": np.ones(2, np.float32)})
    tried = []
    connect = sqlite3.connect

    def counted(path: Path) -> sqlite3.Connection:
        tried.append(path)
        return connect(path, timeout=0)

    monkeypatch.setattr(vector_cache.sqlite3, "connect", counted)
    with closing(connect(tmp_path / "cache.sqlite3")) as other:
        other.execute("BEGIN EXCLUSIVE")
        cache.add({"h2": np.ones(2, np.float32)})
        assert cache.find(["h1"]) == {} and len(tried) == 1
    assert VectorCache(tmp_path / "cache.sqlite3", "model").find(["h1"]).keys() == {"h1"}


@pytest.mark.parametrize("blob", [None, b"", b"abc", "text"])
def test_a_row_that_holds_no_vector_is_not_known(tmp_path: Path, blob: object) -> None:
    cache = VectorCache(tmp_path / "cache.sqlite3", "model")
    cache.add({"h1": np.ones(2, np.float32)})
    with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
        database.execute("UPDATE vectors SET vector = ?", (blob,))
        database.commit()
    assert cache.find(["h1"]) == {}
