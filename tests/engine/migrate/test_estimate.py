"""How much a migration writes, and how long it takes by what was measured before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdefrag.base.settings import cache_dir
from memdefrag.engine.migrate.estimate import FEWEST, estimate, rate, remember, start
from memdefrag.model.address import Address, parse
from memdefrag.model.migration import Pace
from memdefrag.model.records import Key, MemoryRecord
from memdefrag.stores.registry import open_store
from tests.conftest import fill

CHROMA = Address("chroma", "/somewhere/memories")
SUFFIX = {"jsonl": ".jsonl", "memory-export": ".db", "chroma": ""}


def memories(count: int, letters: int = 100, dimension: int = 64) -> list[MemoryRecord]:
    rng = np.random.default_rng(3)
    return [
        MemoryRecord(
            Key("memories", f"{number:032x}"),
            " ".join(f"word{part}" for part in rng.integers(0, 9999, letters // 9)),
            {"kind": "note", "number": number},
            rng.standard_normal(dimension).astype(np.float32),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", list(SUFFIX))
@pytest.mark.parametrize(("letters", "dimension"), [(100, 384), (1500, 8)])
def test_the_bytes_are_about_those_of_the_store(tmp_path: Path, kind: str, letters: int, dimension: int) -> None:
    records, address = memories(300, letters, dimension), Address(kind, str(tmp_path / f"store{SUFFIX[kind]}"))
    fill(address, records)
    with open_store(address) as store:
        written = sum(path.stat().st_size for path in store.raw_files())
    # Index files are made for more memories than these at once.
    assert 0.5 * written < estimate(records, address).bytes + 1_000_000 * (kind == "chroma")
    assert estimate(records, address).bytes < 1.6 * written


def test_nothing_takes_nothing() -> None:
    assert estimate([], CHROMA) == (0, None)


def test_every_part_of_a_memory_counts() -> None:
    [plain] = memories(1)
    more = [
        replace(plain, text=(plain.text or "") + "ß" * 50),
        replace(plain, metadata={**plain.metadata, "more": "x" * 50}),
        replace(plain, embedding=np.ones(128, np.float32)),
    ]
    for record in more:
        assert estimate([record], CHROMA).bytes > estimate([plain], CHROMA).bytes + 50


def test_no_time_is_told_before_one_was_measured() -> None:
    assert rate(CHROMA) is None
    assert estimate(memories(5), CHROMA).seconds is None


def test_the_time_goes_by_what_was_measured() -> None:
    remember(CHROMA, 1000, (start(CHROMA) + 1000) / 250)
    assert rate(CHROMA) == pytest.approx(250)
    assert estimate(memories(50), CHROMA.at("/another/place")).seconds == pytest.approx((start(CHROMA) + 50) / 250)
    assert estimate([], CHROMA).seconds == 0.0


def test_a_small_run_tells_of_a_large_one() -> None:
    """A folder of 300 memories took 2.4 s, one of 5,000 4.7 s."""
    remember(CHROMA, 300, 2.4)
    large = estimate(memories(1) * 5_000, CHROMA).seconds
    assert large and 4.7 / 2 < large < 4.7 * 2


def test_a_newer_run_counts_more() -> None:
    remember(CHROMA, 1000, 10.0)
    remember(CHROMA, 1000, 1.0)
    assert rate(CHROMA) == 1.5 * (1000 + start(CHROMA)) / (5 + 1)


def test_a_small_run_is_not_noted() -> None:
    remember(CHROMA, FEWEST - 1, 60.0)
    remember(CHROMA, FEWEST, 0.0)
    assert rate(CHROMA) is None and not cache_dir().exists()


def test_each_kind_and_each_server_has_its_own_rate() -> None:
    here, there = parse("hdev+http://one:8080"), parse("hdev+http://two:8080")
    remember(here, 1000, 10.0)
    remember(CHROMA, 1000, 1.0)
    of_one = (1000 + start(here)) / 10
    assert (rate(here), rate(there), rate(CHROMA)) == (of_one, None, 1000 + start(CHROMA))
    assert rate(parse("hdev+http://ONE:8080/")) == of_one
    assert rate(parse("hdev+http://one:8081")) is None


def test_pauses_and_limits_that_were_asked_for_take_their_time() -> None:
    remember(CHROMA, 1000, (start(CHROMA) + 1000) / 1000)
    records, first = memories(25), start(CHROMA) / 1000
    assert estimate(records, CHROMA, Pace(batch=10, delay=1.0)).seconds == pytest.approx(first + 2.025)
    assert estimate(records[:10], CHROMA, Pace(batch=10, delay=1.0)).seconds == pytest.approx(first + 0.01)
    assert estimate(records, CHROMA, Pace(max_rate=0.1)).seconds == pytest.approx(250.0)
    assert estimate(records, CHROMA, Pace(max_rate=1e6)).seconds == pytest.approx(first + 0.025)


@pytest.mark.parametrize("notes", [b"", b"[]", b'{"chroma": 5}', b'{"chroma": [1]}', b'{"chroma": [0, 0]}', b"\xff"])
def test_notes_that_cannot_be_understood_are_made_anew(notes: bytes) -> None:
    cache_dir().mkdir(parents=True)
    (cache_dir() / "migration_rates.json").write_bytes(notes)
    assert rate(CHROMA) is None
    remember(CHROMA, 1000, 4.0)
    assert rate(CHROMA) == (1000 + start(CHROMA)) / 4


def test_notes_that_cannot_be_written_fail_nothing(caplog: pytest.LogCaptureFixture) -> None:
    cache_dir().parent.mkdir(parents=True, exist_ok=True)
    cache_dir().write_text("in the way")
    remember(CHROMA, 1000, 4.0)
    assert "could not be noted" in caplog.text and rate(CHROMA) is None
