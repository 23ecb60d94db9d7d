"""Runs a function of memdefrag from a script that any `python3` may have started.

Where this Python is too old or lacks memdefrag, the script starts itself again with the checkout's own environment.
Plain Python 3.8, so that it can also say what is missing.
"""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AGAIN = "MEMDEFRAG_STARTED_AGAIN"
OLDEST = (3, 11)


def call(module, function):
    """Call ``module.function(arguments)`` and leave with the number it returns."""
    again = os.environ.pop(AGAIN, None)
    if sys.version_info < OLDEST:
        _start_again(again, "this is Python {}.{}".format(*sys.version_info[:2]))
    try:
        main = getattr(importlib.import_module(module), function)
    except ImportError as error:
        _start_again(again, error)
    sys.exit(main(sys.argv[1:]))


def _start_again(again, reason):
    """Give over to the checkout's environment; where there is none, say in one line what is needed."""
    from _system import hand_over

    python = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if again or not python.exists():
        start = ROOT / "scripts" / "start"
        needed = "memdefrag needs Python 3.11, 3.12 or 3.13 and its packages"
        print(f"{needed} ({reason}): run {start} once, it sets them up.", file=sys.stderr)
        sys.exit(41)
    os.environ[AGAIN] = "1"
    hand_over([str(python), *sys.argv])


if __name__ == "__main__":
    call("memdefrag.cli.main", "main")
