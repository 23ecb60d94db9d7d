"""Secrets typed on a command line, as the guides of other programs teach it: used, and gone before anything sees them.

They are kept in memory for the servers that the same command line names, and taken out of what Python remembers of
it, too. What the operating system shows of our own process cannot be changed; hence the hint.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from memdefrag.base.errors import UsageError
from memdefrag.base.secrets import ANYWHERE, KEY_VARIABLE, keep, normalised, without_credentials
from memdefrag.cli import text_form
from memdefrag.model import profiles

HINT = (
    "The secret on the command line is used, but other programs and the shell's history see it there. "
    f"Next time set {KEY_VARIABLE}, or keep it in the system's keyring: memdefrag secret save SERVER"
)
CHROMA_PORT = 8000
_NAME = r"(?:(?P<side>source|target|from|to)[-_])?(?P<name>(?:[\w-]+[-_])?(?:api[-_]?key|token|password|passwd|secret))"
_OPTION = re.compile(rf"--?{_NAME}(?:=(?P<value>.*))?", re.I | re.S)
_PAIR = re.compile(rf"{_NAME}=(?P<value>.+)", re.I | re.S)
_ADDRESS = re.compile(r"[a-z][a-z0-9+-]+:", re.I)
_SIDE = re.compile(r"(?:--?)?(?P<side>source|target|from|to)(?:_config)?\b", re.I)


@dataclass(frozen=True, slots=True)
class _Typed:
    """A secret, or a server that one may be for; `side` is source or target where that is said."""

    text: str
    side: str | None
    for_database: bool


def taken_out(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without their secrets, which are kept for the servers named beside them; and what to tell.

    Taken out are ``--api-key VALUE``, ``--token=VALUE``, ``password=VALUE`` and their like (also with ``source-`` or
    ``target-`` before), passwords in addresses, and such keys in arguments that are JSON objects. A value that looks
    like an option is left: it would turn a dry run into a real one.
    """
    rest: list[str] = []
    secrets: list[_Typed] = []
    searching = "search" in argv[:1]
    typed_words = _in_words(argv)
    waiting = list(typed_words)
    while waiting:
        word = waiting.pop(0)
        is_sought = searching or rest[-1:] == ["--where"]
        typed = _OPTION.fullmatch(word) or (None if is_sought else _PAIR.fullmatch(word))
        if typed is None:
            rest.append(word)
            continue
        value = typed["value"]
        if value is None and waiting and not waiting[0].startswith("--"):
            value = waiting.pop(0)
        if value is None:
            rest.append(word)
        else:
            secrets.append(_Typed(value, _side(typed["side"]), "passw" in typed["name"].lower()))
    _keep_all(secrets, list(_servers(rest)))
    # Last, so that a password inside an address is the one that counts there.
    clean = [_without_keys(word) for word in rest]
    return clean, [HINT] if clean != typed_words else []


def strip_process(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """`taken_out`, and the same for Python's own records of the command line."""
    clean, hints = taken_out(argv)
    for record in (sys.argv, sys.orig_argv):
        start = len(record) - len(argv)
        if hints and start >= 0 and record[start:] == list(argv):
            record[start:] = clean
    return clean, hints


def _in_words(argv: Sequence[str]) -> list[str]:
    """The arguments; a text form of hdev's that is one of them becomes several, so that each word can be judged."""
    if argv[:1] != ["migrate-memory"]:
        return list(argv)
    return [word for each in argv for word in (text_form.words(each) if text_form.begins(each) else [each])]


def _without_keys(word: str) -> str:
    """An argument without the secrets inside of it."""
    if not word.lstrip().startswith("{"):
        return without_credentials(word)
    try:
        told = json.loads(word)
    except (ValueError, RecursionError):
        return without_credentials(word)
    clean = _clean_json(told)
    return word if clean == told else json.dumps(clean)


def _clean_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean_json(item) for item in value]
    if not isinstance(value, dict):
        return without_credentials(value) if isinstance(value, str) else value
    place = server_url(value) if value.get("host") else ANYWHERE
    for name, secret in value.items():
        if _PAIR.fullmatch(f"{name}={secret}") and isinstance(secret, str):
            keep(place, secret)
    return {name: _clean_json(item) for name, item in value.items() if not _PAIR.fullmatch(f"{name}={item}")}


def server_url(config: Mapping[str, Any]) -> str:
    """The URL that a configuration ``{"host", "port", "ssl"}`` means; Chroma's port, and no TLS, where it says neither.

    The host may be a name, an address of either version, or begin with http:// or https://.
    """
    scheme, _, host = str(config["host"]).strip().rstrip("/").rpartition("://")
    scheme = scheme or ("https" if config.get("ssl") else "http")
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    return f"{scheme}://{host}:{config.get('port') or CHROMA_PORT}"


def _servers(words: Sequence[str]) -> Iterator[_Typed]:
    """The servers among the arguments; of the stores that `migrate` takes without more words the last is the target."""
    stores = [number for number, word in enumerate(words) if _ADDRESS.match(word)] if words[:1] == ["migrate"] else []
    for number, (before, word) in enumerate(zip(["", *words], words, strict=False)):
        # A name that is not kept is told of when the command itself looks at it.
        with suppress(UsageError):
            word = profiles.expanded(word)
        if "://" in word:
            said = _SIDE.match(word) or (_SIDE.match(before) if before.startswith("-") else None)
            side = _side(said and said["side"])
            if len(stores) > 1 and side is None:
                side = "target" if number == stores[-1] else "source"
            yield _Typed(normalised(word), side, "postgres" in word)


def _keep_all(secrets: list[_Typed], servers: list[_Typed]) -> None:
    """A key is for the servers of its side; a password rather for databases, a key never for one."""
    for secret in secrets:
        fitting = [
            server
            for server in servers
            if (not secret.side or server.side in (secret.side, None)) and server.for_database <= secret.for_database
        ]
        databases = [server for server in fitting if server.for_database]
        for place in {server.text for server in databases or fitting} or {ANYWHERE}:
            keep(place, secret.text)


def _side(name: str | None) -> str | None:
    """One word for each side."""
    return {"from": "source", "to": "target"}.get(name.lower(), name.lower()) if name else None
