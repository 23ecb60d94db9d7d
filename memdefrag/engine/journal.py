"""What has been done so far to one store, so that any crash is finished or undone at the next start.

The journal lies in the job's folder beside the store, ``<name>.memdefrag/journal``: lines of ``crc32
json``, each pushed to the disk before the step it announces. A torn or damaged line ends the reading: the
state before it counts.
"""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from memdefrag.base import foreign_json
from memdefrag.base.errors import StoreDamaged, UnfinishedJob
from memdefrag.base.fsops import append_durable, fsync_dir, make_private_dir, remove
from memdefrag.base.settings import data_dir
from memdefrag.engine.catalogue import store_id
from memdefrag.model.address import Address
from memdefrag.model.capabilities import Commit

Facts = dict[str, Any]
_FACTS: Facts = {
    "id": str, "pid": int, "process_created": int | float, "lock": str, "store": str, "kind": str,
    "source_hash": str, "new_hash": str, "backup": str, "reason": str, "source": str, "target": str, "resumable": bool,
}  # fmt: skip
_PIDS = 1 << 31


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
    def of_live(cls, store: Address, data: Path | None = None) -> Job:
        """The job of a store that is no file of ours to exchange. `data`: another data folder than ours."""
        return cls((data or data_dir()) / "jobs" / store_id(store))

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

    def facts(self) -> Facts:
        """Everything noted so far, later lines over earlier ones; empty when there is no readable line.

        Raises:
            StoreDamaged: a line is whole but says what no memdefrag of this version writes.
        """
        merged: Facts = {}
        for line in self._lines():
            merged.update(line)
        return merged

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        remove(self.folder)
        fsync_dir(self.folder.parent)

    def _lines(self) -> Iterator[Facts]:
        try:
            data = self._journal.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        for line in data.split(b"\n")[:-1]:
            crc, _, body = line.partition(b" ")
            if crc != b"%08x" % zlib.crc32(body):
                return
            yield self._understood(body)

    def _understood(self, body: bytes) -> Facts:
        """A whole line's facts. What we do not understand is neither torn nor ours to tidy up."""
        try:
            said = foreign_json.parse(body)
        except ValueError:
            said = None
        if isinstance(said, dict) and _is_ours(said):
            return said
        raise StoreDamaged(
            f"The journal in {self.folder} is not one this memdefrag wrote.",
            safe="Nothing was touched.",
            todo="If you do not know where that folder comes from, move it away.",
        )


def can_go_on(facts: Facts) -> bool:
    """Whether an interrupted job has come so far, and is of such a kind, that it can be gone on with."""
    if facts.get("kind") == Commit.DIRECTORY:
        far = facts.get("state") in (JobState.STAGED, JobState.VERIFIED)
    else:
        far = facts.get("kind") == Commit.IN_PLACE and facts.get("state") == JobState.SWAP
    return far and facts.get("resumable") is True


def ways_on(facts: Facts) -> str:
    """What the person can do about a job that can be gone on with, in words."""
    source, target = (shlex.quote(str(facts.get(end))) for end in ("source", "target"))
    again = f"memdefrag migrate {source} {target} --resume"
    return f"Go on with `{again}`, or take it back with `memdefrag recover`."


def _is_ours(said: Facts) -> bool:
    """Whether a line's facts are of the kinds that `Job.note` is given."""
    typed = all(isinstance(said.get(name), kinds | None) for name, kinds in _FACTS.items())
    return typed and said.get("state") in tuple(JobState) and 0 < (said.get("pid") or 1) < _PIDS
