"""Gives a collection on a Chroma server another metric or other vectors.

Both are settled for good when a collection is made, so another one is made beside it, filled, read back, and takes
over the name. The old one stays under another name until the person lets it go. Programs that have the collection
open go on using the old one until they are restarted; what they write there before the end of the job is carried
over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memdefrag.analysis.embedding.embed import DEFAULT_MODEL
from memdefrag.base.errors import (
    CollectionNeeded,
    MemdefragError,
    ModelUnavailable,
    StoreDamaged,
    UnfinishedJob,
    UsageError,
)
from memdefrag.base.fsops import make_private_dir, write_durable
from memdefrag.base.progress import Progress
from memdefrag.base.settings import data_dir
from memdefrag.engine import catalogue, in_place, recover
from memdefrag.engine.backups.create import create
from memdefrag.engine.backups.shelf import find
from memdefrag.engine.compare import ModelOptions, fitting_model
from memdefrag.engine.embedding import Embed
from memdefrag.engine.failures import told_with
from memdefrag.engine.journal import Facts, Job, JobState
from memdefrag.engine.owner import Owner
from memdefrag.model.address import Address, parse
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.model.report import ApplyReport, Skipped
from memdefrag.stores.base import read_snapshot
from memdefrag.stores.chroma import server_staged
from memdefrag.stores.chroma.server import ChromaHttp
from memdefrag.stores.chroma.server_staged import MARK, Switch
from memdefrag.stores.registry import open_store, resolve

PAGE = 500
COPIED = "copied.json"
"""In the job's folder: what was copied, for a catch-up after a crash."""

_METRICS = ("cosine", "l2", "ip")

Copied = dict[str, tuple[str, str]]
"""By id: hash of a record in the old collection, and of what was written for it."""


def recollect(
    address: str,
    *,
    metric: str | None = None,
    embed: Embed | None = None,
    function: dict[str, Any] | None = None,
    drop_old: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ApplyReport:
    """Make the collection that the address selects anew, under another metric, or with vectors of another model.

    Args:
        metric: "cosine", "l2" or "ip"; None: as it is.
        embed: makes the vectors; None: they are copied.
        function: the entry of the embedding function that makes them, for the programs that ask; only with `embed`.
            Without `embed` the entry of the old collection is kept.
        drop_old: remove the old collection afterwards, unless something in it could not be carried over.
        dry_run: look whether it can be done, and write nothing.

    Raises:
        UsageError: not a collection on a Chroma server, nothing to change, or memories without a text to embed.
        CollectionNeeded, CollectionNotFound: none is selected, or not one that is there.
        VerificationFailed, ServerUnreachable, …: as their messages say. The name then means the old collection, or,
            if that was the last thing to happen, the new one; `recover` tells, and finishes it.
    """
    started, progress = time.monotonic(), progress or Progress()
    place = resolve(address)
    with open_store(place) as store:
        if not isinstance(store, ChromaHttp):
            raise UsageError("Only collections on a Chroma server are made anew like this.")
        if place.collection is None:
            raise CollectionNeeded("Which collection is to be made anew?", todo="Name it: ADDRESS#COLLECTION.")
        found = store.server.place(place.collection)
        info = next(each for each in store.collections() if each.name == place.collection)
        if metric not in (None, *_METRICS) or (metric in (None, info.metric) and embed is None):
            raise UsageError("Nothing is to be changed.", todo=f"Name a metric ({', '.join(_METRICS)}) or a model.")
        job_id = catalogue.new_id()
        names = Switch(place.collection, found.collection.id, job_id.rpartition("-")[2])
        old_function = info.settings.get("embedding_function")
        target = server_staged.planned(info, names.staged, metric or info.metric, function if embed else old_function)
        report = ApplyReport(str(place), "recollect", dry_run, info.count, info.count, 0, info.count, 0, 0)
        if dry_run:
            _require_texts(store, names.live, embed)
            return replace(report, seconds=time.monotonic() - started)
        backup, skipped = _Work(_Copy(store, names, embed, progress, {}), target).run(job_id)
        after = next(each for each in store.collections() if each.name == names.live)
        is_dropped = drop_old and not skipped
        if is_dropped:
            store.server.drop(store.server.place(names.old))
    return replace(
        report,
        records_after=after.count,
        written=after.count,
        bytes_after=0,
        backup=backup,
        backup_folder=str(find(backup).folder),
        skipped=skipped,
        next_steps=_next_steps(place, None if is_dropped else names.old),
        seconds=time.monotonic() - started,
    )


def _next_steps(place: Address, kept: str | None) -> tuple[str, ...]:
    if kept is None:
        return ("Restart the programs that use this collection: the one that they have open is gone.",)
    return (
        "Restart the programs that use this collection: until then they go on with the old one.",
        f"The old collection is kept as {kept}. When all is well, remove it: "
        f"memdefrag migrate {place} {place} --drop-old",
    )


def _require_texts(store: ChromaHttp, collection: str, embed: Embed | None) -> None:
    """Insist that vectors can be made for all memories, where they are to be made."""
    for page in store.scan(collection, vectors=False, batch=PAGE) if embed else ():
        if bare := next((record for record in page if record.text is None), None):
            raise UsageError(f"{bare.key} has no text, so no other vector can be made for it.")


def with_named(address: str, options: ModelOptions, progress: Progress) -> tuple[Embed, dict[str, Any] | None]:
    """What makes the vectors of a whole collection with the named model, and the entry that tells programs of it.

    Raises:
        ModelUnavailable: the model is not here.
        LongEmbedding: it will take more than two minutes, and nobody agreed to that.
    """
    place = resolve(address)
    with open_store(place) as store:
        records = [r for page in store.scan(place.collection or "", vectors=False, batch=PAGE) for r in page if r.text]
    model = fitting_model(CollectionInfo(place.collection or "", 0, 0, 0), [], records, options, progress)
    if isinstance(model, str):
        raise ModelUnavailable(f"No vectors can be made: {model}.")

    def embed(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
        return model.embed(list(texts), progress)

    return embed, _entry(options.name or model.name)


def _entry(model: str) -> dict[str, Any] | None:
    """chromadb's own entry for a model of sentence-transformers; none for a folder of this machine."""
    if Path(model).exists():
        return None
    if model.rpartition("/")[2] == DEFAULT_MODEL:
        return {"type": "known", "name": "default", "config": {}}
    config = {"model_name": model, "device": "cpu", "normalize_embeddings": False, "kwargs": {}}
    return {"type": "known", "name": "sentence_transformer", "config": config}


def kept(address: str) -> list[str]:
    """The addresses of the old collections of that name that were kept.

    Raises:
        UsageError: not a collection on a Chroma server.
    """
    place = resolve(address)
    with open_store(place.select(None)) as store:
        if not isinstance(store, ChromaHttp) or place.collection is None:
            raise UsageError(f"{address} is no collection on a Chroma server.")
        names = [info.name for info in store.collections()]
    return [str(place.select(name)) for name in names if name.startswith(f"{place.collection}{MARK}old-")]


def let_go(address: str) -> None:
    """Remove an old collection that was kept, which the address selects.

    Raises:
        UsageError: it is not one that `recollect` left behind.
    """
    place = resolve(address)
    with open_store(place) as store:
        if not isinstance(store, ChromaHttp) or place.collection is None or f"{MARK}old-" not in place.collection:
            raise UsageError(f"{address} is no collection that was kept when another took its name.")
        store.server.drop(store.server.place(place.collection))


def settle(job: Job, facts: Facts) -> tuple[str, str]:
    """Let the name mean the new collection if that was whole when the work stopped; else remove the new one.

    What programs wrote into the old one meanwhile is carried over, where that needs no model.

    Returns:
        "applied" or "discarded", and what else there is to say.

    Raises:
        StoreDamaged: the journal is not ours, or the old collection is gone; nothing was touched.
        MemdefragError: the server cannot be reached; it can be tried again.
    """
    names = Switch.of(facts)
    with open_store(parse(facts["store"]), must_exist=False) as store:
        if not isinstance(store, ChromaHttp) or job.target != Job.of_live(store.address.whole()).target:
            raise StoreDamaged(f"The journal in {job.folder} is not one this memdefrag wrote.")
        if facts.get("state") == JobState.SWAPPED:
            return recover.APPLIED, ""
        if facts.get("state") != JobState.SWAP:
            server_staged.discard(store.server, names)
            return recover.DISCARDED, ""
        if not server_staged.switch(store.server, names):
            return recover.DISCARDED, ""
        return recover.APPLIED, _after_crash(store, names, job)


def _after_crash(store: ChromaHttp, names: Switch, job: Job) -> str:
    told = json.loads((job.folder / COPIED).read_bytes())
    kept = f"The collection from before is kept as {names.old}."
    if told["renewed"]:
        return f"{kept} What programs wrote into it after that is only there."
    copied = {id: (source, written) for id, (source, written) in told["copied"].items()}
    left = list(_Copy(store, names, None, Progress(), copied).catch_up())
    return kept if not left else f"{kept} {left[0].record}: {left[0].reason}."


class _Work:
    """One run: the job, the settings of the new collection, and the copy that fills it."""

    def __init__(self, copy: _Copy, target: CollectionInfo) -> None:
        self.copy, self.target = copy, target
        self.store, self.names = copy.store, copy.names
        self.job = Job.of_live(copy.store.address.whole())

    def run(self, job_id: str) -> tuple[str, tuple[Skipped, ...]]:
        """Carry it out; whatever comes of that, the name means the old collection or the new one."""
        make_private_dir(data_dir())
        owner = Owner(job_id)
        facts = {"id": job_id, **owner.facts, "store": str(self.store.address.select(None))}
        try:
            catalogue.record("job", path=str(self.job.target), **facts)
            try:
                recover.begin(self.job, **facts, kind=recover.STAGED_COLLECTION, **self.names.facts)
                done = self._carry_out(job_id)
            except UnfinishedJob:
                recover.forget(job_id)
                raise
            except BaseException as error:
                self._settle(job_id, error)
                raise
            recover.settle(self.job, job_id)
            return done
        finally:
            owner.leave()

    def _settle(self, job_id: str, error: BaseException) -> None:
        try:
            settled = recover.settle(self.job, job_id)
        except MemdefragError as trouble:
            trouble.safe = "The collection is there under its own name or beside it; `memdefrag recover` tells."
            raise trouble from error
        if settled.outcome == recover.APPLIED:
            raise told_with(error, f"The new collection is in place. {settled.note}") from error

    def _carry_out(self, job_id: str) -> tuple[str, tuple[Skipped, ...]]:
        progress = self.copy.progress
        with open_store(self.store.address.select(None)) as whole:
            backup = create(whole, read_snapshot(whole, progress), "before recollect", progress, job=job_id)
        self.job.note(JobState.BACKED_UP, backup=backup.id)
        self.store.write(Changes(collections=(self.target,)), progress)
        for page in self.store.scan(self.names.live, batch=PAGE):
            self.copy.put(page, {}, self.names.staged)
        told = {"renewed": self.copy.embed is not None, "copied": self.copy.copied}
        write_durable(self.job.folder / COPIED, json.dumps(told).encode())
        self.job.note(JobState.SWAP)
        server_staged.switch(self.store.server, self.names)
        skipped = tuple(self.copy.catch_up())
        self.job.note(JobState.SWAPPED)
        return backup.id, skipped


class _Copy:
    """Fills the new collection from the old one.

    Attributes:
        copied: what was written so far.
    """

    def __init__(
        self, store: ChromaHttp, names: Switch, embed: Embed | None, progress: Progress, copied: Copied
    ) -> None:
        self.store, self.names, self.embed, self.progress, self.copied = store, names, embed, progress, copied

    def put(self, page: Sequence[MemoryRecord], present: Mapping[str, MemoryRecord], collection: str) -> None:
        """Write records into a new collection, each batch read back; over what is `present` there."""
        puts = []
        for record, renewed in zip(page, self._renewed(page), strict=True):
            fitted = self.store.fit(renewed.with_key(Key(collection, record.key.id)))[0]
            self.copied[record.key.id] = (record_hash(record), record_hash(fitted))
            there = present.get(record.key.id)
            puts.append(Put(fitted, record_hash(there) if there else None))
        in_place.write(self.store, Changes(put=tuple(puts)), [(put.record.key,) for put in puts], self.progress)

    def catch_up(self) -> Iterator[Skipped]:
        """Carry over what programs wrote meanwhile into the old collection, or into one that they made in between."""
        present = {place.collection.name for place in self.store.server.places()}
        copied = dict(self.copied)
        if self.names.aside in present:
            yield from self._carry_over(self.names.aside, {})
            yield Skipped(self.names.aside, "a program made this collection meanwhile; what it holds was carried over")
        yield from self._carry_over(self.names.old, copied)

    def _carry_over(self, source: str, copied: Copied) -> Iterator[Skipped]:
        live = self.names.live
        seen: set[str] = set()
        for page in self.store.scan(source, batch=PAGE):
            seen.update(record.key.id for record in page)
            new = [r for r in page if copied.get(r.key.id, ("",))[0] != record_hash(r)]
            there = {r.key.id: r for r in self.store.fetch(Key(live, record.key.id) for record in new)}
            ours = [r for r in new if r.key.id not in there or _is_ours(there[r.key.id], copied)]
            yield from (Skipped.of(r.key, "was changed in both collections meanwhile") for r in new if r not in ours)
            self.put(ours, there, live)
        gone = self.store.fetch(Key(live, id) for id in copied.keys() - seen)
        refs = tuple(Ref.of(record) for record in gone if _is_ours(record, copied))
        in_place.write(self.store, Changes(delete=refs), [(ref.key,) for ref in refs], self.progress)

    def _renewed(self, page: Sequence[MemoryRecord]) -> Sequence[MemoryRecord]:
        """The records with the vectors that they are to have."""
        if self.embed is None or not page:
            return page
        bare = [record for record in page if record.text is None]
        if bare:
            raise UsageError(f"{bare[0].key} has no text, so no other vector can be made for it.")
        vectors = self.embed([record.text or "" for record in page], [])
        return [
            replace(record, embedding=np.asarray(vector, np.float32))
            for record, vector in zip(page, vectors, strict=True)
        ]


def _is_ours(record: MemoryRecord, copied: Copied) -> bool:
    """Whether a record of the new collection is still what was written there."""
    return record.key.id in copied and copied[record.key.id][1] == record_hash(record)
