"""Questions to the person, who may always say no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What the person is asked before something is done.

    Attributes:
        agree: the caption of the button that does it.
        lines: what it is about, one by one.
    """

    text: str
    agree: str
    lines: tuple[str, ...] = ()
    decline: str = "Leave It"


Ask = Callable[[Question, Callable[[], None]], None]
"""Puts a question before the person and calls back if they agree."""
