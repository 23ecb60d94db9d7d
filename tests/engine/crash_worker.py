"""Runs in a process of its own, which dies (or whose disk fails) at a named point."""

from __future__ import annotations

import os
import sys

from memdefrag.base import fsops
from memdefrag.base.errors import MemdefragError
from memdefrag.base.settings import DATA_DIR_VARIABLE
from memdefrag.engine import recover
from memdefrag.engine.apply import apply
from memdefrag.model.plan import Plan


def run_apply(data_dir: str, fault: str, plan: Plan) -> None:
    """Apply a plan under a fault; exit code 0: done, 3: an error a person would be shown."""
    _prepare(data_dir, fault)
    try:
        apply(plan)
    except MemdefragError:
        sys.exit(3)


def run_recover(data_dir: str, fault: str) -> None:
    """Recover under a fault."""
    _prepare(data_dir, fault)
    try:
        recover.recover_all()
    except (MemdefragError, OSError):
        sys.exit(3)


def _prepare(data_dir: str, fault: str) -> None:
    os.environ[DATA_DIR_VARIABLE] = data_dir
    os.environ[fsops.FAULT_VARIABLE] = fault
    fsops._points_passed = 0
