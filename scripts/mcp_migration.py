"""`from scripts.mcp_migration import migrate_memories`, as Memory Service's guide types it, in a checkout."""

try:
    from memdefrag.cli.mcp_migration import migrate_memories
except ImportError as error:
    raise ImportError(f"memdefrag is not set up in this Python ({error}): run scripts/start, use .venv's.") from error

__all__ = ["migrate_memories"]
