"""memdefrag apart: texts that are no duplicates, remembered for good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memdefrag.base.errors import UsageError
from memdefrag.base.wording import count
from memdefrag.cli.output import as_typed
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.model.records import MemoryRecord, Snapshot

InStore = Annotated[
    str | None, typer.Argument(metavar="[STORE]", help="Only pairs that are in this store, with their texts.")
]
Memories = Annotated[
    list[str], typer.Argument(metavar="MEMORY MEMORY...", help="Two or more memories: ID or COLLECTION/ID.")
]
PairIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Its id (or the beginning of it) from apart list.")]
NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; one that is there is replaced.")]
ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="What apart export wrote.")]


def add_to(app: typer.Typer) -> None:
    """Register the group of commands."""
    group = typer.Typer(help="Tell texts apart that are no duplicates, for good and in all stores.")
    command(group, "list")(list_pairs)
    command(group, "add")(add)
    command(group, "forget")(forget)
    command(group, "export")(export)
    command(group, "import")(import_)
    app.add_typer(group, name="apart")


def list_pairs(run: Run, store: InStore = None) -> None:
    """List the pairs of texts that were told apart; with a store only those that are in it, with their texts."""
    from memdefrag.cli import show_looking
    from memdefrag.engine.apart import told

    entries = [each.as_dict() for each in told()] if store is None else _in_store(_read(run, store))
    run.answer({"apart": entries}, *show_looking.told_apart(entries), f"{count(len(entries), 'pair')} told apart.")


def add(run: Run, store: Store, memories: Memories) -> None:
    """Say that memories are no duplicates of each other, whatever they are alike in."""
    from memdefrag.engine import apart

    snapshot = _read(run, store)
    records = [_named(snapshot, name) for name in memories]
    if len({record.key for record in records}) < 2:
        raise UsageError("To tell memories apart takes two of them.", todo="Name another one.")
    if any(not (record.text and record.text.strip()) for record in records):
        raise UsageError("A memory without text cannot be remembered by what it says.")
    new = apart.add(apart.pairs_among(records), snapshot.address)
    told = "They are told apart already."
    if new:
        back = as_typed("apart", "forget", *(each.id for each in new))
        told = f"Noted for good: {count(len(new), 'pair')} told apart. To take it back: {back}"
    run.answer({"added": [each.as_dict() for each in new]}, told)


def forget(run: Run, ids: PairIds) -> None:
    """Take it back: the texts may be duplicates again."""
    from memdefrag.engine import apart

    found = [apart.find(id) for id in ids]
    gone = apart.forget([each.pair for each in found], "")
    run.answer({"forgotten": [each.as_dict() for each in gone]}, f"Forgotten: {count(len(gone), 'pair')}.")


def export(run: Run, file: NewFile) -> None:
    """Write all pairs to a file, for another computer. It holds hashes and no texts."""
    from memdefrag.engine import apart

    target = file.expanduser().resolve()
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.", todo="Make it, or name another one.")
    written = apart.write_file(target)
    run.answer({"file": str(target), "pairs": written}, f"{count(written, 'pair')} told apart: {file}")


def import_(run: Run, file: ListFile) -> None:
    """Add the pairs of a file that apart export wrote."""
    from memdefrag.engine import apart

    new = apart.read_file(file.expanduser())
    run.answer({"added": [each.as_dict() for each in new]}, f"{count(len(new), 'pair')} more told apart.")


def _read(run: Run, store: str) -> Snapshot:
    from memdefrag.engine.steady import read_steadily

    snapshot, state = read_steadily(store, run.progress)
    run.tell_state(state)
    return snapshot


def _named(snapshot: Snapshot, name: str) -> MemoryRecord:
    found = [record for key, record in snapshot.by_key.items() if name in (key.id, str(key))]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'No'} memories of {snapshot.address} are named {name!r}.",
            todo="Say COLLECTION/ID." if found else "memdefrag analyze and search show ids.",
        )
    return found[0]


def _in_store(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Those of the pairs whose texts are both in the store, each with the memories that say them."""
    from memdefrag.engine.apart import in_store

    return [
        {**each.as_dict(), "memories": [{"id": str(record.key), "text": record.text} for record in two]}
        for each, *two in in_store(snapshot)
    ]
