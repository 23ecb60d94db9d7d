"""What becomes of each memory of the source: written, left as it is, or refused, and why. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from memdefrag.analysis.embedding.embed import Embedder
from memdefrag.base.errors import UsageError
from memdefrag.engine.migrate.ledger import Ledger
from memdefrag.engine.migrate.mapping import mapped
from memdefrag.engine.migrate.routing import Route
from memdefrag.engine.verify import same_vector
from memdefrag.model import codec
from memdefrag.model.capabilities import Capabilities
from memdefrag.model.carried import carry, uncarry
from memdefrag.model.hashing import record_hash
from memdefrag.model.migration import Conflict, Entry, MigrateOptions, Outcome
from memdefrag.model.records import DEAD, Key, MemoryRecord, Snapshot
from memdefrag.model.terms import service_tags
from memdefrag.stores.base import Store

NO_VECTOR = "a vector, without which searches by meaning do not find it (none can be made: {})"
DEAD_VECTOR = "the vector of a memory that is deleted or replaced (the target keeps none)"
REMOVED = "is unchanged since the last migration; the target has removed it since"
CHANGED = "is unchanged since the last migration; the target's was changed since, and stays"
UNCHANGED = "is unchanged since the last migration"


@dataclass
class Sorted:
    """Every memory of the source with what becomes of it.

    Attributes:
        write: what is to be written, by its key in the source: already fitted, and under its key in the target.
        embed: keys in the source of those whose vector is to be made.
        placed: where each memory is in the target afterwards, by its key in the source.
        stale: keys in the target of those that a finished migration wrote and that disappeared from the source.
    """

    entries: list[Entry] = field(default_factory=list)
    write: dict[Key, MemoryRecord] = field(default_factory=dict)
    embed: set[Key] = field(default_factory=set)
    placed: dict[Key, Key] = field(default_factory=dict)
    gone: list[Key] = field(default_factory=list)
    stale: list[Key] = field(default_factory=list)


@dataclass
class Classifier:
    """Compares the memories of a source with what the target holds, one after another.

    Attributes:
        origin: what the source can hold.
        makers: by collection of the target, the model that makes the vectors that are missing, or why there is none.
        ledger: what the last migration between the two wrote; None: nothing is to be caught up with.
    """

    target: Snapshot
    store: Store
    route: Route
    options: MigrateOptions
    makers: Mapping[str, Embedder | str]
    origin: Capabilities
    ledger: Ledger | None = None
    done: Sorted = field(default_factory=Sorted)
    pending: dict[Key, MemoryRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._capabilities = self.store.capabilities
        # Where ids are hashes of texts: the collection into which each goes.
        self._texts: dict[str, str] = {}

    def take(self, records: Iterable[MemoryRecord]) -> None:
        """Decide about these records.

        Where ids are paths and the target cannot have a memory beside a folder of its name, the one gives way, not
        the many in the folder: it is looked at after them. Of a name that a live and a dead memory want, such as the
        hash of their text, the live one gets it.
        """
        for record in sorted(records, key=lambda record: (record.state in DEAD, *_folders_first(record))):
            try:
                self._take(record)
            except UsageError as error:
                self._note(record, record.key, Outcome.FAIL, error.message)

    def leave_out(self, duplicates: Mapping[Key, str]) -> None:
        """Take back what was decided about these, by their keys in the source; each with the reason."""
        for key in duplicates:
            self.pending.pop(self.done.write.pop(key).key)
            self.done.embed.discard(key)
            del self.done.placed[key]
        self.done.entries = [
            replace(entry, outcome=Outcome.DUPLICATE, reason=duplicates[entry.source], losses=(), replaces=False)
            if entry.source in duplicates else entry
            for entry in self.done.entries
        ]  # fmt: skip

    def catch_up(self, source: Iterable[Key], *, mirror: bool) -> None:
        """Note what disappeared from the source since the last migration, and what of it is to be removed here.

        What another memory of the source is in the target, too, stays; and what was there before any migration.

        Args:
            source: all that is in the source, taking part or not, readable or not.
        """
        here = set(source) - {entry.source for entry in self.done.entries if entry.outcome is Outcome.DEAD}
        ledger = self.ledger or {}
        needed = {*self.done.placed.values(), *(known.target for key, known in ledger.items() if key in here)}
        for key, known in ledger.items():
            if key in here:
                continue
            self.done.gone.append(key)
            present = self.target.by_key.get(known.target)
            unchanged = present is not None and record_hash(present) == known.written
            if mirror and unchanged and known.ours and known.target not in needed:
                self.done.stale.append(known.target)
                needed.add(known.target)

    def staying(self) -> Snapshot:
        """What the target holds now and after the migration, too."""
        going = {*self.pending, *self.done.stale}
        return replace(self.target, records=tuple(each for each in self.target if each.key not in going))

    def fail(self, unreadable: Iterable[tuple[Key, str]]) -> None:
        """Note the memories that the source itself cannot read."""
        self.done.entries += [Entry(key, key, Outcome.FAIL, reason) for key, reason in unreadable]

    def _take(self, record: MemoryRecord) -> None:
        # Computed before anything is made of it: what says the same by another name keeps it.
        record_hash(record)
        original = uncarry(self._as_meant(record))
        meant = mapped(self.store.adopted(original), self.options.metadata)
        collection = self.route.collection(record.key.collection)
        key = self.store.key_for(collection, meant)
        if self.options.re_embed:
            meant = replace(meant, embedding=None)
        tags = original.tags if meant.tags == service_tags(original.tags) else None
        fitted, losses = carry(meant, key, self._fit, tags)
        known = self.ledger.get(record.key) if self.ledger else None
        if known and known.source == record_hash(record):
            present = self.target.by_key.get(known.target)
            if present is not None:
                reason = UNCHANGED if record_hash(present) == known.written else CHANGED
                self._place(record, known.target, Outcome.SAME, reason)
            else:
                self._note(record, known.target, Outcome.SAME, REMOVED)
            return
        if fitted.state is not record.state and record.state in DEAD:
            self._note(record, key, Outcome.DEAD, f"is {record.state.value} in the source")
            return
        needs_vector = self._needs_vector(fitted)
        refusal = self._refusal(fitted, needs_vector)
        present = self.pending.get(key) or self.target.by_key.get(key)
        if refusal:
            self._note(record, key, Outcome.FAIL, refusal)
        elif present is None:
            self._write(record, fitted, losses, needs_vector)
        elif self._is_same(meant, fitted, present):
            self._place(record, key, Outcome.SAME, "is there already")
        elif self.store.is_placeholder(present) or (known and known.written == record_hash(present)):
            self._write(record, fitted, losses, needs_vector, "replaces what is there", replaces=True)
        elif self.store.is_placeholder(meant):
            self._place(record, present.key, Outcome.CONFLICT, "was made by its program itself; the one there stays")
        else:
            self._clash(record, meant, tags, fitted, present, losses, needs_vector)

    def _as_meant(self, record: MemoryRecord) -> MemoryRecord:
        """The record with metadata that mean what they say, whatever the source has no types for."""
        metadata = codec.meant(record.metadata, self.origin)
        return record if metadata is record.metadata else replace(record, metadata=metadata)

    def _fit(self, record: MemoryRecord) -> tuple[MemoryRecord, tuple[str, ...]]:
        """What the target makes of a record whose metadata mean what they say."""
        metadata = codec.guarded(record.metadata, self._capabilities)
        return self.store.fit(record if metadata is record.metadata else replace(record, metadata=metadata))

    def _clash(
        self,
        record: MemoryRecord,
        meant: MemoryRecord,
        tags: tuple[str, ...] | None,
        fitted: MemoryRecord,
        present: MemoryRecord,
        losses: tuple[str, ...],
        needs_vector: bool,
    ) -> None:
        """The name is taken by something else: what is done is the person's choice."""
        differs = f"differs in {differences(fitted, present)} from the one that is there"
        rival = self.pending.get(present.key)
        only_dead = record.state in DEAD and rival is not None and rival.state not in DEAD
        choice = Conflict.SKIP if only_dead else self.options.conflict
        if choice is Conflict.KEEP_BOTH:
            beside = self._beside(meant, tags, fitted.key)
            if beside is None:
                self._place(record, present.key, Outcome.CONFLICT, f"{differs}; the target takes no second name for it")
            elif beside.key in self.target.by_key:
                self._place(record, beside.key, Outcome.SAME, "is there already, beside another")
            else:
                self._write(record, beside, losses, needs_vector, f"{differs}; written beside it")
            return
        newer = _moment(record) > _moment(present)
        if choice is Conflict.OVERWRITE or (choice is Conflict.NEWEST and newer):
            self._write(record, fitted, losses, needs_vector, f"{differs}, which it replaces", replaces=True)
        else:
            self._place(record, present.key, Outcome.CONFLICT, differs)

    def _beside(self, meant: MemoryRecord, tags: tuple[str, ...] | None, taken: Key) -> MemoryRecord | None:
        """The fitted record under the first numbered variant of a name that is free, or that it has already."""
        for number in count(2):
            key = Key(taken.collection, f"{taken.id}-{number}")
            try:
                tried, _ = carry(meant.with_key(key), key, self._fit, tags)
                if self.store.key_for(key.collection, tried) != key:
                    return None
            except UsageError:
                return None
            present = self.target.by_key.get(key)
            if key not in self.pending and (present is None or record_hash(present) == record_hash(tried)):
                return tried
        return None

    def _needs_vector(self, fitted: MemoryRecord) -> bool:
        capabilities = self._capabilities
        found = capabilities.searched and fitted.state not in DEAD
        wanted = found or not capabilities.null_vector or self.options.re_embed is not None
        return wanted and capabilities.vectors and fitted.embedding is None and fitted.text is not None

    def _drops_of_dead(self, record: MemoryRecord, fitted: MemoryRecord) -> bool:
        """Whether a memory that no search finds loses a vector that it has."""
        return fitted.state in DEAD and record.embedding is not None and fitted.embedding is None

    def _maker(self, fitted: MemoryRecord) -> Embedder | str:
        """Who makes a vector that it lacks, or why nobody does."""
        return self.makers.get(fitted.key.collection, "no model was asked for")

    def _refusal(self, fitted: MemoryRecord, needs_vector: bool) -> str | None:
        vector, can_lack = fitted.embedding, self._capabilities.null_vector
        maker = self._maker(fitted)
        made = vector is None and needs_vector and not isinstance(maker, str)
        if vector is None and not can_lack and not made:
            return (
                f"has no vector, and none can be made: {maker}"
                if fitted.text is not None
                else "has neither text nor vector"
            )
        taken = self.route.dimension(fitted.key.collection)
        if vector is not None and taken not in (None, len(vector)):
            return f"has a vector of {len(vector):,} dimensions; {fitted.key.collection!r} takes those of {taken:,}"
        there = self._texts.get(fitted.key.id, fitted.key.collection)
        if there != fitted.key.collection:
            return f"the target keeps a text only once, and another memory of this text goes into {there!r}"
        if made:
            fitted = replace(fitted, embedding=np.ones(taken or 1, np.float32))
        return self.store.refusal(fitted)

    def _is_same(self, meant: MemoryRecord, fitted: MemoryRecord, present: MemoryRecord) -> bool:
        if self.store.is_placeholder(meant) and self.store.is_placeholder(present):
            return True
        if record_hash(fitted) != record_hash(present):
            # What the target itself gives to a memory, such as when it was last read, is the target's affair.
            own = fitted.extras.keys() & present.extras.keys() - meant.extras.keys()
            given = {name: present.extras[name] for name in own}
            if not own or record_hash(replace(fitted, extras={**fitted.extras, **given})) != record_hash(present):
                return False
        either_none = fitted.embedding is None or present.embedding is None
        return not self.options.re_embed and (either_none or same_vector(fitted.embedding, present.embedding))

    def _write(
        self,
        record: MemoryRecord,
        fitted: MemoryRecord,
        losses: tuple[str, ...],
        needs_vector: bool,
        reason: str = "",
        *,
        replaces: bool = False,
    ) -> None:
        earlier = (
            next((source for source, placed in self.done.placed.items() if placed == fitted.key), None)
            if fitted.key in self.pending
            else None
        )
        if earlier:
            self._outdo(earlier, record)
            replaces = fitted.key in self.target.by_key
        if needs_vector and not isinstance(self._maker(fitted), str):
            self.done.embed.add(record.key)
            losses = tuple(loss for loss in losses if "absence of a vector" not in loss)
        elif needs_vector:
            losses = (*losses, NO_VECTOR.format(self._maker(fitted)))
        elif self._drops_of_dead(record, fitted) and not any("vector" in loss for loss in losses):
            losses = (*losses, DEAD_VECTOR)
        self.done.write[record.key] = fitted
        self.pending[fitted.key] = fitted
        if self._capabilities.content_ids:
            self._texts[fitted.key.id] = fitted.key.collection
        self.done.placed[record.key] = fitted.key
        self.done.entries.append(Entry(record.key, fitted.key, Outcome.COPY, reason, losses, replaces))

    def _outdo(self, earlier: Key, record: MemoryRecord) -> None:
        """Of two memories of the source that want one name, this one gets it."""
        self.done.write.pop(earlier, None)
        self.done.embed.discard(earlier)
        reason = f"{record.key} of the source gets its name"
        self.done.entries = [
            replace(entry, outcome=Outcome.CONFLICT, reason=reason) if entry.source == earlier else entry
            for entry in self.done.entries
        ]

    def _place(self, record: MemoryRecord, key: Key, outcome: Outcome, reason: str) -> None:
        self.done.placed[record.key] = key
        self._note(record, key, outcome, reason)

    def _note(self, record: MemoryRecord, key: Key, outcome: Outcome, reason: str) -> None:
        self.done.entries.append(Entry(record.key, key, outcome, reason))


def differences(one: MemoryRecord, other: MemoryRecord) -> str:
    """In what two memories of one name differ, in words."""
    names = ("text", "tags", "created", "updated", "uri", "owner", "state", "extras")
    found = [name for name in names if getattr(one, name) != getattr(other, name)]
    keys = sorted(
        key for key in one.metadata.keys() | other.metadata.keys() if one.metadata.get(key) != other.metadata.get(key)
    )
    found += [f"metadata ({', '.join(keys[:5])})"] if keys else []
    return ", ".join(found) or "its vector"


def _folders_first(record: MemoryRecord) -> tuple[str, list[tuple[str, bool]]]:
    *folders, last = record.key.id.split("/")
    return record.key.collection, [*((folder, False) for folder in folders), (last, True)]


def _moment(record: MemoryRecord) -> float:
    """When a memory was changed last; long ago where it does not say."""
    moments = [moment for moment in (record.updated, record.created) if moment is not None]
    return max(moments, default=-np.inf)
