"""What a store can hold and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Commit(StrEnum):
    """How changes become the store's: as a finished copy that takes its place, or written into the live store."""

    SQLITE = "sqlite"
    """The copy's pages go into the live file in one SQLite transaction."""
    DIRECTORY = "directory"
    """The copy and the folder trade places."""
    FILE = "file"
    """The copy and the file trade places."""
    IN_PLACE = "in-place"
    """Record by record, with the images of what was there to undo a half-done write."""
    TRANSACTION = "transaction"
    """All at once in a transaction of the database that holds the store."""

    @property
    def is_live(self) -> bool:
        """Whether `Store.write` changes the store itself rather than a staged copy."""
        return self in (Commit.IN_PLACE, Commit.TRANSACTION)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can hold and how it is written.

    Attributes:
        commit: how changes become the store's.
        writable: False where this program can only read.
        written_by: version of the library that must write it, when that is not the built-in one.
        tags_in_metadata: tags and times live inside the metadata under Memory Service's rules.
        list_values, nested_values: metadata may hold lists of scalars; lists and objects of anything.
        null_text, null_vector: a record may lack its text; its vector.
        vectors, uri, relations, archive: the store has a place for them.
        writes_relations: `Store.write` carries out `Changes.relate` and `unrelate`.
        parallel_relations: two memories may have several links of different types.
        loose_relations: a link may name memories that are not there, or not any more.
        links_of_deleted: where deleted records stay, marked as such, they keep their links.
        new_collections: collections can be made; False where they are fixed, such as tables of another program.
        shared_metrics: where all collections are searched in one index, so that they have one metric and vectors of one
            length: the metrics that a new one may have, the usual one first.
        empty_collections: a collection may hold nothing; where False, one is there as long as a record is in it.
        content_ids: a record's id is a hash of its text; under another text it is another record.
        searched: its program searches by vectors, and so never finds a record that may lack one and does.
        extras: owner, state and the extras of any record have a place of their own.
        soft_delete: a removed record stays, marked as deleted, with all that belongs to it.
        raw_bytes: texts may hold bytes that are not UTF-8, read as surrogate escapes.
        zero_bytes: texts may hold zero bytes.
    """

    commit: Commit
    writable: bool = True
    written_by: str | None = None
    tags_in_metadata: bool = False
    list_values: bool = True
    nested_values: bool = True
    null_text: bool = True
    null_vector: bool = True
    vectors: bool = True
    uri: bool = True
    relations: bool = False
    writes_relations: bool = False
    parallel_relations: bool = True
    loose_relations: bool = False
    links_of_deleted: bool = True
    new_collections: bool = True
    shared_metrics: tuple[str, ...] = ()
    empty_collections: bool = True
    archive: bool = False
    content_ids: bool = False
    searched: bool = False
    extras: bool = False
    soft_delete: bool = False
    raw_bytes: bool = False
    zero_bytes: bool = True
