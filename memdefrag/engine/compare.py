"""Finding what says the same, with vectors for memories that lack one where a fitting model is at hand.

Vectors made here serve the comparison only: the analysis that comes out holds the records as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from memdefrag.analysis.detect import analyze
from memdefrag.analysis.embedding import embed
from memdefrag.analysis.options import AnalysisOptions
from memdefrag.analysis.pair_cache import PairCache
from memdefrag.analysis.result import Analysis
from memdefrag.analysis.scope import Scope
from memdefrag.base.errors import ConfirmationNeeded
from memdefrag.base.progress import Progress
from memdefrag.base.settings import cache_dir
from memdefrag.model.records import CollectionInfo, MemoryRecord, Snapshot, State

LONG_WORK_SECONDS = 120.0
WORTH_PREPARING_SECONDS = 40.0
"""Making the fast form of a model takes some ten seconds, once, and saves more than half of all others."""


class LongEmbedding(ConfirmationNeeded):
    """Making vectors takes minutes.

    Attributes:
        texts: how many memories have none.
        seconds: about how long it will take.
    """

    default_todo = "Add --yes to start it, or --no-model to compare these memories by their words."
    code = "confirmation_needed"

    def __init__(self, texts: int, seconds: float) -> None:
        minutes = round(seconds / 60)
        how_long = f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"
        super().__init__(f"Making vectors for {texts:,} memories will take about {how_long}.")
        self.texts, self.seconds = texts, seconds

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"texts": self.texts, "seconds": round(self.seconds)}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What may be done for memories without a vector.

    Attributes:
        use: False compares them by their words.
        name: a model on this machine; None: the default one.
        long_work: whether embedding may take more than two minutes.
        threads: how many work at once; None: as many as its library finds right, usually one for each core.
    """

    use: bool = True
    name: str | None = None
    long_work: bool = False
    threads: int | None = None


def compare(
    snapshots: Sequence[Snapshot],
    options: AnalysisOptions | None = None,
    model: ModelOptions | None = None,
    progress: Progress | None = None,
    *,
    remember: bool = True,
) -> tuple[Analysis, tuple[str, ...]]:
    """Analyse stores; also says, one sentence each, which memories were compared by their words, and why, and
    whether there were too many similar pairs for all to be looked at.

    A collection without any vector is embedded with the model. One that has some must have them from this very
    model: by its name, or because the model makes the stored vectors anew (`embed.probe`).

    Args:
        remember: whether scored pairs are kept in the cache folder, and those that are there are used.

    Raises:
        ModelUnavailable: the model that was named is not here.
        LongEmbedding: embedding will take more than two minutes.
        Cancelled: at any time; vectors made so far are remembered.
    """
    options, model, progress = options or AnalysisOptions(), model or ModelOptions(), progress or Progress()
    notes: list[str] = []
    completed = list(snapshots)
    if options.use_vectors:
        completed = [_completed(snapshot, options.scope, model, progress, notes) for snapshot in snapshots]
    found = analyze(completed, options, progress, PairCache(cache_dir() / "pairs") if remember else None)
    if found.left_out:
        notes.append(found.left_out)
    stored = [snapshots[store].by_key[record.key] for store, record in zip(found.store, found.records, strict=True)]
    return replace(found, records=tuple(stored)), tuple(notes)


def _completed(
    snapshot: Snapshot, scope: Scope, model: ModelOptions, progress: Progress, notes: list[str]
) -> Snapshot:
    infos, records = list(snapshot.collections), {record.key: record for record in snapshot}
    for number, info in enumerate(snapshot.collections):
        present = [record for record in snapshot if record.key.collection == info.name]
        lacking = [record for record in present if _lacks_a_vector(record) and scope.admits(record)]
        if not lacking:
            continue
        with_vector = [record for record in present if record.embedding is not None]
        fitting = fitting_model(info, with_vector, lacking, model, progress)
        if isinstance(fitting, str):
            number_of = f"{len(lacking):,} memories of {info.name}"
            notes.append(f"{number_of} have no vector and were compared by their words: {fitting}.")
            continue
        vectors = fitting.embed_whole([record.text or "" for record in lacking], progress)
        made = zip(lacking, vectors, strict=True)
        records.update((record.key, replace(record, embedding=vector)) for record, vector in made)
        if not with_vector:
            infos[number] = replace(info, model=fitting.name)
    return replace(snapshot, collections=tuple(infos), records=tuple(records.values()))


def _lacks_a_vector(record: MemoryRecord) -> bool:
    return record.embedding is None and record.state is State.LIVE and bool(record.text and record.text.strip())


def fitting_model(
    info: CollectionInfo,
    with_vector: list[MemoryRecord],
    lacking: list[MemoryRecord],
    model: ModelOptions,
    progress: Progress,
) -> embed.Embedder | str:
    """The model for a collection's missing vectors, or why there is none.

    Raises:
        ModelUnavailable, LongEmbedding: as `compare`.
    """
    name = model.name or embed.DEFAULT_MODEL
    own = not with_vector or _is_name_of(info.model, name)
    if not model.use:
        return "no model was wanted"
    if not own and model.name is None:
        return "it is not known which model made the others (--model NAME tries one)"
    if model.name is None and not embed.is_available():
        return "the models extra is not installed"
    progress.phase("Loading the model")
    embedder = embed.load(model.name, model.threads)
    if not own and embed.probe(embedder, with_vector, progress) < embed.SAME_MODEL:
        return f"{name} did not make the others"
    texts = [record.text or "" for record in lacking]
    seconds = embed.estimate_seconds(embedder, texts, progress)
    if seconds > WORTH_PREPARING_SECONDS and embedder.hasten(texts, progress):
        seconds = embed.estimate_seconds(embedder, texts, progress)
    if seconds > LONG_WORK_SECONDS and not model.long_work:
        raise LongEmbedding(len(lacking), seconds)
    return embedder


def _is_name_of(recorded: str | None, name: str) -> bool:
    """Whether the store's name of its model means this one (an organisation before it says nothing)."""
    return recorded is not None and recorded.rpartition("/")[2] == name.rpartition("/")[2]
