"""RESTORE.txt: how to get at a backup's memories without this program."""

from __future__ import annotations

import shlex
from pathlib import Path

from memdefrag.base.packed import SUFFIX
from memdefrag.model.address import parse
from memdefrag.stores.backup_folder import FILES, RESTORE, SUMS, Manifest, raw_layer
from memdefrag.stores.neutral import RECORDS, VECTORS

COMMAND = "    "
"""What a line that is a command begins with; all others are words."""


def restore_text(folder: Path, manifest: Manifest) -> str:
    """The guide for the backup that will stand in `folder`.

    The commands are for a POSIX shell and need zstd, sha256sum and cp, nothing else.
    """
    address = parse(manifest["source"]["address"])
    lines = [
        f"memdefrag backup {manifest['id']}",
        f"of {address}",
        f"made {manifest['created']} ({manifest['reason']}), {manifest['records']} memories",
        "",
        "With memdefrag:  memdefrag backup restore " + manifest["id"],
        "Without it, in a shell with zstd, sha256sum and cp:",
        "",
        "1. Go to the folder of this file (if it was moved, to where it is now) and see that nothing is damaged.",
        "   Every line must end in OK.",
        "",
        _command("cd", folder),
        _command("sha256sum", "-c", SUMS),
        "",
    ]
    if manifest["files"]:
        lines += _raw_steps(folder, address.path, manifest)
    if manifest["neutral"]:
        lines += _neutral_steps(folder, 4 if manifest["files"] else 2)
    return "\n".join(lines)


def _raw_steps(folder: Path, live: Path, manifest: Manifest) -> list[str]:
    beside = live.with_name(f"{live.name}.from-{manifest['id']}")
    if manifest["source"]["is_folder"]:
        unpacking = [
            _command("cp", "-r", FILES, beside),
            _command("zstd", "-d", "-q", "-r", "--rm", beside),
        ]
        back = _command("cp", "-r", beside, live)
    else:
        [single] = raw_layer(manifest)[:1]
        unpacking = [_command("zstd", "-d", "-q", f"{FILES}/{single.path}{SUFFIX}", "-o", beside)]
        back = _command("cp", beside, live)
    return [
        "2. Unpack the store's own files beside the place they came from.",
        "",
        *unpacking,
        "",
        "3. Close every program that uses the store. Rename what stands at",
        f"   {live}",
        "   now, and (if there are any) the files beside it whose names begin the same and end in -wal, -shm or",
        "   -journal. Keep them until you are content. Then put the unpacked store into its place.",
        "",
        back,
        "",
    ]


def _neutral_steps(folder: Path, number: int) -> list[str]:
    return [
        f"{number}. The same memories as plain text, whatever becomes of the program they belong to: one JSON object",
        f"   a line, first the collections, then the memories. {VECTORS}{SUFFIX} holds their vectors alone, as rows of",
        "   little-endian 32-bit floats in the same order; \"dimension\" tells each one's length.",
        "",
        _command("zstd", "-d", "-q", RECORDS + SUFFIX, "-o", folder.with_name(f"{folder.name}.{RECORDS}")),
        "",
        f"{RESTORE} and all other files here are listed in {SUMS}: do not edit them.",
        "",
    ]


def _command(*words: str | Path) -> str:
    return COMMAND + shlex.join(str(word) for word in words)
