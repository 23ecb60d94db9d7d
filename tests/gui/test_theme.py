import re

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication

from memdefrag.gui import theme


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=[theme.LIGHT, theme.DARK])
def colours(request, qtbot):
    theme.choose(request.param)
    yield theme.colours()
    theme.choose(theme.SYSTEM)


READABLE = 4.5


def test_every_text_can_be_read_on_its_ground(colours):
    grounds = {
        "text": ("window", "surface", "selection", "group_row", "added_on", "removed_on"),
        "muted": ("window", "surface", "group_row"),
        "accent": ("accent_on", "accent_hover"),
        "sure": ("sure_on", "surface", "selection"),
        "likely": ("likely_on", "surface", "selection"),
        "conflict": ("conflict_on", "surface", "selection"),
    }
    for ink, papers in grounds.items():
        for paper in papers:
            found = contrast(getattr(colours, ink), getattr(colours, paper))
            assert found >= READABLE, f"{ink} on {paper}: {found:.2f}"


def test_the_palette_is_ours(colours):
    palette = QApplication.palette()
    assert palette.color(QPalette.ColorRole.Base).name() == colours.surface
    assert palette.color(QPalette.ColorRole.Window).name() == colours.window
    assert palette.color(QPalette.ColorRole.Text).name() == colours.text


def test_dark_is_dark_and_light_is_light(qtbot):
    theme.choose(theme.DARK)
    dark = luminance(theme.colours().window)
    theme.choose(theme.LIGHT)
    assert dark < 0.05 < 0.8 < luminance(theme.colours().window)
    theme.choose(theme.SYSTEM)


def test_the_choice_is_remembered(qtbot):
    theme.choose(theme.DARK)
    assert theme.chosen() == theme.DARK
    theme.choose(theme.SYSTEM)
    assert theme.chosen() == theme.SYSTEM


def test_no_colour_is_written_down_anywhere_else():
    from pathlib import Path

    gui = Path(theme.__file__).parent
    for path in gui.rglob("*.py"):
        if path.name != "theme.py":
            assert not re.search(r"#[0-9a-fA-F]{6}\b", path.read_text()), path
