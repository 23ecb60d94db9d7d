"""The main job's speed, each figure beside its peer on the same data in the same run.

    python -m tests.bench.main_job [--n 100000]

The Chroma folder is made once by the real library (minutes) and kept in the cache folder.
"""

from __future__ import annotations

import argparse
import statistics

from rich.console import Console
from rich.table import Table

from tests.bench import chroma_store, pairs, slider, startup
from tests.bench.pair_peers import BLOCKED, OURS

PAIRS = 20_000
FLOOR = 0.85


def reading(n: int) -> tuple[str, str, str]:
    folder = chroma_store.build(n)
    api, ours = chroma_store.measure_api(folder), chroma_store.measure_reader(folder)
    figures = f"chromadb, pages of 5,000: {api.seconds:.2f} s, {api.peak / 2**20:.0f} MiB; "
    figures += f"ours: {ours.seconds:.2f} s, {ours.peak / 2**20:.0f} MiB"
    return f"Reading {n:,} Chroma records", figures, f"{api.seconds / ours.seconds:.1f}x faster (wanted: 3x)"


def all_pairs() -> tuple[str, str, str]:
    done, _ = pairs.measure([OURS, BLOCKED], PAIRS, FLOOR, threads=1, repeat=3)
    seconds = {name: statistics.median(measured.wall) for name, measured in done.items()}
    figures = f"blocked product: {seconds[BLOCKED]:.2f} s; ours: {seconds[OURS]:.2f} s"
    result = f"{seconds[OURS] / seconds[BLOCKED]:.2f}x the product (wanted: 0.33x)"
    return f"All pairs >= {FLOOR} of {PAIRS:,} x 384", figures, result


def threshold(n: int) -> tuple[str, str, str]:
    built, slowest = slider.measure(n, 3 * n)
    figures = f"sequence built once: {built:.2f} s"
    return f"Threshold change, {n:,} records", figures, f"{1000 * slowest:.1f} ms at most (wanted: 50 ms)"


def window() -> tuple[str, str, str]:
    seconds, imported = startup.measure()
    return (
        "Window, import to first paint",
        f"imported: {', '.join(imported) or 'no heavy module'}",
        (f"{seconds:.2f} s (wanted: 1.5 s)"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="records of the Chroma folder")
    n = parser.parse_args().n
    table = Table("What", "Measured", "Result")
    for row in (reading(n), all_pairs(), threshold(n), window()):
        table.add_row(*row)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
