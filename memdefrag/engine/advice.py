"""What a person should do after the store was written."""

from __future__ import annotations

import sys
from pathlib import Path

from memdefrag.base.wording import count
from memdefrag.model.address import Address
from memdefrag.model.report import ApplyReport

_CLAUDE_LOGS = {
    "darwin": "~/Library/Logs/Claude",
    "win32": "%APPDATA%\\Claude\\logs",
}


def next_steps(address: Address, report: ApplyReport) -> tuple[str, ...]:
    """One sentence each: what to start again, what to expect, where to look."""
    came = (_came_since(report),) if report.added_since else ()
    if address.kind != "chroma":
        return came
    steps = [
        *came,
        "Start your assistant (or the memory service) again.",
        "Its first searches may be slower than usual, while it reads the new index files.",
        f"If it complains, look into its log: {_log_place()}.",
    ]
    if report.output:
        steps.insert(0, f"Let the service use the new folder: set MCP_MEMORY_CHROMA_PATH={report.output}")
        steps.insert(1, "The new folder needs a service with chromadb 1.5 or newer; the old folder was not touched.")
    return tuple(steps)


def _came_since(report: ApplyReport) -> str:
    what = count(report.added_since, "memory was", "memories were")
    return f"{what} added or changed since; bring back: memdefrag backup restore {report.backup} --added"


def _log_place() -> str:
    folder = _CLAUDE_LOGS.get(sys.platform, "~/.config/Claude/logs")
    desktop = f"{Path(folder).expanduser()} for Claude Desktop (files mcp*.log)"
    return f"{desktop}, or the terminal that runs the service"
