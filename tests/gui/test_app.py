import json
import os
import subprocess
import sys

from memdefrag.base.errors import UnsupportedEnvironment
from memdefrag.gui import app

HEAVY = ("chromadb", "torch", "sentence_transformers", "pyqtgraph", "numpy", "pydantic", "rapidfuzz")
PROBE = f"""
import json, sys
from memdefrag.gui.app import first_paint
window = first_paint()
print(json.dumps([window.isVisible(), [name for name in {HEAVY!r} if name in sys.modules]]))
window.close()
"""


def test_the_window_is_there_before_anything_heavy_is_loaded(tmp_path):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "MEMDEFRAG_DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, []]


def test_a_qt_that_would_crash_is_refused_with_words(monkeypatch, capsys):
    def refuse() -> None:
        raise UnsupportedEnvironment("This Qt crashes.", todo="Install another one.")

    monkeypatch.setattr(app, "require_working_qt", refuse)
    assert app.main(["memdefrag"]) == UnsupportedEnvironment.exit_code
    assert "Install another one." in capsys.readouterr().err
