"""Folders, limits and the removal of secrets from anything that is written down."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import platformdirs

from memdefrag.base.errors import UsageError

DATA_DIR_VARIABLE = "MEMDEFRAG_DATA_DIR"
CA_FILE_VARIABLE = "MEMDEFRAG_CA_FILE"
PLAIN_KEY_VARIABLE = "MEMDEFRAG_ALLOW_PLAIN_KEY"
TIMEOUT_VARIABLE = "MEMDEFRAG_TIMEOUT"
BACKUP_LIMIT_VARIABLE = "MEMDEFRAG_BACKUP_LIMIT"
PAIR_MEMORY_VARIABLE = "MEMDEFRAG_PAIR_MEMORY"

BATCH_RECORDS = 5_000
"""Records handed over at once by a store's scan."""

CANDIDATE_COSINE = 0.72
"""Pairs of vectors less similar than this are never looked at (see docs/quality.md)."""

DEFAULT_THRESHOLD = 0.85
"""The combined score from which a pair is suggested."""

PREVIEW_CHARACTERS = 20_000
"""Texts are cut to this length in views; Qt lays out longer ones too slowly."""

LOCK_DEADLINE_SECONDS = 15.0
"""How long a write waits for another program's SQLite lock."""


def data_dir() -> Path:
    """The folder of backups, history, decisions and logs (not created here)."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named).absolute() if named else Path(platformdirs.user_data_dir("memdefrag", appauthor=False))


def cache_dir() -> Path:
    """The folder of things that can be computed again (not created here)."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return data_dir() / "cache" if named else Path(platformdirs.user_cache_dir("memdefrag", appauthor=False))


def server_timeout() -> float | None:
    """After how many seconds without a byte a server is given up, if the person says so.

    Raises:
        UsageError: what is said is no number of seconds.
    """
    said = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{TIMEOUT_VARIABLE} is {said!r}, which is no number of seconds.")
    return seconds


@contextmanager
def giving_up_after(seconds: float | None) -> Iterator[None]:
    """Within this a server is given up after so many seconds without a byte; None: as it is without."""
    before = os.environ.get(TIMEOUT_VARIABLE)
    if seconds is not None:
        os.environ[TIMEOUT_VARIABLE] = str(seconds)
    try:
        yield
    finally:
        if seconds is not None and before is None:
            del os.environ[TIMEOUT_VARIABLE]
        elif seconds is not None and before is not None:
            os.environ[TIMEOUT_VARIABLE] = before


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


PAIR_MEMORY = 512 * 10**6
"""Bytes that the search for similar pairs may use beside the vectors, unless the person says otherwise."""


def backup_limit() -> int | None:
    """How many bytes the person allows all backups, as ``20 GB`` or a number of bytes; None: not said.

    Raises:
        UsageError: what is said is no size.
    """
    return _size(BACKUP_LIMIT_VARIABLE)


def pair_memory() -> int:
    """How many bytes the search for similar pairs may use beside the vectors.

    Raises:
        UsageError: what the person says is no size.
    """
    said = _size(PAIR_MEMORY_VARIABLE)
    return PAIR_MEMORY if said is None else said


def _size(variable: str) -> int | None:
    said = os.environ.get(variable, "").strip()
    if not said:
        return None
    size = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", said, re.I)
    if not size:
        raise UsageError(
            f"{variable} is {said!r}, which is no size.", todo="Say a size such as 20 GB, or unset it."
        )
    return int(float(size[1]) * _UNITS[size[2].lower()])


def resource(name: str) -> Path:
    """A file of the `resources` folder, in an installed package or a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "resources" / name
    return installed if installed.exists() else package.parent / "resources" / name


_NAME_OF_SECRET = r"\b[\w-]*(?:api[-_]?key|token|password|secret)\b"
_SECRETS = (
    (re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+(?=@)", re.I), r"\g<head>***"),
    (re.compile(rf"(?P<head>--{_NAME_OF_SECRET}\s+)[^\s,;\"']+", re.I), r"\g<head>***"),
    (re.compile(rf"(?P<head>{_NAME_OF_SECRET}[\"']?\s*[=:]\s*[\"']?)[^\s,;\"']+", re.I), r"\g<head>***"),
    (re.compile(r"(?P<head>\bBearer\s+)\S+", re.I), r"\g<head>***"),
)
_hidden: set[str] = set()
_WHOLE_WORD_BELOW = 6


def hide(secret: str) -> None:
    """From now on `redact` replaces this, however it is escaped. A very short one only where it stands alone."""
    escaped = (quote(secret, errors="replace"), quote(secret, safe="", errors="replace"))
    spellings = {secret, *escaped, quote_plus(secret, errors="replace"), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    _hidden.update(spellings - {""})


def redact(text: str) -> str:
    """The text with all hidden secrets, and passwords in addresses, keys and tokens, replaced by ``***``."""
    for secret in sorted(_hidden, key=len, reverse=True):
        if len(secret) >= _WHOLE_WORD_BELOW:
            text = text.replace(secret, "***")
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
