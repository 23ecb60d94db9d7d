"""Starts the window."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memdefrag.base.errors import UnsupportedEnvironment
from memdefrag.base.secrets import without_credentials
from memdefrag.gui.guard import require_working_qt

if TYPE_CHECKING:
    from memdefrag.gui.main_window import MainWindow


def main(argv: list[str] | None = None) -> int:
    """Open the window, with the store that the first argument names; returns the exit status.

    Args:
        argv: program name and arguments; None: the process's own.
    """
    arguments = [without_credentials(argument) for argument in (sys.argv if argv is None else argv)]
    try:
        require_working_qt()
    except UnsupportedEnvironment as error:
        print(f"{error.message} {error.todo}", file=sys.stderr)
        return error.exit_code

    window = first_paint(arguments)
    store = next((argument for argument in arguments[1:] if not argument.startswith("-")), None)
    window.shell.start(store)
    from PySide6.QtWidgets import QApplication

    return QApplication.exec()


def first_paint(arguments: Sequence[str] = ("memdefrag",)) -> MainWindow:
    """Make the application and its window and paint it; nothing that can wait is loaded before."""
    from PySide6.QtGui import QIcon
    from PySide6.QtWidgets import QApplication

    from memdefrag.base.settings import resource
    from memdefrag.gui import theme
    from memdefrag.gui.main_window import MainWindow

    application = QApplication(list(arguments[:1]))
    application.setApplicationName("memdefrag")
    application.setWindowIcon(QIcon(str(resource("icons/memdefrag.svg"))))
    theme.apply()
    theme.follow_system()
    window = MainWindow()
    window.show()
    application.processEvents()
    return window


if __name__ == "__main__":
    sys.exit(main())
