"""How fast a Chroma folder is copied into a new one, verified, against adding the same records with bare chromadb.

    python -m tests.bench.migrate_chroma [--n 20000] [--repeat 3] [--batch 1000]

Raw is a program that opens a PersistentClient on a new folder, adds the records in batches with embeddings,
documents and metadatas, and closes; it is given them as arrays and lists. Ours is everything from opening the
source to the report. Each run is a process of its own, the two take turns, and the figures are of whole
processes, the seconds of processor time those of all processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

DIMENSION = 384
COLLECTION = "memory_collection"
WANTED = 0.85
_WORDS = [f"word{number}" for number in range(3_000)]
_WORDS_A_TEXT = 30


class Run(NamedTuple):
    """One run: seconds on the clock, seconds of processor time of all its processes."""

    wall: float
    cpu: float


def make_rows(folder: Path, n: int) -> None:
    """What raw adds: unit vectors, texts and metadata, always the same ones."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((n, DIMENSION)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    words = generator.integers(len(_WORDS), size=(n, _WORDS_A_TEXT)).tolist()
    rows = {
        "ids": [f"id{number}" for number in range(n)],
        "documents": [" ".join(_WORDS[word] for word in text) for text in words],
        "metadatas": [
            {"content_hash": f"h{number}", "memory_type": "note", "timestamp": 1.7e9 + number, "tags": "a,b"}
            for number in range(n)
        ],
    }
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")


def raw(source: Path, target: Path, batch: int) -> None:
    """Add the rows in the folder `source` to a new Chroma folder."""
    import chromadb

    vectors = np.load(source / "vectors.npy")
    rows = json.loads((source / "rows.json").read_text(encoding="utf-8"))
    client = chromadb.PersistentClient(str(target))
    collection = client.create_collection(COLLECTION, metadata={"hnsw:space": "cosine"}, embedding_function=None)
    for start in range(0, len(vectors), batch):
        here = slice(start, start + batch)
        parts = {name: values[here] for name, values in rows.items()}
        collection.add(**parts, embeddings=vectors[here])
    client.close()  # type: ignore[attr-defined]


def ours(source: Path, target: Path) -> None:
    """Migrate a Chroma folder to a new one, as the command does."""
    from memdefrag.engine.migrate.run import migrate

    report = migrate(f"chroma:{source}", f"chroma:{target}")
    assert report.copied == report.found
    assert report.checked is not None and report.checked.differences == ()


def timed(arguments: list[str], home: Path) -> Run:
    """Run this module in a new process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MEMDEFRAG_DATA_DIR": str(home / "data")}
    before, started = _spent(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "tests.bench.migrate_chroma", *arguments], env=environment, check=True)
    return Run(time.perf_counter() - started, _spent() - before)


def measure(n: int, repeat: int, batch: int) -> tuple[list[Run], list[Run]]:
    """Runs of raw and of ours, taking turns; each on a new folder."""
    runs: tuple[list[Run], list[Run]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="memdefrag-bench-") as folder:
        home = Path(folder)
        make_rows(home, n)
        source, target = home / "source", home / "target"
        raw(home, source, batch)
        ways = (
            ["--batch", str(batch), "--do", "raw", str(home), str(target)],
            ["--do", "ours", str(source), str(target)],
        )
        for _ in range(repeat):
            for found, way in zip(runs, ways, strict=True):
                found.append(timed(way, home))
                print(f"{way[-3]:4}  {found[-1].wall:6.2f} s  processor {found[-1].cpu:6.2f} s", flush=True)
                shutil.rmtree(target)
                shutil.rmtree(home / "data", ignore_errors=True)
    return runs


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000, help="records")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1_000, help="rows of a raw add")
    parser.add_argument("--do", nargs=3, metavar=("WAY", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.do:
        way, source, target = given.do[0], Path(given.do[1]), Path(given.do[2])
        raw(source, target, given.batch) if way == "raw" else ours(source, target)
        return
    print(f"{psutil.cpu_count()} processors, load {psutil.getloadavg()[0]:.1f}, one OpenMP thread", flush=True)
    theirs, own = measure(given.n, given.repeat, given.batch)
    parts: list[tuple[str, Callable[[Run], float]]] = [
        ("clock", lambda run: run.wall),
        ("processor", lambda run: run.cpu),
    ]
    for name, part in parts:
        ratio = statistics.median(map(part, theirs)) / statistics.median(map(part, own))
        print(f"{name}: ours reaches {ratio:.2f}x the rate of raw (wanted: {WANTED}x on the clock)")


if __name__ == "__main__":
    main()
