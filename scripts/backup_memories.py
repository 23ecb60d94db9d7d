#!/usr/bin/env python3
"""Back up the memories of Memory Service and read the backup back (see docs/chromadb-scripts.md)."""

import _run

if __name__ == "__main__":
    _run.call("memdefrag.cli.chromadb_scripts", "backup_main")
