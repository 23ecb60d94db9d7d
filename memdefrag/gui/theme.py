"""All colours of the window, dark and light, and the style sheet made of them."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from memdefrag.base.settings import data_dir, resource

SYSTEM, LIGHT, DARK = "system", "light", "dark"
CHOICES = (SYSTEM, LIGHT, DARK)


@dataclass(frozen=True, slots=True)
class Colours:
    """Hex colours by use. Pairs ending in `_on` are the ground that the colour of that name stands on."""

    window: str
    surface: str
    border: str
    text: str
    muted: str
    accent: str
    accent_on: str
    accent_hover: str
    selection: str
    group_row: str
    sure: str
    sure_on: str
    likely: str
    likely_on: str
    conflict: str
    conflict_on: str
    added_on: str
    removed_on: str


_LIGHT = Colours(
    window="#f3f4f7",
    surface="#ffffff",
    border="#d3d8e0",
    text="#1b2028",
    muted="#566070",
    accent="#ffffff",
    accent_on="#2160c4",
    accent_hover="#1b51a6",
    selection="#cfe0fb",
    group_row="#e9ecf2",
    sure="#116329",
    sure_on="#d3f4dd",
    likely="#7a4d00",
    likely_on="#ffeab8",
    conflict="#a01b12",
    conflict_on="#fde0dd",
    added_on="#c9f2d5",
    removed_on="#ffd9d6",
)
_DARK = Colours(
    window="#1a1d22",
    surface="#22262d",
    border="#3b424d",
    text="#e5e9ef",
    muted="#a3adba",
    accent="#ffffff",
    accent_on="#2d6bd6",
    accent_hover="#2a63c6",
    selection="#2c4a78",
    group_row="#2b3038",
    sure="#86e3a5",
    sure_on="#173a26",
    likely="#f0c566",
    likely_on="#40340f",
    conflict="#ffa59c",
    conflict_on="#4b211e",
    added_on="#1d4a2e",
    removed_on="#5a2724",
)

_current = _LIGHT


def colours() -> Colours:
    """The colours in use."""
    return _current


def chosen() -> str:
    """The person's choice: "system", "light" or "dark"."""
    choice = str(_settings().value("theme", SYSTEM))
    return choice if choice in CHOICES else SYSTEM


def choose(choice: str) -> None:
    """Remember the choice and show it at once."""
    _settings().setValue("theme", choice)
    apply()


def apply() -> None:
    """Give the application the chosen look."""
    global _current
    choice = chosen()
    system_is_dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    _current = _DARK if choice == DARK or (choice == SYSTEM and system_is_dark) else _LIGHT
    QApplication.setStyle("Fusion")
    QApplication.setPalette(_palette(_current))
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    application.setStyleSheet(_style_sheet(_current))


def follow_system() -> None:
    """Change along when the system changes between dark and light."""
    QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _: apply())


def _settings() -> QSettings:
    return QSettings(str(data_dir() / "window.ini"), QSettings.Format.IniFormat)


def _palette(c: Colours) -> QPalette:
    """Every role is set: what Qt derives by itself does not fit a dark window."""
    role, palette = QPalette.ColorRole, QPalette()
    for name, colour in {
        role.Window: c.window,
        role.WindowText: c.text,
        role.Base: c.surface,
        role.AlternateBase: c.group_row,
        role.Text: c.text,
        role.PlaceholderText: c.muted,
        role.Button: c.surface,
        role.ButtonText: c.text,
        role.BrightText: c.conflict,
        role.ToolTipBase: c.surface,
        role.ToolTipText: c.text,
        role.Highlight: c.selection,
        role.HighlightedText: c.text,
        role.Link: c.accent_on,
        role.LinkVisited: c.accent_on,
        role.Accent: c.accent_on,
        role.Light: c.surface,
        role.Midlight: c.group_row,
        role.Mid: c.border,
        role.Dark: c.border,
        role.Shadow: c.border,
    }.items():
        palette.setColor(name, QColor(colour))
    for name in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(c.muted))
    return palette


def _style_sheet(c: Colours) -> str:
    check = resource("icons/check.svg").as_posix()
    return f"""
QFrame#card {{ background: {c.surface}; border: 1px solid {c.border}; border-radius: 8px; }}
QFrame#notice[kind="error"] {{ background: {c.conflict_on}; border: 1px solid {c.conflict}; border-radius: 6px; }}
QFrame#notice[kind="info"] {{ background: {c.sure_on}; border: 1px solid {c.sure}; border-radius: 6px; }}
QFrame#question {{ background: {c.surface}; border: 2px solid {c.accent_on}; border-radius: 6px; }}
QPushButton::menu-indicator {{ subcontrol-origin: padding; subcontrol-position: center right; right: 6px; }}
QLabel#title {{ font-size: 20pt; font-weight: 600; }}
QLabel#heading {{ font-size: 12pt; font-weight: 600; }}
QLabel#muted {{ color: {c.muted}; }}
QLabel#strong {{ font-weight: 600; }}
QLabel#warning {{ color: {c.likely}; background: {c.likely_on}; border-radius: 4px; padding: 6px 8px; }}
QLabel#danger {{ color: {c.conflict}; background: {c.conflict_on}; border-radius: 4px; padding: 6px 8px; }}
QPushButton {{
    background: {c.surface}; border: 1px solid {c.border}; border-radius: 6px; padding: 6px 14px; min-height: 18px;
}}
QPushButton:hover {{ background: {c.group_row}; }}
QPushButton:focus {{ border: 2px solid {c.accent_on}; padding: 5px 13px; }}
QPushButton:disabled {{ color: {c.muted}; background: {c.window}; }}
QPushButton#primary {{
    background: {c.accent_on}; color: {c.accent}; border: 1px solid {c.accent_on}; font-weight: 600; padding: 8px 20px;
}}
QPushButton#primary:hover {{ background: {c.accent_hover}; }}
QPushButton#primary:focus {{ border: 2px solid {c.text}; padding: 7px 19px; }}
QPushButton#primary:disabled {{ background: {c.group_row}; color: {c.muted}; border-color: {c.border}; }}
QPushButton#store {{ text-align: left; padding: 0; }}
QPushButton#store:focus {{ border: 2px solid {c.accent_on}; padding: 0; }}
QPushButton#segment {{ padding: 5px 12px; }}
QPushButton#segment:checked {{ background: {c.selection}; border-color: {c.accent_on}; }}
QCheckBox, QRadioButton {{ spacing: 8px; }}
QCheckBox::indicator, QTableView::indicator {{
    width: 14px; height: 14px; border: 1px solid {c.muted}; border-radius: 3px; background: {c.surface};
}}
QCheckBox::indicator:checked, QTableView::indicator:checked {{
    background: {c.accent_on}; border-color: {c.accent_on}; image: url({check});
}}
QRadioButton::indicator {{
    width: 14px; height: 14px; border: 1px solid {c.muted}; border-radius: 8px; background: {c.surface};
}}
QRadioButton::indicator:checked {{
    width: 6px; height: 6px; border: 5px solid {c.accent_on}; border-radius: 8px; background: {c.accent};
}}
QCheckBox:focus, QRadioButton:focus {{ color: {c.text}; text-decoration: underline; }}
QTableView {{ gridline-color: {c.border}; border: 1px solid {c.border}; border-radius: 6px; }}
QHeaderView::section {{
    background: {c.window}; color: {c.muted}; border: none; border-bottom: 1px solid {c.border}; padding: 4px 6px;
}}
QLineEdit, QPlainTextEdit {{
    background: {c.surface}; border: 1px solid {c.border}; border-radius: 6px; padding: 4px 6px;
}}
QLineEdit:focus, QPlainTextEdit:focus, QTableView:focus {{ border: 1px solid {c.accent_on}; }}
QTabWidget::pane {{ border: 1px solid {c.border}; border-radius: 6px; }}
QScrollArea, QScrollArea > QWidget > QWidget#page {{ background: transparent; border: none; }}
QProgressBar {{
    border: 1px solid {c.border}; border-radius: 5px; background: {c.group_row}; text-align: center; min-height: 16px;
}}
QProgressBar::chunk {{ background: {c.accent_on}; border-radius: 4px; }}
"""
