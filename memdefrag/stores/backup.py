"""A backup as a store that can only be read: its records come from the neutral layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from memdefrag.base.errors import CollectionNotFound, UnsupportedFormat
from memdefrag.base.packed import SUFFIX, check_sum
from memdefrag.base.progress import Progress
from memdefrag.base.settings import BATCH_RECORDS
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Capabilities, Commit
from memdefrag.model.plan import Changes
from memdefrag.model.records import CollectionInfo, MemoryRecord, Relation
from memdefrag.stores import neutral
from memdefrag.stores.backup_folder import MANIFEST, RESTORE, SUMS, find_folder, neutral_layer, read_manifest
from memdefrag.stores.base import Store, StoreSettings


class BackupStore(Store):
    """The folder of a backup. ``backup:`` takes its id, the beginning of the id, or the folder's path."""

    kind: ClassVar[str] = "backup"

    def __init__(self, address: Address, settings: StoreSettings) -> None:
        super().__init__(self.located(address), settings)
        self.manifest = read_manifest(self.address.path)
        self._is_whole = False

    @classmethod
    def detect(cls, path: Path) -> Path | None:
        folder = path.parent if path.name in (MANIFEST, RESTORE, SUMS) else path
        return folder if all((folder / name).is_file() for name in (MANIFEST, "manifest.sha256")) else None

    @classmethod
    def located(cls, address: Address) -> Address:
        return address.at(find_folder(address.location))

    @property
    def format(self) -> str:
        return f"memdefrag backup of {self.manifest['created'][:10]} ({self.manifest['source']['format']})"

    @property
    def capabilities(self) -> Capabilities:
        # The neutral layer could hold them, but says what the store said, which had no types for them.
        nested = not str(self.manifest["source"]["kind"]).startswith("chroma")
        return Capabilities(
            Commit.FILE, writable=False, nested_values=nested, relations=True, extras=True, raw_bytes=True
        )

    def collections(self) -> list[CollectionInfo]:
        return neutral.read_collections(self._folder())

    def scan(
        self, collection: str, *, vectors: bool = True, batch: int = BATCH_RECORDS
    ) -> Iterator[list[MemoryRecord]]:
        folder = self._folder()
        if collection not in [info.name for info in neutral.read_collections(folder)]:
            raise CollectionNotFound(f"There is no collection {collection!r} in {self.address.location}.")
        yield from neutral.read_records(folder, collection=collection, vectors=vectors, batch=batch)

    def relations(self) -> Iterator[Relation]:
        return neutral.read_relations(self._folder())

    def raw_files(self) -> list[Path]:
        folder = self.address.path.absolute()
        names = [MANIFEST, *(each.path + SUFFIX for each in neutral_layer(self.manifest))]
        return sorted(folder / name for name in names)

    def write(self, changes: Changes, progress: Progress) -> None:
        raise UnsupportedFormat("A backup is never changed.")

    def _folder(self) -> Path:
        """The folder, once its neutral layer was compared with its sums."""
        layer = neutral_layer(self.manifest)
        if not layer:
            name, guide = self.manifest["id"], self.address.path / RESTORE
            # What could not be read is not opened by unpacking it either; format 1 had no guide.
            unpack = f"{guide} says how to unpack them." if guide.exists() else (
                f"Unpack them beside the store: memdefrag backup restore {name} --to PATH."
            )
            raise UnsupportedFormat(
                f"Backup {name} holds the store's own files only, no memories to read one by one.", todo=unpack
            )
        if not self._is_whole:
            for packed in layer:
                check_sum(self.address.path, packed)
            self._is_whole = True
        return self.address.path
