"""Servers by name: their addresses, what is written down of them, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base import secrets
from memdefrag.base import settings as config
from memdefrag.base.errors import UsageError
from memdefrag.base.settings import data_dir
from memdefrag.engine import profiles
from memdefrag.engine.profiles import KINDS, Profile
from memdefrag.model.address import parse

WORK = Profile("Work", "chroma", "https://chroma.example:8000", "team a", "main", "memory_collection")


def test_each_kind_has_its_address():
    assert WORK.address == "chroma+https://chroma.example:8000/?tenant=team+a&database=main#memory_collection"
    assert Profile("", "chroma", "localhost:8000").address == "chroma+http://localhost:8000"
    assert Profile("", "hdev", "http://localhost:8080/", "ignored").address == "hdev+http://localhost:8080"
    database = Profile("", "bigmemory", "postgresql://me@db.example/memories", collection="notes")
    assert database.address == "bigmemory:postgresql://me@db.example/memories#notes"


@pytest.mark.parametrize("profile", [
    Profile(), Profile("", "chroma", "postgresql://db/x"), Profile("", "federated", "http://db/x")
])  # fmt: skip
def test_what_is_no_such_server_is_refused(profile):
    with pytest.raises(UsageError) as caught:
        assert profile.address
    assert caught.value.todo


def test_they_are_kept_by_name_and_forgotten():
    profiles.save(WORK)
    profiles.save(Profile("home", "hdev", "localhost:8080"))
    profiles.save(Profile("Work", "hdev", "http://other.example"))
    assert [(each.name, each.kind, each.url) for each in profiles.load()] == [
        ("home", "hdev", "http://localhost:8080"),
        ("Work", "hdev", "http://other.example"),
    ]
    profiles.remove("home")
    assert [each.name for each in profiles.load()] == ["Work"]


def test_a_server_without_a_name_is_not_kept():
    with pytest.raises(UsageError):
        profiles.save(Profile(url="http://localhost:8000"))
    assert profiles.load() == []


def test_a_password_in_the_url_is_used_and_never_written_down(monkeypatch):
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(config, "_hidden", set())
    profiles.save(Profile("db", "federated", "postgresql://me:hunter2-secret@db.example/memories"))
    [kept] = profiles.load()
    assert kept.url == "postgresql://me@db.example/memories"
    assert b"hunter2" not in (data_dir() / "profiles.json").read_bytes()
    found = secrets.find(kept.url)
    assert found is not None and found.reveal() == "hunter2-secret"


@pytest.mark.parametrize("said", ["", "{", "[1]", '[{"name": "x"}]', '[{"name": "x", "kind": "chroma", "key": "k"}]'])
def test_a_strange_file_holds_no_servers(said):
    data_dir().mkdir(parents=True)
    (data_dir() / "profiles.json").write_text(said, encoding="utf-8")
    assert profiles.load() == []


words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.sampled_from(sorted(KINDS)), words, words, words)
def test_what_was_kept_opens_the_same_store(kind, tenant, database, collection):
    url = "postgresql://host/db" if kind in ("bigmemory", "federated") else "http://host:1"
    profile = Profile("x", kind, url, tenant, database, collection)
    profiles.save(profile)
    assert profiles.load() == [profile]
    assert parse(profile.address).collection == (collection or None)
