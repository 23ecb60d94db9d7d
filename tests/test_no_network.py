"""The whole job in a network namespace that leads nowhere: it works, and nothing even tries to connect.

The kernel counts every packet that found no route, whoever sent it: Python, Rust or a child process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memdefrag.base.settings import resource

COUNTERS = "grep -h OutNoRoutes /proc/net/snmp6; grep '^Ip:' /proc/net/snmp; grep '^Tcp:' /proc/net/snmp"
INSIDE = ["unshare", "--user", "--map-root-user", "--net"]

JOB = """
set -e
memdefrag() { "$PYTHON" -m memdefrag --help >/dev/null; "$PYTHON" -m memdefrag "$@" --json; }
memdefrag import "$DEMO" "chroma:$STORE"
memdefrag inspect "$STORE"
memdefrag analyze "$STORE"
memdefrag optimize "$STORE" --auto sure
memdefrag search "$STORE" "which port does the server use"
memdefrag undo last "$STORE"
memdefrag backup create "$STORE"
id=$("$PYTHON" -m memdefrag backup list "$STORE" --json | "$PYTHON" -c \
    'import json, sys; print(json.load(sys.stdin)["backups"][0]["id"])')
memdefrag backup verify "$id" --deep
memdefrag backup restore "$id"
"""


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """The command prefix that runs something without a network."""
    if not shutil.which("unshare") or subprocess.run([*INSIDE, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a network namespace")
    return INSIDE


def routes_missed(namespace: list[str], script: str, **variables: str) -> int:
    """Run a shell script in the namespace; how many packets wanted to go out and could not."""
    # Loopback is up, as on any machine; what goes elsewhere has no route.
    whole = f"ip link set lo up 2>/dev/null || true\n({script}\n) >&2\n{COUNTERS}"
    done = subprocess.run(
        [*namespace, "bash", "-c", whole], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.split("\n")
    six = next(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))
    names, values = (line.split()[1:] for line in lines if line.startswith("Ip:"))
    return six + int(dict(zip(names, values, strict=True))["OutNoRoutes"])


@pytest.mark.network_namespace
def test_an_attempt_would_be_seen(namespace: list[str]) -> None:
    attempt = "import socket; socket.socket().connect_ex(('192.0.2.1', 80))"
    assert routes_missed(namespace, f'"{sys.executable}" -c "{attempt}"') > 0


@pytest.mark.network_namespace
@pytest.mark.slow
def test_the_whole_job_tries_no_connection(namespace: list[str], tmp_path: Path) -> None:
    missed = routes_missed(
        namespace,
        "set -e\n" + JOB,
        PYTHON=sys.executable,
        DEMO=str(resource("demo.jsonl")),
        STORE=str(tmp_path / "chroma"),
    )
    assert missed == 0
    assert (tmp_path / "chroma" / "chroma.sqlite3").exists()
