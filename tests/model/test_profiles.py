"""Servers by name: their addresses, what is written down of them, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memdefrag.base import secrets
from memdefrag.base import settings as config
from memdefrag.base.errors import UsageError
from memdefrag.base.settings import data_dir
from memdefrag.model import profiles
from memdefrag.model.address import parse
from memdefrag.model.profiles import KINDS, Profile

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
    assert profiles.forget("home") and not profiles.forget("home")
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.sampled_from(sorted(KINDS)), words, words, words)
def test_an_address_and_its_profile_say_the_same(kind, tenant, database, collection):
    is_chroma = kind == "chroma"
    url = "postgresql://host/db" if kind in ("bigmemory", "federated") else "https://host:1"
    profile = Profile("x", kind, url, tenant * is_chroma, database * is_chroma, collection)
    assert profiles.of("x", parse(profile.address)) == profile


@pytest.mark.parametrize("text", ["jsonl:x.jsonl", "/a/folder", "https://host", "backup:abc", "hdev:"])
def test_what_is_no_server_gets_no_profile(text):
    with pytest.raises(UsageError) as caught:
        profiles.of("x", parse(text))
    assert caught.value.todo
    assert caught.value.message.startswith(f"{text} is no server")


def test_a_profile_is_named_wherever_a_store_is():
    profiles.save(WORK)
    profiles.save(Profile("a#b", "hdev", "http://hdev.example"))
    assert str(parse("profile:Work")) == WORK.address
    assert parse("profile:Work#notes").collection == "notes"
    assert str(parse("profile:a#b")) == "hdev+http://hdev.example"


def test_a_name_that_is_not_kept_is_refused_with_those_that_are():
    profiles.save(WORK)
    with pytest.raises(UsageError) as caught:
        parse("profile:work")
    assert "'work'" in caught.value.message and "Work" in caught.value.todo


def test_a_file_of_such_a_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile:Work").touch()
    profiles.save(WORK)
    assert parse("profile:Work").location == "profile:Work"


def test_a_key_goes_with_the_last_name_of_its_server(ring):
    profiles.save(WORK)
    profiles.save(replace(WORK, name="Other", collection="x"))
    secrets.save(WORK.url, "canary-key")
    profiles.forget("Work")
    assert ring.held
    profiles.forget("Other")
    assert not ring.held
