#!/usr/bin/env python3
"""Export a Chroma folder of Memory Service to an SQLite file (see docs/chromadb-scripts.md)."""

import _run

if __name__ == "__main__":
    _run.call("memdefrag.cli.chromadb_scripts", "export_main")
