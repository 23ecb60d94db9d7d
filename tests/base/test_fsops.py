"""The one module that renames and pushes to the disk."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memdefrag.base import fsops
from memdefrag.base.errors import NotPermitted, StoreDamaged


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_durable_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fsops.write_durable(path, b"old")
    fsops.write_durable(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fsops.write_durable(path, b"x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_replacement_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), fsops.replacing(path) as scratch:
        scratch.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_append_durable_adds_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fsops.append_durable(path, b"one\n")
    fsops.append_durable(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_exchange_swaps_folders_in_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    try:
        fsops.exchange(tmp_path / "one", tmp_path / "two")
    except fsops.ExchangeUnsupported:
        pytest.skip("this file system cannot exchange two names")
    assert (tmp_path / "one/content").read_text() == "two"
    assert (tmp_path / "two/content").read_text() == "one"


def test_links_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(StoreDamaged):
        fsops.copy_file(tmp_path / "link", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_named_point_kills_the_process(tmp_path: Path) -> None:
    code = f"from memdefrag.base.fsops import *; write_durable(Path({str(tmp_path / 'file')!r}), b'x')"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, fsops.FAULT_VARIABLE: "kill:2"})
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()


def test_the_named_point_fails_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fsops.FAULT_VARIABLE, "enospc:1")
    monkeypatch.setattr(fsops, "_points_passed", 0)
    with pytest.raises(OSError, match="injected"):
        fsops.write_durable(tmp_path / "file", b"x")
    assert names(tmp_path) == []


def test_a_torn_line_stays_the_only_one_lost(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    fsops.append_durable(path, b"three\n")
    assert path.read_bytes().splitlines() == [b"one", b"tw", b"three"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_private_folder_has_private_parents(tmp_path: Path) -> None:
    fsops.make_private_dir(tmp_path / "a" / "b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_copy_is_dressed_like_what_it_replaces(tmp_path: Path) -> None:
    for root, mode in (("model", 0o750), ("made", 0o755)):
        (tmp_path / root).mkdir()
        (tmp_path / root).chmod(mode)
        (tmp_path / root / "kept").write_text("x")
    (tmp_path / "model/kept").chmod(0o440)
    (tmp_path / "made/new").mkdir()
    (tmp_path / "made/new/file").write_text("x")
    fsops.dress_like(tmp_path / "made", tmp_path / "model")
    modes = {name: (tmp_path / "made" / name).stat().st_mode & 0o777 for name in ("", "kept", "new", "new/file")}
    assert modes == {"": 0o750, "kept": 0o640, "new": 0o750, "new/file": 0o640}


@pytest.mark.skipif(shutil.which("fincore") is None, reason="needs fincore (util-linux), which tells what is cached")
def test_what_was_pushed_to_the_disk_can_be_read_from_it_again(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "file"
    file.write_bytes(os.urandom(1 << 20))
    fsops.fsync_tree(tmp_path)
    if cached_bytes(file) == 0 or not on_disk(tmp_path):
        pytest.skip("this folder is in memory, or never cached")
    fsops.forget_cached(tmp_path)
    assert cached_bytes(file) == 0


def cached_bytes(file: Path) -> int:
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", str(file)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def on_disk(folder: Path) -> bool:
    """A tmpfs is memory all through; nothing of it can be forgotten."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() != "tmpfs"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such entries in folders")
def test_what_is_no_file_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(b"kept")
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for special in (pipe, link):
        with pytest.raises(NotPermitted, match="neither a file nor a folder"):
            fsops.write_durable(special, b"new")
        with pytest.raises(NotPermitted, match="neither a file nor a folder"):
            fsops.rename(file, special)
        with pytest.raises(NotPermitted, match="neither a file nor a folder"):
            fsops.remove(special)
    assert pipe.is_fifo()
    assert names(tmp_path) == ["file", "link", "pipe"]


def test_whoever_replaces_many_files_pushes_their_folder_himself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    (tmp_path / "in").mkdir()
    monkeypatch.setenv(fsops.FAULT_VARIABLE, f"list:{log}")
    with fsops.replacing(tmp_path / "in" / "a", sync_folder=False) as scratch:
        scratch.write_bytes(b"new")
    points = log.read_text().splitlines()
    assert [point.partition(" ")[0] for point in points] == ["fsync", "rename"]
    assert not any(point.startswith("fsync folder") for point in points)
    assert (tmp_path / "in" / "a").read_bytes() == b"new"


def test_what_is_written_anew_keeps_its_permissions_or_is_private(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    old.chmod(0o640)
    for path in (old, new):
        with fsops.written_anew(path) as out:
            out.write(b"anew")
    assert [path.read_bytes() for path in (old, new)] == [b"anew", b"anew"]
    if sys.platform != "win32":
        assert [path.stat().st_mode & 0o777 for path in (old, new)] == [0o640, 0o600]


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), fsops.written_anew(path) as out:
        out.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
