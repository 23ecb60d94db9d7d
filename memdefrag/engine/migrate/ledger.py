"""What a finished migration wrote, so that a later one can catch up with what changed since.

``<data dir>/migrations/<id>.jsonl``, one file for each pair of stores: a header with both addresses and the time, then
``[collection, id, hash, collection, id, hash, ours]`` for each memory: its key and hash in the source, and in the
target, and whether a migration wrote it there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from memdefrag.base import foreign_json
from memdefrag.base.errors import StoreDamaged
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue
from memdefrag.engine.failures import disk_errors_told
from memdefrag.model.address import Address
from memdefrag.model.records import Key

FORMAT = 2
_TODO = "Migrate without --catch-up."


class Written(NamedTuple):
    """One memory as a migration left it: the source's hash then, its key in the target and the hash it has there.

    `ours`: a migration wrote it; else it was found there, and is not to be removed.
    """

    source: str
    target: Key
    written: str
    ours: bool


Ledger = Mapping[Key, Written]
"""By key in the source."""


def load(source: Address, target: Address) -> Ledger | None:
    """What the last finished migration between the two wrote; None: there was none.

    Raises:
        StoreDamaged: the file is not what was written.
    """
    path = _path(source, target)
    try:
        header, *rows = map(foreign_json.parse, path.read_bytes().splitlines())
        if header["memdefrag_migration"] != FORMAT:
            raise StoreDamaged(f"The notes of the last migration in {path} are of another memdefrag.", todo=_TODO)
        if header["records"] != len(rows):
            raise ValueError(header)
        return {Key(row[0], row[1]): Written(row[2], Key(row[3], row[4]), row[5], row[6]) for row in rows}
    except FileNotFoundError:
        return None
    except OSError as error:
        told = f"The notes of the last migration in {path} cannot be read: {error.strerror}."
        raise StoreDamaged(told, todo=_TODO) from error
    except (ValueError, LookupError, TypeError) as error:
        raise StoreDamaged(f"The notes of the last migration in {path} are damaged.", todo=_TODO) from error


@disk_errors_told("What was to be copied is copied; only its notes for --catch-up could not be kept.")
def save(source: Address, target: Address, ledger: Ledger) -> None:
    """Write it down, durably, in the place of an older one.

    Raises:
        NoSpace, NotPermitted, WriteError: the disk does not take it.
    """
    said = {
        "memdefrag_migration": FORMAT, "source": str(source), "target": str(target), "time": catalogue.utc_now(),
        "records": len(ledger),
    }  # fmt: skip
    rows = [[*key, note.source, *note.target, note.written, note.ours] for key, note in ledger.items()]
    data = "\n".join(json.dumps(row) for row in [said, *rows])
    make_private_dir(_path(source, target).parent)
    write_durable(_path(source, target), data.encode())


def _path(source: Address, target: Address) -> Path:
    name = hashlib.sha256(f"{source}\0{target}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return data_dir() / "migrations" / f"{name}.jsonl"
