"""Which memories are looked at, and which of them never belong together: other people's, pieces of one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from memdefrag.base.errors import UsageError
from memdefrag.model.records import MemoryRecord, Metadata, State
from memdefrag.model.service_metadata import state_of

TYPE_KEYS = ("memory_type", "type", "kind", "category", "content_type")
"""Where stores say of what kind a memory is: Memory Service, its editing tool, Enhanced Memory, Federated Memory,
document loaders."""

SOURCE_KEYS = ("source", "source_file", "source_url", "file_path", "file_name", "filename", "path", "url")
"""Where stores say from where a memory came: Memory Service's document ingestion, Federated Memory, loaders."""

OWNER_KEYS = ("user_id", "owner_id")
"""Where memories of several users are told apart inside one collection of a store that knows no users."""

PIECE_KEYS = ("chunk_index", "chunk_number", "chunk_no")
TEXT_KEYS = (
    "parent_id", "document_id", "doc_id", "ref_doc_id", "original_id", "original_hash", "parent_hash", *SOURCE_KEYS,
)  # fmt: skip
"""How a piece of a longer text is marked, and what names that text: Memory Service 12 (`chunk_index` and
`original_hash`, without `is_chunk`), its document ingestion, and the usual text splitters."""

_LENGTH_OF_DAY = len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which memories are looked at; all others take no part and stay as they are.

    A memory must meet every condition that is given, and one of the values of each.

    Attributes:
        tags: it has this tag.
        types: it is of this kind (`TYPE_KEYS`), in whatever case.
        sources: it came from there (`SOURCE_KEYS`, or its uri); ``*`` and ``?`` stand for other letters.
        collections: it is in this collection.
        since, until: it was created at or after, and before this moment (seconds since 1970 UTC). One whose time is
            unknown meets neither.
    """

    tags: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None

    def admits(self, record: MemoryRecord) -> bool:
        """Whether a memory is looked at."""
        return (
            (not self.collections or record.key.collection in self.collections)
            and (not self.tags or not self.tags.isdisjoint(record.tags))
            and (not self.types or not {kind.casefold() for kind in self.types}.isdisjoint(types_of(record)))
            and (not self.sources or any(fnmatchcase(one, said) for one in sources_of(record) for said in self.sources))
            and self._in_time(record.created)
        )

    def _in_time(self, created: float | None) -> bool:
        if created is None:
            return self.since is None and self.until is None
        return (self.since is None or created >= self.since) and (self.until is None or created < self.until)


def moment_of(said: str, *, after: bool = False) -> float:
    """Seconds since 1970 of a local day or time, as in 2026-01-31 or 2026-01-31T14:00; `after`: of the day's end.

    Raises:
        UsageError: it is no date.
    """
    try:
        if len(said) <= _LENGTH_OF_DAY:
            day = date.fromisoformat(said) + timedelta(days=after)
            return datetime(day.year, day.month, day.day).timestamp()
        return datetime.fromisoformat(said).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{said!r} is no date.", todo="Say it as in 2026-01-31 or 2026-01-31T14:00.") from error


def types_of(record: MemoryRecord) -> set[str]:
    """All that a memory is said to be, in small letters."""
    said = (*_said(record.metadata, TYPE_KEYS), *_said(record.extras, TYPE_KEYS))
    return {kind.casefold() for kind in said}


def sources_of(record: MemoryRecord) -> set[str]:
    """Every place from which a memory is said to come."""
    named = [record.uri] if record.uri else []
    return {*_said(record.metadata, SOURCE_KEYS), *_said(record.extras, SOURCE_KEYS), *named}


def owner_of(record: MemoryRecord) -> str | None:
    """Whose memory it is: by the store, or where that knows no users by the metadata."""
    if record.owner is not None:
        return record.owner
    return next(iter(_said(record.metadata, OWNER_KEYS)), None)


def owners(records: Sequence[MemoryRecord], stores: Sequence[int], against: int | None) -> list[str | None]:
    """Per record its owner, as far as owners keep memories apart.

    They do not where stores are compared with one and either side knows no owners at all: what is about to be
    imported gets its owner only then.

    Args:
        stores: per record the number of its store; `against`: see `AnalysisOptions`.
    """
    named = [owner_of(record) for record in records]
    sides = {store == against for owner, store in zip(named, stores, strict=True) if owner is not None}
    return named if against is None or len(sides) == 2 else [None] * len(named)


def is_current(record: MemoryRecord) -> bool:
    """Whether a memory is one that searches find, whole: not deleted, superseded, or a piece marked as such."""
    return record.state is State.LIVE and state_of(record.metadata) is State.LIVE


def text_of_piece(record: MemoryRecord) -> str | None:
    """What names the text that a memory is a piece of, inside its collection; None where it is a whole.

    Pieces of which it is not known of what they are count as pieces of one text.
    """
    if all(record.metadata.get(key) is None for key in PIECE_KEYS):
        return None
    return next(iter(_said(record.metadata, TEXT_KEYS)), "")


def _said(metadata: Metadata, keys: tuple[str, ...]) -> list[str]:
    return [_named(metadata[key]) for key in keys if metadata.get(key) not in (None, "")]


def _named(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
