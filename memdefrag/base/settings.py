"""Folders, limits and the removal of secrets from anything that is written down."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

DATA_DIR_VARIABLE = "MEMDEFRAG_DATA_DIR"

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

MERGE_CHARACTERS_WARNING = 1_000
"""A merged text longer than this may exceed the model's window of 256 tokens."""


def data_dir() -> Path:
    """The folder of backups, history, decisions and logs (not created here)."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("memdefrag", appauthor=False))


def cache_dir() -> Path:
    """The folder of things that can be computed again (not created here)."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named) / "cache" if named else Path(platformdirs.user_cache_dir("memdefrag", appauthor=False))


def resource(name: str) -> Path:
    """A file of the `resources` folder, in an installed package or a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "resources" / name
    return installed if installed.exists() else package.parent / "resources" / name


_SECRETS = (
    (re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+(?=@)", re.I), r"\g<head>***"),
    (
        re.compile(r"(?P<head>(?:--)?\b[\w-]*(?:api[-_]?key|token|password|secret)\b\s*[=:\s]\s*)[^\s,;\"']+", re.I),
        r"\g<head>***",
    ),
    (re.compile(r"(?P<head>\bBearer\s+)\S+", re.I), r"\g<head>***"),
)


def redact(text: str) -> str:
    """The text with passwords in addresses, keys and tokens replaced by ``***``."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
