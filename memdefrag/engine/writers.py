"""Who writes a store that an older library made.

An older Chroma folder that a newer chromadb has written can no longer be opened by the service that owns
it. So the default is a Python with a fitting chromadb; anything else is the person's explicit choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memdefrag.base.errors import UsageError, WriterNeeded
from memdefrag.base.progress import Progress
from memdefrag.engine import workspace
from memdefrag.stores.base import Store, StoreSettings
from memdefrag.stores.chroma import environment, pythons

TOPIC = "writer"


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """The person's choice; all False/None: none was made.

    Attributes:
        python: an interpreter whose chromadb fits the folder.
        upgrade: write with the built-in, newer chromadb; the owning service cannot open the folder any more.
        make_environment: install the fitting chromadb into a private environment and use that.
        output: leave the store alone and write the result to this new folder with the built-in chromadb.
    """

    python: Path | None = None
    upgrade: bool = False
    make_environment: bool = False
    output: Path | None = None


def choose(store: Store, options: WriterOptions, progress: Progress) -> StoreSettings:
    """The settings to write the staged copy of `store` with; remembers an interpreter for the next time.

    A new folder is made by the named interpreter's chromadb, so that the service it belongs to can open it.

    Raises:
        WriterNeeded: the store is older than the built-in library and nothing was chosen; lists the ways.
        UsageError: the named Python has no fitting chromadb.
    """
    version = store.capabilities.written_by
    if version is None and options.python and not store.exists:
        return StoreSettings(chroma_python=options.python.expanduser().absolute())
    if version is None or options.upgrade or options.output:
        return StoreSettings(chroma_upgrade=version is not None)
    # Not resolved: the Python of a virtual environment is a link, and what it links to lacks the packages.
    python = options.python.expanduser().absolute() if options.python else _remembered(store, version)
    if python is None and options.make_environment:
        python = environment.make_environment(version, progress)
    if python is None:
        raise WriterNeeded(
            f"{store.address.location} was made by {store.format}; the built-in chromadb would upgrade it for good.",
            todo=_ways(store, version),
        )
    if not pythons.fits(python, store.address.path):
        raise UsageError(
            f"{python} has no chromadb that writes this folder as it is (wanted: {version} or its like).",
            todo=_ways(store, version),
        )
    workspace.save(store.address, TOPIC, {"python": str(python)})
    return StoreSettings(chroma_python=python)


def candidates(store: Store) -> list[pythons.Candidate]:
    """Interpreters on this machine whose chromadb fits the store, to be shown for confirmation."""
    version = store.capabilities.written_by
    return pythons.find(version, store.address.path) if version else []


def megabytes(store: Store) -> int:
    """Size on disk of a private environment that fits the store."""
    return environment.megabytes(store.capabilities.written_by or "")


def _remembered(store: Store, version: str) -> Path | None:
    """The interpreter confirmed before, or our own private environment, if it is still there."""
    known = workspace.load(store.address, TOPIC).get("python")
    places = [Path(known)] if known else []
    places.append(environment.environment_python(version))
    return next((place for place in places if place.exists()), None)


def _ways(store: Store, version: str) -> str:
    found = [f"--chroma-python {candidate.python} ({candidate.where})" for candidate in candidates(store)]
    ways = [
        *found,
        *([] if found else ["--chroma-python PATH (the Python of the service that owns the folder)"]),
        f"--make-environment (installs chromadb {version} for memdefrag alone, about {megabytes(store)} MB)",
        "--output FOLDER (writes a new folder, leaves this one)",
        "--upgrade-format (the owning service stops working until it is upgraded too)",
    ]
    return "Choose one of: " + "; ".join(ways) + "."
