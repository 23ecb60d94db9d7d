"""How backups are shown to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memdefrag.base.wording import count, moment, size
from memdefrag.cli.output import styled, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memdefrag.engine.backups.drill import Drilled
    from memdefrag.engine.backups.shelf import Backup, Damaged
    from memdefrag.engine.backups.verify import Restored

_LIBRARIES = ("python", "sqlite", "chromadb")


def listed(found: Sequence[Backup], damaged: Sequence[Damaged], total: int, folder: Path) -> Iterator[RenderableType]:
    """A list of backups, good and bad."""
    rows = [
        (each.id, _when(each), each.manifest["reason"], _records(each), size(each.size), each.address) for each in found
    ]
    yield table("Id", "When", "Why", "Memories", "Size", "Store", rows=rows) if rows else "There are no backups yet."
    for bad in damaged:
        yield styled(f"DAMAGED {bad.id}: {bad.reason} (in {bad.folder})", "red")
    if rows:
        yield f"{count(len(rows), 'backup')}, {size(total)} in {folder}"


def _when(backup: Backup) -> str:
    return moment(datetime.fromisoformat(backup.manifest["created"]).timestamp())


def facts(found: Backup, verified: str | None) -> Iterator[RenderableType]:
    """What a backup says of itself."""
    manifest = found.manifest
    source, counts = manifest["source"], manifest.get("counts", {})
    layers = [name for name, layer in (("the store's own files", found.raw), ("its memories", found.neutral)) if layer]
    users = [f"{each['name']} (process {each['pid']})" for each in manifest.get("in_use", ())]
    rows = [
        ("Backup", found.id),
        ("Store", found.address),
        ("Format of the store", source["format"]),
        ("Made", f"{manifest['created']}, {manifest['reason']}"),
        ("By", ", ".join(str(manifest[name]) for name in ("tool", "host") if name in manifest)),
        ("With", ", ".join(f"{name} {manifest[name]}" for name in _LIBRARIES if name in manifest)),
        ("Memories", count(found.records, "memory", "memories") if found.is_readable else _records(found)),
        *((f"  in {name}", str(number)) for name, number in manifest["collections"].items()),
        ("With a vector", str(counts.get("with_embedding", ""))),
        ("Without a text", str(counts.get("null_text", ""))),
        ("Holds", " and ".join(layers)),
        ("Consistent by", manifest["consistent"]),
        ("In use meanwhile by", ", ".join(users)),
        ("For the job", manifest.get("job") or ""),
        ("Content", manifest["content"]),
        ("Last found whole", verified or "never"),
        ("Size", size(found.size)),
        ("Folder", str(found.folder)),
    ]
    yield table("", "", rows=[row for row in rows if row[1]])


def _records(found: Backup) -> str:
    return f"{found.records:,}" if found.is_readable else "unreadable"


def searched(restored: Restored) -> str:
    """What came of asking the restored store's search."""
    if restored.note:
        return restored.note
    found = restored.asked - restored.lost
    return f"Its search finds {found} of {count(restored.asked, 'memory', 'memories')} that it was asked for."


def drilled(done: Sequence[Drilled]) -> Iterator[RenderableType]:
    """How a drill went."""
    if not done:
        yield "There are no backups yet."
    for each in done:
        if each.restored is None:
            yield styled(f"FAILED {each.id} of {each.store}: {each.damage}", "red")
        else:
            memories = count(each.restored.records, "memory", "memories")
            yield f"{each.id} of {each.store}: {memories} came back in {each.seconds:.1f} s. {searched(each.restored)}"
