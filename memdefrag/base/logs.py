"""A log file of what was done to which record, without texts and without secrets."""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import memdefrag
from memdefrag.base.errors import NotPermitted
from memdefrag.base.fsops import PRIVATE_FILE, make_private_dir
from memdefrag.base.settings import data_dir, redact
from memdefrag.base.wording import plain

KEPT_LOGS = 20


class JobLog:
    """Lines with the time. They stay in memory until `keep` gives them a file: reading leaves no trace.

    Args:
        command: what is logged; part of the file's name.
        tell: told when the file cannot be written any more. Lines may come from several threads.
    """

    def __init__(self, command: str, tell: Callable[[str], None]) -> None:
        self.path: Path | None = None
        self._command, self._tell = command, tell
        self._waiting: list[str] = []
        self._lock = threading.RLock()
        self.write(f"memdefrag {memdefrag.__version__}, Python {platform.python_version()}, {sys.platform}")

    def write(self, text: str) -> None:
        """Add a line, secrets replaced. A disk that is full ends the log, never the job."""
        safe = plain(redact(text)).replace("\n", " ")
        line = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {safe}\n"
        with self._lock:
            if self.path is None:
                self._waiting.append(line)
                return
            try:
                _append(self.path, line)
            except OSError as error:
                place, self.path = self.path, None
                self._tell(f"The log {place} ends here: {error.strerror}.")

    def keep(self, path: Path | None = None) -> Path:
        """From now on write to `path`, or to a new file in the data folder, where the newest 20 stay.

        Raises:
            NotPermitted: the file cannot be written.
        """
        with self._lock:
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
