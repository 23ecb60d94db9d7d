"""Writes in a process of its own, which dies at a named point."""

from __future__ import annotations

import os

from memdefrag.base import fsops
from memdefrag.base.progress import Progress
from memdefrag.model.plan import Changes
from memdefrag.stores.registry import open_store


def run_write(address: str, fault: str, changes: Changes) -> None:
    os.environ[fsops.FAULT_VARIABLE] = fault
    fsops._points_passed = 0
    with open_store(address) as store:
        store.write(changes, Progress())
