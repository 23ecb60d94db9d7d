"""A sign beside a folder that is written file by file, for whoever works with another data folder.

The journal of such a write lies in the data folder, where only those who share it look. ``<name>.memdefrag-writing``
beside the store says whose write it is: one JSON object with ``id``, ``host``, ``pid``, ``process_created`` and
``data``, the data folder with the journal. Without it somebody else could finish what a crash interrupted, and lose it
again when the first one takes its own part back.
"""

from __future__ import annotations

import json
import platform
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from memdefrag.base import foreign_json
from memdefrag.base.errors import StoreInUse, UnfinishedJob
from memdefrag.base.fsops import fsync_dir, fsync_file
from memdefrag.base.settings import DATA_DIR_VARIABLE, data_dir
from memdefrag.engine import owner
from memdefrag.engine.journal import Job
from memdefrag.model.address import Address, parse
from memdefrag.model.capabilities import Commit

SUFFIX = ".memdefrag-writing"
_LARGEST = 10_000
_WRITING_SECONDS = 0.5


def put(facts: Mapping[str, Any]) -> None:
    """Put the sign of a job up, where its store is such a folder; what a finished write left is replaced.

    Raises:
        StoreInUse: somebody with another data folder is writing the store.
        UnfinishedJob: a write of theirs was interrupted, and waits to be recovered.
    """
    place = _place(facts)
    if place is None:
        return
    said = {name: facts.get(name) for name in ("id", "pid", "process_created")}
    line = json.dumps({**said, "host": platform.node(), "data": str(data_dir().resolve())})
    _require_ours(place, parse(facts["store"]))
    try:
        place.unlink(missing_ok=True)
        with place.open("x", encoding="utf-8") as file:
            file.write(line)
        fsync_file(place)
        fsync_dir(place.parent)
    except FileExistsError:
        raise StoreInUse(f"Another memdefrag began to write {facts['store']} just now.", todo="Wait for it.") from None
    except OSError:
        # Around the folder nothing may be written: then nobody can be told, and the store itself can be written yet.
        return


def take_away(facts: Mapping[str, Any]) -> None:
    """Take the sign of a job away, if it is this job's and that is allowed."""
    place = _place(facts)
    if place is not None and facts.get("id") and _read(place).get("id") == facts["id"]:
        # One that stays says that its write waits for nobody, once the journal is gone (`_waits`).
        with suppress(OSError):
            place.unlink(missing_ok=True)


def _place(facts: Mapping[str, Any]) -> Path | None:
    """Where the sign of a job is, if its store is a folder that is written file by file."""
    if facts.get("kind") != Commit.IN_PLACE or "store" not in facts:
        return None
    address = parse(facts["store"])
    path = address.path.resolve() if address.is_local else None
    return path and path.with_name(path.name + SUFFIX)


def _require_ours(place: Path, store: Address) -> None:
    said = _read(place)
    if not said and place.exists():
        # Whoever is writing it this very moment needs no more time than this; else a crash left it.
        time.sleep(_WRITING_SECONDS)
        said = _read(place)
    data = str(said.get("data") or "")
    if not data or Path(data) == data_dir().resolve():
        return
    host, here = str(said.get("host")), platform.node()
    if host == here and owner.process_lives(said):
        raise StoreInUse(f"Another memdefrag (process {said['pid']}) is writing {store}.", todo="Wait for it.")
    if host == here and not _waits(Path(data), store):
        return
    where = "" if host == here else f" on {host}"
    raise UnfinishedJob(
        f"An earlier write to {store} was interrupted; its journal is in the data folder {data}{where}.",
        safe="Nothing was done now.",
        todo=f"Settle it there{where}:\n  {DATA_DIR_VARIABLE}={shlex.quote(data)} memdefrag recover\n"
        f"If that folder is gone for good, and only then:\n  rm {shlex.quote(str(place))}",
    )


def _waits(data: Path, store: Address) -> bool:
    """Whether a write to the store waits in that data folder; also if that cannot be seen."""
    try:
        return Job.of_live(store, data).folder.exists()
    except OSError:
        return True


def _read(place: Path) -> dict[str, Any]:
    """What a sign says; nothing, if it is none."""
    try:
        if place.is_symlink() or not place.is_file() or place.stat().st_size > _LARGEST:
            return {}
        said = foreign_json.parse(place.read_bytes())
    except (OSError, ValueError):
        return {}
    typed = isinstance(said, dict) and isinstance(said.get("pid"), int) and 0 < said["pid"] < 1 << 31
    return said if typed and isinstance(said.get("process_created"), int | float) else {}
