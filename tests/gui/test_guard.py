import subprocess
import sys

import pytest

from memdefrag.base.errors import UnsupportedEnvironment
from memdefrag.gui import guard

VOID_CALLS = """
from PySide6.QtCore import QObject
thing = QObject()
for _ in range(100_000):
    thing.setObjectName("name")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_the_installed_qt_survives_many_calls_that_return_nothing():
    finished = python(VOID_CALLS)
    assert finished.returncode == 0, finished.stderr


def test_the_installed_qt_is_let_through():
    guard.require_working_qt()


@pytest.mark.parametrize(
    ("pyside", "running", "fatal"),
    [
        ("6.11.3", (3, 11), False),
        ("6.12.0", (3, 11), True),
        ("6.13.0.1", (3, 11), True),
        ("7.0", (3, 11), True),
        ("6.12.0", (3, 12), False),
        ("6.12.0", (3, 13), False),
    ],
)
def test_only_a_new_qt_on_an_old_python_is_fatal(pyside, running, fatal):
    assert guard.is_fatal(pyside, running) is fatal


def test_the_refusal_says_what_to_install(monkeypatch):
    monkeypatch.setattr(guard, "installed_version", lambda: "6.12.0")
    monkeypatch.setattr(sys, "version_info", (3, 11, 7, "final", 0))
    with pytest.raises(UnsupportedEnvironment) as refusal:
        guard.require_working_qt()
    assert "PySide6 6.12.0" in refusal.value.message
    assert "PySide6-Essentials<6.12" in refusal.value.todo


def test_a_missing_qt_is_named(monkeypatch):
    monkeypatch.setattr(guard, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedEnvironment, match="not installed"):
        guard.require_working_qt()


def test_an_unknown_version_is_given_the_benefit_of_the_doubt(monkeypatch):
    monkeypatch.setattr(guard, "_DISTRIBUTIONS", ("no-such-distribution-anywhere",))
    assert guard.installed_version() is None
    guard.require_working_qt()


def test_the_guard_itself_loads_no_qt():
    code = "import sys, memdefrag.gui.guard as g; g.require_working_qt(); sys.exit('PySide6' in sys.modules)"
    assert python(code).returncode == 0
