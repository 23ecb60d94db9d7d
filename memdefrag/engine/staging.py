"""The copy of a store that takes its place: filled from the backup, changed, pushed to the disk and proved."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from memdefrag.base.errors import (
    NoSpace,
    NotPermitted,
    StoreDamaged,
    StoreError,
    VerificationFailed,
    WriteError,
    WriterFailed,
)
from memdefrag.base.fsops import dress_like, fsync_tree, remove
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.files import extract
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.in_place import same
from memdefrag.engine.journal import Job, JobState
from memdefrag.engine.verify import PROBES, verify_content, verify_probes
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref, expected
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import Store, StoreSettings, read_snapshot
from memdefrag.stores.registry import open_store

PROBES_AFTER_CRASH = 500
"""An index that a crash interrupted reads back whole where only the ways between its records are torn."""


@dataclass(frozen=True)
class Staging:
    """The copy in the folder of `job` that is to become the store at `address`."""

    job: Job
    address: Address
    settings: StoreSettings
    progress: Progress

    def fill(self, backup: Backup | None) -> None:
        """Make the copy out of the backup, which so proves that it can be restored. None: the store is new."""
        if backup:
            extract(backup, self.job.new, self.progress)
        self.job.note(JobState.STAGED)

    def take_up(self, backup: Backup | None, before: Snapshot, changes: Changes, *, rebuild: bool) -> Snapshot:
        """Write what is missing in a copy that a crash interrupted; where it is not fit for that, begin it anew.

        Args, raises, returns: as `write`; `backup` as `fill`.
        """
        try:
            left = remaining(before, changes, self._content())
            return self.write(before, changes, rebuild=rebuild, left=left)
        except (NoSpace, NotPermitted):
            raise
        except (StoreError, WriteError):
            remove(self.job.new)
            self.fill(backup)
            return self.write(before, changes, rebuild=rebuild)

    def write(
        self, before: Snapshot, changes: Changes, *, rebuild: bool, left: Changes | None = None
    ) -> Snapshot:
        """Change the copy, push it to the disk, and prove what it holds, which is returned.

        Args:
            before: what the copy was filled with.
            rebuild: build its index files anew.
            left: those of the changes that are not in it yet; None: all.

        Raises:
            VerificationFailed, WriterFailed: the copy is not what it has to be.
        """
        probes = PROBES if left is None else PROBES_AFTER_CRASH
        # The search is asked after the write; what answers is loaded beside it.
        with self._opened() as staged, staged.expecting_use():
            if changes or self.settings.chroma_upgrade:
                staged.write(changes if left is None else left, self.progress)
            if rebuild:
                staged.rebuild(self.progress)
            after, lost = self._proved_and_searched(staged, before, changes, probes)
            if lost and rebuild:
                raise lost
            if lost:
                # Older indexes may lose their way to some records when many were deleted, any may be torn by a crash;
                # a new one is neither.
                staged.rebuild(self.progress)
                after, lost = self._proved_and_searched(staged, before, changes, probes)
                if lost:
                    raise lost
        return after

    def _proved_and_searched(
        self, staged: Store, before: Snapshot, changes: Changes, probes: int
    ) -> tuple[Snapshot, WriteError | None]:
        """What the copy holds, proved; and what its search fails in, if it does.

        The search is the work of another process, and goes on beside the reading.
        """
        promised = replace(before, records=tuple(expected(before, changes).values()))
        unseen = Progress(cancel=self.progress.cancel)
        with ThreadPoolExecutor(1) as beside:
            searched = beside.submit(verify_probes, staged, before, changes, promised, unseen, probes)
            after = self.proved(before, changes)
        try:
            searched.result()
        except (VerificationFailed, WriterFailed) as error:
            return after, error
        return after, None

    def rebuild(self) -> None:
        """Build the index files of the copy anew."""
        with self._opened() as staged:
            staged.rebuild(self.progress)

    def proved(self, before: Snapshot, changes: Changes) -> Snapshot:
        """Push the copy to the disk and compare what it holds with what it has to.

        Raises:
            VerificationFailed: it is something else.
        """
        after = self.read()
        with self._opened() as copy:
            verify_content(before, changes, after, empty_collections=copy.capabilities.empty_collections)
        return after

    def read(self) -> Snapshot:
        """Push the copy to the disk and read it back with fresh eyes."""
        if self.job.target.exists():
            dress_like(self.job.new, self.job.target)
        if self.job.new.is_dir():
            fsync_tree(self.job.new)
        self.progress.phase("Verifying")
        return self._content()

    def _content(self) -> Snapshot:
        with self._opened() as copy:
            return read_snapshot(copy, self.progress) if copy.exists else Snapshot(str(copy.address), ())

    def _opened(self) -> Store:
        return open_store(self.address.at(self.job.new), self.settings, must_exist=False)


def remaining(before: Snapshot, changes: Changes, present: Snapshot) -> Changes:
    """What is still to be done to a copy that holds `present` and was to become `before` with the changes. Pure.

    Raises:
        StoreDamaged: the copy has collections that it is not to have.
    """
    known = {info.name for info in (*before.collections, *changes.collections)}
    strange = [info.name for info in present.collections if info.name not in known]
    if strange:
        raise StoreDamaged(f"The interrupted copy holds the collection {strange[0]}.")
    promised, found = expected(before, changes), present.by_key
    return Changes(
        put=tuple(
            Put(record, record_hash(found[key]) if key in found else None)
            for key, record in promised.items()
            if not same(found.get(key), record)
        ),
        delete=tuple(Ref.of(record) for key, record in found.items() if key not in promised),
        collections=changes.collections,
    )
