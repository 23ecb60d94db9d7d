"""One log file for each job: what was done to which record, without texts and without secrets."""

from __future__ import annotations

import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import memdefrag
from memdefrag.base.errors import NotPermitted
from memdefrag.base.fsops import PRIVATE_FILE, make_private_dir
from memdefrag.base.settings import data_dir, redact
from memdefrag.cli.output import note, plain

KEPT_LOGS = 20


class JobLog:
    """Lines with the time. They stay in memory until `keep` gives them a file: reading commands leave no trace."""

    def __init__(self, command: str) -> None:
        self.path: Path | None = None
        self._command = command
        self._waiting: list[str] = []
        self.write(f"memdefrag {memdefrag.__version__}, Python {platform.python_version()}, {sys.platform}")

    def write(self, text: str) -> None:
        """Add a line, secrets replaced. A disk that is full ends the log, never the job."""
        safe = plain(redact(text)).replace("\n", " ")
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {safe}\n"
        if self.path is None:
            self._waiting.append(line)
            return
        try:
            _append(self.path, line)
        except OSError as error:
            note(f"The log {self.path} ends here: {error.strerror}.")
            self.path = None

    def keep(self, path: Path | None = None) -> Path:
        """From now on write to `path`, or to a new file in the data folder, where the newest 20 stay.

        Raises:
            NotPermitted: the file cannot be written.
        """
        if self.path is None:
            try:
                self.path = path.expanduser().resolve() if path else _new_file(self._command)
                _append(self.path, "".join(self._waiting))
            except OSError as error:
                place = self.path or data_dir()
                self.path = None
                raise NotPermitted(f"The log {place} cannot be written: {error.strerror}.") from error
            self._waiting.clear()
        return self.path


def _new_file(command: str) -> Path:
    folder = make_private_dir(data_dir() / "logs")
    for old in sorted(folder.glob("*.log"))[: -KEPT_LOGS + 1]:
        old.unlink(missing_ok=True)
    stamp = re.sub(r"[-:.]", "", datetime.now(UTC).isoformat(timespec="microseconds")).split("+")[0]
    return folder / f"{stamp}Z-{command.replace(' ', '-')}.log"


def _append(path: Path, text: str) -> None:
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, PRIVATE_FILE), "ab") as out:
        out.write(text.encode("utf-8", "backslashreplace"))
