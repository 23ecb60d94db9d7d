"""A private Python environment with one chromadb release, in memdefrag's data folder.

For people whose older Chroma folder has lost the service that made it. Only made when the person asked for it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from memdefrag.base.errors import NoSpace, UnsupportedEnvironment, WriterFailed
from memdefrag.base.fsops import free_bytes, make_private_dir, remove, rename
from memdefrag.base.progress import Progress
from memdefrag.base.scratch import scratch_folder
from memdefrag.base.secrets import for_children
from memdefrag.base.settings import data_dir
from memdefrag.stores.chroma import runner
from memdefrag.stores.chroma.runner import place, work_folder
from memdefrag.stores.chroma.versions import version_tuple

MEGABYTES: Mapping[str, int] = {"0.4.24": 485, "0.5.23": 460, "1.0.20": 500}
"""Size on disk of an environment, measured on Linux with Python 3.11. About a fifth of it is fetched."""

_OTHER_MEGABYTES = 500
_SPACE_FACTOR = 2
_NEWEST_PYTHON_OF_0, _NEWEST_PYTHON = (3, 12), (3, 13)
"""chroma-hnswlib, which chromadb 0.x needs, has no wheels beyond 3.12."""

_OLDEST_PYTHON = (3, 9)
_TAIL_LINES = 12
TRIAL_SECONDS = 10.0
_LOOK_SECONDS = 0.2


def environment_dir(version: str) -> Path:
    """Where the environment of a chromadb release lies. It is there only when it is whole."""
    return data_dir() / "chroma" / version


def environment_python(version: str) -> Path:
    """The Python of that environment, whether it is there or not."""
    return _python_of(environment_dir(version))


def megabytes(version: str) -> int:
    """About how much room an environment of that release takes."""
    return MEGABYTES.get(version, _OTHER_MEGABYTES)


def make_environment(version: str, progress: Progress) -> Path:
    """Install a chromadb release for memdefrag alone, prove that it writes, and return its Python.

    What an earlier, interrupted attempt left is removed. Packages come from wherever pip is set up to look.

    Raises:
        UnsupportedEnvironment: no Python that the release runs on, or one without venv and pip.
        NoSpace: no room for it.
        WriterFailed: pip could not install it, or it does not write.
        Cancelled: the person stopped it; nothing is left behind.
    """
    target = environment_dir(version)
    if environment_python(version).exists():
        return environment_python(version)
    base = base_python(version)
    make_private_dir(target.parent)
    needed = megabytes(version) * _SPACE_FACTOR
    if free_bytes(target.parent) < needed * 1_000_000:
        raise NoSpace(f"chromadb {version} needs {needed} MB at {target.parent} while it is installed.")
    partial = target.with_name(target.name + ".partial")
    remove(partial)
    try:
        progress.phase(f"Installing chromadb {version}")
        _run([str(base), "-m", "venv", str(partial)], "make an environment", progress)
        pip = [str(_python_of(partial)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        _run([*pip, "install", "--prefer-binary", *requirements(version)], f"install chromadb {version}", progress)
        prove(_python_of(partial), progress)
        rename(partial, target)
    finally:
        remove(partial)
    return environment_python(version)


def requirements(version: str) -> list[str]:
    """What to install for a release, so that it works with packages published after it.

    Up to 0.6 chromadb uses names that numpy 2 removed, a call that posthog 4 changed, and answers that FastAPI 0.116
    refuses.
    """
    older = ["numpy<2", "posthog<4", "fastapi<0.116"] if version_tuple(version) < (1,) else []
    return [f"chromadb=={version}", *older]


def base_python(version: str) -> Path:
    """The Python to make the environment from: this one, or another on the PATH where this one is too new.

    Raises:
        UnsupportedEnvironment: there is none.
    """
    newest = _NEWEST_PYTHON_OF_0 if version_tuple(version) < (1,) else _NEWEST_PYTHON
    if not getattr(sys, "frozen", False) and sys.version_info[:2] <= newest:
        return Path(sys.executable)
    minors = range(newest[1], _OLDEST_PYTHON[1] - 1, -1)
    on_path = (shutil.which(f"python3.{minor}") for minor in minors)
    found = next((path for path in on_path if path and _runs(path)), None)
    if found is None:
        raise UnsupportedEnvironment(
            f"chromadb {version} needs Python 3.{_OLDEST_PYTHON[1]} to 3.{newest[1]}, and none is on the PATH.",
            todo="Install one, or name the Python of the service that owns the folder (--chroma-python).",
        )
    return Path(found)


def _runs(python: str) -> bool:
    """Whether it is more than a name on the PATH: version managers put one there for every version they know."""
    try:
        trial = subprocess.run(
            [python, "-c", "import venv"], capture_output=True, timeout=TRIAL_SECONDS, env=for_children()
        )
        return trial.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def prove(python: Path, progress: Progress) -> None:
    """Let the chromadb of a Python make a small folder with one record.

    Raises:
        WriterFailed: it cannot.
    """
    with scratch_folder() as folder, work_folder() as work:
        work.add(0, "probe", np.ones(4, np.float32), new=True, document="probe", metadata={"probe": True})
        collection = place("probe")
        creation = {**collection, "metadata": {}, "index": {"space": "cosine"}, "function": None}
        work.order("write", folder, [collection], create=[creation])
        result = runner.run(work, python, progress)
    if result.counts != [1]:
        raise WriterFailed(f"chromadb {result.chromadb} in {python} does not keep what it is given.")


def _python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(command: list[str], what: str, progress: Progress) -> None:
    """Run a tool to its end, killing it when the person stops the work."""
    own = {name: value for name, value in for_children().items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=own,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise UnsupportedEnvironment(f"{command[0]} cannot be started: {error.strerror}.") from error
        with process:
            try:
                while process.poll() is None:
                    progress.check()
                    time.sleep(_LOOK_SECONDS)
            finally:
                process.kill()
        if process.returncode:
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
            kind = UnsupportedEnvironment if "venv" in command[:3] else WriterFailed
            raise kind(
                f"{command[0]} could not {what}. Its last lines:\n" + "\n".join(lines[-_TAIL_LINES:]),
                todo="Name the Python of the service that owns the folder (--chroma-python), or write to a new "
                "folder (--output).",
            )
