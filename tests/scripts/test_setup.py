import ast
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NOTHING = (set(), set())


@pytest.fixture
def scripts(monkeypatch):
    """The set-up modules, imported the way scripts/start imports them."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import _setup
    import _system

    yield _setup, _system
    for name in ("_setup", "_system"):
        sys.modules.pop(name, None)


@pytest.fixture
def setup(scripts):
    return scripts[0]


@pytest.fixture
def system(scripts):
    return scripts[1]


@pytest.fixture(scope="module")
def bare_venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with a space") / ".venv"
    venv.create(folder, with_pip=True)
    return folder


class FakePip:
    """Stands in for pip: remembers the calls, and fails those that contain a given word."""

    def __init__(self, failing=()):
        self.calls = []
        self.failing = failing

    def __call__(self, environment, *arguments):
        self.calls.append(" ".join(arguments))
        return not any(word in self.calls[-1] for word in self.failing)


# -- the scripts themselves


@pytest.mark.parametrize("name", ["start", "test", "_setup.py", "_system.py", "lock"])
def test_scripts_parse_under_the_oldest_python_that_could_meet_them(name):
    ast.parse((SCRIPTS / name).read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("name", ["start", "test"])
def test_help_needs_nothing(name):
    answer = subprocess.run(
        [sys.executable, "-S", str(SCRIPTS / name), "--help"], capture_output=True, text=True, timeout=30
    )
    assert answer.returncode == 0
    assert "--no-models" in answer.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no run bit")
@pytest.mark.parametrize("path", ["scripts/start", "scripts/test", "scripts/lock", ".ci/run"])
def test_scripts_can_be_run(path):
    assert os.access(SCRIPTS.parent / path, os.X_OK)


# -- which Python


def test_a_supported_python_is_used_as_it_is(system, monkeypatch):
    monkeypatch.setattr(system, "hand_over", lambda command: pytest.fail("started another Python"))
    system.run_under_supported_python(["script"])


def test_an_unsupported_python_hands_over_to_one_that_fits(system, monkeypatch):
    handed = []
    monkeypatch.setattr(system, "SUPPORTED", ())
    monkeypatch.setattr(system, "find_python", lambda: ["python3.12"])
    monkeypatch.setattr(system, "hand_over", handed.append)
    system.run_under_supported_python(["a script", "--no-models"])
    assert handed == [["python3.12", "a script", "--no-models"]]


def test_without_a_fitting_python_it_says_which_to_install(system, monkeypatch):
    monkeypatch.setattr(system, "SUPPORTED", ())
    monkeypatch.setattr(system, "find_python", lambda: None)
    with pytest.raises(system.SetupError, match=r"needs Python 3\.11, 3\.12 or 3\.13(.|\n)*Install"):
        system.run_under_supported_python([])


@pytest.mark.skipif(os.name == "nt", reason="uses a shell script as the broken Python")
def test_a_python_that_is_only_a_broken_shim_is_passed_over(system, monkeypatch, tmp_path):
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system.find_python() is None


# -- system libraries


@pytest.fixture
def bare_debian(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    return [system.Need("libnosuch.so.9", "libnosuch9"), system.Need("libnone.so.1", "libnone1")]


def test_not_root_is_told_the_library_and_the_line_in_one_line(system, monkeypatch, capsys, bare_debian):
    monkeypatch.setattr(system, "is_root", lambda: False)
    with pytest.raises(system.SetupError):
        system.ensure(bare_debian)
    assert capsys.readouterr().out == (
        "Missing from the system: libnosuch.so.9, libnone.so.1. Install with: "
        "sudo apt-get install -y --no-install-recommends libnosuch9 libnone1\n"
    )


def test_root_gets_it_installed(system, monkeypatch, bare_debian):
    installed = []
    monkeypatch.setattr(system, "is_root", lambda: True)
    monkeypatch.setattr(system, "apt_install", installed.extend)
    with pytest.raises(system.SetupError, match="still missing"):
        system.ensure(bare_debian)
    assert installed == ["libnosuch9", "libnone1"]


def test_other_systems_are_told_the_library(system, monkeypatch, bare_debian):
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    line = system.missing_line(bare_debian)
    assert "libnosuch.so.9" in line
    assert "apt-get" not in line


def test_nothing_is_asked_of_macos_and_windows(system, monkeypatch):
    for platform in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        system.ensure([system.Need("libnosuch.so.9", "libnosuch9")])
        assert system.displays() == ("native",)


@pytest.mark.parametrize(
    ("variables", "libraries"),
    [
        ({}, set()),
        ({"DISPLAY": ":0"}, {"libegl1", "libxcb-cursor0"}),
        ({"WAYLAND_DISPLAY": "wayland-0"}, {"libegl1", "libwayland-cursor0"}),
    ],
)
def test_only_the_libraries_of_this_display_are_needed(system, monkeypatch, variables, libraries):
    monkeypatch.setattr(sys, "platform", "linux")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    packages = {need.package for need in system.window_needs()}
    assert libraries <= packages
    assert bool(libraries) == bool(packages)


def test_a_python_without_venv_is_told_the_package(system, monkeypatch, capsys, bare_debian):
    monkeypatch.setattr(system, "is_root", lambda: False)
    monkeypatch.setattr(system.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(system.SetupError):
        system.ensure([system.venv_need()])
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    assert capsys.readouterr().out.endswith(f" {package}\n")


def test_an_environment_that_works_needs_no_venv_module(setup, monkeypatch):
    monkeypatch.setattr(setup.Environment, "works", lambda self: True)
    assert setup.python_needs() == ()
    monkeypatch.setattr(setup.Environment, "works", lambda self: False)
    assert setup.python_needs() == (setup.venv_need(),)


# -- the environment


def test_the_stamp_counts_only_while_nothing_changed(setup, monkeypatch, tmp_path):
    monkeypatch.setattr(setup.Environment, "works", lambda self: True)
    recipe = tmp_path / "constraints.txt"
    recipe.write_text("one==1\n")
    environment = setup.Environment(tmp_path / ".venv", (recipe,))
    environment.folder.mkdir()
    assert environment.holds() == NOTHING
    environment.finish({"base", "test"}, {"models"})
    assert environment.holds() == ({"base", "test"}, {"models"})
    recipe.write_text("one==2\n")
    assert environment.holds() == NOTHING


def test_another_python_or_another_place_makes_the_stamp_void(setup, monkeypatch, tmp_path):
    monkeypatch.setattr(setup.Environment, "works", lambda self: True)
    environment = setup.Environment(tmp_path / ".venv", ())
    environment.folder.mkdir()
    environment.finish({"base"})
    moved = setup.Environment(environment.folder.rename(tmp_path / "moved"), ())
    assert moved.holds() == NOTHING
    moved.finish({"base"})
    (moved.folder / "pyvenv.cfg").write_text("version = 3.13.0\n")
    assert moved.holds() == NOTHING


@pytest.mark.parametrize("torn", ["", "{", "[]", "{}", '{"parts": 1}', "null"])
def test_a_torn_stamp_only_means_not_ready(setup, monkeypatch, tmp_path, torn):
    monkeypatch.setattr(setup.Environment, "works", lambda self: True)
    environment = setup.Environment(tmp_path, ())
    environment.stamp.write_text(torn)
    assert environment.holds() == NOTHING


def test_a_half_made_environment_is_made_anew(setup, tmp_path, capsys):
    folder = tmp_path / "with a space" / ".venv"
    environment = setup.Environment(folder, ())
    environment.python.parent.mkdir(parents=True)
    environment.python.write_text("")
    assert not environment.works()
    environment.make([sys.executable])
    assert environment.works()
    assert "making it anew" in capsys.readouterr().out


def test_a_half_installed_package_is_dropped_and_a_whole_one_kept(setup, bare_venv):
    environment = setup.Environment(bare_venv, ())
    site_packages = next(bare_venv.glob("[Ll]ib/**/site-packages"))
    half = site_packages / "half-1.0.dist-info"
    half.mkdir()
    (half / "METADATA").write_text("Name: half\n")
    environment.make([sys.executable])
    assert not half.exists()
    assert list(site_packages.glob("pip-*.dist-info"))


# -- what is fetched


@pytest.fixture
def project(setup, monkeypatch, tmp_path):
    """A checkout whose environment always works, and whose pip is a fake."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text('# pins\ntorch==9.9; python_version == "3.11"\n')
    (tmp_path / ".venv").mkdir()
    pip = FakePip()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup.Environment, "works", lambda self: True)
    monkeypatch.setattr(setup.Environment, "pip", lambda self, *arguments: pip(self, *arguments))
    monkeypatch.setattr(sys, "platform", "linux")
    return pip


def test_the_second_time_fetches_nothing(setup, project, capsys):
    setup.prepare({"base"}, "start", ["--no-models"])
    assert project.calls
    project.calls.clear()
    capsys.readouterr()
    setup.prepare({"base"}, "start", ["--no-models"])
    assert project.calls == []
    assert capsys.readouterr().out == ""


def test_what_the_other_script_installed_is_kept(setup, project):
    setup.prepare({"base", "test"}, "test", ["--no-models"])
    setup.prepare({"base"}, "start", [])
    assert project.calls[-1].endswith("-e .[models,test]")


def test_sizes_and_the_way_without_models_are_said_before_anything_is_fetched(setup, project, capsys):
    project.failing = ("pip",)
    with pytest.raises(setup.SetupError):
        setup.prepare({"base"}, "scripts/start", [])
    said = capsys.readouterr().out
    assert f"{setup.total({'base', 'models'}).download_mb:,} MB to download" in said
    assert "MB free" in said
    assert "scripts/start --no-models" in said


def test_too_full_a_disk_stops_before_anything_is_fetched(setup, project, monkeypatch):
    monkeypatch.setattr(setup.Environment, "works", lambda self: False)
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(setup.SetupError, match="Not enough space"):
        setup.prepare({"base"}, "start", ["--no-models"])
    assert project.calls == []


def test_an_interrupted_set_up_is_not_taken_for_done(setup, project):
    project.failing = ("-e .",)
    with pytest.raises(setup.SetupError, match="kept"):
        setup.prepare({"base"}, "start", ["--no-models"])
    project.failing = ()
    project.calls.clear()
    setup.prepare({"base"}, "start", ["--no-models"])
    assert project.calls


def test_torch_comes_without_cuda_and_alone_from_its_own_index(setup, project):
    setup.prepare({"base"}, "start", [])
    from_cpu_index = [call for call in project.calls if setup.TORCH_CPU_INDEX in call]
    assert len(from_cpu_index) == 1
    assert from_cpu_index[0].endswith("torch==9.9")
    assert "--no-deps" in from_cpu_index[0]
    assert project.calls.index(from_cpu_index[0]) < len(project.calls) - 1


def test_torch_falls_back_to_the_configured_index(setup, project, monkeypatch):
    project.failing = (setup.TORCH_CPU_INDEX,)
    monkeypatch.setattr(setup.Environment, "would_install", lambda self, what: ["torch", "sympy"])
    setup.prepare({"base"}, "start", [])
    assert "install -c constraints.txt torch==9.9" in project.calls
    assert project.calls[-1].endswith("-e .[models]")


def test_cuda_is_never_dragged_in(setup, project, monkeypatch, capsys):
    project.failing = (setup.TORCH_CPU_INDEX,)
    monkeypatch.setattr(setup.Environment, "would_install", lambda self, what: ["torch", "nvidia-cublas"])
    setup.prepare({"base"}, "scripts/start", [])
    assert "install -c constraints.txt torch==9.9" not in project.calls
    assert project.calls[-1].endswith("-e .")
    assert "without the language model" in capsys.readouterr().out
    assert setup.main_environment().holds() == ({"base"}, {"models"})


def test_a_model_left_out_is_tried_again_only_when_asked(setup, project, monkeypatch):
    project.failing = (setup.TORCH_CPU_INDEX,)
    monkeypatch.setattr(setup.Environment, "would_install", lambda self, what: ["nvidia-cublas"])
    setup.prepare({"base"}, "start", [])
    project.calls.clear()
    setup.prepare({"base"}, "start", [])
    assert project.calls == []
    project.failing = ()
    setup.prepare({"base"}, "start", ["--models"])
    assert setup.main_environment().holds() == ({"base", "models"}, set())


def test_torch_is_left_to_pip_where_it_has_no_cuda(setup, project, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    setup.prepare({"base"}, "start", [])
    assert not any("torch" in call for call in project.calls)


def test_every_pin_of_the_project_is_within_its_range(setup):
    assert setup.pinned("torch").startswith("torch==2.")
    assert setup.pinned("chromadb").startswith("chromadb==1.")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError("disk is gone"), 1)])
def test_what_goes_wrong_is_said_without_a_traceback(setup, capsys, error, code):
    def work():
        raise error

    assert setup.report(work) == code
    assert "Traceback" not in capsys.readouterr().err


# -- the environment with the real Memory Service


@pytest.mark.parametrize("status", [0, 1])
def test_only_a_python_that_loads_extensions_runs_memory_service(setup, monkeypatch, status):
    monkeypatch.setattr(setup, "python_version", lambda command: sys.version_info[:2])
    monkeypatch.setattr(setup.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=status))
    assert setup.loads_extensions(sys.executable) is (status == 0)
    assert not setup.loads_extensions("no-such-python")


def test_without_such_a_python_the_reason_is_said(setup, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "loads_extensions", lambda python: False)
    assert setup.prepare_memory_service() is None
    assert "tests marked real_service are skipped" in capsys.readouterr().out


def test_without_a_network_the_other_tests_still_run(setup, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "loads_extensions", lambda python: True)
    monkeypatch.setattr(setup.Environment, "make", lambda self, base: None)
    monkeypatch.setattr(setup.Environment, "pip", lambda self, *arguments: False)
    assert setup.prepare_memory_service() is None
    assert "pip could not finish" in capsys.readouterr().out
