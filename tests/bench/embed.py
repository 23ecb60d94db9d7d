"""Making vectors, ours beside plain `SentenceTransformer.encode`: `python -m tests.bench.embed --n 2000`.

Takes the texts of ../shared/quality beside the repository, else made-up ones. Each way works in a process of its own at
the same low priority, with its model loaded and warm, and the ways take turns; only embedding is timed. Ours counts all
from the call to the vectors: hashing, sorting, the way to the worker and back, and remembering each vector on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

from memdefrag.analysis.embedding import embed
from memdefrag.analysis.embedding import fast as fast_embed
from memdefrag.analysis.embedding.child import LOW_PRIORITY
from memdefrag.analysis.embedding.worker import OFFLINE
from memdefrag.base.settings import DATA_DIR_VARIABLE

QUALITY = Path(__file__).resolve().parents[2] / "../shared/quality/dev_input.jsonl"
PLAIN, OURS, FAST, AGAIN = "SentenceTransformer.encode", "ours", "ours, extra fast", "ours, known texts"
WARM = "The first text wakes the model."


def texts(n: int) -> list[str]:
    """The first n different ones."""
    if QUALITY.exists():
        lines = QUALITY.read_text(encoding="utf-8").splitlines()
        return list(dict.fromkeys(json.loads(line)["text"] for line in lines))[:n]
    words = ["the", "garden", "gate", "server", "listens", "green", "port", "and", "tea", "morning", "train", "is"]
    random = np.random.default_rng(0)
    return [f"{number} {' '.join(random.choice(words, random.integers(3, 60)))}" for number in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        print(json.dumps(seconds(asked.way, texts(asked.n), asked.threads)))
        return
    ways = [PLAIN, OURS, AGAIN, *([FAST] if fast_embed.library() else [])]
    walls: dict[str, list[float]] = {way: [] for way in ways}
    rest = ["--n", str(asked.n), *(["--threads", str(asked.threads)] if asked.threads else [])]
    for _ in range(asked.repeat):
        for way in ways:
            command = [sys.executable, "-m", "tests.bench.embed", "--way", way, *rest]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            walls[way].append(json.loads(said.splitlines()[-1]))
    plain = statistics.median(walls[PLAIN])
    print(f"{asked.n} texts, median of {asked.repeat}; load {os.getloadavg()[0]:.1f}")
    for way in ways:
        middle = statistics.median(walls[way])
        print(f"{way:28} {middle:8.2f} s {asked.n / middle:8.0f} texts/s {plain / middle:6.2f} x plain")


def seconds(way: str, some: Sequence[str], threads: int | None) -> float:
    """How long one way takes, in this process (and its worker)."""
    if way == PLAIN:
        return timed(plain(threads), some)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[DATA_DIR_VARIABLE] = folder
        embedder = embed.load(threads=threads)
        if way == FAST and not embedder.hasten(some):
            raise SystemExit("The fast form of the model is not as good as the model.")
        embedder.embed([WARM])
        if way == AGAIN:
            embedder.embed(some)
        return timed(embedder.embed, some)


def plain(threads: int | None) -> Callable[[Sequence[str]], object]:
    """The model as its library offers it, at the priority of our worker."""
    os.environ.update(OFFLINE)
    import torch
    from sentence_transformers import SentenceTransformer

    if threads:
        torch.set_num_threads(threads)
    psutil.Process().nice(LOW_PRIORITY)
    model = SentenceTransformer(str(embed._folder(embed.DEFAULT_MODEL)))
    model.encode([WARM])
    return lambda some: model.encode(list(some), show_progress_bar=False)


def timed(work: Callable[[Sequence[str]], object], some: Sequence[str]) -> float:
    started = time.perf_counter()
    work(some)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
