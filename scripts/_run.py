"""Runs a function of memdefrag from a script that any `python3` may have started.

When memdefrag cannot be imported, the script starts itself again with the checkout's own environment. Plain
Python, so that it can also say what is missing under an older one.
"""

import importlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AGAIN = "MEMDEFRAG_STARTED_AGAIN"


def call(module, function):
    """Call ``module.function(arguments)`` and leave with the number it returns."""
    try:
        main = getattr(importlib.import_module(module), function)
    except ImportError as error:
        sys.exit(_start_again(error))
    sys.exit(main(sys.argv[1:]))


def _start_again(error):
    folder = "Scripts" if os.name == "nt" else "bin"
    python = os.path.join(ROOT, ".venv", folder, "python.exe" if os.name == "nt" else "python")
    if os.environ.get(AGAIN) or not os.path.exists(python):
        print("memdefrag is not set up here ({}).".format(error), file=sys.stderr)
        print("Run {} first.".format(os.path.join(ROOT, "scripts", "start")), file=sys.stderr)
        return 41
    return subprocess.call([python, *sys.argv], env=dict(os.environ, **{AGAIN: "1"}))
