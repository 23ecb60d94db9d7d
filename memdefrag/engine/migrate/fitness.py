"""Whether memories can stand in the collections that they go into: their vectors, their models, their size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from memdefrag.analysis.embedding import embed as models
from memdefrag.analysis.embedding.embed import DEFAULT_MODEL, SAME_MODEL
from memdefrag.base.errors import ModelUnavailable, UsageError
from memdefrag.base.progress import Progress
from memdefrag.base.wording import count, plain
from memdefrag.engine.migrate.check import Check
from memdefrag.engine.migrate.routing import Route
from memdefrag.model.capabilities import Commit
from memdefrag.model.migration import MigrateOptions
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.base import Store

SAMPLE = 64
"""Memories by which the models of two collections are compared."""

DEFAULT_DIMENSION = 384
"""Of the default model's vectors, known without loading it."""

_ELSEWHERE = "choose another collection with --target-collection NAME"
_RE_EMBED = f"Make all vectors anew with --re-embed MODEL, or {_ELSEWHERE}."

Coming = Mapping[str, Sequence[MemoryRecord]]
"""The memories that take part, by the collection of the target that they go into."""


def dimensions(coming: Coming, target: Store, way: Route, options: MigrateOptions) -> Iterator[Check]:
    """Whether the vectors that meet in a collection are equally long."""
    if options.re_embed or _takes_any_vector(target):
        return
    if target.capabilities.shared_metrics:
        yield from _shared_dimension(coming, target, way)
        return
    for name, records in coming.items():
        found = _lengths(records)
        told = _told(found)
        taken = way.dimension(name)
        title = f"dimension of {plain(name)}"
        if len(found) > 1:
            yield Check(title, False, f"Vectors of different lengths would meet in {name!r}: {told}.", _RE_EMBED)
        elif found and taken not in (None, *found):
            holds = f"{name!r} holds vectors of {taken:,} dimensions"
            yield Check(title, False, f"{holds}; the source has {told}.", _RE_EMBED)
        elif found:
            yield Check(title, True, f"{told[:1].upper()}{told[1:]}.")


def _shared_dimension(coming: Coming, target: Store, way: Route) -> Iterator[Check]:
    """The same where the vectors of all collections meet."""
    found = _lengths(record for records in coming.values() for record in records)
    taken = next((info.dimension for info in way.present.values() if info.dimension), None)
    told, title = _told(found), "dimension"
    remedy = "Make all vectors anew with --re-embed MODEL, or make a store for each."
    if len(found) > 1:
        yield Check(title, False, f"{target.format} has vectors of one length; the source has {told}.", remedy)
    elif found and taken not in (None, *found):
        holds = f"{target.address.location} holds vectors of {taken:,} dimensions"
        yield Check(title, False, f"{holds}; the source has {told}.", remedy)
    elif found:
        yield Check(title, True, f"{told[:1].upper()}{told[1:]}.")


def _lengths(records: Iterable[MemoryRecord]) -> Counter[int]:
    return Counter(len(record.embedding) for record in records if record.embedding is not None)


def _told(lengths: Counter[int]) -> str:
    return ", ".join(f"{count(n, 'vector')} of {length:,} dimensions" for length, n in sorted(lengths.items()))


def metrics(sources: Sequence[CollectionInfo], target: Store, way: Route) -> Iterator[Check]:
    """Whether distances will mean what they mean in the source."""
    for info in sources:
        name = way.collection(info.name)
        shared, found = bool(target.capabilities.shared_metrics), way.metric(name)
        if not info.with_embedding or not (shared or name in way.present):
            continue
        title = f"metric of {plain(name)}"
        if found == info.metric:
            yield Check(title, True, f"Both measure by {info.metric}.")
        else:
            differs = f"{name!r} measures by {found}, the source by {info.metric}: distances will differ."
            elsewhere = "Only another store can keep the source's" if shared else f"To keep the source's, {_ELSEWHERE}"
            yield Check(title, True, differs, f"{elsewhere}.")


def same_models(
    sources: Sequence[CollectionInfo], coming: Coming, target: Store, way: Route, options: MigrateOptions,
    progress: Progress,
) -> Iterator[Check]:  # fmt: skip
    """Whether the vectors that meet in a collection come from one model."""
    if options.re_embed:
        yield _named_model(options.re_embed)
        return
    if _takes_any_vector(target):
        return
    told = {way.collection(info.name): info.model for info in sources}
    for name, records in coming.items():
        present = way.present.get(name)
        some = [record for record in records if record.embedding is not None]
        if present is None or not present.with_embedding or not some or present.dimension != _length(some):
            continue
        yield _same_model(name, told.get(name), present, some, target, progress)


def largest(coming: Coming, target: Store) -> Iterator[Check]:
    """Whether the target takes the longest text."""
    texts = [(name, record) for name, records in coming.items() for record in records if record.text]
    if not texts:
        return
    name, record = max(texts, key=lambda each: len(each[1].text or ""))
    size = len((record.text or "").encode("utf-8", "surrogatepass"))
    told = f"The longest text ({plain(record.key.id)}) has {size:,} bytes."
    # Under a name of its own: what is wrong with the record's is another matter, and a target may remember whom it saw.
    anonymous = record.with_key(Key(name, "memdefrag-longest-text"))
    try:
        # A name that is made of the text would be the record's again.
        key = anonymous.key if target.capabilities.content_ids else target.key_for(name, anonymous)
        refusal = target.refusal(target.fit(anonymous.with_key(key))[0])
    except UsageError:
        # It cannot be said there at all, and is listed as failed for that.
        return
    if refusal:
        yield Check("largest memory", True, f"{told} The target refuses it: {refusal}.", "It is listed as failed.")
    else:
        yield Check("largest memory", True, told)


def _takes_any_vector(target: Store) -> bool:
    """Whether vectors do not meet there: it keeps none, or is a file that hands on whatever it was given."""
    return not target.capabilities.vectors or target.capabilities.commit is Commit.FILE


def _same_model(
    name: str, model: str | None, present: CollectionInfo, some: Sequence[MemoryRecord], target: Store,
    progress: Progress,
) -> Check:  # fmt: skip
    title = f"model of {plain(name)}"
    alike = _alike(name, some, target)
    if alike is not None and alike >= SAME_MODEL:
        return Check(title, True, "The vectors of memories that both have are the same.")
    if alike is not None:
        detail = f"Memories that both have got different vectors in {name!r} (their cosine is {alike:.2f}): two models."
        return Check(title, False, detail, _RE_EMBED)
    if model and present.model:
        if _bare(model) == _bare(present.model):
            return Check(title, True, f"Both name {model}.")
        detail = f"The vectors of {name!r} are made by {present.model}, those of the source by {model}."
        return Check(title, False, detail, _RE_EMBED)
    return _probed(title, name, some, present, target, progress)


def _alike(name: str, some: Sequence[MemoryRecord], target: Store) -> float | None:
    """The median cosine of the vectors of memories that say the same on both sides; None where there are none."""
    asked = some[:: max(1, len(some) // SAMPLE)][:SAMPLE]
    there = {record.key.id: record for record in target.fetch([Key(name, record.key.id) for record in asked])}
    pairs = [
        (record.embedding, other.embedding)
        for record in asked
        if (other := there.get(record.key.id)) is not None
        and other.text == record.text
        and record.embedding is not None
        and other.embedding is not None
    ]
    cosines = [
        float(one @ other) / norm
        for one, other in pairs
        if one.shape == other.shape and (norm := float(np.linalg.norm(one) * np.linalg.norm(other)))
    ]
    return float(np.median(cosines)) if cosines else None


def _probed(
    title: str, name: str, some: Sequence[MemoryRecord], present: CollectionInfo, target: Store, progress: Progress
) -> Check:
    """Whether the default model, where it is at hand, makes the vectors of both sides."""
    unknown = Check(
        title,
        True,
        f"Which model made the vectors of {name!r} and of the source is not known.",
        "If they are two, searches compare what cannot be compared: make all anew with --re-embed MODEL.",
    )
    if present.dimension != DEFAULT_DIMENSION or not models.is_available():
        return unknown
    embedder = models.load()
    there = islice((record for batch in target.scan(name, batch=SAMPLE) for record in batch), SAMPLE)
    makes = [models.probe(embedder, records, progress) >= SAME_MODEL for records in (some[:SAMPLE], list(there))]
    if all(makes):
        return Check(title, True, f"{DEFAULT_MODEL} makes the vectors of both.")
    if not any(makes):
        return unknown
    one, other = ("the source", f"{name!r}") if makes[0] else (f"{name!r}", "the source")
    return Check(title, False, f"{DEFAULT_MODEL} makes the vectors of {one}, and not those of {other}.", _RE_EMBED)


def _named_model(model: str) -> Check:
    try:
        models.load(model)
    except ModelUnavailable as error:
        return Check.failed("model", error)
    return Check("model", True, f"{model} makes all vectors anew.")


def _length(some: Sequence[MemoryRecord]) -> int:
    vector = some[0].embedding
    return 0 if vector is None else len(vector)


def _bare(model: str) -> str:
    """A model's name without the organisation before it."""
    return model.rpartition("/")[2]
