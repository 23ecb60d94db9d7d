"""What `migrate-memory` is told: by its options, the environment, hdev's configuration and hdev's text form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.migrate_memory.conftest import (
    ACROSS,
    BESIDE,
    K1,
    K2,
    TEXTS,
    UP,
    Served,
    contents,
    filled,
    to,
    told,
)


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
