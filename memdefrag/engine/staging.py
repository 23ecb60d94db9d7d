"""The copy of a store that takes its place: filled from the backup, changed, pushed to the disk and proved."""

from __future__ import annotations

from dataclasses import dataclass

from memdefrag.base.errors import VerificationFailed, WriterFailed
from memdefrag.base.fsops import dress_like, fsync_tree
from memdefrag.base.progress import Progress
from memdefrag.engine.backups.files import extract
from memdefrag.engine.backups.shelf import Backup
from memdefrag.engine.journal import Job, JobState
from memdefrag.engine.verify import verify_content, verify_probes
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes
from memdefrag.model.records import Snapshot
from memdefrag.stores.base import Store, StoreSettings, read_snapshot
from memdefrag.stores.registry import open_store


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

    def write(self, before: Snapshot, changes: Changes, *, rebuild: bool) -> Snapshot:
        """Change the copy, push it to the disk, and prove what it holds, which is returned.

        Args:
            before: what the copy was filled with.
            rebuild: build its index files anew.

        Raises:
            VerificationFailed, WriterFailed: the copy is not what it has to be.
        """
        with self._opened() as staged:
            if changes or self.settings.chroma_upgrade:
                staged.write(changes, self.progress)
            if rebuild:
                staged.rebuild(self.progress)
            after = self.proved(before, changes)
            try:
                verify_probes(staged, before, changes, after, self.progress)
            except (VerificationFailed, WriterFailed):
                if rebuild:
                    raise
                # Older indexes may lose their way to some records when many were deleted; a new one does not.
                staged.rebuild(self.progress)
                after = self.proved(before, changes)
                verify_probes(staged, before, changes, after, self.progress)
        return after

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
        verify_content(before, changes, after)
        return after

    def read(self) -> Snapshot:
        """Push the copy to the disk and read it back with fresh eyes."""
        if self.job.target.exists():
            dress_like(self.job.new, self.job.target)
        if self.job.new.is_dir():
            fsync_tree(self.job.new)
        self.progress.phase("Verifying")
        with self._opened() as written:
            return read_snapshot(written, self.progress)

    def _opened(self) -> Store:
        return open_store(self.address.at(self.job.new), self.settings, must_exist=False)
