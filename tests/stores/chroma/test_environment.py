"""Making a private environment, with a package that stands for chromadb and leads to the real one."""

from __future__ import annotations

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from memdefrag.base.errors import Cancelled, UnsupportedEnvironment, WriterFailed
from memdefrag.base.progress import Cancel, Progress
from memdefrag.stores.chroma import environment
from memdefrag.stores.chroma.environment import (
    base_python,
    environment_dir,
    environment_python,
    make_environment,
    megabytes,
    requirements,
)


def package(folder: Path, *, works: bool) -> Path:
    """A wheel that needs no index. Where it works, it makes this environment's packages importable."""
    wheel = folder / "stand_in-1.0-py3-none-any.whl"
    spec = find_spec("chromadb")
    assert spec and spec.origin
    with zipfile.ZipFile(wheel, "w") as archive:
        if works:
            archive.writestr("stand_in.pth", str(Path(spec.origin).parents[1]) + "\n")
        records = {
            "METADATA": "Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }
        for name, text in records.items():
            archive.writestr(f"stand_in-1.0.dist-info/{name}", text)
    return wheel


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip has no index; what is installed instead of chromadb is set by `install`."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "no-pip.conf"))
    return tmp_path


def install(monkeypatch: pytest.MonkeyPatch, wheel: Path) -> None:
    monkeypatch.setattr(environment, "requirements", lambda version: [str(wheel)])


def test_a_proven_environment_is_kept_and_found_again(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, package(offline, works=True))
    left_behind = environment_dir("1.5.9").with_name("1.5.9.partial")
    left_behind.mkdir(parents=True)
    (left_behind / "half").write_text("an interrupted attempt")
    python = make_environment("1.5.9", Progress())
    assert python == environment_python("1.5.9") and python.exists()
    assert [path.name for path in environment_dir("1.5.9").parent.iterdir()] == ["1.5.9"]
    assert not (environment_dir("1.5.9") / "half").exists()
    monkeypatch.setattr(environment, "requirements", lambda version: ["nothing is installed again"])
    assert make_environment("1.5.9", Progress()) == python


def test_one_that_does_not_write_is_not_kept(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, package(offline, works=False))
    with pytest.raises(WriterFailed, match="No module named 'chromadb'"):
        make_environment("0.5.23", Progress())
    assert list(environment_dir("0.5.23").parent.iterdir()) == []


def test_pips_own_words_are_shown_when_it_fails(offline: Path) -> None:
    with pytest.raises(WriterFailed, match=r"could not install chromadb 0\.5\.23") as caught:
        make_environment("0.5.23", Progress())
    assert "No matching distribution" in caught.value.message
    assert "--chroma-python" in caught.value.todo
    assert list(environment_dir("0.5.23").parent.iterdir()) == []


def test_stopping_leaves_nothing(offline: Path) -> None:
    cancel = Cancel()
    progress = Progress(lambda tick: cancel.set(), cancel)
    with pytest.raises(Cancelled):
        make_environment("0.5.23", progress)
    assert list(environment_dir("0.5.23").parent.iterdir()) == []


def test_a_frozen_program_needs_a_python_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedEnvironment, match=r"needs Python 3\.9 to 3\.12"):
        base_python("0.5.23")
    for name, script in (("python3.12", "#!/bin/sh\nexit 127\n"), ("python3.11", "#!/bin/sh\n")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    fitting = tmp_path / "python3.11"  # what is called 3.12 is only a version manager's stand-in
    assert base_python("0.5.23") == fitting


def test_a_python_too_new_for_old_releases_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedEnvironment):
        base_python("0.5.23")
    assert base_python("1.0.20") == Path(sys.executable)


def test_old_releases_get_old_companions() -> None:
    assert requirements("0.5.23") == ["chromadb==0.5.23", "numpy<2", "posthog<4", "fastapi<0.116"]
    assert requirements("1.0.20") == ["chromadb==1.0.20"]


def test_the_size_is_said_for_every_release() -> None:
    assert megabytes("0.5.23") == 460
    assert megabytes("0.5.5") == 500
