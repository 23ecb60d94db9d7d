"""hdev's folders, and memory servers that run as programs of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base import secrets
from memdefrag.base.http import Retry
from tests.engine.serve.running import program as running_program
from tests.stores.hdev import server

K1, K2 = "canary-key-one", "canary-key-two"
TEXTS = {
    "a": "The door is green.",
    "notes/b": "Tabs, not spaces.\nEverywhere.",
    "notes/deep/ü 1%#?": "Grüße aus Köln.",
    "empty": "",
}
DEFAULT = "Global memory storage for critical information"


class Served:
    """A memory server that runs, and its folder."""

    def __init__(self, url: str, root: Path) -> None:
        self.url, self.root = url, root


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    """Two servers, each with a key of its own."""
    place = tmp_path_factory.mktemp("served")

    def memory_server(name: str, key: str) -> Any:
        options = ("memory-server", "--storage-path", place / name)
        return running_program(*options, data=place / f"data-{name}", HDEV_MEMORY_API_KEY=key)

    with memory_server("one", K1) as one, memory_server("two", K2) as two:
        yield Served(one.url, place / "one"), Served(two.url, place / "two")


@pytest.fixture
def one(servers: tuple[Served, Served]) -> Served:
    return emptied(servers[0])


@pytest.fixture
def two(servers: tuple[Served, Served]) -> Served:
    return emptied(servers[1])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without hdev, no key in the air, and no patience."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("FILESYSTEM_PATH", "HTTP_URL", "HTTP_API_KEY", "BACKEND", "API_KEY"):
        monkeypatch.delenv(f"HDEV_MEMORY_{name}", raising=False)
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(Retry, "wait", lambda *_: None)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return filled(tmp_path / "source", TEXTS)


def emptied(served: Served) -> Served:
    for path in served.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return served


def filled(root: Path, entries: dict[str, str], **metadata: Any) -> Path:
    for number, (name, text) in enumerate(entries.items()):
        server.put(root, name, {"content": text, "metadata": {"created": str(1.7e9 + number), **metadata}})
    return root


def contents(root: Path) -> dict[str, tuple[str, Any]]:
    """Text and metadata of every entry, as the files say."""
    found = {}
    for path in root.rglob("*.md"):
        name = path.relative_to(root).as_posix().removesuffix(".md")
        metadata = root / f"{name}.metadata.json"
        found[name] = path.read_text("utf-8"), json.loads(metadata.read_text()) if metadata.exists() else None
    return found


def told(
    ways: str, found: int, copied: int, skipped: int, failed: int = 0, *, differ: int = 0, dry: bool = False,
    errors: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """What the command prints."""
    done = "simulation completed" if dry else "completed with errors" if errors else "completed"
    counts = f"{copied} entries {'would be' if dry else 'were'} copied, {skipped} skipped, {failed} failed."
    lines = [
        f"Migrating memory from {ways}",
        *(["DRY RUN - No actual changes will be made"] if dry else []),
        f"Migration {done}. {counts}" if found else "No entries found to migrate",
        "",
        "Migration Statistics:",
        f"  Total entries found: {found}",
        f"  Entries copied: {copied}",
        f"  Entries skipped: {skipped}",
        *([f"    of which {differ} differ"] if differ else []),
        f"  Entries failed: {failed}",
        *(["", "Errors:", *(f"  {error}" for error in errors)] if errors else []),
    ]
    return "\n".join(lines) + "\n"


UP, DOWN, ACROSS, BESIDE = "filesystem to http", "http to filesystem", "http to http", "filesystem to filesystem"


def to(served: Served, *more: object) -> list[object]:
    return ["migrate-memory", "--target", "http", "--target-url", served.url, *more]
