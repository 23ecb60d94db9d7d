"""Secrets are removed from whatever is written down."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdefrag.base.settings import data_dir, redact, resource


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


def test_resources_of_a_checkout_are_found() -> None:
    assert resource("demo.jsonl").parent.name == "resources"
