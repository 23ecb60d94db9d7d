"""What has been done so far to one store, so that any crash is finished or undone at the next start.

The journal lies in the job's folder beside the store, ``<name>.memdefrag/journal``: lines of ``crc32
json``, each pushed to the disk before the step it announces. A torn or damaged line ends the reading: the
state before it counts.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from memdefrag.base.errors import UnfinishedJob
from memdefrag.base.fsops import append_durable, fsync_dir, make_private_dir, remove
from memdefrag.base.settings import data_dir
from memdefrag.engine.catalogue import store_id
from memdefrag.model.address import Address


class JobState(StrEnum):
    STARTED = "started"
    BACKED_UP = "backed-up"
    STAGED = "staged"
    VERIFIED = "verified"
    SWAP = "swap"
    SWAPPED = "swapped"


@dataclass(frozen=True)
class Job:
    """One job's folder and its fixed places.

    Attributes:
        target: the store's real path. The job of a store that is written live has a path in the data folder
            instead, where nothing ever stands.
    """

    target: Path

    @classmethod
    def of_live(cls, store: Address) -> Job:
        """The job of a store that is no file of ours to exchange."""
        return cls(data_dir() / "jobs" / store_id(store))

    @property
    def folder(self) -> Path:
        return self.target.with_name(self.target.name + ".memdefrag")

    @property
    def new(self) -> Path:
        """The staged copy; it keeps the store's name, which some formats show."""
        return self.folder / "new" / self.target.name

    @property
    def old(self) -> Path:
        return self.folder / "old" / self.target.name

    @property
    def _journal(self) -> Path:
        return self.folder / "journal"

    def begin(self, **facts: Any) -> None:
        """Make the folder and write the first line.

        Raises:
            UnfinishedJob: the folder of an interrupted job is still there.
        """
        try:
            make_private_dir(self.folder.parent)
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise UnfinishedJob(f"An earlier write to {self.target} was interrupted ({self.folder}).") from None
        for place in (self.new, self.old):
            place.parent.mkdir(mode=0o700)
        fsync_dir(self.folder.parent)
        self.note(JobState.STARTED, **facts)

    def note(self, state: JobState, **facts: Any) -> None:
        """Announce a state, durably."""
        body = json.dumps({"state": state, **facts}, ensure_ascii=True).encode()
        append_durable(self._journal, b"%08x %s\n" % (zlib.crc32(body), body))

    def facts(self) -> dict[str, Any]:
        """Everything noted so far, later lines over earlier ones; empty when there is no readable line."""
        merged: dict[str, Any] = {}
        for line in self._lines():
            merged.update(line)
        return merged

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        remove(self.folder)
        fsync_dir(self.folder.parent)

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            data = self._journal.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        for line in data.split(b"\n")[:-1]:
            crc, _, body = line.partition(b" ")
            if crc != b"%08x" % zlib.crc32(body):
                return
            yield json.loads(body)
