"""memdefrag export and import: a store's memories as a file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import UsageError
from memdefrag.cli.applying import Owner, Writing, answer, name_owner, with_writer
from memdefrag.cli.output import as_typed
from memdefrag.cli.read import Store
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.model.address import Address

Out = Annotated[str, typer.Argument(metavar="OUT", help="The file to write: .jsonl, .parquet, .db, or an address.")]
Source = Annotated[str, typer.Argument(metavar="FILE", help="The file (or store) whose memories are taken.")]
Collection = Annotated[str | None, typer.Option("--collection", metavar="NAME", help="Which collection of the store.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N memories.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only memories with this in their metadata; may be repeated."),
]
Mirror = Annotated[bool, typer.Option("--mirror", help="Also drop what the store has and the file never had.")]
Regenerate = Annotated[bool, typer.Option("--regenerate-embeddings", help="Make all vectors anew with the model.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "export")(export)
    command(app, "import")(import_file)


def export(
    run: Run, store: Store, out: Out, collection: Collection = None, limit: Limit = None, where: Where = None
) -> None:
    """Write a collection, or a part of it, into a new file. The store is only read."""
    from memdefrag.engine.exchange import export_store
    from memdefrag.stores.registry import resolve_new

    run.keep_log()
    target = resolve_new(out)
    report = export_store(
        store,
        target,
        collection=collection,
        limit=limit,
        where=dict(_key_and_value(each) for each in where or ()),
        progress=run.progress,
    )
    answer(run, report, *_hints(run, store, out, target, collection))


def import_file(
    run: Run,
    writing: Writing,
    source: Source,
    store: Store,
    collection: Collection = None,
    mirror: Mirror = False,
    regenerate_embeddings: Regenerate = False,
    owner: Owner = None,
) -> None:
    """Bring a file's memories into a store; what the store got or changed since the export stays."""
    from memdefrag.engine.exchange import ImportChoices, import_store
    from memdefrag.stores.registry import resolve_new

    name_owner(owner)
    target = resolve_new(store)
    choices = ImportChoices(collection, mirror, regenerate_embeddings)
    report = with_writer(
        run,
        str(target),
        writing,
        lambda options: import_store(source, target, choices=choices, options=options, progress=run.progress),
    )
    answer(run, report)


def _hints(run: Run, store: str, out: str, target: Address, collection: str | None) -> Iterator[str]:
    """What was taken of several collections, and the commands that go on from here and that the store allows."""
    from memdefrag.engine.exchange import choose_collection
    from memdefrag.engine.inspect import inspect
    from memdefrag.engine.steady import steadily
    from memdefrag.stores.registry import resolve

    found = steadily(store, run.progress, inspect)
    name = choose_collection(list(found.collections), collection or resolve(store).collection, store)
    several = len(found.collections) > 1
    if several and not collection:
        yield f"Of {len(found.collections)} collections this is {name}; --collection names another."
    yield f"To tidy the file: {as_typed('optimize', out)}"
    if not found.writable:
        return
    yield f"To bring it back: {as_typed('import', out, store, *(['--collection', name] if several else []))}"
    if target.kind in ("jsonl", "parquet"):
        # These hold every memory to the letter, so that a plan about them fits the store they came from.
        yield (
            f"To carry out in the store itself what is sure in the file: {as_typed('analyze', out, '--save', 'PLAN')}, "
            f"then {as_typed('apply', 'PLAN', '--to', store)}"
        )


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--where wants KEY=VALUE, not {text!r}.")
    return key, value
