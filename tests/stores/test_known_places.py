"""Where stores usually are."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.stores.known_places import candidates, default_chroma_path

HOME = Path("/home/ada")


@pytest.mark.parametrize(
    ("environ", "platform", "path"),
    [
        ({}, "linux", "/home/ada/.local/share/mcp-memory/chroma_db"),
        ({}, "darwin", "/home/ada/Library/Application Support/mcp-memory/chroma_db"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/mcp-memory/chroma_db"),
        ({}, "win32", "/home/ada/AppData/Local/mcp-memory/chroma_db"),
        ({"MCP_MEMORY_BASE_DIR": "/base"}, "linux", "/base/chroma_db"),
        ({"MCP_MEMORY_CHROMA_PATH": "/one", "mcpMemoryChromaPath": "/two"}, "linux", "/one"),
        ({"mcpMemoryChromaPath": "~/two"}, "linux", "/home/ada/two"),
        ({"MCP_MEMORY_CHROMA_PATH": "", "MCP_MEMORY_BASE_DIR": "~"}, "linux", "/home/ada/chroma_db"),
    ],
)
def test_the_folder_of_memory_service(environ: dict[str, str], platform: str, path: str) -> None:
    assert default_chroma_path(environ, HOME, platform) == Path(path)
    assert candidates(environ, HOME, platform)[0].path == Path(path)


def test_every_place_is_named_once_and_said_whose_it_is() -> None:
    places = candidates({"MCP_MEMORY_CHROMA_PATH": "chroma_db"}, HOME, "linux")
    assert len({place.path for place in places}) == len(places)
    assert all(place.what for place in places)
    assert places[0].what == "Memory Service"


def test_older_places_and_exports_are_among_them() -> None:
    paths = {place.path for place in candidates({}, HOME, "linux")}
    assert paths >= {
        HOME / ".mcp_memory_chroma",
        Path("chroma_db"),
        Path("memory_export.db"),
        HOME / "memory_export.db",
        HOME / "Documents/memory_export.db",
        HOME / "Documents/MemoryDefragmenter_memory_export.db",
    }


@pytest.mark.parametrize(
    ("environ", "path"),
    [({}, HOME / ".hdev/memory"), ({"HDEV_MEMORY_FILESYSTEM_PATH": "~/notes"}, HOME / "notes")],
)
def test_the_folder_of_hdev(environ: dict[str, str], path: Path) -> None:
    assert [place.path for place in candidates(environ, HOME, "linux") if place.what == "hdev"] == [path]


def test_nothing_is_looked_up() -> None:
    assert candidates({}, Path("/no/such/home"), "linux")
