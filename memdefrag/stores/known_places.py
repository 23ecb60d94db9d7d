"""Where memory stores usually are: the defaults and environment variables of the programs that make them.

From mcp-memory-service (its ChromaDB era, versions 0.1 to 7.6), Memory Defragmenter and hdev. Pure: nothing is
looked up on the disk; whoever asks tries the places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_CHROMA_VARIABLES = ("MCP_MEMORY_CHROMA_PATH", "mcpMemoryChromaPath")
_SQLITE_VARIABLES = ("MCP_MEMORY_SQLITE_PATH", "MCP_MEMORY_SQLITEVEC_PATH")
_BASE_VARIABLE = "MCP_MEMORY_BASE_DIR"
_EXPORT = "memory_export.db"
_HDEV_VARIABLE = "HDEV_MEMORY_FILESYSTEM_PATH"


class Place(NamedTuple):
    """A path where a store may be, and whose it would be (or of which kind)."""

    path: Path
    what: str


def candidates(environ: Mapping[str, str], home: Path, platform: str) -> list[Place]:
    """All places worth a look, the likeliest first, each once.

    Args:
        platform: as `sys.platform` names it.
    """
    return list({place.path: place for place in reversed([*_places(environ, home, platform)])}.values())[::-1]


def default_chroma_path(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    """The folder that Memory Service's ChromaDB versions use in these surroundings."""
    for variable in _CHROMA_VARIABLES:
        if environ.get(variable):
            return _expanded(environ[variable], home)
    return _base_dir(environ, home, platform) / "chroma_db"


def memory_service_places(environ: Mapping[str, str], home: Path, platform: str) -> list[Place]:
    """Where Memory Service keeps its memories: what its variables name, else the defaults of all its versions."""
    named = [
        Place(_expanded(environ[variable], home), kind)
        for kind, variables in (("chroma", _CHROMA_VARIABLES), ("memory-service", _SQLITE_VARIABLES))
        for variable in variables
        if environ.get(variable)
    ]
    base = _base_dir(environ, home, platform)
    return named or [
        Place(base / "chroma_db", "chroma"),
        Place(base / "sqlite_vec.db", "memory-service"),
        Place(home / ".mcp_memory_chroma", "chroma"),
    ]


def _places(environ: Mapping[str, str], home: Path, platform: str) -> Iterator[Place]:
    base = _base_dir(environ, home, platform)
    documents = home / "Documents"
    yield Place(default_chroma_path(environ, home, platform), "Memory Service")
    yield Place(base / "chroma_db", "Memory Service")
    yield Place(home / ".mcp_memory_chroma", "Memory Service, older version")
    yield Place(Path("chroma_db"), "Memory Service, this folder")
    hdev = environ.get(_HDEV_VARIABLE)
    yield Place(_expanded(hdev, home) if hdev else home / ".hdev" / "memory", "hdev")
    for folder in (Path(), home, documents):
        yield Place(folder / _EXPORT, "Memory Defragmenter's export")
    for name in ("chroma_db", _EXPORT):
        yield Place(documents / f"MemoryDefragmenter_{name}", "Memory Defragmenter's copy")


def _base_dir(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    """Memory Service's own folder."""
    if environ.get(_BASE_VARIABLE):
        return _expanded(environ[_BASE_VARIABLE], home)
    if platform == "darwin":
        return home / "Library" / "Application Support" / "mcp-memory"
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "mcp-memory"
    return home / ".local" / "share" / "mcp-memory"


def _expanded(text: str, home: Path) -> Path:
    """The path with a leading ``~`` replaced."""
    return home / text[1:].lstrip("/\\") if text == "~" or text.startswith(("~/", "~\\")) else Path(text)
