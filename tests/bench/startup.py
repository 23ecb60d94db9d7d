"""How long the window takes from a cold start to its first paint, and what it imports on the way.

python -m tests.bench.startup [RUNS]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

PROBE = """
import json, sys, time
started = time.perf_counter()
from memdefrag.gui.app import first_paint
window = first_paint()
seconds = time.perf_counter() - started
heavy = ("chromadb", "torch", "sentence_transformers", "pyqtgraph", "numpy", "pydantic")
print(json.dumps({"seconds": seconds, "imported": [n for n in heavy if n in sys.modules]}), flush=True)
window.close()
"""


def measure(runs: int = 5) -> tuple[float, list[str]]:
    """Median seconds from the interpreter's start to the first paint, offscreen, and the heavy modules loaded."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    found = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return statistics.median(run["seconds"] for run in found), found[-1]["imported"]


if __name__ == "__main__":
    seconds, imported = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    print(f"window up after {seconds:.2f} s; imported of the heavy modules: {', '.join(imported) or 'none'}")
