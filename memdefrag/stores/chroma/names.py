"""What a Chroma collection may be called. Pure."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")


def fault_of(collection: str) -> str | None:
    """Why no collection can be made under this name; None when one can.

    Chroma 1.5 takes 3 to 512 of the characters a-z, A-Z, 0-9, ``.``, ``_`` and ``-``, no mark first or last (its own
    message says so). A tenant and a database may stand before the name, as the reader puts them there.
    """
    if _NAME.fullmatch(collection.rpartition("/")[2]):
        return None
    return "a name has 3 to 512 letters (a-z), digits, dots, dashes and underscores, with a letter or digit at each end"
