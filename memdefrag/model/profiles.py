"""Servers that the person gave a name: ``<data dir>/profiles.json``.

Their keys lie in the system's keyring (`base.secrets`), never here. Wherever a store is named, ``profile:NAME`` names
such a server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from memdefrag.base import foreign_json, secrets
from memdefrag.base.errors import MemdefragError, UsageError
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import data_dir

if TYPE_CHECKING:
    # Addresses themselves ask for profiles.
    from memdefrag.model.address import Address

PREFIX = "profile:"
"""Before the name of a server that is kept, and behind it ``#COLLECTION`` where another one is meant."""

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
        url = secrets.without_credentials(self.url.strip())
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


def of(name: str, address: Address) -> Profile:
    """The profile of a server that an address names.

    Raises:
        UsageError: it names a file or folder, or a server of a kind that needs no profile.
    """
    kind, _, scheme = address.kind.partition("+")
    if kind not in KINDS or address.is_local:
        raise UsageError(
            f"{address if address.kind else address.location} is no server that can be kept by a name.",
            todo="Name one as chroma+https://HOST:8000, hdev+https://HOST, bigmemory:postgresql://HOST/DATABASE or "
            "federated:postgresql://HOST/DATABASE.",
        )
    if not scheme:
        return Profile(name, kind, address.url, collection=address.collection or "")
    url, _, query = address.url.partition("?")
    told = {field: values[-1] for field, values in parse_qs(query).items() if field in ("tenant", "database")}
    return Profile(name, kind, url.rstrip("/"), collection=address.collection or "", **told)


def expanded(text: str) -> str:
    """The address that ``profile:NAME`` stands for; any other text as it is.

    Raises:
        UsageError: no server is kept by this name.
    """
    if not text.startswith(PREFIX) or Path(text).exists():
        return text
    name, collection = text.removeprefix(PREFIX), ""
    kept = {profile.name: profile for profile in load()}
    if name not in kept:
        name, _, collection = name.rpartition("#")
    if name not in kept:
        raise UsageError(
            f"No server is kept by the name {text.removeprefix(PREFIX)!r}.",
            todo=f"Kept are: {', '.join(kept)}." if kept else "Keep one first: memdefrag profile add NAME ADDRESS",
        )
    chosen = kept[name]
    return replace(chosen, collection=collection or chosen.collection).address


def load() -> list[Profile]:
    """All that are kept, by name. What cannot be understood is left out."""
    try:
        said = foreign_json.parse(_file().read_bytes())
    except (FileNotFoundError, ValueError):
        return []
    told = said if isinstance(said, list) else []
    return sorted((Profile(**each) for each in told if _is_profile(each)), key=lambda profile: profile.name.lower())


def save(profile: Profile) -> Profile:
    """Keep a profile, in place of one of the same name, and return it. Credentials in its URL are not written down.

    Raises:
        UsageError: it has no name, or its address means nothing.
    """
    if not profile.name.strip():
        raise UsageError("The server has no name to be kept by.")
    clean = replace(profile, name=profile.name.strip(), url=profile.place)
    _write([*(each for each in load() if each.name != clean.name), clean])
    return clean


def forget(name: str) -> bool:
    """Forget a profile, and its key in the keyring where no other one is for the same server.

    Returns:
        Whether it was kept.

    Raises:
        NotPermitted, UnsupportedEnvironment: the keyring does not give the key away; the profile is gone.
    """
    kept = load()
    others = [each for each in kept if each.name != name]
    gone = next((each for each in kept if each.name == name), None)
    if gone is None:
        return False
    _write(others)
    if secrets.normalised(gone.place) not in {secrets.normalised(each.place) for each in others}:
        try:
            secrets.forget(gone.place)
        except MemdefragError as error:
            error.safe = f"{name} is forgotten; its key is still in the keyring."
            raise
    return True


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
