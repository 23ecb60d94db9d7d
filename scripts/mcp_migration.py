"""`from scripts.mcp_migration import migrate_memories`, as Memory Service's guide types it, in a checkout."""

from memdefrag.cli.mcp_migration import migrate_memories

__all__ = ["migrate_memories"]
