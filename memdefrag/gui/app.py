"""Starts the window."""

from __future__ import annotations

import sys

from memdefrag.base.errors import UnsupportedEnvironment
from memdefrag.gui.guard import require_working_qt


def main(argv: list[str] | None = None) -> int:
    """Open the window, with the store that the first argument names; returns the exit status.

    Args:
        argv: program name and arguments; None: the process's own.
    """
    arguments = sys.argv if argv is None else argv
    try:
        require_working_qt()
    except UnsupportedEnvironment as error:
        print(f"{error.message} {error.todo}", file=sys.stderr)
        return error.exit_code

    from PySide6.QtGui import QIcon
    from PySide6.QtWidgets import QApplication

    from memdefrag.base.settings import resource
    from memdefrag.gui import theme
    from memdefrag.gui.main_window import MainWindow

    application = QApplication(arguments[:1])
    application.setApplicationName("memdefrag")
    application.setWindowIcon(QIcon(str(resource("icons/memdefrag.svg"))))
    theme.apply()
    theme.follow_system()
    window = MainWindow()
    window.show()
    store = next((argument for argument in arguments[1:] if not argument.startswith("-")), None)
    window.shell.start(store)
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
