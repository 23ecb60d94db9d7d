"""Taking memories out into a portable file and bringing the tidied file back, without losing what came since.

An export leaves ``<file>.export-record.json`` beside the file: what every exported record said, in the
store and in the file. With it an import can tell three things apart that a plain file cannot: a memory
that the person dropped from the file, one that the assistant has added to the store since, and one that
was edited there since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memdefrag.base.errors import CollectionNeeded, CollectionNotFound, UsageError
from memdefrag.base.fsops import copy_file, fsync_dir, fsync_file, remove, rename, write_durable
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue, in_use, relations
from memdefrag.engine.apply import ApplyOptions, apply
from memdefrag.engine.export_record import counterpart, export_record, is_live, load_record, note_import, record_path
from memdefrag.engine.failures import disk_error
from memdefrag.engine.steady import State, steadily
from memdefrag.model.address import Address, parse
from memdefrag.model.carried import misread
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Drop, Plan, Ref, Relate, Result, Step, VectorRule, Write
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Metadata, Relation, Snapshot
from memdefrag.model.report import ApplyReport, Skipped
from memdefrag.model.service_metadata import restate
from memdefrag.stores.base import Store, read_snapshot
from memdefrag.stores.registry import open_store, resolve, store_class

DEFAULT_COLLECTION = "memory_collection"
"""What Memory Service calls its collection."""


@dataclass(frozen=True, slots=True)
class ImportChoices:
    """How a file is brought back.

    Attributes:
        collection: of the target; None: the one the file was exported from, its only one, or Memory Service's.
        mirror: also drop records of the store that the file never held.
        regenerate: make all vectors anew.
    """

    collection: str | None = None
    mirror: bool = False
    regenerate: bool = False


def export_store(
    source: str,
    target: Address,
    *,
    collection: str | None = None,
    limit: int | None = None,
    where: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> ApplyReport:
    """Write a collection (or the part of it that `where` selects) into a new file.

    Links between the memories go with them. What a program has open is exported as it is at one moment. An older file
    of that name is kept as ``<name>.<time>.bak``; the new one takes its place in one step.

    Args:
        where: metadata values, compared as text.

    Raises:
        CollectionNotFound, CollectionNeeded: as the source has them.
        StoreInUse: a program has the older file open.
    """
    progress = progress or Progress()

    def export(store: Store, state: State) -> ApplyReport:
        return _export(store, state, target, collection, limit, where or {}, progress)

    try:
        return steadily(source, progress, export)
    except OSError as error:
        raise disk_error(error, "The store was only read; an older file is where it was, or beside it.") from error
    finally:
        remove(_scratch(target))


def _export(
    store: Store,
    state: State,
    target: Address,
    collection: str | None,
    limit: int | None,
    where: Mapping[str, str],
    progress: Progress,
) -> ApplyReport:
    out = target.path.resolve()
    scratch = _scratch(target)
    name = choose_collection(store.collections(), collection or store.address.collection, str(state.address))
    store.address = store.address.select(name)
    snapshot = read_snapshot(store, progress)
    chosen = [record for record in snapshot.records if _selected(record, where)][:limit]
    inside = _collection_of(target)
    keys = {record.key: Key(inside or name, record.key.id) for record in chosen}
    steps = tuple(Write(Ref.of(record), keys[record.key], reason="export") for record in chosen)
    [info] = [info for info in snapshot.collections if info.name == name]
    plan = Plan(
        source=str(store.address),
        target=str(target.at(scratch)),
        settings={"reason": "export"},
        collections=(CollectionInfo(inside, 0, 0, 0) if inside else info,),
        steps=(*steps, *_relates(snapshot, keys)),
    )
    remove(scratch)
    report = apply(plan, ApplyOptions(), progress)
    inside_file = export_record(state.address.select(name), name, chosen, target.at(scratch))
    older = _take_place(scratch, out)
    write_durable(record_path(out), inside_file)
    lost = {f"the metric {info.metric}": len(chosen)} if inside and info.metric != "cosine" else {}
    copied = f"A private copy of the store was read: {state}." if state.was_copied else ""
    kept = f"An older file of that name is now {older}." if older else ""
    warnings = (*report.warnings, *filter(None, (copied, kept)))
    return replace(report, store=str(target), losses={**report.losses, **lost}, warnings=warnings)


def import_store(
    source: str,
    target: Address,
    *,
    choices: ImportChoices | None = None,
    options: ApplyOptions | None = None,
    progress: Progress | None = None,
) -> ApplyReport:
    """Bring a file into a store; the report lists records kept on purpose.

    A store that is absent is made, and so is a collection that is named and that a server lacks.
    """
    progress = progress or Progress()
    plan, kept = import_plan(source, target, choices or ImportChoices(), progress)
    report = apply(plan, options or ApplyOptions(), progress)
    made = [f"{target.location} had no collection {info.name!r}; it is new." for info in plan.collections]
    warnings = [*report.warnings, *(made if report.records_before or not target.is_local else ())]
    file = parse(plan.source).path
    if report.records_before and record_path(file).exists() and not load_record(file, target)[1]:
        warnings.append(f"{record_path(file)} is damaged or of another store: what the file lacks was kept.")
    if not report.dry_run and not report.output:
        try:
            note_import(plan, target)
        except OSError as error:
            told = f"The import is done, but {record_path(file)} could not be brought up to date ({error.strerror})"
            warnings.append(f"{told}: another import of this file keeps what it should bring in.")
    return replace(report, kept=kept, warnings=tuple(warnings))


def import_plan(
    source: str, target: Address, choices: ImportChoices, progress: Progress
) -> tuple[Plan, tuple[Skipped, ...]]:
    """The plan that brings `source` into `target`, and the records of the target that are kept on purpose.

    Raises:
        CollectionNotFound: the target exists on this machine and lacks the collection.
        UsageError: the source holds several collections.
    """
    given = resolve(source)
    with open_store(given) as store:
        names = [info.name for info in store.collections()]
        if len(names) > 1 and not given.collection:
            raise UsageError(f"{given.location} holds several collections: {', '.join(names)}.")
        file = read_snapshot(store, progress)
    origin, exported = load_record(given.path, target)
    with open_store(target, must_exist=False) as store:
        wanted = choices.collection or target.collection
        present, name = _present(store, target, wanted, origin, progress)
        merger = _Import(store, file, present, name, exported if origin in ("", name) else {}, choices)
        steps = tuple(merger.steps())
    plan = Plan(
        source=str(given),
        target=str(target.select(None)),
        source_fingerprint=file.fingerprint.content if file.fingerprint else "",
        settings={"reason": "import", "mirror": choices.mirror},
        collections=() if present.collection(name) else (_new_collection(name),),
        steps=steps,
    )
    return plan, tuple(merger.kept)


def _present(
    store: Store, target: Address, wanted: str | None, origin: str, progress: Progress
) -> tuple[Snapshot, str]:
    """What the target holds now, and the collection that is meant, which a server may lack.

    Raises:
        CollectionNotFound, CollectionNeeded: as `choose_collection`.
    """
    infos = store.collections() if store.exists else []
    names = [info.name for info in infos]
    name = wanted or (origin if origin in names else None)
    lacks = name not in names if name else not names
    makes = lacks and not target.is_local and store.capabilities.new_collections
    if store.exists and not makes:
        return read_snapshot(store, progress), choose_collection(infos, name, str(target))
    return Snapshot(str(target), tuple(infos)), name or _collection_of(target) or DEFAULT_COLLECTION


def _relates(snapshot: Snapshot, keys: Mapping[Key, Key]) -> Iterator[Relate]:
    """Steps for the links of a snapshot whose memories all get a key, those given here."""
    for relation in snapshot.relations:
        ends = (relation.source, relation.target)
        if all(end in keys for end in ends if isinstance(end, Key)):
            source, target = (keys[end] if isinstance(end, Key) else end for end in ends)
            yield Relate(replace(relation, source=source, target=target))


def choose_collection(infos: list[CollectionInfo], wanted: str | None, where: str) -> str:
    """The collection that is meant: the named one, the only one, or Memory Service's.

    Raises:
        CollectionNotFound: the named one does not exist.
        CollectionNeeded: there are several and none is named.
    """
    names = [info.name for info in infos]
    present = f"Collections present: {', '.join(names) or 'none'}."
    if wanted is not None:
        if wanted not in names:
            raise CollectionNotFound(f"ChromaDB collection not found: {wanted!r} in {where}.", todo=present)
        return wanted
    if len(names) == 1:
        return names[0]
    if DEFAULT_COLLECTION in names:
        return DEFAULT_COLLECTION
    if not names:
        raise CollectionNotFound(f"ChromaDB collection not found: {where} holds none.", todo=present)
    raise CollectionNeeded(f"{where} holds several collections.", todo=f"Name one with --collection. {present}")


class _Import:
    """Compares a file with the store it goes into, record by record."""

    def __init__(
        self,
        store: Store,
        file: Snapshot,
        present: Snapshot,
        name: str,
        record: dict[str, Any],
        choices: ImportChoices,
    ) -> None:
        self.store, self.file, self.present, self.name, self.choices = store, file, present, name, choices
        self.exported: dict[str, dict[str, str]] = record
        self.known = {said["as"]: said for said in record.values()}
        self.kept: list[Skipped] = []
        self.keys = {record.key: self._key(record) for record in file.records}

    def steps(self) -> list[Step]:
        """All that is to be done; what is kept on purpose is in `kept` afterwards."""
        taken = [step for record in self.file.records if (step := self._take(record))]
        in_file = set(self.keys.values())
        own = [record for record in self.present.records if record.key.collection == self.name and is_live(record)]
        gone = [drop for record in own if record.key not in in_file and (drop := self._missing(record))]
        there = {record.key for record in self.present.records if is_live(record)}
        return [*taken, *gone, *self._links(there.union(step.key for step in taken))]

    def _key(self, record: MemoryRecord) -> Key:
        """The memory of the store that the file's record is, or is to become."""
        id = self.exported[record.key.id]["as"] if record.key.id in self.exported else record.key.id
        key = counterpart(self.store, self.present.by_key, Key(self.name, id), record.text)
        return key if key in self.present.by_key else self.store.key_for(self.name, record)

    def _links(self, there: set[Key]) -> Iterator[Relate]:
        """The file's links that the store lacks and has both ends of; it keeps its own."""
        known = {self._link(each) for each in self.present.relations}
        keys = {given: key for given, key in self.keys.items() if key in there}
        yield from (step for step in _relates(self.file, keys) if self._link(step.relation) not in known)

    def _link(self, relation: Relation) -> relations.Identity:
        """What the store tells a link from others by."""
        fitted, _ = self.store.fit_relation(relation)
        return relations.identity(fitted or relation, parallel=self.store.capabilities.parallel_relations)

    def _take(self, record: MemoryRecord) -> Write | None:
        """What the file's record means for the store."""
        present = self.present.by_key.get(self.keys[record.key])
        known = self.exported.get(record.key.id)
        unchanged = known is not None and known["file"] == record_hash(record)
        said = misread(record, self.store.fit(record)[0])
        if said:
            self._keep(record, f"is live, and the store would not take it for that: it says {min(said)!r}; left out")
            return None
        if present is None:
            if unchanged:
                self._keep(record, "was removed from the store since the export; it stays removed")
                return None
            return self._write(record, None)
        if unchanged or (known is None and present.text == record.text and set(present.tags) == set(record.tags)):
            return self._write(record, present) if self.choices.regenerate else None
        if known is not None and known["store"] != record_hash(present):
            self._keep(present, "was edited in the store since the export; the store's version is kept")
            return None
        return self._write(record, present)

    def _missing(self, present: MemoryRecord) -> Step | None:
        """What is to become of a record of the store that the file does not hold."""
        known = self.known.get(present.key.id)
        if known is None and not self.choices.mirror:
            self._keep(present, "is not in the file, which never held it; kept")
            return None
        if known is not None and known["store"] != record_hash(present) and not self.choices.mirror:
            self._keep(present, "was dropped from the file, but edited in the store since the export; kept")
            return None
        return Drop(Ref.of(present), reason="not in the imported file")

    def _keep(self, record: MemoryRecord, reason: str) -> None:
        self.kept.append(Skipped.of(record.key, reason))

    def _write(self, record: MemoryRecord, present: MemoryRecord | None) -> Write:
        moments = (record.created, present.created if present else None)
        created = min((moment for moment in moments if moment is not None), default=None)
        metadata = _typed_like(record.metadata, present.metadata if present else {})
        changed = present is None or present.text != record.text
        result = Result(
            text=record.text,
            tags=record.tags,
            created=created,
            updated=record.updated,
            uri=record.uri,
            metadata=restate(
                metadata,
                tags=record.tags,
                created=created,
                updated=record.updated,
                text=record.text if changed else None,
            ),
            vector=self._vector_rule(record, present, changed),
        )
        expects = record_hash(present) if present else None
        return Write(Ref.of(record), self.keys[record.key], expects, result, reason="import")

    def _vector_rule(self, record: MemoryRecord, present: MemoryRecord | None, changed: bool) -> VectorRule:
        if self.choices.regenerate:
            return VectorRule.EMBED
        if present is not None and not changed:
            return VectorRule.KEEP
        return VectorRule.SOURCE if record.embedding is not None else VectorRule.EMBED


_COLUMNS = ("content_hash", "timestamp", "timestamp_float", "created_at")
"""Memory Service keys that Memory Defragmenter's file keeps in columns of its own."""


def _typed_like(given: Metadata, present: Metadata) -> Metadata:
    """The file's metadata, where a value reads the same with the type the store has for it.

    Memory Defragmenter turns all values into strings, and its file has no place for some of the service's keys.
    """
    own = {key: value for key, value in present.items() if key in _COLUMNS}
    same = {key: value for key, value in present.items() if key in given and str(given[key]) == str(value)}
    return {**given, **same, **own}


def _selected(record: MemoryRecord, where: Mapping[str, str]) -> bool:
    return all(str(record.metadata.get(key)) == value for key, value in where.items())


def _collection_of(target: Address) -> str | None:
    """The fixed collection name of formats that hold just one."""
    name: str | None = getattr(store_class(target.kind), "collection_name", None)
    return name


def _new_collection(name: str) -> CollectionInfo:
    settings = {"metadata": {"hnsw:space": "cosine"}}
    return CollectionInfo(name, 0, 0, 0, metric="cosine", settings=settings)


def _scratch(target: Address) -> Path:
    """Where a new file is written before it takes its place."""
    out = target.path.resolve()
    return out.with_name(f".{out.name}.export")


def _take_place(scratch: Path, out: Path) -> Path | None:
    """Let the new file take the old one's place; the old one is kept under another name, which is returned.

    The old one's record goes first: with the record of another export, an import would take memories that its
    file never held for dropped ones.
    """
    kept = None
    if out.exists():
        in_use.require_free([out])
        kept = out.with_name(f"{out.name}.{catalogue.new_id()}.bak")
        copy_file(out, kept)
        fsync_file(kept)
    remove(record_path(out))
    fsync_dir(out.parent)
    rename(scratch, out)
    return kept
