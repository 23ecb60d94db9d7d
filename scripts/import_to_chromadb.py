#!/usr/bin/env python3
"""Bring an exported SQLite file back into a Chroma folder (see docs/chromadb-scripts.md)."""

import _run

if __name__ == "__main__":
    _run.call("memdefrag.cli.chromadb_scripts", "import_main")
