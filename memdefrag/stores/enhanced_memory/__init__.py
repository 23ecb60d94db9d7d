"""The SQLite databases of the Enhanced Memory System, all of its formats, read and written without the system.

Table ``memories(id, title, content, owner_id, context_id, created_at, …, memory_metadata, embedding_vector)``; newer
ones add `content_compressed`, `content_size`, `access_count`, `last_accessed` and the table ``memory_chunks``. The
columns that are there tell the format, there is no version number. Vectors are little-endian float32; times are text
in UTC (``YYYY-MM-DD HH:MM:SS.ffffff``); JSON columns hold ``null`` where they are empty. From the system's models and
from files it wrote.
"""

from memdefrag.stores.enhanced_memory.store import EnhancedMemory

__all__ = ["EnhancedMemory"]
