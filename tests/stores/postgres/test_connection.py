"""Where the server is, as whom and how safely it is asked, and what its refusals are called."""

from __future__ import annotations

import sys

import pytest

from memdefrag.base import secrets
from memdefrag.base.errors import NotAStore, NotPermitted, UnsupportedEnvironment, UnsupportedFormat, UsageError
from memdefrag.stores.postgres.connection import _options, is_loopback, parse
from memdefrag.stores.registry import open_store
from tests.stores.postgres.schemas import bigmemory
from tests.stores.postgres.server import GUARDED, PASSWORD, USER, Server


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "PGSSLMODE", "PGHOST", "PGSSLROOTCERT", "SOURCE_DATABASE_URL", secrets.KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def guarded(server: Server) -> str:
    """The URL of a database, with a user who needs a password."""
    return server.schema(bigmemory(vectors=server.has_vectors)).replace(f"{USER}@", f"{GUARDED}@")


@pytest.mark.case(38)
@pytest.mark.parametrize(
    "url",
    ["postgresql://me:canary@host/db", "postgresql://me@host/db?password=canary", "postgresql:///x?sslpassword=canary"],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert "canary" not in str(caught.value.as_dict())


@pytest.mark.parametrize("url", ["host=here dbname=x", "http://host/db", "postgresql://[::1/db"])
def test_what_is_no_url_of_a_database_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        parse(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///db", True),
        ("postgresql:///db?host=/tmp", True),
        ("postgresql://localhost/db", True),
        ("postgresql://127.0.0.9,[::1]/db", True),
        ("postgresql://localhost,example.org/db", False),
        ("postgresql://example.org/db", False),
        ("postgresql://localhost/db?hostaddr=192.0.2.1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, expected: bool) -> None:
    assert is_loopback(parse(url)) is expected


@pytest.mark.case(39)
def test_a_far_server_must_prove_who_it_is() -> None:
    assert _options("postgresql://example.org/db", ())["sslmode"] == "verify-full"
    assert "sslmode" not in _options("postgresql://localhost/db", ())
    assert _options("postgresql://example.org/db?sslmode=require", ())["sslmode"] == "require"


@pytest.mark.case(39)
def test_a_certificate_file_of_ones_own_is_kept() -> None:
    assert _options("postgresql://example.org/db?sslrootcert=ca.pem", ())["sslrootcert"] == "ca.pem"


@pytest.mark.case(38)
def test_without_a_password_the_server_refuses_and_the_person_is_told_where_it_goes(guarded: str) -> None:
    with open_store(f"bigmemory:{guarded}") as store, pytest.raises(NotPermitted, match="password") as caught:
        store.collections()
    assert "PGPASSWORD" in caught.value.todo


@pytest.mark.case(38)
def test_a_wrong_password_is_not_repeated(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "canary")
    with open_store(f"bigmemory:{guarded}") as store, pytest.raises(NotPermitted) as caught:
        store.collections()
    assert "canary" not in str(caught.value.as_dict())


def test_the_password_may_stand_in_the_environment(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with open_store(f"bigmemory:{guarded}") as store:
        assert store.exists


def test_the_password_may_be_kept_for_the_place(guarded: str) -> None:
    secrets.keep(guarded, PASSWORD)
    with open_store(f"bigmemory:{guarded}") as store:
        assert store.exists


@pytest.mark.parametrize(
    ("variable", "password"),
    [
        (f"postgresql://{USER}:p%40ss@db.example.org/memories", "p@ss"),
        (f"postgresql://{USER}:p%40ss@db.example.org:5432/memories?sslmode=require", "p@ss"),
        (f"postgresql://{USER}:x@db.example.org/another", None),
        (f"postgresql://{USER}:x@other.example.org/memories", None),
        (f"postgresql://{USER}:x@db.example.org:5433/memories", None),
        ("postgresql://somebody:x@db.example.org/memories", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_systems_own_variable_is_used_for_its_own_database(
    variable: str, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATABASE_URL", variable)
    found = _options(f"postgresql://{USER}@db.example.org/memories", ("SOURCE_DATABASE_URL",))
    assert found.get("password") == password


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    with open_store("bigmemory:postgresql://me@127.0.0.1:1/db") as store, pytest.raises(NotAStore, match="refused"):
        store.collections()


def test_a_database_that_is_not_there_is_told_as_such(server: Server) -> None:
    with open_store(f"bigmemory:{server.url('nowhere')}") as store, pytest.raises(NotPermitted, match="nowhere"):
        store.collections()


def test_a_database_without_memories_is_no_store(server: Server) -> None:
    with open_store(f"bigmemory:{server.schema('SELECT 1')}") as store:
        assert not store.exists
        assert store.collections() == []


@pytest.mark.case(20)
def test_texts_in_no_known_encoding_are_refused(server: Server) -> None:
    with (
        open_store(f"bigmemory:{server.database(encoding='SQL_ASCII')}") as store,
        pytest.raises(UnsupportedFormat, match="SQL_ASCII"),
    ):
        store.collections()


@pytest.mark.case(20)
def test_another_encoding_is_translated_by_the_server(server: Server) -> None:
    with open_store(f"bigmemory:{server.database(bigmemory(vectors=False), encoding='LATIN1')}") as store:
        assert store.collections()[0].count == 0


def test_without_psycopg_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with open_store("bigmemory:postgresql://me@localhost/db") as store, pytest.raises(UnsupportedEnvironment) as caught:
        store.collections()
    assert "memdefrag[postgres]" in caught.value.todo
