"""The program on a real X server, which the offscreen platform is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

SCRIPT = Path(__file__).with_name("run_under_xvfb.py")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_results_are_painted_on_a_real_screen(tmp_path, colours):
    if shutil.which("xvfb-run") is None:
        pytest.skip("needs xvfb-run (apt-get install xvfb xauth)")
    picture = tmp_path / "results.png"
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    environment["PYTHONPATH"] = str(SCRIPT.parents[2])
    command = ["xvfb-run", "-a", "-s", "-screen 0 1440x900x24", sys.executable, str(SCRIPT), str(picture), colours]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "xcb"
    image = QImage(str(picture))
    seen = {image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}
    assert image.width() >= 1000
    assert len(seen) > 30, "the picture is blank"
