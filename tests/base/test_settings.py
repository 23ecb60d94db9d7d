"""Secrets are removed from whatever is written down."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.errors import UsageError
from memdefrag.base.settings import PAIR_MEMORY, backup_limit, cache_dir, data_dir, pair_memory, redact, resource


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:CANARY@host/db",
        "--api-key CANARY",
        "--api-key=CANARY",
        "api_key: CANARY",
        "Authorization: Bearer CANARY",
        "HDEV_MEMORY_HTTP_API_KEY=CANARY",
        "token=CANARY, next",
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    assert "CANARY" not in redact(text)


@given(st.text(alphabet="abc xyz./-_", max_size=60))
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_data_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", str(tmp_path / "here"))
    assert data_dir() == tmp_path / "here"


def test_a_data_folder_is_the_same_wherever_a_program_stands_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMDEFRAG_DATA_DIR", "data")
    monkeypatch.chdir(tmp_path)
    assert (data_dir(), cache_dir()) == (tmp_path / "data", tmp_path / "data" / "cache")


def test_resources_of_a_checkout_are_found() -> None:
    assert resource("demo.jsonl").parent.name == "resources"


@pytest.mark.parametrize(
    ("said", "bytes_"),
    [("20 GB", 20 * 10**9), ("1.5kb", 1_500), ("500M", 500 * 10**6), ("2 TB", 2 * 10**12), ("123", 123), (" ", None)],
)
def test_a_limit_of_backups_is_read_as_people_say_it(
    monkeypatch: pytest.MonkeyPatch, said: str, bytes_: int | None
) -> None:
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", said)
    assert backup_limit() == bytes_


@pytest.mark.parametrize("said", ["much", "-5 GB", "5 apples", "1e9"])
def test_a_limit_that_is_no_size_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("MEMDEFRAG_BACKUP_LIMIT", said)
    with pytest.raises(UsageError, match="no size"):
        backup_limit()


def test_the_memory_of_the_pair_search_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMDEFRAG_PAIR_MEMORY", raising=False)
    assert pair_memory() == PAIR_MEMORY
    monkeypatch.setenv("MEMDEFRAG_PAIR_MEMORY", "2 GB")
    assert pair_memory() == 2 * 10**9
    monkeypatch.setenv("MEMDEFRAG_PAIR_MEMORY", "much")
    with pytest.raises(UsageError, match="MEMDEFRAG_PAIR_MEMORY"):
        pair_memory()
