"""Runs a function of memdefrag from a script that any `python3` may have started.

When memdefrag cannot be imported, the script starts itself again with the checkout's own environment. Plain
Python, so that it can also say what is missing under an older one.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AGAIN = "MEMDEFRAG_STARTED_AGAIN"


def call(module, function):
    """Call ``module.function(arguments)`` and leave with the number it returns."""
    try:
        main = getattr(importlib.import_module(module), function)
    except ImportError as error:
        sys.exit(_start_again(error))
    sys.exit(main(sys.argv[1:]))


def _start_again(error):
    python = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if os.environ.get(AGAIN) or not python.exists():
        print(f"memdefrag is not set up here ({error}).", file=sys.stderr)
        print(f"Run {ROOT / 'scripts' / 'start'} first.", file=sys.stderr)
        return 41
    return subprocess.call([str(python), *sys.argv], env=dict(os.environ, **{AGAIN: "1"}))
