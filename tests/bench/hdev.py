"""How fast entries get from a folder to a memory server, beside the way of hdev's own migration.

    python -m tests.bench.hdev [--n 1000] [--runs 3] [--reads 3]

All ways copy the same entries to `memdefrag serve` over an empty folder, a process of its own. hdev's migration asks
three times for each entry before its PUT, one after the other, each time over a connection of its own (``--reads 1``
counts only those requests that reach the target when the source is a folder). Ours is all of `migrate-memory`: reading
both ends, the checks, the backup, every entry written and read back, and the comparison in the end; once with many
entries in a request, and once as to hdev's own server, one in each. The runs alternate; the ratios are those of the
medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import requests
from rich.console import Console
from rich.table import Table

from memdefrag.engine.migrate.run import migrate
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.hdev import bulk
from memdefrag.stores.hdev.http import ENTRY
from memdefrag.stores.registry import open_store
from tests.engine.serve.running import program
from tests.stores.hdev import server

IN_A_FOLDER = 50


def folder(place: Path, n: int) -> Path:
    """A folder of so many entries, as hdev writes them."""
    for number in range(n):
        text = f"Memory {number}: the staging server listens on port {8000 + number}. " * 8
        metadata = {"created": str(1.7e9 + number), "updated": str(1.7e9 + number), "version": 1}
        server.put(place, f"topic-{number // IN_A_FOLDER}/entry-{number}", {"content": text, "metadata": metadata})
    return place


def as_hdev(source: Path, url: str, reads: int) -> None:
    """The original's way."""
    for record in read_snapshot(open_store(f"hdev:{source}")):
        path = url + ENTRY + quote(record.key.id)
        for _ in range(reads):
            requests.get(path, timeout=30).raise_for_status()
        body = {"content": record.text, "metadata": record.metadata}
        if requests.put(path, json=body, timeout=30).json()["success"] is not True:
            raise RuntimeError(path)


def as_we(source: Path, url: str) -> None:
    """Our way, from the look at the source to the comparison in the end."""
    report = migrate(f"hdev:{source}", f"hdev+{url}")
    if report.checked is None or report.checked.differences or report.copied != report.found:
        raise RuntimeError(str(report.as_dict()))


def as_we_one_by_one(source: Path, url: str) -> None:
    """The same, but with a request for each entry, as to hdev's own server."""
    with patch.object(bulk, "is_offered", return_value=False):
        as_we(source, url)


def measured(way: Callable[[Path, str], None], source: Path, scratch: Path) -> float:
    """Seconds of one run against a server over an empty folder."""
    target = scratch / "target"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with program("serve", f"hdev:{target}", data=scratch / "data") as running:
        start = time.perf_counter()
        way(source, running.url)
        return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, default=1000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--reads", type=int, default=3)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        os.environ["MEMDEFRAG_DATA_DIR"] = str(scratch / "own")
        source = folder(scratch / "source", given.n)
        theirs: Callable[[Path, str], None] = partial(as_hdev, reads=given.reads)
        ways = {"hdev's way": theirs, "ours": as_we, "ours, one by one": as_we_one_by_one}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.runs):
            for name, way in ways.items():
                seconds[name].append(measured(way, source, scratch))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: medians["hdev's way"] / median for name, median in medians.items()}
    if given.json:
        print(json.dumps({"n": given.n, "seconds": seconds, "ratios": ratios}))
        return
    title = f"{given.n:,} entries, {given.runs} runs each"
    table = Table("way", "seconds (median)", "entries a second", "ratio", title=title)
    for name, median in medians.items():
        table.add_row(name, f"{median:.2f}", f"{given.n / median:,.0f}", f"{ratios[name]:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
