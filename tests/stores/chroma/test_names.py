"""Names that Chroma refuses are known before it is asked."""

from __future__ import annotations

from pathlib import Path

import chromadb
import pytest

from memdefrag.stores.chroma.names import fault_of


@pytest.mark.parametrize("name", ["ab", "abc", "a.b-c_1", "-ab", "ab.", "a b", "é-é", "", "a" * 512, "a" * 513])
def test_what_chroma_refuses_has_a_fault(tmp_path: Path, name: str) -> None:
    client = chromadb.PersistentClient(str(tmp_path / "chroma"))
    try:
        client.create_collection(name, embedding_function=None)
        taken = True
    except Exception:
        taken = False
    finally:
        client.close()
    assert (fault_of(name) is None) is taken


def test_a_tenant_and_a_database_may_stand_before_it() -> None:
    assert fault_of("a tenant/a database/memories") is None
