"""Scratch folders are private and do not outlive the process that made them by much."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from memdefrag.base import scratch

HOLD = (
    "from memdefrag.base.scratch import scratch_folder\n"
    "import sys\n"
    "with scratch_folder() as folder:\n"
    "    (folder / 'secret').write_text('mine')\n"
    "    print(folder, flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratch._sweep.cache_clear()


def test_it_is_private_and_goes_at_the_end() -> None:
    with scratch.scratch_folder() as folder:
        (folder / "copy").write_text("mine")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_a_killed_process_left_goes_and_what_a_running_one_has_stays(tmp_path: Path) -> None:
    def holder() -> tuple[subprocess.Popen[str], Path]:
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout
        return child, Path(child.stdout.readline().strip())

    with holder()[0] as killed, holder()[0] as running:
        left, used = sorted(tmp_path.glob("memdefrag-*"), key=lambda path: f"-{killed.pid}-" not in path.name)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with scratch.scratch_folder():
            assert not left.exists()
            assert (used / "secret").read_text() == "mine"
        assert running.stdin
        running.stdin.close()


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    (tmp_path / f"{scratch._PREFIX}{2**22 + 1}-x").symlink_to(tmp_path / "precious")
    with scratch.scratch_folder():
        assert (tmp_path / "precious" / "file").read_text() == "mine"
