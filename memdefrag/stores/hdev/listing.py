"""What a memory server says is there: the names in its tree and in its folders. None of it is believed unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memdefrag.stores.hdev import names

CUT = "..."
"""The server's mark in a tree for what it leaves out."""


@dataclass(slots=True)
class Listing:
    """What a server lists.

    Attributes:
        entries: names of memories; `folders`: those of folders, "" among them.
        hidden: memories that a folder of the same name hides from everybody who asks the server.
        silent: folders whose content the server does not tell.
        hostile: what the server gives out as names, and cannot be any.
    """

    entries: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    hostile: set[str] = field(default_factory=set)

    def unseen(self) -> Iterator[tuple[str, str]]:
        """Each name under which something is that cannot be read, and why."""
        for names_found, why in (
            (self.hidden, "is hidden by the folder of the same name; only the server's own files have it"),
            (self.silent, "is a folder, and the server does not tell what is in it"),
            (self.hostile, "is no name that a memory may have; it was not asked for"),
        ):
            yield from ((name, why) for name in sorted(names_found))


def is_cut(items: dict[str, Any]) -> bool:
    """Whether a tree says somewhere that it does not show all."""
    waiting: list[Any] = [items]
    while waiting:
        below = waiting.pop()
        if not isinstance(below, dict) or CUT in below:
            return True
        waiting += below.values()
    return False


def names_in(items: dict[str, Any], hostile: set[str]) -> Iterator[tuple[str, bool]]:
    """The names in a tree and whether something is below them; those that are no names go to `hostile`."""
    waiting = [("", items)]
    while waiting:
        folder, below = waiting.pop()
        for part, inner in below.items():
            name = folder + part
            if part == CUT:
                continue
            if "/" in part or names.fault_of(name) or not isinstance(inner, dict):
                hostile.add(name)
                continue
            yield name, bool(inner)
            waiting.append((name + "/", inner))


def items_in(folder: str, answer: dict[str, Any], hostile: set[str]) -> Iterator[tuple[str, bool]]:
    """The names directly in a folder and whether each is a folder; those that are no names go to `hostile`."""
    for item in answer["items"]:
        name = item.get("path") if isinstance(item, dict) else None
        if not isinstance(name, str) or names.fault_of(name) or name.rpartition("/")[0] != folder:
            hostile.add(str(name))
        else:
            yield name, item.get("type") == "node"
