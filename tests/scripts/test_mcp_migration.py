"""Memory Service's migration script, typed and called as its guide does, on real folders and a real server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import MemdefragError, NotAStore, ServerUnreachable, UsageError
from memdefrag.base.http import Retry
from memdefrag.base.secrets import find
from memdefrag.cli.mcp_migration import main, migrate_memories, place
from memdefrag.cli.secrets import taken_out
from memdefrag.model.address import Address, parse
from memdefrag.model.records import MemoryRecord
from memdefrag.stores.registry import open_store
from tests.scripts.conftest import ROOT, as_json, make, run, texts
from tests.stores.chroma.folders import OLD_PYTHON, traces
from tests.stores.chroma.running import ChromaServer, free_port

SCRIPT = "scripts/mcp-migration.py"
KEY = "canary-key-8128"


def records(address: str) -> dict[str, MemoryRecord]:
    with open_store(address) as store:
        return {record.key.id: record for batch in store.scan("memory_collection") for record in batch}


def assert_equal(found: dict[str, MemoryRecord], wanted: dict[str, MemoryRecord]) -> None:
    assert {id: (each.text, each.metadata) for id, each in found.items()} == {
        id: (each.text, each.metadata) for id, each in wanted.items()
    }
    for id, each in wanted.items():
        assert each.embedding is not None
        np.testing.assert_allclose(np.array(found[id].embedding), np.array(each.embedding), atol=1e-6)


def remote(server: ChromaServer, database: str = "") -> dict[str, Any]:
    """The configuration of a server, with a database of the test's own where one is named."""
    if database:
        server.make_database(database)
    return {"host": "127.0.0.1", "port": server.port} | ({"database": database} if database else {})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for a server that does not answer."""
    monkeypatch.setattr(Retry, "wait", lambda *_: None)


# -- as typed


@pytest.mark.slow
def test_from_local_to_remote_and_back_as_the_guide_types_it(
    folder: Path, chroma_server: ChromaServer, tmp_path: Path
) -> None:
    before, wanted = traces(folder), records(f"chroma:{folder}")
    server = json.dumps(remote(chroma_server))
    there = ["--source-type", "local", "--source-config", str(folder), "--target-type", "remote"]
    run([sys.executable, SCRIPT, *there, "--target-config", server], ROOT)
    assert_equal(records(chroma_server.address()), wanted)
    assert traces(folder) == before
    fresh = tmp_path / "fresh" / "chroma"
    back = ["--source-type", "remote", "--source-config", server, "--target-type", "local"]
    said = run(
        [sys.executable, SCRIPT, *back, "--target-config", fresh, "--batch-size", "10", "--delay", "1"], ROOT
    )
    assert_equal(records(f"chroma:{fresh}"), wanted)
    assert "Read back and compared: 4 memories" in said


def test_doing_it_again_copies_nothing_twice(folder: Path, chroma_server: ChromaServer) -> None:
    target = remote(chroma_server, "again")
    assert migrate_memories("local", folder, "remote", target).copied == 4
    report = migrate_memories("local", folder, "remote", target)
    assert (report.copied, report.skipped) == (0, 4)


@pytest.mark.old_chroma
def test_a_folder_of_chromadb_0_5_23_is_read_and_only_written_by_its_own(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not OLD_PYTHON.exists():
        pytest.skip(f"{OLD_PYTHON} is not there; scripts/test makes it")
    old = make(OLD_PYTHON, tmp_path / "old")
    before = traces(old)
    assert migrate_memories("local", old, "local", tmp_path / "new").copied == 4
    assert_equal(records(f"chroma:{tmp_path / 'new'}"), records(f"chroma:{old}"))
    ends = ["--source-type", "local", "--source-config", str(folder), "--target-type", "local"]
    ends += ["--target-config", str(old), "--target-collection", "more"]
    assert main(ends) == 25
    assert traces(old) == before
    assert "--chroma-python" in capfd.readouterr().err


def test_a_dry_run_counts_and_writes_nothing(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = {"type": "local", "config": {"path": str(tmp_path / "new")}}
    ends = ["--source-type", "local", "--source-config", str(folder), "--target-config", json.dumps(target)]
    assert main([*ends, "--dry-run", "--json"]) == 0
    told = as_json(capfd.readouterr().out)
    assert (told["dry_run"], told["copied"]) == (True, 4)
    assert not (tmp_path / "new").exists()


def test_the_collections_can_be_chosen_and_what_the_service_will_not_read_is_said(
    folder: Path, chroma_server: ChromaServer, capfd: pytest.CaptureFixture[str]
) -> None:
    ends = ["--source-type", "local", "--source-config", str(folder), "--target-type", "remote"]
    ends += ["--target-config", json.dumps(remote(chroma_server, "chosen"))]
    assert main([*ends, "--target-collection", "mcp_imported_memories"]) == 0
    assert "Memory Service reads memory_collection: it will not see mcp_imported_memories" in " ".join(
        capfd.readouterr().out.split()
    )
    assert main([*ends, "--source-collection", "other"]) == 0
    with open_store(chroma_server.address("chosen")) as store:
        found = {info.name: info.count for info in store.collections()}
    assert found == {"mcp_imported_memories": 4, "other": 1}


@pytest.mark.usefixtures("impatient")
def test_the_environment_is_verified_without_writing(
    folder: Path, chroma_server: ChromaServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = ["--source-type", "local", "--source-config", str(folder)]
    before = traces(folder)
    good = ["--target-type", "remote", "--target-config", json.dumps(remote(chroma_server))]
    assert main([*source, *good, "--check", "--json"]) == 0
    checks = as_json(capfd.readouterr().out)["checks"]
    assert isinstance(checks, list)
    names = " ".join(each["name"] for each in checks)
    wanted = ("Python", "package chromadb", f"source chroma:{folder}", "target chroma+http")
    assert all(word in names for word in wanted)
    dead = ["--target-type", "remote", "--target-config", json.dumps({"host": "127.0.0.1", "port": free_port()})]
    assert main([*source, *dead, "--verify-only"]) == 1
    assert traces(folder) == before


def test_the_machine_alone_is_verified_without_any_store(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--json"]) == 0
    assert as_json(capfd.readouterr().out)["passed"] is True


def test_the_help_has_the_guides_options(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["--help"]) == 0
    said = capfd.readouterr().out
    for side in ("source", "target"):
        assert f"--{side}-type" in said and f"--{side}-config" in said
    assert "--batch-size" in said and "--delay" in said


# -- what cannot be done


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 2),
        (["--source-type", "local", "--target-type", "local", "--target-config", "TARGET"], 2),
        (["--source-type", "local", "--source-config", "", "--target-type", "local", "--target-config", "TARGET"], 2),
        (["--source-type", "remote", "--source-config", '{"host": ', "--target-type", "local", "--target-config",
          "TARGET"], 2),
        (["--source-type", "cloud", "--source-config", "x", "--target-type", "local", "--target-config", "TARGET"], 2),
        (["--source-type", "local", "--source-config", "nowhere", "--target-type", "local", "--target-config",
          "TARGET"], 10),
        (["--source-type", "remote", "--source-config", "PORT", "--target-type", "local", "--target-config", "TARGET"],
         16),
        (["--source-type", "local", "--source-config", "SOURCE", "--target-type", "remote", "--target-config", "PORT"],
         16),
    ],
    ids=["nothing", "no source", "empty source", "broken JSON", "unknown type", "no folder", "dead source",
         "dead target"],
)  # fmt: skip
def test_what_cannot_be_done_fails_and_is_never_an_empty_source(
    options: list[str], code: int, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = traces(folder)
    words = {"TARGET": str(tmp_path / "target"), "SOURCE": str(folder)}
    words["PORT"] = json.dumps({"host": "127.0.0.1", "port": free_port()})
    assert main([words.get(word, word) for word in options]) == code
    said = capfd.readouterr()
    assert said.out == "" and "Error:" in said.err and "Traceback" not in said.err
    assert not (tmp_path / "target").exists()
    assert traces(folder) == before


@pytest.mark.parametrize(
    ("type", "config"),
    [
        (None, "/x"),
        ("cloud", "/x"),
        ("local", {"host": "h"}),
        ("local", ""),
        ("local", {"path": 5}),
        ("remote", {"path": "/x"}),
        ("remote", {"host": "h", "prot": 9000}),
        ("remote", {"host": "h", "port": "high"}),
        ("remote", {"host": "h", "port": 0}),
        ("remote", {"host": "h", "port": 65_536}),
        ("remote", {"host": "h", "port": True}),
        ("remote", {"host": "h", "ssl": "false"}),
        ("remote", {"host": "h/x"}),
        ("remote", {"host": "me@h"}),
        ("remote", '{"host": "h"'),
        ("remote", 8000),
        ("local", {"type": "remote", "config": {"host": "h"}}),
        (None, {"type": "local"}),
        (None, {"type": "local", "config": None}),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(type: str | None, config: Any) -> None:
    with pytest.raises(UsageError):
        place("source", type, config)


# -- configurations


@pytest.mark.parametrize(
    ("type", "config", "address"),
    [
        ("local", "/a b/c", Address("chroma", "/a b/c")),
        ("local", Path("/a"), Address("chroma", "/a")),
        ("local", {"path": "/a", "collection": "c"}, Address("chroma", "/a", "c")),
        ("local", '{"path": "/a", "host": "h", "port": 8000}', Address("chroma", "/a")),
        ("remote", "h", Address("chroma+http", "//h:8000/")),
        ("remote", {"host": "h", "port": 9}, Address("chroma+http", "//h:9/")),
        ("remote", '{"host": "h", "port": "9"}', Address("chroma+http", "//h:9/")),
        ("remote", {"host": "h", "ssl": True, "port": 443}, Address("chroma+https", "//h:443/")),
        ("remote", {"host": "https://h"}, Address("chroma+https", "//h:8000/")),
        ("remote", {"host": "::1"}, Address("chroma+http", "//[::1]:8000/")),
        ("remote", {"host": "h", "tenant": "a b", "database": "c&d"},
         Address("chroma+http", "//h:8000/?tenant=a+b&database=c%26d")),
        (None, {"type": "local", "config": {"path": "/a"}}, Address("chroma", "/a")),
        (None, {"type": "local", "config": "/a"}, Address("chroma", "/a")),
        ("remote", '{"type": "remote", "config": {"host": "h", "port": 8000}}', Address("chroma+http", "//h:8000/")),
    ],
)  # fmt: skip
@pytest.mark.skipif(os.name == "nt", reason="paths have drive letters there")
def test_every_form_of_a_configuration_is_understood(type: str | None, config: Any, address: Address) -> None:
    assert place("source", type, config) == address


NAMES = st.text(min_size=1).filter(lambda name: "\0" not in name)


@given(NAMES.filter(str.strip), NAMES, NAMES)
def test_tenant_and_database_reach_the_server_as_they_are(collection: str, tenant: str, database: str) -> None:
    from urllib.parse import parse_qs, urlsplit

    config = {"host": "h", "tenant": tenant, "database": database, "collection": collection.replace("#", "")}
    found = parse(str(place("target", "remote", config)))
    query = urlsplit(found.url).query
    assert parse_qs(query) == {"tenant": [tenant], "database": [database]}
    assert found.collection == (collection.replace("#", "") or None)


@pytest.mark.parametrize(
    ("config", "server"),
    [
        ({"host": "one.example", "token": KEY}, "http://one.example:8000"),
        ({"host": "two.example", "port": 443, "ssl": True, "api_key": KEY}, "https://two.example"),
        ({"type": "remote", "config": {"host": "three.example", "port": 9, "token": KEY}}, "http://three.example:9"),
    ],
)
def test_a_key_in_the_configuration_is_for_that_server(config: dict[str, Any], server: str) -> None:
    clean, hints = taken_out(["--target-config", json.dumps(config)])
    assert KEY not in " ".join(clean) and hints
    found = find(server)
    assert found is not None and found.reveal() == KEY


def test_a_key_of_a_call_is_for_that_server() -> None:
    place("source", "remote", {"host": "four.example", "port": 443, "ssl": True, "token": KEY})
    found = find("https://four.example/")
    assert found is not None and found.reveal() == KEY
    assert find("http://four.example:8000") is None


@pytest.mark.usefixtures("impatient")
def test_a_key_gets_neither_into_the_log_nor_onto_the_screen(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = json.dumps({"host": "127.0.0.1", "port": free_port(), "token": KEY})
    log = tmp_path / "migration.log"
    ends = ["--source-type", "local", "--source-config", str(folder), "--target-type", "remote"]
    assert main([*ends, "--target-config", config, "--log-file", str(log)]) == 16
    assert KEY not in log.read_text(encoding="utf-8") + "".join(capfd.readouterr())


# -- called from Python

CALL = """
import sys
from scripts.mcp_migration import migrate_memories
report = migrate_memories(
    source_type='local',
    source_config=sys.argv[1],
    target_type='remote',
    target_config={'host': '127.0.0.1', 'port': int(sys.argv[2]), 'database': 'called'}
)
print(report.copied, report.checked.differences, sys.executable)
"""


def test_the_guides_import_works_in_a_checkout(folder: Path, chroma_server: ChromaServer) -> None:
    chroma_server.make_database("called")
    said = run([sys.executable, "-c", CALL, folder, str(chroma_server.port)], ROOT)
    assert said.splitlines()[-1] == f"4 () {sys.executable}"
    assert set(texts(chroma_server.address("called"))) == {"hash0", "hash1", "hash2", "hash3"}


def test_the_import_tells_a_python_without_the_packages_what_to_do(tmp_path: Path) -> None:
    call = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from scripts.mcp_migration import migrate_memories"
    said = run([sys.executable, "-I", "-S", "-c", call], tmp_path, code=1)
    assert "ImportError: memdefrag is not set up in this Python" in said and "scripts/start" in said


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("type", "config", "error"),
    [
        ("local", "/no/such/folder", NotAStore),
        ("remote", {"host": "127.0.0.1", "port": 9}, ServerUnreachable),
        ("cloud", "x", UsageError),
    ],
)
def test_errors_are_raised(type: str, config: Any, error: type[MemdefragError], tmp_path: Path) -> None:
    with pytest.raises(error):
        migrate_memories(type, config, "local", tmp_path / "target")
    assert not (tmp_path / "target").exists()
