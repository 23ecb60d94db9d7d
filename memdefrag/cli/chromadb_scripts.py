"""The scripts of Memory Defragmenter's guide, as it types them: `backup_memories.py`, `export_chromadb.py` and
`import_to_chromadb.py`; `chromadb_workflow.sh` calls them one after the other.

Same options and messages as the guide; underneath, the same engine as `memdefrag backup create`, `export` and `import`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memdefrag.base.errors import (
    CollectionNotFound,
    ModelUnavailable,
    NotAStore,
    VerificationFailed,
    WriterFailed,
    WriterNeeded,
)
from memdefrag.cli.applying import Writing, answer, with_writer
from memdefrag.cli.main import run_app
from memdefrag.cli.output import as_typed
from memdefrag.cli.run import Run, command

if TYPE_CHECKING:
    from memdefrag.engine.apply import ApplyOptions
    from memdefrag.engine.writers import WriterOptions
    from memdefrag.model.address import Address

NO_MODEL = "No embedding function available"
NAME_IT = "Name the folder with --chroma-path; your Memory Service configuration says where it is."
IMPORT_FAILED = "Import failed with embedding errors"

ChromaPath = Annotated[
    Path | None, typer.Option("--chroma-path", metavar="FOLDER", help="The Chroma folder. Default: Memory Service's.")
]
Collection = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="Default: memory_collection, or the only one.")
]


def backup_main(arguments: Sequence[str]) -> int:
    """Run `backup_memories.py` and return its exit code."""
    return _run_script("backup_memories.py", _backup, arguments)


def export_main(arguments: Sequence[str]) -> int:
    """Run `export_chromadb.py` and return its exit code."""
    return _run_script("export_chromadb.py", _export, arguments)


def import_main(arguments: Sequence[str]) -> int:
    """Run `import_to_chromadb.py` and return its exit code."""
    return _run_script("import_to_chromadb.py", _import, arguments)


def _run_script(name: str, function: Callable[..., None], arguments: Sequence[str]) -> int:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command(app, name)(function)
    return run_app(app, arguments, name)


def _backup(
    run: Run,
    chroma_path: ChromaPath = None,
    sqlite_path: Annotated[
        Path | None, typer.Option("--sqlite-path", metavar="FILE", help="The database of newer Memory Services.")
    ] = None,
) -> None:
    """Back up all that Memory Service keeps, and read the backups back. A program may go on using it."""
    from memdefrag.cli import show
    from memdefrag.cli.backup import back_up

    made = [back_up(run, store) for store in _stores_of_service(chroma_path, sqlite_path)]
    run.answer(
        {"backups": [each.as_dict() for each in made]}, *(line for each in made for line in show.backup_made(each))
    )


def _stores_of_service(chroma_path: Path | None, sqlite_path: Path | None) -> list[str]:
    """The stores that are named, or that stand where Memory Service keeps them.

    Raises:
        CollectionNotFound, NotAStore: one that is named, or all that might be, are not there.
    """
    from memdefrag.stores.known_places import memory_service_places

    if sqlite_path and not sqlite_path.exists():
        raise NotAStore(f"There is no file {sqlite_path}.")
    chroma = chroma_path or (None if sqlite_path else _chroma_variable())
    named = [f"chroma:{_existing(chroma)}"] if chroma else []
    named += [f"memory-service:{sqlite_path}"] if sqlite_path else []
    if named:
        return named
    places = memory_service_places(os.environ, Path.home(), sys.platform)
    found = [f"{kind}:{path}" for path, kind in places if path.exists()]
    if not found:
        tried = ", ".join(str(path) for path, _ in places)
        raise NotAStore(f"No memories of Memory Service were found: {tried}.", todo=NAME_IT)
    return found


def _export(
    run: Run,
    chroma_path: ChromaPath = None,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The file to write.")] = Path(
        "memory_export.db"
    ),
    collection: Collection = None,
) -> None:
    """Export a Chroma folder to an SQLite file. The folder is only read; an older file is kept."""
    from memdefrag.engine.exchange import export_store
    from memdefrag.model.address import Address

    folder = _existing(chroma_path)
    run.keep_log()
    target = Address("memory-export", str(output))
    report = export_store(f"chroma:{folder}", target, collection=collection, progress=run.progress)
    answer(run, report)
    run.note(f"Next: open {output} in memdefrag, or run: {as_typed('optimize', output)}")


def _import(
    run: Run,
    writing: Writing,
    sqlite_file: Annotated[Path, typer.Argument(metavar="SQLITE_FILE", help="The optimised export.")],
    chroma_path: ChromaPath = None,
    collection: Collection = None,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Accepted, but a backup is always made: undo needs it.")
    ] = False,
    mirror: Annotated[bool, typer.Option("--mirror", help="Also drop what the file never held.")] = False,
    regenerate_embeddings: Annotated[
        bool, typer.Option("--regenerate-embeddings", help="Make all vectors anew with the model.")
    ] = False,
    settle_for: Annotated[
        str | None, typer.Option(metavar="COMMAND", hidden=True, help="Only find out who writes the folder.")
    ] = None,
) -> None:
    """Bring an optimised export back into its Chroma folder; the folder is made when it is absent."""
    from memdefrag.engine.exchange import ImportChoices, import_store
    from memdefrag.model.address import Address

    target = Address("chroma", str(chroma_path or default_folder()))
    if settle_for:
        _settle_writer(run, writing, target.whole(), settle_for)
        return
    if not sqlite_file.exists():
        raise NotAStore(f"There is no file {sqlite_file}.", todo="Run export_chromadb.py first, or name the file.")
    if no_backup:
        run.note("A backup is made all the same: memdefrag never writes without one.")
    choices = ImportChoices(collection, mirror, regenerate_embeddings)
    try:
        report = with_writer(
            run,
            str(target),
            writing,
            lambda options: import_store(
                f"memory-export:{sqlite_file}", target, choices=choices, options=options, progress=run.progress
            ),
        )
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"{NO_MODEL}: {error.message}", todo="Install sentence-transformers: run scripts/start once more."
        ) from error
    except (WriterFailed, VerificationFailed) as error:
        raise type(error)(
            f"{IMPORT_FAILED}: {error.message}", todo="Try again with --regenerate-embeddings."
        ) from error
    answer(run, report)


def _settle_writer(run: Run, writing: Writing, target: Address, asking: str) -> None:
    """Find out who is to write an older folder, before anything else is done; print a choice made now as an option.

    Args:
        asking: the command that will write it, as it was typed.

    Raises:
        WriterNeeded: a choice is needed and nobody is there to make it.
    """
    from memdefrag.engine import writers
    from memdefrag.stores.registry import open_store

    def settled(options: ApplyOptions) -> WriterOptions:
        with open_store(target) as store:
            try:
                writers.choose(store, options.writer, run.progress)
            except WriterNeeded as error:
                found = [str(each.python) for each in writers.candidates(store)]
                ways = [f"--chroma-python {shlex.quote(python)}" for python in found or ["PATH_OF_THE_SERVICES_PYTHON"]]
                ways += ["--make-environment", "--upgrade-format"]
                error.safe = "Nothing was done yet."
                error.todo = "Run one of these:" + "".join(f"\n  {asking} {way}" for way in ways)
                raise
        return options.writer

    if writing.dry_run or not target.path.exists():
        return
    with open_store(target) as store:
        if not store.capabilities.written_by:
            return
    chosen = with_writer(run, str(target), writing, settled)
    if chosen != writing.options(run).writer:
        typer.echo(_as_option(chosen))


def _as_option(chosen: WriterOptions) -> str:
    """The one word that says this choice on a command line."""
    if chosen.python or chosen.output:
        return f"--chroma-python={chosen.python}" if chosen.python else f"--output={chosen.output}"
    return "--make-environment" if chosen.make_environment else "--upgrade-format"


def default_folder() -> Path:
    """The Chroma folder that CHROMA_PATH names, or that Memory Service uses in these surroundings."""
    from memdefrag.stores.known_places import default_chroma_path

    return _chroma_variable() or default_chroma_path(os.environ, Path.home(), sys.platform)


def _chroma_variable() -> Path | None:
    """What the guide's workflow script calls the folder."""
    named = os.environ.get("CHROMA_PATH")
    return Path(named).expanduser() if named else None


def _existing(named: Path | None) -> Path:
    folder = named or default_folder()
    if not folder.exists():
        raise CollectionNotFound(
            f"ChromaDB collection not found: there is no folder {folder}.",
            todo=NAME_IT,
        )
    return folder
