#!/usr/bin/env python3
"""Copy memories from one Chroma to another, as Memory Service's guide types it (see docs/mcp-migration.md)."""

import _run

if __name__ == "__main__":
    _run.call("memdefrag.cli.mcp_migration", "main")
