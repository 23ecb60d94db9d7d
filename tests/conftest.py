"""What every test gets: a data folder of its own, no network for model libraries, and small stores to work on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import numpy as np
import pytest
from hypothesis import settings

from memdefrag.base import secrets
from memdefrag.base import settings as config
from memdefrag.base.progress import Progress
from memdefrag.model.address import Address
from memdefrag.model.plan import Changes, Put
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.model.service_metadata import content_hash, iso
from memdefrag.stores.registry import open_store
from tests.keyrings import MemoryKeyring

SHARED = Path(__file__).resolve().parents[1] / "../shared"
"""Real stores, made by the programs that own them; not part of the repository."""

# The same examples every time, so that a run says something about the change and not about luck. To search for new
# ones: MEMDEFRAG_EXPLORE=1 scripts/test
settings.register_profile("memdefrag", deadline=None, derandomize="MEMDEFRAG_EXPLORE" not in os.environ)
settings.load_profile("memdefrag")

COLLECTION = "memories"
DIMENSION = 8
_TEXTS = (
    "The deploy script lives in tools/deploy.sh.",
    "tools/deploy.sh is the deploy script.",
    "The staging server listens on port 8080.",
    "The staging server listens on port 8081.",
    "Grüße an Zoë: naïve café, 東京, 🦊.",
    "Prefer tabs over spaces in Makefiles.",
)


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the person's data folder nor the network is touched by a test."""
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "memdefrag-data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    monkeypatch.setenv("ANONYMIZED_TELEMETRY", "False")
    monkeypatch.delenv("MEMDEFRAG_FAULT", raising=False)


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    """A keyring of the test's own, and no secrets from before."""
    monkeypatch.setattr(secrets, "_kept", {})
    monkeypatch.setattr(config, "_hidden", set())
    before, mine = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real fixtures."""
    if not SHARED.is_dir():
        pytest.skip("needs the real stores in ../shared beside the repository")
    return SHARED.resolve()


@pytest.fixture
def records() -> list[MemoryRecord]:
    """A few memories as Memory Service keeps them: unit vectors, tags and times in the metadata."""
    return [_record(number, text) for number, text in enumerate(_TEXTS)]


@pytest.fixture
def export_file(tmp_path: Path, records: list[MemoryRecord]) -> Path:
    """A Memory Defragmenter export of `records`."""
    return fill(Address("memory-export", str(tmp_path / "memory_export.db")), records)


@pytest.fixture
def jsonl_file(tmp_path: Path, records: list[MemoryRecord]) -> Path:
    """`records` as JSON lines."""
    return fill(Address("jsonl", str(tmp_path / "memories.jsonl")), records)


def fill(address: Address, records: list[MemoryRecord]) -> Path:
    """Make a store that holds the records, as far as it can."""
    info = CollectionInfo(COLLECTION, 0, 0, 0, settings={"metadata": {"hnsw:space": "cosine"}})
    with open_store(address, must_exist=False) as store:
        puts = tuple(Put(store.fit(record)[0], None) for record in records)
        store.write(Changes(put=puts, collections=(info,)), Progress())
        return store.address.path


def _record(number: int, text: str) -> MemoryRecord:
    created = 1735689600.25 + number * 86400
    vector = np.random.default_rng(number // 2).normal(size=DIMENSION) + 0.05 * number
    return MemoryRecord(
        key=Key(COLLECTION, content_hash(text)),
        text=text,
        metadata={
            "content_hash": content_hash(text),
            "memory_type": "note",
            "tags": f"project,note-{number}",
            "timestamp": created,
            "created_at_iso": iso(created),
        },
        embedding=(vector / np.linalg.norm(vector)).astype(np.float32),
        tags=("project", f"note-{number}"),
        created=created,
    )
