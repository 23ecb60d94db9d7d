"""What set-up needs from the machine: a fitting Python, Qt's system libraries, a display.

Plain Python 3.8: it must run, and say what is wrong, on machines where memdefrag itself cannot.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterable, NamedTuple, NoReturn, Sequence

SUPPORTED = ((3, 11), (3, 12), (3, 13))


# Debian ships Python without the part that makes virtual environments.
VENV_MODULE = "Python's ensurepip"


class SetupError(Exception):
    """Set-up cannot go on; the message says why and what to do."""


class Need(NamedTuple):
    """Something of the system (a library, a program or a pattern of paths), and the Debian package that brings it."""

    name: str
    package: str

    @property
    def is_missing(self) -> bool:
        if self.name == VENV_MODULE:
            importlib.invalidate_caches()
            return importlib.util.find_spec("ensurepip") is None
        if self.name.startswith("/"):
            return not any(Path("/").glob(self.name[1:]))
        if ".so." not in self.name:
            return shutil.which(self.name) is None
        try:
            ctypes.CDLL(self.name)
        except OSError:
            return True
        return False


# Found by trying in a minimal Debian 12, until ldd showed nothing missing. Sonames are looked up rather than
# package names, because the packages are called differently from one Debian release to the next.
QT = (
    Need("libGL.so.1", "libgl1"),
    Need("libEGL.so.1", "libegl1"),
    Need("libglib-2.0.so.0", "libglib2.0-0"),
    Need("libdbus-1.so.3", "libdbus-1-3"),
    Need("libfontconfig.so.1", "libfontconfig1"),
    Need("libxkbcommon.so.0", "libxkbcommon0"),
)
X11 = (
    Need("libxcb-cursor.so.0", "libxcb-cursor0"),
    Need("libxcb-icccm.so.4", "libxcb-icccm4"),
    Need("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    Need("libxcb-shape.so.0", "libxcb-shape0"),
    Need("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
)
WAYLAND = (Need("libwayland-cursor.so.0", "libwayland-cursor0"),)
# A backup's RESTORE.txt promises that it can be followed with these alone; a test follows it.
BY_HAND = (Need("zstd", "zstd"),)
VIRTUAL_SCREEN = (Need("Xvfb", "xvfb"), Need("xauth", "xauth"))
# The fault tests make the disk fail below SQLite with a few lines of C.
COMPILER = (Need("gcc", "gcc"), Need("/usr/include/stdio.h", "libc6-dev"))
# Debian keeps the server's programs off the path. The tests start a server of their own, on a socket.
POSTGRES = (Need("/usr/lib/postgresql/*/bin/postgres", "postgresql"),)


def displays() -> tuple[str, ...]:
    """The kinds of display a window could open on; empty where there is none."""
    if sys.platform in ("win32", "darwin"):
        return ("native",)
    variables = (("x11", "DISPLAY"), ("wayland", "WAYLAND_DISPLAY"))
    return tuple(kind for kind, variable in variables if os.environ.get(variable))


def window_needs() -> tuple[Need, ...]:
    kinds = displays()
    needs = QT if kinds else ()
    return needs + (X11 if "x11" in kinds else ()) + (WAYLAND if "wayland" in kinds else ())


def ensure(needs: Iterable[Need]) -> None:
    """Install what is missing where that is possible, else say in one line how to."""
    if not sys.platform.startswith("linux"):
        return
    missing = [need for need in needs if need.is_missing]
    if not missing:
        return
    print(missing_line(missing), flush=True)
    packages = [need.package for need in missing]
    if not may_install():
        raise SetupError("Nothing was changed. Run that line, then start again.")
    apt_install(packages)
    still = [need for need in missing if need.is_missing]
    if still:
        raise SetupError("apt-get ran, but this is still missing: " + ", ".join(need.name for need in still))


def missing_line(missing: Sequence[Need]) -> str:
    names = ", ".join(need.name for need in missing)
    if shutil.which("apt-get") is None:
        return f"Missing from the system: {names}. Install the packages that contain it."
    return f"Missing from the system: {names}. Install with: {apt_line([need.package for need in missing])}"


def apt_line(packages: Sequence[str]) -> str:
    sudo = "" if is_root() else "sudo "
    return f"{sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def may_install() -> bool:
    return is_root() and shutil.which("apt-get") is not None


def apt_install(packages: Sequence[str]) -> None:
    # A fresh Debian has no package lists yet. A failing update is not the end: old lists often still do.
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-qq"], env=environment)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if subprocess.run(command, env=environment).returncode:
        raise SetupError("apt-get failed. Run it yourself to see why: " + apt_line(packages))


def python_version(command: Sequence[str]) -> tuple[int, int] | None:
    """The version behind a command; None when it does not run, as a version manager's shim may."""
    try:
        answer = subprocess.run(
            [*command, "-c", "import sys; print(*sys.version_info[:2])"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30,
        )
        major, minor = answer.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return int(major), int(minor)


def find_python(versions: Sequence[tuple[int, int]] = SUPPORTED) -> list[str] | None:
    """A command that runs one of these versions, oldest first: that is the one tested most."""
    for major, minor in versions:
        version = f"{major}.{minor}"
        commands = [[f"python{version}"]]
        if sys.platform == "win32":
            commands.insert(0, ["py", f"-{version}"])
        for command in commands:
            if shutil.which(command[0]) and python_version(command) == (major, minor):
                return command
    return None


def run_under_supported_python(arguments: Sequence[str]) -> None:
    """Return when this Python fits; else start again under one that does."""
    if sys.version_info[:2] in SUPPORTED:
        return
    running = "{}.{}".format(*sys.version_info[:2])
    command = find_python()
    if command is None:
        raise SetupError(f"memdefrag needs Python 3.11, 3.12 or 3.13; this is {running}.\n{python_advice()}")
    print(f"This is Python {running}; continuing with {' '.join(command)}.", flush=True)
    hand_over([*command, *arguments])


def python_advice() -> str:
    if sys.platform == "win32":
        return "Install Python 3.13 with: winget install Python.Python.3.13"
    if sys.platform == "darwin":
        return "Install Python 3.13 with: brew install python@3.13 (or from python.org)"
    if shutil.which("apt-get"):
        return "Install Python 3.11 with: " + apt_line(["python3.11", "python3.11-venv"])
    return "Install Python 3.11, 3.12 or 3.13 with your system's package manager."


def venv_need() -> Need:
    return Need(VENV_MODULE, "python{}.{}-venv".format(*sys.version_info[:2]))


def hand_over(command: Sequence[str]) -> NoReturn:
    """Run a command in our place and end with its exit code."""
    if sys.platform != "win32":
        os.execvp(command[0], list(command))
    # exec on Windows returns to the shell at once and leaves two programs at one console.
    sys.exit(subprocess.call(list(command)))
