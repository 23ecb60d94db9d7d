"""Which name a memory of another system gets among hdev's entries. Pure, and different for different ids.

An id that is a sound name already is kept. Of others, the characters that cannot stand are written as in URLs
(``v1.2`` becomes ``v1%2e2``, a ``%`` that would be read so ``%25``); an id that is too long, and on file systems that
do not tell capitals one that has some, gets ``~`` and the beginning of its SHA-256.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import unquote_to_bytes

from memdefrag.stores.hdev import names

LONGEST_NAME = 700
"""Bytes of a whole name; with a folder before it it must fit into the 1,024 that macOS allows."""

_KEPT = 100
"""Bytes that are left of an id that is too long."""
_ESCAPED = re.compile(r"%(?=[0-9A-Fa-f]{2})|[\\\0]|[\ud800-\udfff]")
_HASHED = re.compile(r"~(?=[0-9a-f]{16}$)")
_HIDES_A_FILE = re.compile(r"\.(?=(?:md|json)$)")
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9\u00b9\u00b2\u00b3]|LPT[0-9\u00b9\u00b2\u00b3])(?:\.|$)", re.I)
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\x01-\x1f]|[. ]$')


def entry_name(id: str, *, folds: bool = False, windows: bool = False) -> str:
    """The entry's name for an id of any kind.

    Args:
        folds: the file system takes two names for one that differ in capitals or in how accents are written.
        windows: the name must be one that Windows allows.
    """
    # A slash that would leave an empty part behind is none that parts folders.
    slashes = re.sub(r"(?<=/)/|^/|/$", "%2f", _escaped(_ESCAPED, id))
    *folders, last = slashes.split("/")
    folders = [_part(_escaped(_HIDES_A_FILE, folder), windows) for folder in folders]
    last = _escaped(_HASHED, last)
    if names.is_dotted(last):
        last = last.replace(".", "%2e")
    name = "/".join([*folders, _part(last, windows)])
    if re.match(r"[A-Za-z]:", name):
        name = name.replace(":", "%3a", 1)
    parts = name.encode().split(b"/")
    is_long = max(map(len, parts)) > names.LONGEST_PART or len(parts) > names.DEEPEST
    if not id or len(name.encode()) > LONGEST_NAME or is_long:
        return _shortened(name, id)
    if folds and unicodedata.normalize("NFC", name.casefold()) != name:
        return _shortened(name, id) if len(parts[-1]) > names.LONGEST_PART - 17 else f"{name}~{_sum(id)}"
    return name


def id_of(name: str) -> str:
    """The id that a name was made of; of a name with a hash only the readable part comes back."""
    return re.sub(
        r"(?:%[0-9a-f]{2})+", lambda found: unquote_to_bytes(found[0]).decode("utf-8", "surrogatepass"), name
    )


def _part(part: str, windows: bool) -> str:
    """One part of a name, fit to be a file's."""
    if part in (".", ".."):
        return part.replace(".", "%2e")
    if windows:
        part = _escaped(_NOT_ON_WINDOWS, part)
        part = _escaped(re.compile("^."), part) if _DEVICE.match(part) else part
    return part


def _escaped(what: re.Pattern[str], text: str) -> str:
    return what.sub(lambda found: "".join(f"%{byte:02x}" for byte in found[0].encode("utf-8", "surrogatepass")), text)


def _shortened(name: str, id: str) -> str:
    kept = name.replace("/", "%2f").replace(".", "%2e").encode()[:_KEPT].decode("utf-8", "ignore")
    return f"{kept.casefold()}~{_sum(id)}"


def _sum(id: str) -> str:
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
