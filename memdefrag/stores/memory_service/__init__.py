"""The SQLite databases of mcp-memory-service, versions 7 to 12 (its sqlite_vec storage).

They are read by plain SQL, without sqlite-vec, which many Pythons cannot load; written with it (the extra
``memory-service``). From the service's source and from files it wrote.
"""

from memdefrag.stores.memory_service.store import MemoryService

__all__ = ["MemoryService"]
