"""The workflow script: backup, export, tidy up, import in one run; and the backup script by itself."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.engine.backups.shelf import all_backups
from tests.scripts.conftest import ROOT, as_json, make, run, texts
from tests.stores.chroma.folders import OLD_PYTHON, traces

WORKFLOW, BACKUP = ROOT / "scripts" / "chromadb_workflow.sh", ROOT / "scripts" / "backup_memories.py"
STEPS = ("backup_memories.py", "export_chromadb.py", "_run.py", "import_to_chromadb.py")
MERGED = {"hash0", "hash2", "hash3"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell script")

STUB = """#!/bin/sh
case " $* " in *" --settle-for "*) printf '%s' "$SETTLED"; exit "$UNSETTLED" ;; esac
for word in "$@"; do printf '%s\\n' "$word"; done >> "$CALLS"
echo . >> "$CALLS"
case $1 in */"$FAILING") exit 7 ;; esac
"""

CLOSED_BY_ITSELF = """
import os, sys, threading, time

def close():
    if "open" not in sys.argv:
        return
    while "PySide6.QtWidgets" not in sys.modules:
        time.sleep(0.05)
    from PySide6.QtCore import QMetaObject, Qt
    from PySide6.QtWidgets import QApplication
    while not (QApplication.instance() and any(each.isVisible() for each in QApplication.topLevelWidgets())):
        time.sleep(0.05)
    {what}
    QMetaObject.invokeMethod(QApplication.instance(), "quit", Qt.ConnectionType.QueuedConnection)

threading.Thread(target=close, daemon=True).start()
"""
DROP = """import sqlite3
    file = sqlite3.connect(sys.argv[-1])
    file.execute("DELETE FROM memories WHERE id = 'hash3'")
    file.commit()
    file.close()"""


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No display, and no memories of the person's own."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "CHROMA_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.upper().startswith("MCP")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file into which the steps are written instead of being carried out."""
    stub = tmp_path / "a python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(stub))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    for name, value in {"FAILING": "none", "SETTLED": "", "UNSETTLED": "0"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "calls"


def made_of(calls: Path) -> list[list[str]]:
    """Each call: the script's name and its arguments."""
    told = [call.splitlines() for call in calls.read_text().split("\n.\n") if call.strip()]
    return [[Path(words[0]).name, *words[1:]] for words in told]


def in_the_window(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window without a screen, in which somebody does this and closes it."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(CLOSED_BY_ITSELF.format(what=what))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hook"), str(ROOT)]))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


# -- the real steps


@pytest.mark.slow
def test_all_steps_unattended_with_spaces_in_the_paths(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a b"
    home.mkdir()
    monkeypatch.setenv("CHROMA_PATH", str(folder.rename(home / "chroma db")))
    said = run([WORKFLOW, "--auto", "--no-model", "--output", "my export.db"], home)
    places = [said.index(f"== {number} of 4: ") for number in range(1, 5)]
    assert places == sorted(places)
    assert set(texts(f"chroma:{home / 'chroma db'}")) == MERGED
    assert "by hand" in {each.as_dict()["reason"] for each in all_backups()}


@pytest.mark.slow
def test_the_import_waits_until_the_window_is_closed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_window(DROP, tmp_path, monkeypatch)
    run([WORKFLOW, "--chroma-path", folder], tmp_path)
    assert set(texts(f"chroma:{folder}")) == {"hash0", "hash1", "hash2"}


@pytest.mark.slow
def test_a_window_that_breaks_stops_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_window("os._exit(9)", tmp_path, monkeypatch)
    before = traces(folder)
    said = run([WORKFLOW, "--chroma-path", folder], tmp_path, code=9)
    assert "== 4 of 4" not in said and "3 of 4" in said.splitlines()[-1]
    assert traces(folder) == before


def test_a_backup_that_fails_stops_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "file" / "data"))
    before = traces(folder)
    said = run([WORKFLOW, "--auto", "--chroma-path", folder], tmp_path, code=15)
    assert "1 of 4: backup ended with exit code 15" in said and "== 2 of 4" not in said and "Traceback" not in said
    assert not (tmp_path / "memory_export.db").exists()
    assert traces(folder) == before


def test_without_a_display_and_anybody_to_ask_nothing_is_begun(folder: Path, tmp_path: Path) -> None:
    said = run([WORKFLOW, "--chroma-path", folder], tmp_path, code=41)
    assert "no display" in said and "memdefrag optimize" in said and "--auto" in said
    assert not all_backups() and not (tmp_path / "memory_export.db").exists()


# -- what the steps are told


def test_as_the_guide_has_it_each_step_follows_the_other(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    run([WORKFLOW], tmp_path)
    export = "memory_export.db"
    assert made_of(calls) == [
        ["backup_memories.py"],
        ["export_chromadb.py", "--output", export],
        ["_run.py", "open", export],
        ["import_to_chromadb.py", export],
    ]


@pytest.mark.parametrize("equals", [False, True])
def test_options_reach_the_steps_they_are_for(equals: bool, calls: Path, tmp_path: Path) -> None:
    pairs = {"--chroma-path": "/a b/it's $HOME", "--output": "my *.db", "--collection": "my notes"}
    own = [f"{name}={value}" for name, value in pairs.items()] if equals else [w for p in pairs.items() for w in p]
    run([WORKFLOW, "--no-backup", *own, "--auto", "--mirror", "--chroma-python", "/x y/python"], tmp_path)
    folder = ["--chroma-path", "/a b/it's $HOME"]
    assert made_of(calls) == [
        ["backup_memories.py", *folder],
        ["export_chromadb.py", *folder, "--output", "my *.db", "--collection", "my notes"],
        ["_run.py", "optimize", "my *.db", "--auto", "sure"],
        ["import_to_chromadb.py", "my *.db", *folder, "--collection", "my notes",
         "--no-backup", "--mirror", "--chroma-python", "/x y/python"],
    ]  # fmt: skip


def test_no_window_asks_in_the_terminal(calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    run([WORKFLOW, "--no-window", "--no-model"], tmp_path)
    assert made_of(calls)[2] == ["_run.py", "optimize", "memory_export.db", "--no-model"]


@pytest.mark.parametrize("number", range(4))
def test_whichever_step_fails_is_the_last_and_its_code_is_the_scripts(
    number: int, calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILING", STEPS[number])
    said = run([WORKFLOW, "--auto"], tmp_path, code=7)
    assert [call[0] for call in made_of(calls)] == list(STEPS[: number + 1])
    assert f"{number + 1} of 4" in said.splitlines()[-1]


def test_an_option_without_its_value_begins_nothing(calls: Path, tmp_path: Path) -> None:
    assert "--output needs a value" in run([WORKFLOW, "--auto", "--output"], tmp_path, code=2)
    assert not calls.exists()


def test_the_help_begins_nothing(calls: Path, tmp_path: Path) -> None:
    said = run([WORKFLOW, "--auto", "--help"], tmp_path)
    assert all(word in said for word in ("--chroma-path", "CHROMA_PATH", "--no-window", "--auto", "--no-backup"))
    assert not calls.exists()


def test_it_can_be_started_from_anywhere(calls: Path, tmp_path: Path) -> None:
    away = tmp_path / "a b"
    away.mkdir()
    run(["/bin/sh", "-c", f"cd {shlex.quote(str(away))} && {shlex.quote(str(WORKFLOW))} --auto"], tmp_path)
    assert len(made_of(calls)) == 4


def test_who_writes_is_settled_first_and_told_to_the_import(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETTLED", "--chroma-python=/a b/python")
    run([WORKFLOW, "--auto", "--mirror"], tmp_path)
    assert made_of(calls)[3] == ["import_to_chromadb.py", "memory_export.db", "--mirror", "--chroma-python=/a b/python"]


def test_while_it_is_unsettled_who_writes_nothing_is_begun(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSETTLED", "25")
    run([WORKFLOW, "--auto"], tmp_path, code=25)
    assert not calls.exists()


@pytest.mark.old_chroma
def test_an_older_folder_is_asked_about_before_the_first_step(tmp_path: Path) -> None:
    if not OLD_PYTHON.exists():
        pytest.skip(f"{OLD_PYTHON} is not there; scripts/test makes it")
    home = tmp_path / "it's old"
    home.mkdir()
    old = make(OLD_PYTHON, home / "chroma db")
    before, command = traces(old), [WORKFLOW, "--auto", "--no-model", "--chroma-path", old]
    said = run(command, tmp_path, code=25)
    assert traces(old) == before and not all_backups() and not (tmp_path / "memory_export.db").exists()
    offered = next(line for line in said.splitlines() if "--chroma-python" in line)
    words = shlex.split(offered)
    assert words[:-1] == [*map(str, command), "--chroma-python"]
    run([*words[:-1], OLD_PYTHON], tmp_path)
    assert set(texts(f"chroma:{old}")) == MERGED


@pytest.mark.old_chroma
def test_a_choice_made_at_the_terminal_is_all_that_is_printed(tmp_path: Path) -> None:
    if not OLD_PYTHON.exists():
        pytest.skip(f"{OLD_PYTHON} is not there; scripts/test makes it")
    import pty

    old, (ours, theirs) = make(OLD_PYTHON, tmp_path / "old"), pty.openpty()
    script = [sys.executable, ROOT / "scripts" / "import_to_chromadb.py", "x.db"]
    os.write(ours, b"99\n")

    def printed(code: int) -> str:
        asked = [*script, "--chroma-path", old, "--settle-for", "x"]
        done = subprocess.run(asked, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
        assert done.returncode == code
        return done.stdout

    assert printed(130) == ""
    os.write(ours, f"{_ways(ours)}\n{tmp_path / 'a new one'}\n".encode())
    assert printed(0) == f"--output={tmp_path / 'a new one'}\n"
    os.close(ours)
    os.close(theirs)


def _ways(terminal: int) -> int:
    """How many ways to write were offered at a terminal."""
    shown = os.read(terminal, 65536).decode()
    return max(int(line.split()[0]) for line in shown.splitlines() if line[:2] == "  " and line.split()[0].isdecimal())


# -- the backup by itself


def backups(said: str) -> list[str]:
    told = as_json(said)["backups"]
    assert isinstance(told, list)
    return [each["store"] for each in told]


def test_the_backup_says_where_it_is(folder: Path, tmp_path: Path) -> None:
    before = traces(folder)
    said = run([sys.executable, BACKUP, "--chroma-path", folder], tmp_path)
    [made] = all_backups()
    assert made.records == 5 and str(made.folder) in said.replace("\n", "")
    assert traces(folder) == before


@pytest.mark.parametrize("variable", ["CHROMA_PATH", "MCP_MEMORY_CHROMA_PATH"])
def test_the_backup_is_of_the_folder_that_the_environment_names(
    variable: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(folder))
    assert backups(run([sys.executable, BACKUP, "--json"], tmp_path)) == [f"chroma:{folder}"]


def test_the_backup_is_of_all_that_stands_in_the_services_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_MEMORY_BASE_DIR", str(tmp_path))
    with closing(sqlite3.connect(tmp_path / "sqlite_vec.db")) as file:
        file.executescript(
            "CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT, content_hash TEXT UNIQUE NOT NULL,"
            "content TEXT NOT NULL, tags TEXT, memory_type TEXT, metadata TEXT, created_at REAL, updated_at REAL,"
            "created_at_iso TEXT, updated_at_iso TEXT);"
            "INSERT INTO memories (content_hash, content) VALUES ('h', 'One memory.');"
        )
    stores = backups(run([sys.executable, BACKUP, "--json"], tmp_path))
    assert stores == [f"chroma:{folder}", f"memory-service:{tmp_path / 'sqlite_vec.db'}"]
    named = run([sys.executable, BACKUP, "--json", "--sqlite-path", tmp_path / "sqlite_vec.db"], tmp_path)
    assert backups(named) == [f"memory-service:{tmp_path / 'sqlite_vec.db'}"]


@pytest.mark.parametrize(
    ("options", "code"), [([], 10), (["--chroma-path", "nowhere"], 11), (["--sqlite-path", "nowhere"], 10)]
)
def test_a_backup_of_nothing_fails(options: list[str], code: int, tmp_path: Path) -> None:
    said = run([sys.executable, BACKUP, *options], tmp_path, code)
    assert "Error:" in said and "Traceback" not in said
    assert not all_backups()
