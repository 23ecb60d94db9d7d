"""Make and repair the virtual environments that scripts/start and scripts/test run in.

Plain Python 3.8, standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterable, NamedTuple, Sequence

from _system import SUPPORTED, Need, SetupError, find_python, python_version, venv_need

ROOT = Path(__file__).resolve().parent.parent
STAMP = "memdefrag-setup.json"

# The usual index serves Linux a PyTorch that brings 4 GB of CUDA along; this one has it without.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

OLD_CHROMA_FOLDER = ".venv-chroma-0.5.23"
OLD_CHROMA_CONSTRAINTS = "constraints-chroma-0.5.23.txt"
# The wheels of its index end at 3.12.
OLD_CHROMA_PYTHONS = ((3, 11), (3, 12))

MEMORY_SERVICE_FOLDER = ".venv-memory-service"
MEMORY_SERVICE_PINS = "constraints-memory-service-12.4.0.txt"
# Python's SQLite must be able to load extensions, which that of many Pythons cannot; that of Debian can.
MEMORY_SERVICE_PYTHONS = (sys.executable, "python3.11", "/usr/bin/python3", "python3.12", "python3.13")
CAN_LOAD_EXTENSIONS = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"


class Size(NamedTuple):
    download_mb: int
    disk_mb: int


# Measured with Python 3.11 on Linux x86_64: `du -sm` of what `pip download -c constraints.txt` fetches, and of
# the environment, before and after each part.
SIZES = {
    "base": Size(190, 780),
    "models": Size(330, 1300),
    "test": Size(95, 350),
    "old_chroma": Size(85, 470),
    "memory_service": Size(50, 190),
}


class Environment:
    """One virtual environment and the stamp that says what it holds."""

    def __init__(self, folder: Path, recipe: Sequence[Path]) -> None:
        self.folder = folder
        self._recipe = recipe

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.folder / STAMP

    def fingerprint(self) -> str:
        """Of all that decides what gets installed, and of the folder's place, which the environment holds."""
        digest = hashlib.sha256()
        for path in (*self._recipe, self.folder / "pyvenv.cfg"):
            digest.update(path.read_bytes() if path.exists() else b"absent")
            digest.update(b"\0")
        digest.update(str(self.folder).encode())
        return digest.hexdigest()

    def holds(self) -> tuple[set[str], set[str]]:
        """The parts that are completely installed, and those it goes without; none when anything changed since."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
            if stamp["fingerprint"] == self.fingerprint() and self.works():
                return set(stamp["parts"]), set(stamp["without"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return set(), set()

    def finish(self, parts: Iterable[str], without: Iterable[str] = ()) -> None:
        content = {"fingerprint": self.fingerprint(), "parts": sorted(parts), "without": sorted(without)}
        # Written beside and renamed: a torn stamp would only cost time, but would look like a bug.
        beside = self.stamp.with_suffix(".new")
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(self.stamp)

    def works(self) -> bool:
        if not self.python.exists() or python_version([str(self.python)]) not in SUPPORTED:
            return False
        return subprocess.run([str(self.python), "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0

    def make(self, base_python: Sequence[str]) -> None:
        """Create it, anew when what is there does not work; else only tidy up after an interruption."""
        if self.works():
            self._drop_half_installed()
            return
        if self.folder.exists():
            print(f"{self.folder.name} does not work with this Python; making it anew.", flush=True)
        command = [*base_python, "-m", "venv", "--clear", str(self.folder)]
        if subprocess.run(command).returncode or not self.works():
            raise SetupError(f"Python could not make {self.folder}. Remove that folder and start again.")

    def _drop_half_installed(self) -> None:
        # pip writes INSTALLER when all files of a package are in place; without it the package looks
        # installed to the next run although an interruption left only some of its files.
        for folder in self.folder.glob("[Ll]ib/**/site-packages/*.dist-info"):
            if not (folder / "INSTALLER").exists():
                shutil.rmtree(folder)

    def pip(self, *arguments: str) -> bool:
        settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
        environment = dict(os.environ, **settings)
        environment.pop("PYTHONPATH", None)
        command = [str(self.python), "-m", "pip", *arguments]
        return subprocess.run(command, cwd=str(ROOT), env=environment).returncode == 0

    def would_install(self, requirement: str) -> list[str]:
        """The names of all packages that pip would fetch for it; empty when it cannot tell."""
        plan = self.folder / "pip-plan.json"
        asked = self.pip(
            "install", "--dry-run", "--quiet", "--report", str(plan), "-c", "constraints.txt", requirement
        )
        if not asked:
            return []
        packages = json.loads(plan.read_text(encoding="utf-8"))["install"]
        return [package["metadata"]["name"].lower() for package in packages]


def main_environment() -> Environment:
    return Environment(ROOT / ".venv", (ROOT / "pyproject.toml", ROOT / "constraints.txt"))


def python_needs() -> tuple[Need, ...]:
    """What Python itself lacks to make the environment, if it is still to be made."""
    return () if main_environment().works() else (venv_need(),)


def prepare(parts: Iterable[str], script: str, options: Sequence[str]) -> Path:
    """Bring the main environment to at least these parts and, unless refused, the models; return its Python."""
    environment = main_environment()
    held, without = environment.holds()
    missing = set(parts) | (set() if "--no-models" in options else {"models"})
    missing -= held if "--models" in options else held | without
    if not missing:
        return environment.python

    announce(missing, environment, f"{script} --no-models")
    wanted = held | missing
    environment.make([sys.executable])
    install = ["install", "-c", "constraints.txt"]
    if not held:
        # Older pips download whole wheels only to read their requirements, and do not resume a download.
        run_pip(environment, [*install, "--upgrade", "pip"])
    if "models" in missing and not install_torch(environment):
        print(f"Going on without the language model. To try again: {script} --models", flush=True)
        wanted.discard("models")
        without = {"models"}
    if wanted != held:
        extras = ",".join(sorted(wanted - {"base"}))
        run_pip(environment, [*install, "-e", f".[{extras}]" if extras else "."])
    environment.finish(wanted, without - wanted)
    return environment.python


def prepare_old_chroma() -> Path | None:
    """The environment with ChromaDB 0.5.23; None, with the reason said, where no Python fits it."""
    constraints = ROOT / OLD_CHROMA_CONSTRAINTS
    environment = Environment(ROOT / OLD_CHROMA_FOLDER, (constraints,))
    held, _ = environment.holds()
    if held:
        return environment.python
    fits = sys.version_info[:2] in OLD_CHROMA_PYTHONS
    base_python = [sys.executable] if fits else find_python(OLD_CHROMA_PYTHONS)
    if base_python is None:
        print("ChromaDB 0.5.23 needs Python 3.11 or 3.12: tests marked old_chroma are skipped.", flush=True)
        return None
    announce({"old_chroma"}, environment)
    environment.make(base_python)
    run_pip(environment, ["install", "-c", constraints.name, "chromadb==0.5.23", "numpy<2"])
    environment.finish({"old_chroma"})
    return environment.python


def prepare_memory_service() -> Path | None:
    """The environment with the real mcp-memory-service; None, with the reason said, where it cannot be made."""
    environment = Environment(ROOT / MEMORY_SERVICE_FOLDER, (ROOT / MEMORY_SERVICE_PINS,))
    held, _ = environment.holds()
    if held:
        return environment.python
    skipped = "tests marked real_service are skipped."
    base_python = next(filter(loads_extensions, MEMORY_SERVICE_PYTHONS), None)
    if base_python is None:
        print(f"mcp-memory-service needs a Python whose SQLite can load extensions: {skipped}", flush=True)
        return None
    try:
        announce({"memory_service"}, environment)
        environment.make([base_python])
        run_pip(environment, ["install", "--no-deps", "-r", MEMORY_SERVICE_PINS])
    except SetupError as error:
        print(f"{error}\nThe environment with mcp-memory-service was not made: {skipped}", flush=True)
        return None
    environment.finish({"memory_service"})
    return environment.python


def loads_extensions(python: str) -> bool:
    """Whether a Python that we support has a SQLite that can load extensions."""
    if shutil.which(python) is None or python_version([python]) not in SUPPORTED:
        return False
    tried = subprocess.run([python, "-c", CAN_LOAD_EXTENSIONS], stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def install_torch(environment: Environment) -> bool:
    """PyTorch without CUDA; elsewhere than on Linux the usual index serves just that."""
    if not sys.platform.startswith("linux"):
        return True
    torch = pinned("torch")
    # Alone, so that its dependencies come from the usual index in the versions of constraints.txt.
    alone = ["install", "--no-deps", "--timeout", "10", "--retries", "1"]
    if environment.pip(*alone, "--index-url", TORCH_CPU_INDEX, torch):
        return True
    print("PyTorch's index of CPU builds cannot be reached; looking at the configured one.", flush=True)
    packages = environment.would_install(torch)
    if any(name.startswith(("nvidia-", "cuda-")) for name in packages):
        print("It only has the build that brings some 4 GB of CUDA along.", flush=True)
        return False
    return environment.pip("install", "-c", "constraints.txt", torch)


def pinned(name: str) -> str:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(name + "=="):
            return line.split(";")[0].strip()
    raise SetupError(f"constraints.txt does not name {name}; restore the file.")


def run_pip(environment: Environment, arguments: list[str]) -> None:
    if not environment.pip(*arguments):
        raise SetupError(
            "pip could not finish; its own message stands above. Most often the network is to blame.\n"
            "Start again when that is mended: what was fetched already is kept."
        )


def announce(parts: Iterable[str], environment: Environment, how_to_leave_models_out: str = "") -> None:
    """Say what is about to be fetched, before it is; stop when it cannot fit."""
    parts = set(parts)
    need = total(parts)
    free_mb = shutil.disk_usage(str(ROOT)).free // 1_000_000
    print(
        f"Setting up {', '.join(sorted(parts))} in {environment.folder.name}: at most "
        f"{need.download_mb:,} MB to download, {need.disk_mb:,} MB on disk ({free_mb:,} MB free).",
        flush=True,
    )
    if "models" in parts:
        models = SIZES["models"]
        print(
            f"Of that the language model is {models.download_mb:,} MB ({models.disk_mb:,} MB on disk); "
            f"without it: {how_to_leave_models_out}",
            flush=True,
        )
    # An environment that works may hold most of it already.
    if free_mb < need.disk_mb and not environment.works():
        raise SetupError(f"Not enough space: {need.disk_mb:,} MB are needed, {free_mb:,} MB are free.")


def total(parts: Iterable[str]) -> Size:
    sizes = [SIZES[part] for part in parts]
    return Size(sum(size.download_mb for size in sizes), sum(size.disk_mb for size in sizes))


def report(work: Callable[[], int]) -> int:
    """Run a script's main and turn what may go wrong into one message and an exit code."""
    try:
        return work()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Start again and it goes on where it was.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"\nSet-up failed: {error}", file=sys.stderr)
        return 1

