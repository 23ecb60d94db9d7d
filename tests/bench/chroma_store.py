"""How fast a Chroma folder is read: this program's reader against paging through chromadb, on the same folder.

    python tests/bench/chroma_store.py [RECORDS]

The folder is made once by the real library (100,000 records take minutes) and kept in the cache folder. Every
measurement runs in a process of its own, so that neither inherits the other's memory.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from memdefrag.base.settings import cache_dir  # noqa: E402

DIMENSION = 384
COLLECTION = "memory_collection"
REAL_VECTORS = ROOT / "../shared/bench/real_vectors_50k.f16.npy"
ADD_AT_ONCE = 1_000
_WORDS = ["assistant", "remembers", "user", "prefers", "dark", "short", "meetings", "project", "database", "train"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One reading of a whole folder: seconds (without imports), peak resident memory in bytes, records seen."""

    seconds: float
    peak: int
    records: int


def build(records: int = 100_000) -> Path:
    """The folder of so many records; made by chromadb in a process of its own unless it is there already."""
    folder = cache_dir() / "bench" / f"chroma-{records}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _child("build", folder, str(records))
        (folder / "complete").touch()
    return folder / "store"


def measure_api(path: Path, page: int = 5_000) -> Measured:
    """Read everything through chromadb, page by page. Works on a copy: chromadb rewrites what it opens."""
    copy = path.with_name("store-for-api")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    try:
        return Measured(**_child("api", copy, str(page)))
    finally:
        shutil.rmtree(copy)


def measure_reader(path: Path) -> Measured:
    """Read everything into `MemoryRecord`s with this program's reader, one batch at a time."""
    return Measured(**_child("reader", path))


def _child(task: str, path: Path, *arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, task, str(path), *arguments]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _build(folder: Path, records: int) -> dict[str, float]:
    import chromadb
    import numpy as np

    rng = np.random.default_rng(7)
    real = np.load(REAL_VECTORS, mmap_mode="r") if REAL_VECTORS.exists() else None
    with chromadb.PersistentClient(str(folder / "store")) as client:
        collection = client.create_collection(COLLECTION, metadata={"hnsw:space": "cosine"}, embedding_function=None)
        for start in range(0, records, ADD_AT_ONCE):
            numbers = np.arange(start, min(start + ADD_AT_ONCE, records))
            if real is None:
                vectors = rng.normal(size=(len(numbers), DIMENSION))
            else:
                vectors = real[numbers % len(real)].astype(np.float32)
                vectors += rng.normal(scale=0.01, size=vectors.shape) * (numbers >= len(real))[:, None]
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            texts = [" ".join(rng.choice(_WORDS, 50))[:240] for _ in numbers]
            metadata = [
                {"tags": f"tag{n % 50},note", "timestamp": 1.7e9 + int(n), "memory_type": "note", "number": int(n)}
                for n in numbers
            ]
            collection.add(
                ids=[f"{n:064x}" for n in numbers],
                embeddings=vectors.astype(np.float32),
                documents=texts,
                metadatas=metadata,
            )
    return {}


def _read_api(path: Path, page: int) -> int:
    records = 0
    with import_module("chromadb").PersistentClient(str(path)) as client:
        collection = client.get_collection(COLLECTION, embedding_function=None)
        while True:
            found = collection.get(limit=page, offset=records, include=["documents", "metadatas", "embeddings", "uris"])
            if not found["ids"]:
                return records
            records += len(found["ids"])


def _read_files(path: Path) -> int:
    from memdefrag.model.address import Address
    from memdefrag.stores.base import StoreSettings
    from memdefrag.stores.chroma.local import ChromaLocal

    with ChromaLocal(Address("chroma", str(path)), StoreSettings()) as store:
        return sum(len(batch) for batch in store.scan(COLLECTION))


def _timed(module: str, read: Callable[[], int]) -> dict[str, float]:
    import_module(module)
    started = time.perf_counter()
    records = read()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "peak": peak, "records": records}


def _main() -> None:
    tasks: dict[str, Callable[[Path, list[str]], dict[str, float]]] = {
        "build": lambda path, rest: _build(path, int(rest[0])),
        "api": lambda path, rest: _timed("chromadb", lambda: _read_api(path, int(rest[0]))),
        "reader": lambda path, rest: _timed("memdefrag.stores.chroma.local", lambda: _read_files(path)),
    }
    if len(sys.argv) > 2:
        print(json.dumps(tasks[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])))
        return
    store = build(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    api, reader = measure_api(store), measure_reader(store)
    for name, measured in (("chromadb", api), ("memdefrag", reader)):
        print(
            f"{name}: {measured.records} records in {measured.seconds:.2f} s "
            f"({measured.records / measured.seconds:.0f}/s), peak {measured.peak / 2**20:.0f} MiB"
        )
    print(f"ratio: {api.seconds / reader.seconds:.2f}")


if __name__ == "__main__":
    _main()
