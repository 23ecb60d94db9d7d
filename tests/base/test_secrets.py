"""Keys and passwords are used, and never shown."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends.fail import Keyring as NoKeyring

from memdefrag.base import secrets, settings
from memdefrag.base.errors import NotPermitted, UnsupportedEnvironment
from memdefrag.base.secrets import Secret, find, keep, normalised, without_credentials
from memdefrag.base.settings import redact
from tests.keyrings import MemoryKeyring

pytestmark = pytest.mark.case(38)

CANARY = "canary-9f/3:x@7"


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(settings, "_hidden", set())
    for name in (secrets.KEY_VARIABLE, secrets.FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def revealed(place: str, *variables: str) -> str | None:
    found = find(place, *variables)
    return found.reveal() if found else None


def test_a_secret_shows_itself_only_when_asked() -> None:
    @dataclass
    class Holder:
        key: Secret

    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>9}", repr(Holder(secret)), repr([secret])]
    assert not any(CANARY in text for text in [*shown, json.dumps({"key": secret}, default=str)])
    assert secret.reveal() == CANARY
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(secret)


def test_an_unlucky_traceback_is_redacted() -> None:
    keep("host", CANARY)
    assert CANARY not in redact(f"ValueError: {CANARY!r} at http://x/?k={CANARY}")


@given(st.text(min_size=1, max_size=30), st.sampled_from(["{}", "<{}>", "x {} y", "('{}', 1)"]))
def test_what_was_kept_is_never_written(secret: str, around: str) -> None:
    settings._hidden.clear()
    settings.hide(secret)
    spelled = [secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]]
    for spelling in spelled if len(secret) >= settings._WHOLE_WORD_BELOW else []:
        assert spelling not in redact(around.format(spelling)).replace("***", "")
    settings._hidden.clear()


def test_a_very_short_secret_does_not_garble_other_words() -> None:
    settings.hide("k1")
    assert redact("key k1, task12 k12") == "key ***, task12 k12"


@pytest.mark.parametrize(
    ("place", "meant"),
    [
        ("https://Memory.Example.com/", "memory.example.com"),
        ("http:https://user:pass@host:8443/api/", "host:8443/api"),
        ("hdev+https://host:443", "host"),
        ("http://host:80/x?a=1#c", "host/x"),
        ("postgresql://me:p@ss/w@DB:5432/mem?sslmode=require", "db/mem"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("db:5433/Memories", "db:5433/Memories"),
    ],
)
def test_a_place_has_one_name(place: str, meant: str) -> None:
    assert normalised(place) == meant
    assert normalised(meant) == meant


@pytest.mark.parametrize(
    ("typed", "left", "secret"),
    [
        ("postgresql://me:SECRET@host/db", "postgresql://me@host/db", "SECRET"),
        ("bigmemory:postgresql://me:p%40ss%2Fw@host/db", "bigmemory:postgresql://me@host/db", "p@ss/w"),
        ("postgresql://me:p@ss/w?x@host:1/db?sslmode=require", "postgresql://me@host:1/db?sslmode=require", "p@ss/w?x"),
        ("postgresql://me:p@ss/w@host/db", "postgresql://me@host/db", "p@ss/w"),
        ("postgresql://host/db?user=me&password=SECRET&sslmode=x", "postgresql://host/db?user=me&sslmode=x", "SECRET"),
        ("http:https://user:SECRET@host/", "http:https://host/", "SECRET"),
        ("https://SECRET@host/", "https://host/", "SECRET"),
        ("https://u:SEC/RET@host/", "https://host/", "SEC/RET"),
        ("https://host/x?api_key=SECRET", "https://host/x", "SECRET"),
        ("host=db user=me password='SEC RET' dbname=m", "host=db user=me dbname=m", "SEC RET"),
    ],
)
def test_a_password_in_an_address_is_kept_and_goes(typed: str, left: str, secret: str) -> None:
    stripped = without_credentials(typed)
    assert stripped == left
    assert revealed(left) == secret
    assert without_credentials(left) == left


@pytest.mark.parametrize(
    "plain",
    ["/home/me@work/x.db", "sqlite:///home/me@work/x.db", "http://localhost:8000/a@b#c", "chroma:C:/x@y", "a@b",
     "postgresql://me@host/db", "https://host/token", "C:\\Users\\me@x", "", "#", "notes/password=x.txt"],
)  # fmt: skip
def test_an_address_without_a_password_stays(plain: str) -> None:
    assert without_credentials(plain) == plain
    assert secrets._kept == {}


NAMES = st.text("abcxyz09", min_size=1, max_size=6)
PASSWORDS = st.text(st.characters(exclude_characters="?", exclude_categories=("Cs",)), min_size=6, max_size=12)


@given(NAMES, PASSWORDS, NAMES, NAMES)
def test_no_password_of_a_database_stays(user: str, password: str, host: str, database: str) -> None:
    address = f"postgresql://{user}:{password}@{host}/{database}"
    stripped = without_credentials(address)
    assert stripped == f"postgresql://{user}@{host}/{database}"
    assert password not in redact(f"{address} failed")


def test_secrets_are_sought_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ring: MemoryKeyring) -> None:
    place = "https://host/"
    assert find(place, "OTHER") is None
    secrets.save(place, "from keyring")
    assert revealed(place, "OTHER") == "from keyring"
    monkeypatch.setenv("OTHER", "from other")
    assert revealed(place, "OTHER") == "from other"
    file = tmp_path / "key"
    file.write_text("from file\n")
    file.chmod(0o600)
    monkeypatch.setenv(secrets.FILE_VARIABLE, str(file))
    assert revealed(place, "OTHER") == "from file"
    monkeypatch.setenv(secrets.KEY_VARIABLE, "from variable")
    assert revealed(place, "OTHER") == "from variable"
    keep(secrets.ANYWHERE, "for anywhere")
    assert revealed(place, "OTHER") == "for anywhere"
    keep("HOST:443", "unlike")
    keep("http:https://HOST", "kept")
    assert revealed(place, "OTHER") == "kept"


def test_what_was_found_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", CANARY)
    find("host", "OTHER")
    assert CANARY not in redact(f"refused: {CANARY}")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text(CANARY)
    file.chmod(mode)
    monkeypatch.setenv(secrets.FILE_VARIABLE, str(file))
    with pytest.raises(NotPermitted, match="by others"):
        find("host")


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    monkeypatch.setenv(secrets.FILE_VARIABLE, str(file))
    with pytest.raises(NotPermitted):
        find("host")


def test_the_keyring_holds_the_secret_and_the_disk_only_the_place(ring: MemoryKeyring) -> None:
    secrets.save("https://Host:443/", CANARY)
    assert secrets.saved() == {"host"}
    assert ring.held == {("memdefrag", "host"): CANARY}
    files = [path for path in settings.data_dir().rglob("*") if path.is_file()]
    assert files and not any(CANARY.encode() in path.read_bytes() for path in files)
    assert secrets.forget("host") is True
    assert (ring.held, secrets.saved(), secrets.forget("host")) == ({}, set(), False)


def test_a_place_that_was_not_saved_does_not_wake_the_keyring(ring: MemoryKeyring) -> None:
    ring.held["memdefrag", "host"] = CANARY
    assert find("host") is None


def test_a_system_without_a_keyring_is_told() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    try:
        with pytest.raises(UnsupportedEnvironment, match="keyring"):
            secrets.save("host", CANARY)
    finally:
        keyring.set_keyring(before)
    assert secrets.saved() == set()


def test_children_get_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    keep("host", "kept-canary")
    for name, value in {
        "MEMDEFRAG_API_KEY": "c1-canary",
        "MEMDEFRAG_API_KEY_FILE": "c2-canary",
        "HDEV_MEMORY_HTTP_API_KEY": "c3-canary",
        "DATABASE_URL": "postgresql://u:c4-canary@h/d",
        "PGPASSWORD": "c5-canary",
        "INNOCENT": "says kept-canary",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("https_proxy", "http://me:needed@proxy")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:needed@packages")
    given = secrets.for_children()
    assert "canary" not in repr(given)
    assert {"PATH", "https_proxy", "PIP_INDEX_URL"} <= given.keys()
