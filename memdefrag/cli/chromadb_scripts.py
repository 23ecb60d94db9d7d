"""The scripts `export_chromadb.py` and `import_to_chromadb.py`, as Memory Defragmenter's guide types them.

Same options and messages as the guide; underneath, the same engine as `memdefrag export` and `memdefrag import`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from memdefrag.base.errors import CollectionNotFound, ModelUnavailable, NotAStore, VerificationFailed, WriterFailed
from memdefrag.cli.applying import Writing, answer, with_writer
from memdefrag.cli.main import run_app
from memdefrag.cli.run import Run, command

NO_MODEL = "No embedding function available"
IMPORT_FAILED = "Import failed with embedding errors"

ChromaPath = Annotated[
    Path | None, typer.Option("--chroma-path", metavar="FOLDER", help="The Chroma folder. Default: Memory Service's.")
]
Collection = Annotated[
    str | None, typer.Option("--collection", metavar="NAME", help="Default: memory_collection, or the only one.")
]


def export_main(arguments: Sequence[str]) -> int:
    """Run `export_chromadb.py` and return its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command(app, "export_chromadb.py")(_export)
    return run_app(app, arguments, "export_chromadb.py")


def import_main(arguments: Sequence[str]) -> int:
    """Run `import_to_chromadb.py` and return its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command(app, "import_to_chromadb.py")(_import)
    return run_app(app, arguments, "import_to_chromadb.py")


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
    run.note(f"Next: open {output} in memdefrag, or run: memdefrag optimize {output}")


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
) -> None:
    """Bring an optimised export back into its Chroma folder; the folder is made when it is absent."""
    from memdefrag.engine.exchange import ImportChoices, import_store
    from memdefrag.model.address import Address

    if not sqlite_file.exists():
        raise NotAStore(f"There is no file {sqlite_file}.", todo="Run export_chromadb.py first, or name the file.")
    if no_backup:
        run.note("A backup is made all the same: memdefrag never writes without one.")
    target = Address("chroma", str(chroma_path or default_folder()))
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


def default_folder() -> Path:
    """Where Memory Service keeps its Chroma folder in these surroundings."""
    from memdefrag.stores.known_places import default_chroma_path

    return default_chroma_path(os.environ, Path.home(), sys.platform)


def _existing(named: Path | None) -> Path:
    folder = named or default_folder()
    if not folder.exists():
        raise CollectionNotFound(
            f"ChromaDB collection not found: there is no folder {folder}.",
            todo="Name the folder with --chroma-path; your Memory Service configuration says where it is.",
        )
    return folder
