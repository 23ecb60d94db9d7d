"""Which chromadb makes and writes which Chroma folder.

A folder says in its table ``migrations`` how far each of three sets of tables has come. A library that knows more
migrations carries them out when it opens the folder, and older ones can no longer open it; so only a library of
the same level leaves a folder to the programs that own it. Read from the migrations inside the published packages
(0.4.0 to 0.6.0) and compiled into their Rust part (1.0.0 to 1.5.9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

OLDEST, NEWEST = "0.4.0", "1.5.9"
"""The range of chromadb whose levels are known."""

_DIRECTORIES = ("embeddings_queue", "metadb", "sysdb")


@dataclass(frozen=True, slots=True)
class Level:
    """One state of the tables.

    Attributes:
        migrations: how many of embeddings_queue, metadb and sysdb are applied.
        first, last: the chromadb releases that make it.
        writer: the release memdefrag installs to write it.
    """

    migrations: tuple[int, int, int]
    first: str
    last: str
    writer: str


LEVELS = (
    Level((1, 1, 3), "0.4.0", "0.4.3", "0.4.3"),
    Level((1, 2, 3), "0.4.4", "0.4.5", "0.4.5"),
    Level((1, 3, 3), "0.4.6", "0.4.14", "0.4.14"),
    Level((1, 3, 4), "0.4.15", "0.4.24", "0.4.24"),
    Level((1, 3, 5), "0.5.0", "0.5.0", "0.5.0"),
    Level((1, 3, 6), "0.5.1", "0.5.3", "0.5.3"),
    Level((1, 3, 7), "0.5.4", "0.5.5", "0.5.5"),
    Level((2, 4, 9), "0.5.7", "0.6.3", "0.5.23"),
    Level((2, 5, 9), "1.0.0", "1.2.2", "1.0.20"),
    Level((2, 5, 10), "1.3.0", "1.4.1", "1.3.7"),
    Level((2, 6, 10), "1.5.0", NEWEST, NEWEST),
)
"""All known levels, oldest first. 0.5.23 is the release that mcp-memory-service pins; 0.6 shares its tables."""


def version_tuple(version: str) -> tuple[int, ...]:
    """The leading numbers of a release: ``"0.5.23"`` -> (0, 5, 23)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def level_of(migrations: Mapping[str, int]) -> Level | None:
    """The level of a folder's migrations (directory -> highest version applied), None when it is not known."""
    found = tuple(migrations.get(name, 0) for name in _DIRECTORIES)
    return next((level for level in LEVELS if level.migrations == found), None)


def level_made_by(version: str) -> Level | None:
    """The level that a chromadb release makes, None for releases we do not know."""
    asked = version_tuple(version)
    return next((level for level in LEVELS if version_tuple(level.first) <= asked <= version_tuple(level.last)), None)


def writer_for(migrations: Mapping[str, int]) -> str | None:
    """The chromadb release to install for writing such a folder; None when the level is not known."""
    level = level_of(migrations)
    return level.writer if level else None


def fits(version: str, migrations: Mapping[str, int]) -> bool:
    """Whether this chromadb release writes the folder without upgrading it.

    A release newer than we know is taken to fit the newest level; the writer checks afterwards that the
    migrations are unchanged.
    """
    level = level_of(migrations)
    if level is None:
        return False
    made = level_made_by(version)
    newer_than_known = version_tuple(version) > version_tuple(NEWEST)
    return made == level or (newer_than_known and level is LEVELS[-1])


def words(migrations: Mapping[str, int]) -> str:
    """Who made the folder, for a person: ``"chromadb 0.5.7 to 0.6.3"``."""
    level = level_of(migrations)
    if level is None:
        return "an unknown chromadb"
    return f"chromadb {level.first}" if level.first == level.last else f"chromadb {level.first} to {level.last}"
