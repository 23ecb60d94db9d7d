"""hdev's own configuration says which folder and which server are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdefrag.base.errors import ServerRefused, UsageError
from memdefrag.base.secrets import keep
from memdefrag.model.address import Address, parse
from memdefrag.stores.hdev import config
from memdefrag.stores.registry import open_store, resolve
from tests.stores.hdev import server
from tests.stores.hdev.server import serving

FILE = """
memory:
  backend: http
  filesystem:
    path: {folder}
  http:
    url: {url}
    api_key: canary-configured
    timeout: 7
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / ".hdev").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    for variable in (config.FOLDER_VARIABLE, config.URL_VARIABLE, config.KEY_VARIABLE, config.TIMEOUT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return home


def configure(home: Path, folder: object = "/somewhere", url: str = "https://memory.example") -> None:
    (home / ".hdev/config.yaml").write_text(FILE.format(folder=folder, url=url))


def test_without_a_file_hdevs_defaults_are_meant(home: Path) -> None:
    told = config.load({}, home)
    assert (told.backend, told.folder) == ("filesystem", home / ".hdev/memory")
    assert (told.url, told.key, told.timeout, told.warnings) == (None, None, None, ())


def test_what_the_file_says(home: Path) -> None:
    configure(home)
    told = config.load({}, home)
    assert (told.backend, told.folder, told.url) == ("http", Path("/somewhere"), "https://memory.example")
    assert told.timeout == 7
    assert told.key is not None
    assert told.key_for("https://memory.example:443/") is told.key
    assert told.key_for("https://other.example") is None
    assert "canary" not in repr(told)


def test_the_environment_wins(home: Path) -> None:
    configure(home)
    environment = {
        "HDEV_MEMORY_BACKEND": "filesystem",
        "HDEV_MEMORY_FILESYSTEM_PATH": "/else",
        "HDEV_MEMORY_HTTP_URL": "http://localhost:1",
        "HDEV_MEMORY_HTTP_API_KEY": "canary-environment",
        "HDEV_MEMORY_HTTP_TIMEOUT": "9",
    }
    told = config.load(environment, home)
    assert (told.backend, told.folder, told.url, told.timeout) == ("filesystem", Path("/else"), "http://localhost:1", 9)
    assert told.key is not None
    assert told.key.reveal() == "canary-environment"
    assert config.load({"HDEV_MEMORY_HTTP_TIMEOUT": "soon"}, home).timeout == 7


@pytest.mark.parametrize("text", ["{", "- a\n- b", "memory: 5", "\xff", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_makes_no_sense_is_told_and_ignored(home: Path, text: str) -> None:
    (home / ".hdev/config.yaml").write_text(text, "latin-1")
    told = config.load({}, home)
    assert told.folder == home / ".hdev/memory"
    [warning] = told.warnings
    assert str(home / ".hdev/config.yaml") in warning


def test_odd_values_inside_are_not_said(home: Path) -> None:
    (home / ".hdev/config.yaml").write_text("memory: {filesystem: 3, http: {url: [], timeout: -1, api_key: {}}}")
    told = config.load({}, home)
    assert (told.folder, told.url, told.key, told.timeout) == (home / ".hdev/memory", None, None, None)


@pytest.mark.parametrize("text", ["hdev:", "filesystem", "filesystem:"])
def test_the_configured_folder_needs_no_name(home: Path, tmp_path: Path, text: str) -> None:
    configure(home, tmp_path / "memory")
    assert resolve(text) == Address("hdev", str(tmp_path / "memory"))


@pytest.mark.parametrize("text", ["http", "http:", "hdev+http:", "hdev+https:"])
def test_the_configured_server_needs_no_name(home: Path, text: str) -> None:
    with pytest.raises(UsageError, match="names none"):
        resolve(text)
    configure(home)
    assert resolve(text) == Address("hdev+https", "//memory.example")


@pytest.mark.parametrize(
    ("text", "kind", "location"),
    [
        ("filesystem:/a/b", "hdev", "/a/b"),
        ("http:https://memory.example", "hdev+https", "//memory.example"),
        ("http:http://localhost:8080", "hdev+http", "//localhost:8080"),
    ],
)
def test_hdevs_own_names_of_stores(text: str, kind: str, location: str) -> None:
    assert parse(text) == Address(kind, location)


def test_a_file_of_such_a_name_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filesystem").mkdir()
    assert parse("filesystem") == Address("", "filesystem")


def test_the_configured_key_opens_the_configured_server_alone(home: Path, tmp_path: Path) -> None:
    server.put(tmp_path / "memory", "a", {"content": "text"})
    with serving(tmp_path / "memory", "canary-configured") as mine, serving(tmp_path, "canary-configured") as other:
        configure(home, url=mine.url)
        with open_store(mine.address) as store:
            assert store.collections()[0].count == 1
        with open_store(other.address) as store, pytest.raises(ServerRefused, match="wants a key"):
            store.collections()


def test_two_servers_have_a_key_each(home: Path, tmp_path: Path) -> None:
    server.put(tmp_path / "a", "one", {"content": "text"})
    server.put(tmp_path / "b", "two", {"content": "text"})
    with serving(tmp_path / "a", "canary-a") as first, serving(tmp_path / "b", "canary-b") as second:
        keep(first.url, "canary-a")
        keep(second.url, "canary-b")
        with open_store(first.address) as one, open_store(second.address) as two:
            assert [record.key.id for batch in one.scan("memories") for record in batch] == ["one"]
            assert [record.key.id for batch in two.scan("memories") for record in batch] == ["two"]
