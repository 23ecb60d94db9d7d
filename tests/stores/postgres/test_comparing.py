"""What an analysis compares of a BigMemory database."""

from __future__ import annotations

import psycopg
import pytest

from memdefrag.analysis.detect import analyze
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.registry import open_store
from tests.stores.postgres.schemas import OWNER
from tests.stores.postgres.test_bigmemory import insert


def grouped(url: str) -> list[list[str]]:
    with open_store(f"bigmemory:{url}") as store:
        found = analyze([read_snapshot(store)])
    return [[found.records[member].key.id for member in group.members] for group in found.groups(0.0)]


@pytest.mark.parametrize("metadata", ['{"is_chunk": true}', '{"superseded_by": "a"}'])
def test_deleted_rows_chunks_and_other_users_rows_are_never_grouped(bigmemory_url: str, metadata: str) -> None:
    with psycopg.connect(bigmemory_url) as session:
        session.execute("INSERT INTO users (id, token) VALUES ('second', 'y')")
    for id in ("a", "b", "other"):
        insert(bigmemory_url, id)
    insert(bigmemory_url, "deleted", is_deleted="true")
    insert(bigmemory_url, "marked", source_metadata=f"'{metadata}'")
    with psycopg.connect(bigmemory_url) as session:
        session.execute("UPDATE memories SET user_id = 'second' WHERE id = 'other'")
    assert OWNER != "second"
    assert grouped(bigmemory_url) == [["a", "b"]]
