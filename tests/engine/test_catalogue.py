"""The log of all that happened: no damage to a line takes the others."""

from __future__ import annotations

from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue


def test_damaged_lines_are_passed_over() -> None:
    catalogue.record("job", id="1", path="x")
    log = data_dir() / "catalogue.jsonl"
    log.write_bytes(log.read_bytes() + b'5\n\xff\xfe\n{"event": 7}\n{"event": "outcome"}\n{"event": "outc')
    catalogue.record("outcome", id="1", outcome="applied")
    assert catalogue.outcomes() == {"1": "applied"}
    assert list(catalogue.unfinished_jobs()) == ["1"]
