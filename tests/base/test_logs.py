from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memdefrag.base.errors import NotPermitted
from memdefrag.base.logs import KEPT_LOGS, JobLog
from memdefrag.base.settings import data_dir


def test_a_log_nobody_keeps_leaves_no_trace() -> None:
    JobLog("inspect", print).write("looked")
    assert not data_dir().exists()


def test_a_kept_log_holds_what_was_written_before_and_after() -> None:
    log = JobLog("optimize", print)
    log.write("before")
    path = log.keep()
    log.write("after")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in lines[1:]] == ["before", "after"]
    assert path.parent == data_dir() / "logs"
    assert path.name.endswith("Z-optimize.log")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_its_owner_can_read_a_log() -> None:
    assert stat.S_IMODE(JobLog("apply", print).keep().stat().st_mode) == 0o600


def test_secrets_and_line_breaks_do_not_reach_the_log() -> None:
    log = JobLog("apply", print)
    log.write("password=hunter2\nforged line \x1b[2J")
    text = log.keep().read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert text.count("\n") == 2
    assert "\x1b" not in text


def test_the_newest_twenty_logs_stay() -> None:
    made = [JobLog("apply", print).keep() for _ in range(KEPT_LOGS + 3)]
    assert sorted((data_dir() / "logs").iterdir()) == made[3:]


def test_a_log_can_go_where_the_person_wants(tmp_path: Path) -> None:
    place = tmp_path / "my.log"
    assert JobLog("apply", print).keep(place) == place
    assert place.read_text(encoding="utf-8").startswith("20")
    assert not data_dir().exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="cannot be written"):
        JobLog("apply", print).keep(tmp_path / "absent" / "my.log")


def test_a_log_that_breaks_off_does_not_stop_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = JobLog("apply", print)
    place = log.keep(tmp_path / "my.log")
    place.unlink()
    place.mkdir()
    log.write("cannot go anywhere")
    assert "ends here" in capsys.readouterr().out


def test_lines_of_several_threads_all_arrive_whole() -> None:
    log = JobLog("window", print)

    def talk(number: int) -> None:
        for line in range(50):
            log.write(f"{number} says {line}")
            log.keep()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(talk, range(4)))
    said = [line.split(" ", 1)[1] for line in log.keep().read_text(encoding="utf-8").splitlines()[1:]]
    assert sorted(said) == sorted(f"{number} says {line}" for number in range(4) for line in range(50))
