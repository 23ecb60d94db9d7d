"""Views that only remember what they were shown, and an analysis of memories made for the purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.result import Analysis
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot
from memdefrag.presenters.arrange import ReviewData
from memdefrag.presenters.asking import Question
from memdefrag.presenters.pages import Notice, Page
from memdefrag.presenters.shell import Shell
from tests.presenters.stores import texts

MEMORIES = (
    ("a1", "Nora keeps the blue ladder in the shed.", 1.0),
    ("a2", "nora keeps the blue ladder in the shed", 2.0),
    ("a3", "Nora keeps the blue ladder in the shed!", 3.0),
    ("b1", "The weekly report is due on Friday before lunch.", 4.0),
    ("b2", "Every week the report has to be handed in on Friday before lunch.", 5.0),
    ("c1", "The staging server listens on port 8080.", 6.0),
    ("c2", "The staging server listens on port 8081.", 7.0),
    ("d1", "Lars plays the trombone in a brass band.", 8.0),
)
DAY = 86_400.0
START = 1_735_689_600.0


@dataclass
class FakeView:
    """Remembers every state it was shown."""

    states: list[Any] = field(default_factory=list)

    def __call__(self, presenter: object) -> FakeView:
        return self

    def update_state(self, state: Any) -> None:
        self.states.append(state)

    update_details = update_updates = update_known = update_result = update_state

    def add_result(self, presenter: object) -> FakeView:
        return FakeView()

    def show_analysis(self, data: ReviewData) -> None:
        self.data = data

    @property
    def last(self) -> Any:
        return self.states[-1]


def snapshot(memories: tuple[tuple[str, str, float], ...] = MEMORIES) -> Snapshot:
    """Memories whose vectors are alike where their first letter is."""
    records = tuple(
        MemoryRecord(Key("m", name), text, {"n": name}, _vector(name), created=START + age * DAY)
        for name, text, age in memories
    )
    return Snapshot("jsonl:/nowhere/x.jsonl", (CollectionInfo("m", len(records), len(records), len(records)),), records)


def _vector(name: str) -> Any:
    base = np.random.default_rng(ord(name[0])).normal(size=16)
    noise = np.random.default_rng(hash_of(name)).normal(size=16) * 0.12
    vector = base + noise
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def hash_of(name: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(name))


def analysed(memories: tuple[tuple[str, str, float], ...] = MEMORIES) -> Analysis:
    return analyze([snapshot(memories)], AnalysisOptions(across_collections=False))


class FakeWindow:
    """Every page is a fake view."""

    def __init__(self) -> None:
        self.page = Page.WELCOME
        self.notice: Notice | None = None
        self.told: list[Notice | None] = []
        self.pages: dict[str, FakeView] = {}
        self.question: Question | None = None

    def __getattr__(self, name: str) -> FakeView:
        if not name.endswith("_page"):
            raise AttributeError(name)
        return self.pages.setdefault(name, FakeView())

    def show_page(self, page: Page, store: str) -> None:
        self.page, self.store = page, store

    def show_question(self, question: Question | None) -> None:
        self.question = question

    def show_notice(self, notice: Notice | None) -> None:
        self.notice = notice
        self.told.append(notice)


def tick_everything(shell: Shell) -> None:
    shell.review.set_threshold(shell.review.data.lowest)
    shell.review.tick_shown(True)


def optimize(shell: Shell) -> None:
    shell.review.optimize()
    shell.plan.agree_to_shrink(True)
    shell.plan.optimize()


def optimized(shell: Shell, store: Path) -> list[str]:
    """Optimize the store as far as it goes; returns the texts from before."""
    before = texts(store)
    shell.open(str(store))
    shell.summary.start_analysis()
    tick_everything(shell)
    optimize(shell)
    assert shell.page is Page.RESULT
    assert len(texts(store)) < len(before)
    return before


both_kinds = pytest.mark.parametrize("store", ["export_file", "jsonl_file"], indirect=True)
"""For tests that go through the engine in a way of their own; for the others one kind of store is enough."""
