"""How fast memories get from one Chroma to another by Memory Service's migration script: ours, and as its guide has it.

    python -m tests.bench.seed_migration [--n 300] [--ours 3000] [--repeat 5]

The guide's way: read all, then 10 memories at a time look which are there, add the others, and sleep a second. It also
makes all vectors anew; here it may keep them. Ours is the script itself. Both copy from a folder, in the same run, to
a real server and to a new folder, each time in a process of its own: the rate of the whole program is told, and that
of the migration alone, without starting Python and looking at the options. The guide's rate is that of its sleep,
however many memories there are, and so is measured on fewer; with ``--ours 300`` both copy the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.stores.chroma.running import ChromaServer, running

ROOT = Path(__file__).resolve().parents[2]
DIMENSION, COLLECTION, WANTED = 384, "memory_collection", 30
BATCH, SLEEP = 10, 1.0


def client_of(place: str) -> Any:
    """The chromadb client of a folder, or of a server's port."""
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if place.isdecimal():
        return chromadb.HttpClient("127.0.0.1", int(place), settings=settings)
    return chromadb.PersistentClient(place, settings=settings)


def make(folder: str, n: int) -> None:
    """A folder with so many memories."""
    collection = client_of(folder).create_collection(
        COLLECTION, metadata={"hnsw:space": "cosine"}, embedding_function=None
    )
    vectors = np.random.default_rng(0).normal(size=(n, DIMENSION)).astype(np.float32)
    collection.add(
        ids=[f"memory-{number}" for number in range(n)],
        documents=[f"Memory {number} says that box {number * 7} is in room {number % 90}." for number in range(n)],
        metadatas=[{"tags": "a,b", "timestamp": 1.7e9 + number} for number in range(n)],
        embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    )


def guides_way(source: str, target: str) -> None:
    """Copy a collection as the guide describes it."""
    rows = client_of(source).get_collection(COLLECTION, embedding_function=None).get(
        include=["documents", "metadatas", "embeddings"]
    )  # fmt: skip
    collection = client_of(target).get_or_create_collection(
        COLLECTION, metadata={"hnsw:space": "cosine"}, embedding_function=None
    )
    for start in range(0, len(rows["ids"]), BATCH):
        here = rows["ids"][start : start + BATCH]
        there = set(collection.get(ids=here, include=[])["ids"])
        new = [start + place for place, id in enumerate(here) if id not in there]
        if new:
            parts = ("ids", "documents", "metadatas", "embeddings")
            collection.add(**{name: [rows[name][each] for each in new] for name in parts})
        time.sleep(SLEEP)


def ours(source: str, target: str) -> list[str]:
    """The same as the guide types it."""
    config = json.dumps({"host": "127.0.0.1", "port": int(target)}) if target.isdecimal() else target
    types = ["--source-type", "local", "--target-type", "remote" if target.isdecimal() else "local"]
    return ["scripts/mcp-migration.py", *types, "--source-config", source, "--target-config", config, "--json"]


def timed(arguments: list[str], home: Path) -> tuple[float, float, str]:
    """The seconds that a program took on the clock and of the processor, and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MEMDEFRAG_DATA_DIR": str(home / "data")}
    spent, began = _spent(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return time.perf_counter() - began, _spent() - spent, done.stdout


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(counts: dict[str, int], repeat: int, target: ChromaServer | Path, home: Path) -> None:
    """Both ways to one kind of target, each time an empty one. `counts`: by way, how many memories it copies."""
    what = "a folder" if isinstance(target, Path) else "a server"
    runs: dict[str, list[tuple[float, float]]] = {"guide": [], "ours": []}
    for way in ("guide", *["ours"] * repeat):
        place = str(target / way / str(len(runs[way]))) if isinstance(target, Path) else str(target.port)
        source = str(home / f"source-{counts[way]}")
        arguments = ours(source, place) if way == "ours" else ["-m", __spec__.name, "--do", source, place]
        whole, processor, said = timed(arguments, home)
        inside = float(json.loads(said)["seconds"])
        runs[way].append((whole, inside))
        client = client_of(place)
        assert client.get_collection(COLLECTION, embedding_function=None).count() == counts[way]
        client.delete_collection(COLLECTION)
        print(
            f"to {what}, {way}: {whole:.2f} s ({processor:.2f} s of the processor), {inside:.2f} s migrating",
            flush=True,
        )
    for part, name in enumerate(("whole programs", "migrating")):
        guide, own = (counts[way] / statistics.median(run[part] for run in runs[way]) for way in ("guide", "ours"))
        rates = f"{guide:,.1f} and {own:,.1f} memories/s"
        print(f"to {what}, {name}: {rates}, ours is {own / guide:.0f}x the guide's (wanted: {WANTED}x)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="memories that the guide's way copies")
    parser.add_argument("--ours", type=int, default=3_000, help="memories that ours copies; 5,000 at most")
    parser.add_argument("--repeat", type=int, default=5, help="runs of ours, of which the median counts")
    parser.add_argument("--do", nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    parser.add_argument("--make", metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.do:
        began = time.perf_counter()
        guides_way(*given.do)
        print(json.dumps({"seconds": time.perf_counter() - began}))
        return
    if given.make:
        make(given.make, given.n)
        return
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="memdefrag-bench-") as folder:
        home = Path(folder)
        for n in {given.n, given.ours}:
            timed(["-m", __spec__.name, "--make", str(home / f"source-{n}"), "--n", str(n)], home)
        counts = {"guide": given.n, "ours": given.ours}
        with running(home / "server") as server:
            compare(counts, given.repeat, server, home)
        compare(counts, given.repeat, home, home)


if __name__ == "__main__":
    main()
