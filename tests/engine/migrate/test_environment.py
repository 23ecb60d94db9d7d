"""`migrate --check`: this machine, and the stores that are named."""

from __future__ import annotations

import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from memdefrag.analysis.embedding import embed as models
from memdefrag.base import http
from memdefrag.base.http import Options, Retry
from memdefrag.base.settings import DATA_DIR_VARIABLE, data_dir
from memdefrag.engine.migrate import environment
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.environment import BASE, EXTRAS, NEWEST_PYTHON, OLDEST_PYTHON, check_environment
from memdefrag.model.address import Address
from tests.engine.migrate.ends import memory, source_of
from tests.engine.stores import make_store
from tests.stores.hdev.server import serving

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server of this machine."""
    options = Options(silence=0.4, answer=0.6, retry=Retry(attempts=2, first_wait=0.01))
    monkeypatch.setattr(http.Options, "of_environment", lambda: options)


@pytest.fixture
def source(tmp_path: Path) -> Address:
    return source_of(tmp_path / "one", [memory(1), memory(2)])


def checked(*addresses: object) -> dict[str, Check]:
    found = check_environment([str(address) for address in addresses])
    return {check.name: check for check in found}


def failed(found: dict[str, Check]) -> list[str]:
    return [name for name, check in found.items() if check.passed is False]


def test_a_machine_that_runs_the_tests_passes_and_is_left_alone() -> None:
    found = checked()
    assert failed(found) == [] and not data_dir().exists()
    assert sys.executable in found["Python"].detail
    assert all(any(character.isdigit() for character in found[f"package {name}"].detail) for name in BASE)


def test_another_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "OLDEST_PYTHON", (9, 0))
    [python] = failed(checked())
    assert python == "Python" and "9.0" in checked()[python].remedy


def test_the_pythons_and_packages_are_those_of_the_project() -> None:
    assert PROJECT["requires-python"] == f">=3.{OLDEST_PYTHON[1]},<3.{NEWEST_PYTHON[1] + 1}"
    for package in BASE:
        assert any(line.startswith(package) for line in PROJECT["dependencies"])
    for extra in EXTRAS.values():
        for package in extra.packages:
            assert any(line.startswith(package) for line in PROJECT["optional-dependencies"][extra.name])


def test_only_the_packages_of_the_named_stores_are_asked_for(
    source: Address, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "version", _without("psycopg", "apsw"))
    assert failed(checked(source)) == []
    found = checked(source, "bigmemory:postgresql://127.0.0.1:9/none")
    assert "package psycopg" in failed(found) and "memdefrag[postgres]" in found["package psycopg"].remedy


def test_what_only_writing_needs_is_missed_in_a_target_alone(
    source: Address, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "version", _without("apsw"))
    name = f"memory-service:{tmp_path / 'absent.db'}"
    assert checked(name)["package apsw"].is_warning
    assert checked(source, name)["package apsw"].passed is False


def test_a_model_is_missed_without_being_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "is_available", lambda name=None: False)
    found = checked()
    assert failed(found) == [] and found["model"].is_warning and "memdefrag[models]" in found["model"].remedy


def test_a_data_folder_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path / "file" / "data"))
    found = checked()
    assert failed(found) == ["data folder"] and DATA_DIR_VARIABLE in found["data folder"].remedy


def test_both_ends_are_looked_at_and_nothing_is_made(source: Address, tmp_path: Path) -> None:
    found = checked(source, tmp_path / "new" / "memories.db")
    assert failed(found) == [] and not (tmp_path / "new").exists() and not data_dir().exists()
    assert found[f"source {source}"].detail == "JSON lines, 2 memories."
    assert found[f"target {tmp_path / 'new' / 'memories.db'}"].detail == "Nothing is there yet; it will be made."
    assert found["target writable"].passed and found["room"].passed


def test_an_older_folder_needs_a_writer_of_its_age(shared: Path, source: Address, tmp_path: Path) -> None:
    old = Path(shutil.copytree(shared / "fixtures" / "chroma_0.4.24", tmp_path / "old"))
    writer = checked(source, old)["target writer"]
    assert writer.is_warning and "0.4" in writer.detail and "--chroma-python" in writer.remedy
    assert "target writer" not in checked(old, source)


def test_of_several_stores_all_but_the_last_are_sources(source: Address, tmp_path: Path) -> None:
    other = make_store("memory-export", tmp_path)
    names = list(checked(source, other, tmp_path / "new.jsonl"))
    assert [f"source {source}", f"source {other}"] == [name for name in names if name.startswith("source ")]
    assert f"target {tmp_path / 'new.jsonl'}" in names


def test_a_source_that_is_not_there_fails(tmp_path: Path) -> None:
    found = checked(tmp_path / "absent")
    assert (
        failed(found) == [f"source {tmp_path / 'absent'}"]
        and "nothing at" in found[f"source {tmp_path / 'absent'}"].detail
    )


def test_a_server_tells_how_fast_it_answers(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as server:
        found = checked(server.address)
        assert "It answers within" in found[f"source {server.address}"].detail
        assert server.written() == []


def test_a_closed_port_fails_with_a_remedy_and_the_rest_is_looked_at(source: Address) -> None:
    found = checked("hdev+http://127.0.0.1:9", source)
    assert failed(found) == ["source hdev+http://127.0.0.1:9"]
    assert "server runs" in found["source hdev+http://127.0.0.1:9"].remedy and found[f"target {source}"].passed


def test_a_password_is_not_repeated() -> None:
    found = checked("bigmemory:postgresql://me:hush-hush@127.0.0.1:9/none")
    assert "hush-hush" not in repr(found) and any(name.startswith("source bigmemory:") for name in found)


def _without(*missing: str) -> object:
    """`importlib.metadata.version` of a machine that lacks these packages."""

    def version(package: str) -> str:
        if package in missing:
            raise PackageNotFoundError(package)
        return "1.0"

    return version
