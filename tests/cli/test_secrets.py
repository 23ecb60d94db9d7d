"""Secrets on the command line are used, taken out at once, and found nowhere afterwards."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base import secrets, settings
from memdefrag.base.progress import Progress
from memdefrag.cli.secrets import HINT, taken_out
from memdefrag.stores.chroma import environment
from tests.cli.conftest import Cli
from tests.keyrings import MemoryKeyring

pytestmark = pytest.mark.case(38)

TYPED, IN_ADDRESS, IN_ENVIRONMENT, IN_VARIABLE = (f"canary-{name}-7d1" for name in ("typed", "url", "env", "db"))
SERVER = f"bigmemory:postgresql://me:{IN_ADDRESS}@127.0.0.1:9/memories"
SURROUNDINGS = {
    "MEMDEFRAG_API_KEY": IN_ENVIRONMENT,
    "DATABASE_URL": f"postgresql://me:{IN_VARIABLE}@127.0.0.1:9/memories",
    "HDEV_MEMORY_HTTP_API_KEY": IN_VARIABLE,
}

# A shell starts it, so that the Python's path may hold spaces.
STUB = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import json, os, sys
with open({dump!r}, "a") as out:
    out.write(json.dumps([sys.argv, dict(os.environ)]) + "\\n")
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(settings, "_hidden", set())
    monkeypatch.delenv(secrets.KEY_VARIABLE, raising=False)


@pytest.fixture
def spying_python(tmp_path: Path) -> Path:
    """A Python that writes its arguments and environment to `children.jsonl` beside it before it runs."""
    stub = tmp_path / "python-that-tells"
    stub.write_text(STUB.format(python=sys.executable, dump=str(tmp_path / "children.jsonl")))
    stub.chmod(0o755)
    return stub


def kept() -> dict[str, str]:
    return {place: secret.reveal() for place, secret in secrets._kept.items()}


@pytest.mark.parametrize(
    ("typed", "left", "places"),
    [
        ("migrate-memory --target http --target-url https://M.example.com --api-key K --dry-run",
         "migrate-memory --target http --target-url https://M.example.com --dry-run", {"m.example.com": "K"}),
        ("x --source-url https://a --target-url https://b --api-key=K",
         "x --source-url https://a --target-url https://b", {"a": "K", "b": "K"}),
        ("x --source-url https://a --target-url https://b --source-api-key A --target-api-key B",
         "x --source-url https://a --target-url https://b", {"a": "A", "b": "B"}),
        ("migrate hdev+https://a --dry-run chroma+https://b --source-api-key A --target-api-key B",
         "migrate hdev+https://a --dry-run chroma+https://b", {"a": "A", "b": "B"}),
        ("migrate hdev+https://a chroma+https://b jsonl:x --source-api-key A",
         "migrate hdev+https://a chroma+https://b jsonl:x", {"a": "A", "b": "A"}),
        ("migrate hdev+https://a chroma+https://b --source-token A",
         "migrate hdev+https://a chroma+https://b", {"a": "A"}),
        ("x hdev+https://a bigmemory:postgresql://h/d --token T --password P",
         "x hdev+https://a bigmemory:postgresql://h/d", {"a": "T", "h/d": "P"}),
        ("x postgresql://me:IN@h/d federated:postgresql://g/e --password P",
         "x postgresql://me@h/d federated:postgresql://g/e", {"h/d": "IN", "g/e": "P"}),
        ("!migrate_memory target_config=http:https://u:P@m dry_run=true",
         "!migrate_memory target_config=http:https://m dry_run=true", {"m": "P"}),
        ("!migrate_memory target_config=http:https://m api_key=K", "!migrate_memory target_config=http:https://m",
         {"m": "K"}),
        ("memory-server --port 8080 --api-key K", "memory-server --port 8080", {"": "K"}),
    ],
)  # fmt: skip
def test_secrets_are_taken_out_and_kept_for_their_servers(typed: str, left: str, places: dict[str, str]) -> None:
    assert taken_out(typed.split()) == (left.split(), [HINT])
    assert kept() == places


def test_keys_in_a_json_argument_are_taken_out() -> None:
    config = json.dumps({"host": "h", "port": 8000, "api_key": "K", "more": {"url": "https://u:P@x", "ssl": True}})
    clean, hints = taken_out(["--source-config", config])
    assert json.loads(clean[1]) == {"host": "h", "port": 8000, "more": {"url": "https://x", "ssl": True}}
    assert kept() == {"h:8000": "K", "x": "P"}
    assert hints == [HINT]


@pytest.mark.parametrize(
    "argv",
    [["x", "--api-key"], ["x", "--api-key", "--dry-run"], ["search", "x", "password=a"], ["x", "--where", "token=a"],
     ["x", "--threshold", "0.9"], ["x", '{"host": "h"}'], ["x", "{broken"], ["x", "/a/token"], []],
)  # fmt: skip
def test_other_arguments_stay(argv: list[str]) -> None:
    assert taken_out(argv) == (argv, [])
    assert kept() == {}


WORDS = st.sampled_from(["x", "--dry-run", "https://a/", "--json", "{}", "postgresql://h/d", "--source-url"])
KEY = "canary-0123"
HIDING = st.sampled_from(
    [["--api-key", KEY], [f"--token={KEY}"], [f"password={KEY}"], [f"https://u:{KEY}@h"], [f"postgresql://u:{KEY}@h/d"],
     [f"target_config=http:https://u:{KEY}@h"], [f'{{"a": [{{"api_key": "{KEY}"}}]}}'], ["--target-secret", KEY]]
)  # fmt: skip


@given(st.lists(WORDS, max_size=4), HIDING, st.lists(WORDS, max_size=4))
def test_no_secret_is_left_wherever_it_stands(before: list[str], secret: list[str], after: list[str]) -> None:
    clean, hints = taken_out([*before, *secret, *after])
    assert KEY not in " ".join(clean) and hints == [HINT]
    assert clean[: len(before)] == before and clean[len(clean) - len(after) :] == after


def test_python_s_own_records_are_cleaned() -> None:
    code = "import sys; from memdefrag.cli.main import main; main(); print(sys.argv, sys.orig_argv, file=sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", code, "inspect", "/nowhere", "--api-key", TYPED], capture_output=True, text=True
    )
    assert "orig" not in ended.stdout and "inspect" in ended.stderr.splitlines()[-1]
    assert TYPED not in ended.stdout + ended.stderr


def test_a_hint_is_given_once_and_not_with_quiet(cli: Cli, demo: Path) -> None:
    assert cli("inspect", demo, "--api-key", TYPED).err.count(HINT[:40]) == 1
    assert HINT[:40] not in cli("inspect", demo, "--api-key", TYPED, "--quiet").err


def test_wrong_usage_does_not_tell_the_secret(cli: Cli) -> None:
    for arguments in (
        ["inspect", "--api-key", TYPED], ["bogus", f"--api-key={TYPED}"], ["inspect", "x", "--no", SERVER],
        ["inspect", "x", SERVER, f"--password={TYPED}", "--json"],
    ):  # fmt: skip
        ended = cli(*arguments)
        assert ended.code == 2
        assert "canary" not in ended.out + ended.err


def _scenes(store: Path, plan: Path, log: Path, chroma: Path) -> Iterator[tuple[list[object], set[int]]]:
    """Command lines with the codes they may end with."""
    yield ["inspect", store, "--json"], {0}
    yield ["analyze", store, "--save", plan, "--report", plan.with_suffix(".html"), "--verbose", "--no-model"], {0}
    yield ["apply", plan, "--log-file", log, "--verbose", "--json"], {0}
    yield ["history", store], {0}
    yield ["undo", "last", store, "--verbose"], {0}
    yield ["optimize", store, "--auto", "sure", "--json", "--no-model"], {0}
    yield ["backup", "create", store], {0}
    yield ["import", store, f"chroma:{chroma}", "--verbose"], {0}
    yield ["inspect", SERVER], set(range(2, 70))
    yield ["inspect", SERVER, "--json"], set(range(2, 70))
    yield ["migrate-everything", SERVER], {2}


WATCHED = """
import json, os, sys
def watch(event, told):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        environment = dict(os.environ) if told[-1] is None else dict(told[-1])
        with open({dump!r}, "a") as out:
            out.write(json.dumps([repr(told[:2]), repr(environment)]) + "\\n")
sys.addaudithook(watch)
from memdefrag.cli.main import main
from tests.keyrings import MemoryKeyring
sys.exit(main())
"""


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield path, data
            if path.suffix == ".zst":
                yield path, zstandard.ZstdDecompressor().stream_reader(data).read()


@pytest.mark.slow
def test_no_secret_is_found_anywhere(tmp_path: Path, demo: Path) -> None:
    work, children = tmp_path / "tmp", tmp_path / "children.jsonl"
    work.mkdir()
    around = {**os.environ, **SURROUNDINGS, "TMPDIR": str(work), "PYTHONPATH": str(Path(__file__).parents[2])}
    watched = [sys.executable, "-c", WATCHED.format(dump=str(children))]
    for arguments, codes in _scenes(demo, tmp_path / "plan.json", tmp_path / "a.log", tmp_path / "chroma"):
        ended = subprocess.run(
            [*watched, *map(str, arguments), "--api-key", TYPED], env=around, cwd=work, capture_output=True, text=True
        )
        assert ended.returncode in codes, (arguments, ended.stderr)
        assert "canary" not in ended.stdout + ended.stderr, arguments
    assert "child.py" in children.read_text()
    _nothing_written(tmp_path)


def test_a_crash_tells_no_secret(tmp_path: Path, demo: Path) -> None:
    code = (
        "import sys\nfrom memdefrag.cli.main import main\nfrom memdefrag.base.secrets import find\n"
        "import memdefrag.stores.registry as registry\n"
        "def crash(*anything, **more):\n    raise RuntimeError('sent ' + find('https://h').reveal(), anything, more)\n"
        "registry.open_store = crash\nsys.exit(main())"
    )
    for more in (["--json"], ["--verbose"], ["--log-file", str(tmp_path / "own.log")]):
        ended = subprocess.run(
            [sys.executable, "-c", code, "inspect", str(demo), f"--api-key={TYPED}", *more],
            env=os.environ | SURROUNDINGS, capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 70
        assert "canary" not in ended.stdout + ended.stderr
    assert "Traceback" in (tmp_path / "own.log").read_text()
    _nothing_written(tmp_path)


def test_the_tools_that_make_an_environment_get_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spying_python: Path
) -> None:
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    environment._run([str(spying_python), "-c", "pass"], "do nothing", Progress())
    assert environment._runs(str(spying_python))
    assert len((tmp_path / "children.jsonl").read_text().splitlines()) == 2
    _nothing_written(tmp_path)


def _nothing_written(folder: Path) -> None:
    files = list(_files(folder))
    assert files
    found = {str(path) for path, data in files for name in (b"canary-typed", b"canary-url", b"canary-env", b"canary-db")
             if name in data}  # fmt: skip
    assert not found


def test_a_key_is_saved_listed_and_forgotten(cli: Cli, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TYPED}\n"))
    ended = cli("secret", "save", "hdev+https://Memory.example.com/")
    assert (ended.code, ring.held) == (0, {("memdefrag", "memory.example.com"): TYPED})
    assert TYPED not in ended.out + ended.err
    listed = cli("secret", "list", "--json")
    assert listed.json == {"servers": ["memory.example.com"]}
    assert cli("secret", "forget", "memory.example.com", "--json").json == {"forgotten": "memory.example.com"}
    assert (ring.held, cli("secret", "list", "--json").json) == ({}, {"servers": []})


def test_no_key_is_no_key(cli: Cli, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert cli("secret", "save", "host").code == 2
    assert ring.held == {}


def test_a_key_typed_with_the_server_is_the_one_that_is_used(cli: Cli, ring: MemoryKeyring, demo: Path) -> None:
    secrets.save("https://host", "older")
    cli("inspect", demo, "--api-key", TYPED, "https://host")
    found = secrets.find("https://host")
    assert found is not None and found.reveal() == TYPED
