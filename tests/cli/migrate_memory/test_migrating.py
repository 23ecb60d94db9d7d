"""hdev's command `migrate-memory`, as its guide types it: what becomes of the entries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Ended, traces
from tests.cli.migrate_memory.conftest import (
    ACROSS,
    BESIDE,
    DEFAULT,
    DOWN,
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
from tests.stores.hdev import server


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
