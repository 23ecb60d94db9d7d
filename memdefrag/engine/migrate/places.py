"""Whether two addresses name the same store, or one that lies in the other."""

from __future__ import annotations

from urllib.parse import urlsplit

from memdefrag.base.http import is_loopback
from memdefrag.model.address import Address

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432}


def is_same(one: Address, other: Address) -> bool:
    """Whether both are one place: the same file or folder by whatever path or link, or the same server."""
    if one.is_local != other.is_local:
        return False
    if not one.is_local:
        return _server(one) == _server(other)
    if one.path.exists() and other.path.exists():
        return one.path.samefile(other.path)
    return one.path.resolve() == other.path.resolve()


def is_inside(inner: Address, outer: Address) -> bool:
    """Whether one local store lies somewhere in the folder of another."""
    if not (inner.is_local and outer.is_local) or is_same(inner, outer):
        return False
    return inner.path.resolve().is_relative_to(outer.path.resolve())


def _server(address: Address) -> tuple[str, str, int | None, str, str]:
    """System, host, port, path and query of a server. Who asks makes no difference."""
    parts = urlsplit(address.url)
    host = (parts.hostname or "").lower()
    place = "loopback" if is_loopback(host) else host
    port = parts.port or _PORTS.get(parts.scheme)
    return address.kind.partition("+")[0], place, port, parts.path.rstrip("/"), parts.query
