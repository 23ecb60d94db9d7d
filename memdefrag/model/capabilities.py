"""What a store can hold and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Commit(StrEnum):
    """How a finished copy becomes the store."""

    SQLITE = "sqlite"
    DIRECTORY = "directory"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can hold and how it is written.

    Attributes:
        commit: how a staged copy becomes the live store.
        writable: False where this program can only read.
        written_by: version of the library that must write it, when that is not the built-in one.
        tags_in_metadata: tags and times live inside the metadata under Memory Service's rules.
        list_values, nested_values: metadata may hold lists of scalars; lists and objects of anything.
        null_text, null_vector: a record may lack its text; its vector.
        uri, relations, archive: the store has a place for them.
        extras: owner, state and the extras of any record have a place of their own.
        raw_bytes: texts may hold bytes that are not UTF-8, read as surrogate escapes.
    """

    commit: Commit
    writable: bool = True
    written_by: str | None = None
    tags_in_metadata: bool = False
    list_values: bool = True
    nested_values: bool = True
    null_text: bool = True
    null_vector: bool = True
    uri: bool = True
    relations: bool = False
    archive: bool = False
    extras: bool = False
    raw_bytes: bool = False
