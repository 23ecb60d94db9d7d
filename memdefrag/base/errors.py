"""Every error a person can meet, each with its own exit code.

    MemdefragError
    ├── UsageError                2   the command cannot mean anything
    ├── StoreError
    │   ├── NotAStore            10   nothing we know stands at this address
    │   ├── CollectionNotFound   11   the store has no collection of that name
    │   ├── CollectionNeeded     12   several collections, none named
    │   ├── StoreDamaged         13   the files contradict themselves
    │   ├── UnsupportedFormat    14   a version or schema we do not read or write
    │   ├── NotPermitted         15   the file system says no
    │   ├── ServerUnreachable    16   no answer from the server, or none in time
    │   └── ServerRefused        17   the server answers, but not as one we may or can work with
    ├── WriteError
    │   ├── StoreInUse           20   another program holds the store
    │   ├── NoSpace              21   the disk is too full for a safe write
    │   ├── StoreChanged         22   the store is no longer what was analysed
    │   ├── VerificationFailed   23   what was written does not read back as planned
    │   ├── UnfinishedJob        24   an earlier write was interrupted: recover first
    │   ├── WriterNeeded         25   an older store needs a choice before it is written
    │   ├── WriterFailed         26   the process that writes the staged copy failed
    │   ├── ConfirmationNeeded   27   a person must agree first: much goes, or it takes long
    │   └── SearchLoss           28   searches would no longer find what they find now
    ├── BackupDamaged            30   a backup does not match its manifest
    ├── BackupNotFound           31   no backup of that name
    ├── PlanInvalid              32   the plan file cannot be used
    ├── HistoryNotFound          33   no step of that name
    ├── ModelUnavailable         40   texts need vectors and no fitting model is here
    ├── UnsupportedEnvironment   41   this Python, Qt or system cannot run the program
    ├── Cancelled               130   the person stopped the work; nothing was changed
    └── InternalError            70   a fault of ours

0 means done, 1 means done with failures listed. Each error says three things: what failed
(`message`), what is safe (`safe`) and what to do (`todo`).
"""

from __future__ import annotations

import re
from typing import Any, ClassVar


class MemdefragError(Exception):
    """Base of all errors shown to a person.

    Attributes:
        exit_code: the process exit status of the command line.
        message: what failed, one sentence.
        safe: what was not touched or is kept.
        todo: what the person can do now.
    """

    exit_code: ClassVar[int] = 70
    default_safe: ClassVar[str] = "Your store was not changed."
    default_todo: ClassVar[str] = ""

    def __init__(self, message: str, *, safe: str | None = None, todo: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.safe = self.default_safe if safe is None else safe
        self.todo = self.default_todo if todo is None else todo

    @property
    def code(self) -> str:
        """The machine-readable name, e.g. ``store_in_use``; a kind that another layer adds has that of its parent."""
        drawn = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", drawn.__name__).lower()

    def as_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints under ``error``."""
        return {"code": self.code, "message": self.message, "safe": self.safe, "todo": self.todo}


class UsageError(MemdefragError):
    exit_code = 2
    default_safe = "Nothing was done."


class StoreError(MemdefragError):
    exit_code = 10


class NotAStore(StoreError):
    exit_code = 10
    default_todo = (
        "Name a store that is there: a Chroma folder (the one that holds chroma.sqlite3), a database, a folder or file "
        "of memories. docs/addresses.md lists all kinds."
    )


class CollectionNotFound(StoreError):
    exit_code = 11


class CollectionNeeded(StoreError):
    exit_code = 12


class StoreDamaged(StoreError):
    exit_code = 13
    default_todo = "Restore a backup (memdefrag backup list), or copy the files away before trying anything else."


class UnsupportedFormat(StoreError):
    exit_code = 14


class NotPermitted(StoreError):
    exit_code = 15
    default_todo = "Check who owns the file and its permissions."


class ServerUnreachable(StoreError):
    exit_code = 16
    default_todo = "Check that the server runs and that its address is right, then try again."


class ServerRefused(StoreError):
    """Attributes: `status`: the answer's HTTP status, 413 where it is too large for us; None where nothing came."""

    exit_code = 17

    def __init__(
        self, message: str, *, safe: str | None = None, todo: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, safe=safe, todo=todo)
        self.status = status


class WriteError(MemdefragError):
    exit_code = 20


class StoreInUse(WriteError):
    exit_code = 20
    default_todo = "Close the program that holds the store, then try again."


class NoSpace(WriteError):
    exit_code = 21
    default_todo = "Free some space, or move memdefrag's backups to another disk."


class StoreChanged(WriteError):
    exit_code = 22
    default_todo = "Analyse the store again: somebody wrote to it meanwhile."


class VerificationFailed(WriteError):
    exit_code = 23
    default_todo = "Please report this with the log file: the staged copy was discarded."


class UnfinishedJob(WriteError):
    exit_code = 24
    default_todo = "Run `memdefrag recover`."


class WriterNeeded(WriteError):
    exit_code = 25


class WriterFailed(WriteError):
    exit_code = 26


class ConfirmationNeeded(WriteError):
    exit_code = 27


class SearchLoss(WriteError):
    exit_code = 28
    default_todo = (
        "Add --dry-run to see every lost hit, and leave those groups out; or name what you accept with --min-recall."
    )


class BackupDamaged(MemdefragError):
    exit_code = 30


class BackupNotFound(MemdefragError):
    exit_code = 31
    default_todo = "See `memdefrag backup list`."


class PlanInvalid(MemdefragError):
    exit_code = 32


class HistoryNotFound(MemdefragError):
    exit_code = 33
    default_todo = "See `memdefrag history`."


class ModelUnavailable(MemdefragError):
    exit_code = 40
    default_todo = (
        "Install the models extra (pipx install 'memdefrag[models]'), or use --no-model to compare texts only."
    )


class UnsupportedEnvironment(MemdefragError):
    exit_code = 41


class Cancelled(MemdefragError):
    exit_code = 130

    def __init__(self, message: str = "Stopped.", *, safe: str | None = None, todo: str | None = None) -> None:
        super().__init__(message, safe=safe, todo=todo)


class InternalError(MemdefragError):
    exit_code = 70
    default_todo = "Please report this with the log file."
