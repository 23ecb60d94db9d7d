"""The demo store: invented memories on which everything can be tried without a risk."""

from __future__ import annotations

from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import data_dir, resource
from memdefrag.engine import workspace
from memdefrag.model.address import Address


def fresh_copy() -> Address:
    """Put the demo store, as it was delivered, into the data folder and forget earlier decisions about it."""
    path = make_private_dir(data_dir() / "demo") / "demo.jsonl"
    write_durable(path, resource("demo.jsonl").read_bytes())
    address = Address("jsonl", str(path))
    workspace.save(address, "decisions", {})
    return address
