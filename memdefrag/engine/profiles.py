"""Servers that the person gave a name: ``<data dir>/profiles.json``.

Their keys lie in the system's keyring (`base.secrets`), never here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import urlencode

from memdefrag.base import foreign_json
from memdefrag.base.errors import UsageError
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.secrets import without_credentials
from memdefrag.base.settings import data_dir

KINDS = {
    "chroma": "Chroma server",
    "hdev": "hdev server",
    "bigmemory": "BigMemory (PostgreSQL)",
    "federated": "Federated Memory (PostgreSQL)",
}
"""Kinds of servers, and what they go by."""

_DATABASES = ("bigmemory", "federated")


@dataclass(frozen=True, slots=True)
class Profile:
    """A server, and what on it is meant.

    Attributes:
        name: what the person calls it; empty: it is not kept.
        kind: one of `KINDS`.
        url: ``http(s)://HOST[:PORT]``, of a database ``postgresql://[USER@]HOST[:PORT]/DATABASE``. Without a scheme
            plain http is meant.
        tenant, database: of a Chroma server; empty: its defaults.
        collection: empty: all.
    """

    name: str = ""
    kind: str = "chroma"
    url: str = ""
    tenant: str = ""
    database: str = ""
    collection: str = ""

    @property
    def place(self) -> str:
        """The URL in full, without credentials; a password in it is kept in memory for its place.

        Raises:
            UsageError: nothing is named, or something that is no server of this kind.
        """
        url = without_credentials(self.url.strip())
        if not url:
            raise UsageError("No server was named.", todo="Type its URL, such as http://localhost:8000.")
        schemes = ("postgresql", "postgres") if self.kind in _DATABASES else ("http", "https")
        scheme, separator, _ = url.partition("://")
        if not separator:
            return f"{schemes[0]}://{url}"
        if scheme.lower() not in schemes:
            raise UsageError(f"{url} is not the URL of a {KINDS[self.kind]}.", todo=f"It begins with {schemes[0]}://.")
        return url

    @property
    def address(self) -> str:
        """What opens it.

        Raises:
            UsageError: as `place`.
        """
        chosen = f"#{self.collection}" if self.collection else ""
        if self.kind in _DATABASES:
            return f"{self.kind}:{self.place}{chosen}"
        told = {"tenant": self.tenant, "database": self.database} if self.kind == "chroma" else {}
        query = urlencode({name: value for name, value in told.items() if value})
        return f"{self.kind}+{self.place.rstrip('/')}{f'/?{query}' if query else ''}{chosen}"


def load() -> list[Profile]:
    """All that are kept, by name. What cannot be understood is left out."""
    try:
        said = foreign_json.parse(_file().read_bytes())
    except (FileNotFoundError, ValueError):
        return []
    told = said if isinstance(said, list) else []
    return sorted((Profile(**each) for each in told if _is_profile(each)), key=lambda profile: profile.name.lower())


def save(profile: Profile) -> None:
    """Keep a profile, in place of one of the same name. Credentials in its URL are not written down.

    Raises:
        UsageError: it has no name, or its address means nothing.
    """
    if not profile.name.strip():
        raise UsageError("The server has no name to be kept by.")
    clean = Profile(**{**asdict(profile), "name": profile.name.strip(), "url": profile.place})
    _write([*(each for each in load() if each.name != clean.name), clean])


def remove(name: str) -> None:
    """Forget a profile; its key stays in the keyring until it is taken out there."""
    _write(each for each in load() if each.name != name)


def _is_profile(said: object) -> bool:
    names = {field.name for field in fields(Profile)}
    return (
        isinstance(said, dict)
        and said.keys() <= names
        and all(isinstance(value, str) for value in said.values())
        and bool(said.get("name"))
        and said.get("kind") in KINDS
    )


def _write(profiles: Iterable[Profile]) -> None:
    make_private_dir(data_dir())
    write_durable(_file(), json.dumps([asdict(profile) for profile in profiles], indent=1).encode())


def _file() -> Path:
    return data_dir() / "profiles.json"
