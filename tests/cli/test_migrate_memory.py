"""hdev's command `migrate-memory`, as its guide types it, against servers that run as programs of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memdefrag.base import secrets
from memdefrag.base.http import Retry
from tests.cli.conftest import Cli, Ended, traces
from tests.engine.serve.running import program as running_program
from tests.stores.hdev import server

K1, K2 = "canary-key-one", "canary-key-two"
TEXTS = {
    "a": "The door is green.",
    "notes/b": "Tabs, not spaces.\nEverywhere.",
    "notes/deep/ü 1%#?": "Grüße aus Köln.",
    "empty": "",
}
DEFAULT = "Global memory storage for critical information"


class Served:
    """A memory server that runs, and its folder."""

    def __init__(self, url: str, root: Path) -> None:
        self.url, self.root = url, root


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    """Two servers, each with a key of its own."""
    place = tmp_path_factory.mktemp("served")

    def memory_server(name: str, key: str) -> Any:
        options = ("memory-server", "--storage-path", place / name)
        return running_program(*options, data=place / f"data-{name}", HDEV_MEMORY_API_KEY=key)

    with memory_server("one", K1) as one, memory_server("two", K2) as two:
        yield Served(one.url, place / "one"), Served(two.url, place / "two")


@pytest.fixture
def one(servers: tuple[Served, Served]) -> Served:
    return emptied(servers[0])


@pytest.fixture
def two(servers: tuple[Served, Served]) -> Served:
    return emptied(servers[1])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without hdev, no key in the air, and no patience."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("FILESYSTEM_PATH", "HTTP_URL", "HTTP_API_KEY", "BACKEND", "API_KEY"):
        monkeypatch.delenv(f"HDEV_MEMORY_{name}", raising=False)
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(Retry, "wait", lambda *_: None)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return filled(tmp_path / "source", TEXTS)


def emptied(served: Served) -> Served:
    for path in served.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return served


def filled(root: Path, entries: dict[str, str], **metadata: Any) -> Path:
    for number, (name, text) in enumerate(entries.items()):
        server.put(root, name, {"content": text, "metadata": {"created": str(1.7e9 + number), **metadata}})
    return root


def contents(root: Path) -> dict[str, tuple[str, Any]]:
    """Text and metadata of every entry, as the files say."""
    found = {}
    for path in root.rglob("*.md"):
        name = path.relative_to(root).as_posix().removesuffix(".md")
        metadata = root / f"{name}.metadata.json"
        found[name] = path.read_text("utf-8"), json.loads(metadata.read_text()) if metadata.exists() else None
    return found


def told(
    ways: str, found: int, copied: int, skipped: int, failed: int = 0, *, differ: int = 0, dry: bool = False,
    errors: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """What the command prints."""
    done = "simulation completed" if dry else "completed with errors" if errors else "completed"
    counts = f"{copied} entries {'would be' if dry else 'were'} copied, {skipped} skipped, {failed} failed."
    lines = [
        f"Migrating memory from {ways}",
        *(["DRY RUN - No actual changes will be made"] if dry else []),
        f"Migration {done}. {counts}" if found else "No entries found to migrate",
        "",
        "Migration Statistics:",
        f"  Total entries found: {found}",
        f"  Entries copied: {copied}",
        f"  Entries skipped: {skipped}",
        *([f"    of which {differ} differ"] if differ else []),
        f"  Entries failed: {failed}",
        *(["", "Errors:", *(f"  {error}" for error in errors)] if errors else []),
    ]
    return "\n".join(lines) + "\n"


UP, DOWN, ACROSS, BESIDE = "filesystem to http", "http to filesystem", "http to http", "filesystem to filesystem"


def to(served: Served, *more: object) -> list[object]:
    return ["migrate-memory", "--target", "http", "--target-url", served.url, *more]


def test_from_a_folder_to_a_server_and_again(cli: Cli, one: Served, source: Path) -> None:
    line = to(one, "--source-path", source, "--api-key", K1)
    before = contents(source)
    rehearsed = cli(*line, "--dry-run")
    assert (rehearsed.code, rehearsed.out) == (0, told(UP, 4, 4, 0, dry=True))
    assert contents(one.root) == {}
    ended = cli(*line)
    assert (ended.code, ended.out) == (0, told(UP, 4, 4, 0))
    assert contents(one.root) == contents(source) == before
    assert "memdefrag undo" in ended.err
    again = cli(*line)
    assert (again.code, again.out) == (0, told(UP, 4, 0, 4))


def test_what_differs_stays_and_is_named_until_it_may_be_overwritten(
    cli: Cli, one: Served, source: Path, tmp_path: Path
) -> None:
    filled(one.root, {"a": "The door is red.", "mine": "stays"})
    before = contents(one.root)
    line = to(one, "--source-path", source, "--api-key", K1)
    ended = cli(*line, "--verbose")
    assert (ended.code, ended.out) == (0, told(UP, 4, 3, 1, differ=1))
    assert "a: conflict: differs in text" in ended.err
    assert contents(one.root)["a"] == before["a"]
    written = cli(*line, "--overwrite")
    assert (written.code, written.out) == (0, told(UP, 4, 1, 3))
    assert contents(one.root) == {**contents(source), "mine": before["mine"]}
    [step] = [text.partition("undo ")[2] for text in written.err.splitlines() if "memdefrag undo" in text]
    assert "Backup from before: " in written.err
    assert cli("undo", step).code == 0
    assert contents(one.root)["a"][0] == "The door is red."


def test_from_a_server_to_a_folder(cli: Cli, one: Served, tmp_path: Path) -> None:
    filled(one.root, TEXTS)
    target = tmp_path / "backup"
    line = ["migrate-memory", "--source", "http", "--source-url", one.url, "--target", "filesystem"]
    line += ["--target-path", str(target), "--api-key", K1]
    before = traces(tmp_path)
    rehearsed = cli(*line, "--dry-run")
    assert (rehearsed.code, rehearsed.out) == (0, told(DOWN, 4, 4, 0, dry=True))
    assert traces(tmp_path) == before
    ended = cli(*line)
    assert (ended.code, ended.out) == (0, told(DOWN, 4, 4, 0))
    assert contents(target) == contents(one.root)


def test_from_a_server_to_a_server_with_a_key_for_each(cli: Cli, one: Served, two: Served) -> None:
    filled(one.root, TEXTS)
    line = to(two, "--source", "http", "--source-url", one.url)
    keys = ["--source-api-key", K1, "--target-api-key", K2]
    rehearsed = cli(*line, *keys, "--dry-run")
    assert (rehearsed.code, rehearsed.out) == (0, told(ACROSS, 4, 4, 0, dry=True))
    assert contents(two.root) == {}
    ended = cli(*line, *keys)
    assert (ended.code, ended.out) == (0, told(ACROSS, 4, 4, 0))
    assert contents(two.root) == contents(one.root)
    assert K1 not in ended.err + ended.out
    assert K2 not in ended.err + ended.out


def test_from_a_folder_to_a_folder(cli: Cli, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "memory"
    line = ["migrate-memory", "--source", "filesystem", "--source-path", source]
    line += ["--target", "filesystem", "--target-path", target]
    before = traces(tmp_path)
    assert cli(*line, "--dry-run").out == told(BESIDE, 4, 4, 0, dry=True)
    assert traces(tmp_path) == before
    ended = cli(*line)
    assert (ended.code, ended.out) == (0, told(BESIDE, 4, 4, 0))
    assert contents(target) == contents(source)
    assert cli(*line, "--overwrite").out == told(BESIDE, 4, 0, 4)


def test_only_what_lies_below_a_prefix(cli: Cli, one: Served, source: Path) -> None:
    (source / "bad.md").write_bytes(b"\xff")
    ended = cli(*to(one, "--source-path", source, "--api-key", K1, "--prefix", "notes/"))
    assert (ended.code, ended.out) == (0, told(UP, 2, 2, 0))
    assert contents(one.root).keys() == {"notes/b", "notes/deep/ü 1%#?"}


@pytest.mark.parametrize("key", [[], ["--api-key", "WRONG"]])
@pytest.mark.parametrize("end", ["source", "target"])
def test_a_server_that_refuses_the_key_is_never_empty(
    cli: Cli, one: Served, source: Path, tmp_path: Path, key: list[str], end: str
) -> None:
    filled(one.root, {"a": "x"})
    other = "target" if end == "source" else "source"
    place = tmp_path / "made" if other == "target" else source
    ended = cli(
        "migrate-memory", f"--{end}", "http", f"--{end}-url", one.url, f"--{other}", "filesystem",
        f"--{other}-path", place, *key
    )  # fmt: skip
    assert ended.code == 17
    assert ended.out == f"Migrating memory from {DOWN if end == 'source' else UP}\n"
    assert "key" in ended.err
    assert "WRONG" not in ended.err
    assert not (tmp_path / "made").exists()
    assert contents(one.root).keys() == {"a"}


def test_a_server_that_does_not_answer_is_never_empty(cli: Cli, tmp_path: Path) -> None:
    line = ("migrate-memory", "--source", "http", "--source-url", "http://127.0.0.1:9", "--target", "filesystem")
    ended = cli(*line, "--target-path", tmp_path / "made")
    assert ended.code == 16
    assert ended.out == f"Migrating memory from {DOWN}\n"
    assert "cannot be reached" in ended.err
    assert cli(*line, "--target-path", tmp_path / "made", "--json").json["error"]["code"] == "server_unreachable"
    assert not (tmp_path / "made").exists()


def test_a_folder_that_is_not_there_is_never_empty(cli: Cli, tmp_path: Path) -> None:
    line = ("migrate-memory", "--target", "filesystem", "--target-path", tmp_path / "made")
    assert cli(*line, "--source-path", tmp_path / "absent").code == 10
    assert cli(*line).code == 10
    assert not (tmp_path / "made").exists()


def test_an_empty_folder_is(cli: Cli, one: Served, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    ended = cli(*to(one, "--source-path", tmp_path / "nothing", "--api-key", K1))
    assert (ended.code, ended.out) == (0, told(UP, 0, 0, 0))


def test_all_that_hdev_lost_without_a_word_is_copied_or_told(cli: Cli, source: Path, tmp_path: Path) -> None:
    filled(source, {"topic": "beside", "topic/inner": "below", "rel/v1.2": "older", "rel/v1.3": "newer"})
    filled(source, {"note.md": "named as a file", "bare": "no metadata", "list": "x", "broken": "x", "latin": "x"})
    (source / "bare.metadata.json").unlink()
    (source / "list.metadata.json").write_text("[1]")
    (source / "broken.metadata.json").write_text("{")
    (source / "latin.md").write_bytes(b"\xff\xfe")
    (source / "UPPER.MD").write_text("x")
    (source / "orphan.metadata.json").write_text("{}")
    (source / "picture.png").write_bytes(b"\x89PNG")
    (source / "nothing").mkdir()
    target = tmp_path / "target"
    line = ["migrate-memory", "--source-path", source, "--target", "filesystem", "--target-path", target]
    errors = (
        "broken: cannot be read: broken.metadata.json is not JSON",
        "latin: cannot be read: its text is not UTF-8",
        "list: cannot be read: its metadata are no JSON object",
        "rel/v1.3: shares the file 'rel/v1.md' with 'rel/v1.2'; hdev kept one text for both",
    )
    ended = cli(*line, "--verbose")
    assert (ended.code, ended.out) == (1, told(BESIDE, 13, 9, 0, 4, errors=errors))
    assert "1 entry has no metadata file and goes with empty metadata: bare." in ended.err
    assert "2 entries go by another name there: note.md as note%2emd, rel/v1.2 as rel/v1%2e2." in ended.err
    for path in ("UPPER.MD", "orphan.metadata.json", "picture.png", "nothing"):
        assert f"\n{path}: ignored: " in ended.err
    found = {name: text for name, (text, _) in contents(target).items()}
    assert found == {
        **TEXTS, "topic": "beside", "topic/inner": "below", "rel/v1%2e2": "newer", "note%2emd": "named as a file",
        "bare": "no metadata",
    }  # fmt: skip
    said = cli(*line, "--json").json
    assert (said["found"], said["copied"], said["skipped"], said["failed"]) == (13, 0, 9, 4)
    assert sorted(said["ignored"]) == ["UPPER.MD", "nothing", "orphan.metadata.json", "picture.png"]


def test_what_a_server_hides_is_an_error(cli: Cli, one: Served, tmp_path: Path) -> None:
    with server.serving(filled(tmp_path / "real", {"topic": "beside", "topic/inner": "below"})) as real:
        ended = cli(*to(one, "--source", "http", "--source-url", real.url, "--target-api-key", K1))
    hidden = "topic: is hidden by the folder of the same name; only the server's own files have it"
    assert (ended.code, ended.out) == (1, told(ACROSS, 2, 1, 0, 1, errors=(hidden,)))
    assert contents(one.root).keys() == {"topic/inner"}


@pytest.mark.parametrize("there", [{}, {"topic/old": "x"}, {"other": "x"}])
def test_the_entry_beside_a_folder_gives_way_not_those_in_it(
    cli: Cli, one: Served, tmp_path: Path, there: dict[str, str]
) -> None:
    filled(one.root, there)
    coming = {"topic": "beside", "topic/b": "below", "topic/a": "below"}
    filled(tmp_path / "source", coming)
    ended = cli(*to(one, "--source-path", tmp_path / "source", "--api-key", K1))
    hidden = "topic: would be hidden by the folder of the same name"
    assert (ended.code, ended.out) == (1, told(UP, 3, 2, 0, 1, errors=(hidden,)))
    assert contents(one.root).keys() == {"topic/a", "topic/b", *there}


def test_what_would_hide_an_entry_that_is_there_is_an_error(cli: Cli, one: Served, tmp_path: Path) -> None:
    filled(one.root, {"topic": "there"})
    filled(tmp_path / "source", {"topic/a": "below", "b": "x"})
    ended = cli(*to(one, "--source-path", tmp_path / "source", "--api-key", K1))
    hidden = "topic/a: would hide 'topic' behind a folder of the same name"
    assert (ended.code, ended.out) == (1, told(UP, 2, 1, 0, 1, errors=(hidden,)))
    assert contents(one.root).keys() == {"topic", "b"}


def test_the_entry_that_hdev_makes_by_itself_is_in_nobodys_way(cli: Cli, tmp_path: Path) -> None:
    mine, fresh = filled(tmp_path / "mine", {"global": "My own."}), filled(tmp_path / "fresh", {"global": DEFAULT})
    line = ("migrate-memory", "--target", "filesystem")
    assert cli(*line, "--source-path", fresh, "--target-path", mine, "--overwrite").out == told(
        BESIDE, 1, 0, 1, differ=1
    )
    assert contents(mine)["global"][0] == "My own."
    assert cli(*line, "--source-path", mine, "--target-path", fresh).out == told(BESIDE, 1, 1, 0)
    assert contents(fresh)["global"] == contents(mine)["global"]


def test_the_environment_names_the_server_and_its_key(
    cli: Cli, one: Served, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEV_MEMORY_HTTP_API_KEY", K1)
    assert cli(*to(one, "--source-path", source, "--dry-run")).code == 0
    monkeypatch.setenv("HDEV_MEMORY_HTTP_URL", one.url)
    monkeypatch.setenv("HDEV_MEMORY_FILESYSTEM_PATH", str(source))
    assert cli("migrate-memory", "--target", "http").out == told(UP, 4, 4, 0)
    assert contents(one.root) == contents(source)


def test_the_configuration_names_the_server_and_its_key(cli: Cli, one: Served, two: Served, home: Path) -> None:
    filled(home / ".hdev" / "memory", TEXTS)
    config = {"memory": {"backend": "http", "http": {"url": one.url, "api_key": K1}}}
    (home / ".hdev" / "config.yaml").write_text(json.dumps(config))
    assert cli("migrate-memory", "--target", "http").out == told(UP, 4, 4, 0)
    assert contents(one.root) == contents(home / ".hdev" / "memory")
    # The key is for the configured server alone.
    assert cli(*to(two)).code == 17


def test_a_configuration_that_cannot_be_read_is_told(cli: Cli, home: Path, tmp_path: Path) -> None:
    filled(home / ".hdev" / "memory", {"a": "x"})
    (home / ".hdev" / "config.yaml").write_text("a: [")
    ended = cli("migrate-memory", "--target", "filesystem", "--target-path", tmp_path / "t")
    assert (ended.code, ended.out) == (0, told(BESIDE, 1, 1, 0))
    assert "config.yaml is not YAML" in ended.err


@pytest.mark.parametrize("pieces", ["one", "words", "without name"])
def test_the_text_form(cli: Cli, one: Served, source: Path, pieces: str) -> None:
    text = f'!migrate_memory target_config="http:{one.url}" source_config="filesystem:{source}" dry_run='
    typed = {
        "one": [text + "true"],
        "words": (text + "true").replace('"', "").split(),
        "without name": [(text + "true").removeprefix("!migrate_memory ")],
    }[pieces]
    ended = cli("migrate-memory", *typed, "--api-key", K1)
    assert (ended.code, ended.out) == (0, told(UP, 4, 4, 0, dry=True))
    assert contents(one.root) == {}
    assert cli("migrate-memory", text + "false", "--api-key", K1, "--dry-run").out == told(UP, 4, 4, 0, dry=True)
    assert cli("migrate-memory", text + "false", "--api-key", K1).out == told(UP, 4, 4, 0)
    assert contents(one.root) == contents(source)


def test_the_text_form_takes_a_key_for_each_end(cli: Cli, one: Served, two: Served) -> None:
    filled(one.root, TEXTS)
    text = f'!migrate_memory source_config="http:{one.url}" target_config="http:{two.url}" overwrite=true'
    ended = cli("migrate-memory", text, "--source-api-key", K1, "--target-api-key", K2)
    assert (ended.code, ended.out) == (0, told(ACROSS, 4, 4, 0))


def test_the_text_form_lists_five_errors(cli: Cli, source: Path, tmp_path: Path) -> None:
    for number in range(7):
        (source / f"bad{number}.md").write_bytes(b"\xff")
    text = f'source_config="filesystem:{source}" target_config="filesystem:{tmp_path / "a b"}"'
    ended = cli("migrate-memory", f"!migrate_memory {text}")
    assert ended.code == 1
    assert ended.out.endswith("  bad4: cannot be read: its text is not UTF-8\n  ... and 2 more errors\n")
    assert contents(tmp_path / "a b") == contents_readable(source)
    line = ("migrate-memory", "--source-path", source, "--target", "filesystem", "--target-path", tmp_path / "a b")
    assert cli(*line).out.endswith("  bad6: cannot be read: its text is not UTF-8\n")


def contents_readable(root: Path) -> dict[str, tuple[str, Any]]:
    for path in root.glob("bad*.md"):
        path.rename(path.with_suffix(".off"))
    found = contents(root)
    for path in root.glob("bad*.off"):
        path.rename(path.with_suffix(".md"))
    return found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--target http", "--target-url is required for HTTP target"),
        ("--source http --target filesystem", "--source-url is required for HTTP source"),
        ("--source filesystem", "--target is required"),
        ("--source bogus --target http", "'bogus' is not one of 'filesystem', 'http'"),
        ("--target http --target-url memory.example.com", "begins with http:// or https://"),
        ("--target http --target-url ftp://x", "begins with http:// or https://"),
        ("--source-url http://x --target filesystem", "--source-url goes with --source http"),
        ("--target http --target-url http://x --target-path y", "--target-path goes with --target filesystem"),
        ("!migrate_memory dry_run=true", "needs target_config"),
        ("!migrate_memory target_config=ftp:x", "target_config is filesystem"),
        ("!migrate_memory target_config=http:x", "target_config is filesystem"),
        ("!migrate_memory target_config=http", "--target-url is required"),
        ("!migrate_memory target_config=filesystem overwrite=yes", "overwrite is true or false"),
        ("!migrate_memory target=filesystem", "'target'"),
        ("target_config=filesystem --target filesystem", "--source or --target option"),
    ],
)
def test_what_cannot_be_understood_is_told(cli: Cli, home: Path, line: str, said: str) -> None:
    ended = cli("migrate-memory", *line.split())
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert list(home.iterdir()) == []


def test_json_is_all_there_is(cli: Cli, one: Served, source: Path) -> None:
    said = cli(*to(one, "--source-path", source, "--api-key", K1, "--json")).json
    assert (said["found"], said["copied"], said["skipped"], said["failed"]) == (4, 4, 0, 0)
    assert (said["verified"], said["ignored"], said["target"]) == (True, [], f"hdev+{one.url}")


def test_as_the_program_that_people_start(program: Cli, one: Served, source: Path) -> None:
    ended: Ended = program(*to(one, "--source-path", source), HDEV_MEMORY_HTTP_API_KEY=K1)
    assert (ended.code, ended.out) == (0, told(UP, 4, 4, 0))


def test_the_real_run(cli: Cli, one: Served, shared: Path, tmp_path: Path) -> None:
    """The numbers of hdev's own command on the same folder; only what is there and the same is not written again."""
    source = shutil.copytree(shared / "fixtures/hdev_fs", tmp_path / "hdev_fs")
    filled(one.root, {"global": DEFAULT})
    line = to(one, "--source-path", source, "--api-key", K1)
    assert cli(*line, "--dry-run").out == told(UP, 78, 77, 1, dry=True)
    assert cli(*line).out == told(UP, 78, 77, 1)
    assert cli(*line).out == told(UP, 78, 0, 78)
    back = ["migrate-memory", "--source", "http", "--source-url", one.url, "--target", "filesystem"]
    back += ["--target-path", str(tmp_path / "back"), "--api-key", K1]
    assert cli(*back).out == told(DOWN, 78, 78, 0)
    assert cli("migrate-memory", "--source-path", tmp_path / "back", "--target", "filesystem",
               "--target-path", source).out == told(BESIDE, 78, 0, 78)  # fmt: skip
