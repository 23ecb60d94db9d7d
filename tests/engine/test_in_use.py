"""Programs that hold a store are named."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memdefrag.base.errors import StoreInUse
from memdefrag.engine import in_use

HOLD = "import sys; handle = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
    return path


def test_a_file_at_rest_is_free(database: Path) -> None:
    before = database.read_bytes()
    in_use.require_free([database])
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["store.db"]


def test_the_holder_is_named_with_its_process(database: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdout.readline() == b"open\n"
        found = in_use.holders([database])
        with pytest.raises(StoreInUse, match=f"process {child.pid}"):
            in_use.require_free([database])
        assert child.stdin
        child.stdin.close()
    assert [holder.pid for holder in found] == [child.pid]


def test_a_writer_of_this_process_is_seen_by_its_lock(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreInUse, match="locked"):
            in_use.require_free([database])


@pytest.mark.parametrize(
    ("command", "word"), [("uvx mcp-memory-service", "memory service"), ("Claude", "Claude Desktop"), ("x", "Close x")]
)
def test_advice_says_how_to_close_it(command: str, word: str) -> None:
    assert word in in_use.Holder(1, command.split()[0], command).advice
