"""Keys and passwords: kept in memory for the place they open, never written down, never handed to other programs.

A place is what a secret opens, as ``host[:port][/database]``: a URL without its scheme and without credentials.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from memdefrag.base.errors import NotPermitted, UnsupportedEnvironment
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import data_dir, hide

KEY_VARIABLE = "MEMDEFRAG_API_KEY"
FILE_VARIABLE = "MEMDEFRAG_API_KEY_FILE"
KEYRING_SERVICE = "memdefrag"
ANYWHERE = ""
"""The place of a key that was given without saying for which server."""

_URL = re.compile(r"(?P<head>.*?(?P<scheme>[a-z][a-z0-9+.-]*)://)(?P<rest>.*)", re.I | re.S)
_HOST = re.compile(r"(?:\[[^\]@]*\]|[^:@\s\[]*)(?::\d*)?")
_SECRET_NAME = r"(?:[\w-]*[-_])?(?:api[-_]?key|token|password|passwd|secret)"
_PARAMETER = re.compile(rf"(?P<lead>(?:^|[?&\s:])){_SECRET_NAME}\s*=\s*(?P<value>'[^']*'|[^&\s#]*)[&\s]?", re.I)
_CONNECTION_STRING = re.compile(r"\b(?:host|hostaddr|dbname)\s*=")
_DEFAULT_PORTS = {"http": "80", "https": "443", "postgresql": "5432", "postgres": "5432"}
_SECRET_VARIABLE = re.compile(r"api_?key|token|passw|secret|credential|pgpass", re.I)
_NEEDED_VARIABLE = re.compile(r"(?:pip_|uv_).*|.*_proxy", re.I)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_kept: dict[str, Secret] = {}


class Secret:
    """A key or password that shows itself only when asked by name; it can be neither copied nor pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        hide(value)

    def reveal(self) -> str:
        """The secret itself; for the one call that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret cannot be copied or pickled.")


def keep(place: str, secret: str) -> None:
    """Keep a secret for a place until this process ends."""
    _kept[normalised(place)] = Secret(secret)


def kept(place: str) -> Secret | None:
    """The secret that was kept for a place, or for anywhere, since this process began."""
    return _kept.get(normalised(place)) or _kept.get(ANYWHERE)


def find(place: str, *variables: str) -> Secret | None:
    """The secret for a place; None where there is none.

    Asked in this order: what was kept for the place (or for anywhere); the environment variables
    ``MEMDEFRAG_API_KEY``, ``MEMDEFRAG_API_KEY_FILE`` (a file) and `variables`; the system's keyring, if the
    place was saved there.

    Raises:
        NotPermitted: the key file may be read by others, or the keyring does not open.
    """
    wanted = normalised(place)
    held = kept(place)
    if held:
        return held
    for variable in (KEY_VARIABLE, FILE_VARIABLE, *variables):
        value = os.environ.get(variable)
        if value:
            return _from_file(Path(value)) if variable == FILE_VARIABLE else Secret(value)
    return _from_keyring(wanted) if wanted in saved() else None


def save(place: str, secret: str) -> None:
    """Put the secret for a place into the system's keyring.

    Raises:
        UnsupportedEnvironment: this system has no keyring that works.
    """
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    hide(secret)
    wanted = normalised(place)
    try:
        keyring.set_password(KEYRING_SERVICE, wanted, secret)
        stored = keyring.get_password(KEYRING_SERVICE, wanted) == secret
    except NoKeyringError as error:
        raise _no_keyring("it has none that works here, or none is running") from error
    except KeyringError as error:
        raise _no_keyring(error) from error
    if not stored:
        raise _no_keyring("it does not give back what it was given")
    _note_saved({*saved(), wanted})


def forget(place: str) -> bool:
    """Take the secret for a place out of the system's keyring; False where none was saved.

    Raises:
        UnsupportedEnvironment: this system has no keyring that works.
    """
    wanted = normalised(place)
    if wanted not in saved():
        return False
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError

    try:
        keyring.delete_password(KEYRING_SERVICE, wanted)
    except PasswordDeleteError:
        if keyring.get_password(KEYRING_SERVICE, wanted) is not None:
            raise
    except KeyringError as error:
        raise _no_keyring(error) from error
    _note_saved(saved() - {wanted})
    return True


def saved() -> set[str]:
    """The places whose secrets lie in the system's keyring."""
    try:
        told = json.loads(_saved_file().read_bytes())
    except (FileNotFoundError, ValueError):
        return set()
    return {place for place in told if isinstance(place, str)} if isinstance(told, list) else set()


def normalised(place: str) -> str:
    """The place that a URL or an address means: ``host[:port][/database]``, the host in small letters.

    >>> normalised("postgresql://me:pw@DB.example:5432/memories?sslmode=require")
    'db.example/memories'
    """
    url = _URL.fullmatch(place)
    scheme, rest = (url["scheme"].lower(), url["rest"]) if url else ("", place)
    rest = rest[_credentials_end(scheme, rest) :] if url else rest
    authority, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    port = _DEFAULT_PORTS.get(scheme.rpartition("+")[2])
    return (authority.lower().removesuffix(f":{port}") + slash + path).rstrip("/")


def without_credentials(text: str) -> str:
    """An address or argument without the password in it, which is kept for its place.

    Found are ``scheme://user:password@host``, also with signs in the password that should have been escaped, and
    parameters such as ``?password=...`` (of a URL, or as in libpq's ``host=... password=...``). The user stays where
    a database needs one; of a web address it goes, too.
    """
    url = _URL.fullmatch(text)
    cut = _credentials_end(url["scheme"].lower(), url["rest"]) if url else 0
    secrets: list[str] = []
    if url and cut:
        user, colon, password = url["rest"][: cut - 1].partition(":")
        is_database = _is_database(url["scheme"])
        secrets += [password] if colon else [] if is_database else [user]
        text = url["head"] + (f"{user}@" if is_database and user else "") + url["rest"][cut:]
    if url or _CONNECTION_STRING.search(text):
        secrets += [match["value"].strip("'") for match in _PARAMETER.finditer(text)]
        text = re.sub(r"[?&\s]$", "", _PARAMETER.sub(lambda match: match["lead"], text)) if secrets else text
    for secret in filter(None, secrets):
        hide(secret)
        keep(text if url else ANYWHERE, unquote(secret) if url else secret)
    return text


def for_children() -> dict[str, str]:
    """The environment for other programs: ours without every variable that holds a secret.

    What pip and proxies need to reach the network stays.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if _NEEDED_VARIABLE.fullmatch(name) or not (_SECRET_VARIABLE.search(name) or _holds_secret(value))
    }


def _credentials_end(scheme: str, rest: str) -> int:
    """How much of a URL behind ``://`` is ``user:password@``; 0 where there are no credentials."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if _is_database(scheme):
        before_query = re.split(r"\?\w+=", rest, maxsplit=1)[0]
        return (before_query if "@" in before_query else rest if _is_odd(authority) else "").rfind("@") + 1
    if "@" in authority:
        return authority.rindex("@") + 1
    return rest.rfind("@") + 1 if _is_odd(authority) else 0


def _is_odd(authority: str) -> bool:
    """Whether it cannot be ``host:port``: then it is the beginning of a password with a slash in it."""
    return not _HOST.fullmatch(authority)


def _is_database(scheme: str) -> bool:
    return "postgres" in scheme.lower()


def _holds_secret(value: str) -> bool:
    url = _URL.fullmatch(value)
    if any(secret.reveal() in value for secret in _kept.values()):
        return True
    return bool(url and (_credentials_end(url["scheme"].lower(), url["rest"]) or _PARAMETER.search(value)))


def _from_file(path: Path) -> Secret:
    try:
        status = path.stat()
        if sys.platform != "win32" and status.st_mode & _OTHERS:
            raise NotPermitted(
                f"The key file {path} may be read by others, so it is not used.", todo=f"Run: chmod 600 {path}"
            )
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotPermitted(f"The key file {path} cannot be read: {error}.") from error
    if not text:
        raise NotPermitted(f"The key file {path} is empty.")
    return Secret(text)


def _from_keyring(place: str) -> Secret | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        value = keyring.get_password(KEYRING_SERVICE, place)
    except KeyringError as error:
        raise NotPermitted(
            f"The system's keyring does not open: {error}.", todo=f"Unlock it, or set {KEY_VARIABLE}."
        ) from error
    return Secret(value) if value else None


def _no_keyring(reason: object) -> UnsupportedEnvironment:
    return UnsupportedEnvironment(
        f"The system's keyring cannot be used: {reason}.",
        todo=f"Set {KEY_VARIABLE}, or name a file in {FILE_VARIABLE}.",
    )


def _saved_file() -> Path:
    return data_dir() / "keyring.json"


def _note_saved(places: set[str]) -> None:
    make_private_dir(data_dir())
    write_durable(_saved_file(), json.dumps(sorted(places)).encode())
