"""memdefrag: find memories that say the same thing, merge them, and always be able to go back.

For other programs there is `find_duplicates` (docs/api.md); it is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memdefrag.api import DuplicateConflict, DuplicateGroup, Duplicates, KnownMemory, find_duplicates
    from memdefrag.base.errors import MemdefragError

__version__ = "0.1.0"

__all__ = [
    "DuplicateConflict",
    "DuplicateGroup",
    "Duplicates",
    "KnownMemory",
    "MemdefragError",
    "__version__",
    "find_duplicates",
]


def __getattr__(name: str) -> Any:
    if name == "MemdefragError":
        from memdefrag.base.errors import MemdefragError

        return MemdefragError
    if name in __all__:
        from memdefrag import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
