"""A store whose content cannot be read, as mere files: its bytes are kept when a backup takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from memdefrag.base.errors import UnsupportedFormat
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, MemoryRecord
from memdefrag.stores.base import Store
from memdefrag.stores.sqlite_safe import sidecars


class Unreadable(Store):
    """A damaged store. It holds no record that could be told; no backup of it can be opened."""

    kind: ClassVar[str] = "unreadable"

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        return None

    @property
    def format(self) -> str:
        return "unreadable"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(Commit.DIRECTORY if self.address.path.is_dir() else Commit.FILE)

    def collections(self) -> list[CollectionInfo]:
        return []

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        raise UnsupportedFormat(f"{self.address.location} cannot be read.")

    def raw_files(self) -> list[Path]:
        root = self.address.path
        if not root.is_dir():
            return sorted([root, *sidecars(root)])
        return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())

    def write(self, changes: Changes, progress: Progress) -> None:
        raise UnsupportedFormat(f"{self.address.location} cannot be written.")
