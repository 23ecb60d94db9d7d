from __future__ import annotations

import hashlib
import io
import logging
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from memdefrag.analysis import incremental, pair_cache
from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import IDENTITY, KnownPairs, PairCache, name_of
from memdefrag.analysis.scored import ScoredPairs
from memdefrag.analysis.similarity.collect import Crowd
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot

STORE = Snapshot(
    "here",
    (CollectionInfo("notes", 0, 0, 0),),
    tuple(
        MemoryRecord(Key("notes", str(k)), text, embedding=np.ones(8, np.float32))
        for k, text in enumerate(("Maria likes green tea.", "Maria likes green teas.", "Maria likes tea."))
    ),
)


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "FEWEST", 0)


def known(nodes: int = 3, *, nearest: int | None = None, whole: bool = True) -> KnownPairs:
    numbers = np.arange(2, dtype=np.int32)
    shares = np.array([0.5, np.nan], np.float32)
    flags = np.array([True, False])
    pairs = ScoredPairs(numbers, numbers + 1, shares, shares, shares, flags, flags)
    crowd = None if nearest is None else Crowd(1, 40)
    return KnownPairs([bytes([k]) * IDENTITY for k in range(nodes)], pairs, nearest, crowd, whole, {"search": 7})


@pytest.mark.parametrize("nearest", [None, 5])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path, nearest: int | None, whole: bool) -> None:
    kept = known(nearest=nearest, whole=whole)
    PairCache(tmp_path / "deep" / "folder").keep("name", kept)
    found = PairCache(tmp_path / "deep" / "folder").find("name")
    assert found is not None
    assert (found.nodes, found.nearest, found.crowd) == (kept.nodes, nearest, kept.crowd)
    assert (found.whole, found.counts) == (whole, {"search": 7})
    for name in ("i", "j", "cosine", "words", "score", "sure", "barred"):
        one, other = getattr(found.pairs, name), getattr(kept.pairs, name)
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    assert PairCache(tmp_path).find("other") is None


@pytest.mark.parametrize("at", [0, 40, -40, -1])
def test_a_damaged_file_is_thrown_away(tmp_path: Path, at: int) -> None:
    cache = PairCache(tmp_path)
    cache.keep("name", known())
    data = bytearray((tmp_path / "name").read_bytes())
    data[at] ^= 1
    (tmp_path / "name").write_bytes(data)
    assert cache.find("name") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arrays", [{}, {"told": np.zeros(8)}, {"nodes": np.zeros(1), "told": np.zeros(3, np.int64)}])
def test_a_file_that_another_version_wrote_in_its_own_way_is_thrown_away(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    for data in (packed.getvalue(), b"PK no archive", b""):
        (tmp_path / "name").write_bytes(hashlib.sha256(data).digest() + data)
        assert PairCache(tmp_path).find("name") is None
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [0, 10, 32, 500])
def test_a_torn_file_is_thrown_away(tmp_path: Path, left: int) -> None:
    cache = PairCache(tmp_path)
    cache.keep("name", known())
    os.truncate(tmp_path / "name", left)
    assert cache.find("name") is None
    assert list(tmp_path.iterdir()) == []


def test_the_files_hold_no_text_and_are_private(tmp_path: Path) -> None:
    analyze([STORE], cache=PairCache(tmp_path / "pairs"))
    (file,) = (tmp_path / "pairs").iterdir()
    assert b"Maria" not in file.read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_those_not_used_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PairCache(tmp_path)
    for age, name in enumerate(("old", "used", "new")):
        cache.keep(name, known())
        os.utime(tmp_path / name, (age, age))
    assert cache.find("old")
    monkeypatch.setattr(pair_cache, "KEPT_BYTES", 3 * (tmp_path / "new").stat().st_size)
    cache.keep("newest", known())
    assert {file.name for file in tmp_path.iterdir()} == {"old", "new", "newest"}


@pytest.mark.parametrize("fault", ["enospc:1", "eio:2"])
def test_an_analysis_goes_on_when_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    monkeypatch.setenv("MEMDEFRAG_FAULT", fault)
    monkeypatch.setattr("memdefrag.base.fsops._points_passed", 0)
    with caplog.at_level(logging.WARNING):
        found = analyze([STORE], cache=PairCache(tmp_path))
    assert len(found.pairs) == 3
    assert "not remembered" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_an_analysis_goes_on_where_the_folder_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        found = analyze([STORE], cache=PairCache(tmp_path / "file" / "pairs"))
    assert len(found.pairs) == 3
    assert "not remembered" in caplog.text


def test_stores_options_and_rules_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = AnalysisOptions()
    names = {
        name_of(["a"], usual),
        name_of(["a", "b"], usual),
        name_of(["a"], AnalysisOptions(floor=0.8)),
        name_of(["a"], AnalysisOptions(use_vectors=False)),
        name_of(["a"], AnalysisOptions(across_collections=False)),
    }
    assert len(names) == 5
    assert name_of(["a"], AnalysisOptions(threshold=0.5)) == name_of(["a"], usual)
    monkeypatch.setattr(pair_cache, "_rules", lambda: "of tomorrow")
    assert name_of(["a"], usual) not in names


def test_every_module_of_the_analysis_counts_as_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "guard.py").write_text("SAME_ORDER = 0.95")
    monkeypatch.setattr(pair_cache, "__file__", str(tmp_path / "pair_cache.py"))
    found = set()
    for text in ("SAME_ORDER = 0.95", "SAME_ORDER = 0.9"):
        (tmp_path / "guard.py").write_text(text)
        pair_cache._rules.cache_clear()
        found.add(pair_cache._rules())
    pair_cache._rules.cache_clear()
    assert len(found) == 2
