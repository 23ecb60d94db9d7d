"""What memdefrag remembers between runs: recent stores, answers, review decisions. Never part of a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import data_dir
from memdefrag.engine.catalogue import store_id
from memdefrag.model.address import Address

RECENT_STORES = 12


def recent() -> list[str]:
    """Addresses of the stores opened last, newest first."""
    return [str(address) for address in _read(data_dir() / "recent.json", [])]


def add_recent(address: str) -> None:
    """Put an address on top of the recent list."""
    others = [known for known in recent() if known != address]
    _write(data_dir() / "recent.json", [address, *others][:RECENT_STORES])


def load(store: Address, topic: str) -> dict[str, Any]:
    """What is remembered under `topic` for a store; empty when nothing is."""
    found = _read(_folder(store) / f"{topic}.json", {})
    return found if isinstance(found, dict) else {}


def save(store: Address, topic: str, value: dict[str, Any]) -> None:
    """Remember `value` under `topic` for a store, replacing what was there."""
    _write(_folder(store) / f"{topic}.json", value)


def _folder(store: Address) -> Path:
    return data_dir() / "workspace" / store_id(store)


def _read(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return default


def _write(path: Path, value: Any) -> None:
    make_private_dir(path.parent)
    write_durable(path, json.dumps(value, indent=1).encode())
