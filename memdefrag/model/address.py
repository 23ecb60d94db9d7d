"""One string names a store everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from memdefrag.base.errors import UsageError
from memdefrag.base.secrets import without_credentials
from memdefrag.model import profiles

_KIND = re.compile(r"^(?P<kind>[a-z][a-z0-9+-]+):(?P<rest>.*)$", re.S)
_DRIVE_LETTER = 1
_HDEV = re.compile(r"filesystem(?::(?P<folder>.*))?|http(?::(?P<url>https?://.+)?)?", re.S)
"""How hdev names its stores: ``filesystem``, or ``http:`` before a URL."""
_SQLITE_URL = "sqlite:///"
"""Before a path: how the Enhanced Memory System names its database, after SQLAlchemy."""


@dataclass(frozen=True, slots=True)
class Address:
    """A store's kind, its place (path or URL) and, optionally, the collection that is meant.

    The textual form is ``kind:location#collection``; secrets never stand in it.
    """

    kind: str
    location: str
    collection: str | None = None

    def __str__(self) -> str:
        chosen = f"#{self.collection}" if self.collection else ""
        return f"{self.kind}:{self.location}{chosen}"

    @property
    def path(self) -> Path:
        """The location as a path of this machine."""
        return Path(self.location).expanduser()

    @property
    def is_local(self) -> bool:
        """Whether the location is a path of this machine, not a URL."""
        return not self.location.startswith("//") and "://" not in self.location

    @property
    def url(self) -> str:
        """The URL of a server: of ``hdev+http://host`` it is ``http://host``."""
        return f"{self.kind.partition('+')[2]}:{self.location}" if self.location.startswith("//") else self.location

    def whole(self) -> Address:
        """The store itself: its real place (links followed), and no collection meant."""
        location = str(self.path.resolve()) if self.is_local else self.location.rstrip("/")
        return Address(self.kind, location)

    def at(self, location: Path | str) -> Address:
        """The same kind of store (and collection) at another place."""
        return replace(self, location=str(location))

    def select(self, collection: str | None) -> Address:
        """The same store with another collection meant."""
        return replace(self, collection=collection)


def parse(text: str) -> Address:
    """Read ``kind:location#collection``; a bare path gets the kind "" (the registry recognises it).

    hdev's own ``filesystem:FOLDER`` and ``http:URL`` are read, too; without a place, as ``hdev:`` alone, they mean
    the one that hdev's configuration names. ``sqlite:///FILE`` is the Enhanced Memory System's name for its database.
    ``profile:NAME`` is the server that is kept by that name.

    A password in it is kept in memory for its place and does not get into the address.

    Raises:
        UsageError: the text is empty, cannot be a path, or no server is kept by the name in it.
    """
    if not text.strip() or "\0" in text:
        raise UsageError("No store was named.", todo="Give a path or an address such as chroma:FOLDER.")
    text = _as_ours(profiles.expanded(without_credentials(text)))
    match = _KIND.match(text)
    kind, rest = (match["kind"], match["rest"]) if match and len(match["kind"]) > _DRIVE_LETTER else ("", text)
    if kind and Path(text).expanduser().exists():
        kind, rest = "", text
    location, collection = _split_collection(rest)
    return Address(kind, location, collection)


def _as_ours(text: str) -> str:
    """The address of a store that is named as hdev or the Enhanced Memory System name it; any other text as it is."""
    if text.startswith(_SQLITE_URL) and len(text) > len(_SQLITE_URL):
        return f"enhanced:{text.removeprefix(_SQLITE_URL)}"
    match = _HDEV.fullmatch(text)
    if not match or Path(text).expanduser().exists():
        return text
    if text.startswith("filesystem"):
        return f"hdev:{match['folder'] or ''}"
    return f"hdev+{match['url'] or 'http:'}"


def _split_collection(rest: str) -> tuple[str, str | None]:
    """Cut at the last ``#`` unless the whole is an existing path."""
    if "#" not in rest or Path(rest).expanduser().exists():
        return rest, None
    location, collection = rest.rsplit("#", 1)
    return location, collection or None
