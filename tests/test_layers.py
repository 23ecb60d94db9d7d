"""The architecture: imports point downward, and each dangerous thing has one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "memdefrag"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "base": set(),
    "model": {"base"},
    "reports": {"model", "base"},
    "stores": {"model", "base"},
    "analysis": {"model", "base"},
    "engine": {"analysis", "stores", "reports", "model", "base"},
    "presenters": {"engine", "analysis", "stores", "reports", "model", "base"},
    "cli": {"engine", "analysis", "stores", "reports", "model", "base"},
    "gui": {"presenters", "engine", "analysis", "stores", "reports", "model", "base"},
}
"""Each layer and those below it, whose modules it may import besides its own."""

FACES = {
    "cli/window.py": {"gui"},
    "__main__.py": {"cli", "stores", "analysis"},
    "__init__.py": {"base"},
    "api.py": {"engine", "analysis", "model", "base"},
}
"""The doors: the command that opens the window; `python -m memdefrag`, which is also each child process; the names for
other programs, and what stands behind them."""

QT_OUTSIDE_GUI: set[str] = set()
"""Modules beside the window that may use Qt."""

FILE_MOVES = {
    "os": {"replace", "rename", "renames", "fsync", "fdatasync", "link", "symlink"},
    "shutil": {"move"},
}


def name(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imports(module: Path) -> Iterator[str]:
    """Full names of all modules (or their members) that a module imports, wherever in it."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(module)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(module: Path) -> set[str]:
    return {imported.partition(".")[0] for imported in imports(module)}


def layer(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0]


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_imports_only_point_downward(module: Path) -> None:
    below = LAYERS.get(layer(module), set()) | {layer(module)} | FACES.get(name(module), set())
    for imported in imports(module):
        root, _, rest = imported.partition(".")
        first = rest.partition(".")[0]
        if root == "memdefrag" and first in LAYERS:
            assert first in below, f"{name(module)} imports {imported}"


def test_every_package_has_its_layer() -> None:
    packages = {layer(module) for module in MODULES if module.parent != PACKAGE}
    assert packages <= LAYERS.keys()


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_heavy_libraries_stay_in_their_place(module: Path) -> None:
    found = roots(module)
    if layer(module) != "gui" and name(module) not in QT_OUTSIDE_GUI:
        assert not {root for root in found if root.startswith(("PySide", "PyQt", "shiboken"))}
    if not name(module).startswith("stores/chroma/"):
        assert "chromadb" not in found
    if name(module) not in ("analysis/embedding/child.py", "analysis/embedding/fast.py"):
        assert found.isdisjoint({"torch", "sentence_transformers", "transformers", "openvino"})


@pytest.mark.parametrize("module", [module for module in MODULES if name(module) != "base/fsops.py"], ids=name)
def test_only_fsops_renames_and_syncs(module: Path) -> None:
    assert list(file_moves(tree(module))) == []


def file_moves(parsed: ast.Module) -> Iterator[str]:
    """Calls that rename or sync, as `os.rename(...)`, as an imported name or as a method of a path."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.ImportFrom) and node.module in FILE_MOVES:
            yield from (alias.name for alias in node.names if alias.name in FILE_MOVES[node.module])
        elif isinstance(node, ast.Attribute) and node.attr in FILE_MOVES.get(ast.unparse(node.value), ()):
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _moves_a_path(node):
            yield f".{node.func.attr}()"


def _moves_a_path(call: ast.Call) -> bool:
    """`Path.replace(target)` and `Path.rename(target)` take one argument; `str.replace` takes two or three."""
    assert isinstance(call.func, ast.Attribute)
    owner = call.func.value
    ours = isinstance(owner, ast.Name) and owner.id == "fsops"
    return not ours and call.func.attr in ("rename", "replace") and len(call.args) == 1 and not call.keywords


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.replace(a, b)", ["os.replace"]),
        ("from os import fsync", ["fsync"]),
        ("import shutil\nmove = shutil.move", ["shutil.move"]),
        ("path.rename(other)", [".rename()"]),
        ("Path(a).replace(b)", [".replace()"]),
        ("text.replace('a', 'b')\nfsops.rename(a)\nwhen.replace(tzinfo=UTC)\nreplace(record, text='')", []),
    ],
)
def test_renaming_is_noticed(source: str, found: list[str]) -> None:
    assert list(file_moves(ast.parse(source))) == found


def test_no_module_outgrows_a_reader() -> None:
    long = {name(module): lines for module in MODULES if (lines := len(module.read_text().splitlines())) > 400}
    assert long == {}


HEAVY = ("PySide6", "torch", "sentence_transformers", "chromadb")


@pytest.mark.parametrize("command", ["import memdefrag", "import memdefrag.stores.registry", "HELP"])
def test_light_ways_in_load_nothing_heavy(command: str) -> None:
    if command == "HELP":
        if not (PACKAGE / "cli/main.py").exists():
            pytest.skip("there is no command line yet")
        command = "from memdefrag.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    script = f"import sys\n{command}\nprint()\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
