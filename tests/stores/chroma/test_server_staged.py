"""A collection is made anew on a real Chroma server, and whatever happens its name means the old one or the new one."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from memdefrag.base.errors import CollectionNeeded, ServerUnreachable, StoreDamaged, UsageError
from memdefrag.base.progress import Progress
from memdefrag.engine import catalogue, recover
from memdefrag.engine.journal import Job, JobState
from memdefrag.engine.recollect import let_go, recollect
from memdefrag.model.address import Address
from memdefrag.model.hashing import record_hash
from memdefrag.model.plan import Changes, Put, Ref
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord
from memdefrag.stores.chroma.server_api import Home, Place, Server
from memdefrag.stores.chroma.server_staged import MARK, Switch, _next
from memdefrag.stores.chroma.tables import Collection
from memdefrag.stores.registry import open_store, resolve
from tests.engine.stores import fill_store
from tests.faults.harness import in_child
from tests.stores.chroma.running import ChromaServer

COUNT = 8
FUNCTION = {"type": "known", "name": "other", "config": {"model_name": "other-model"}}


@pytest.fixture
def address(chroma_server: ChromaServer, database: str) -> Address:
    """Eight memories under l2, in a collection with settings of its own."""
    address = resolve(chroma_server.address(database, "memories"))
    settings = {"metadata": {"about": "x"}, "configuration": {"hnsw": {"ef_construction": 77}}}
    settings["embedding_function"] = {"type": "known", "name": "default", "config": {}}
    with open_store(address) as store:
        info = CollectionInfo("memories", 0, 0, 0, metric="l2", settings=settings)
        store.write(Changes(collections=(info,)), Progress())
    fill_store(address.select(None), COUNT)
    return address


def content(address: Address, collection: str = "memories") -> dict[str, str]:
    with open_store(address) as store:
        return {record.key.id: record_hash(record) for batch in store.scan(collection) for record in batch}


def infos(address: Address) -> dict[str, CollectionInfo]:
    with open_store(address) as store:
        return {info.name: info for info in store.collections()}


def three_numbers(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
    return np.array([[len(text), 1, ord(text[0])] for text in texts], np.float32)


def test_another_metric(address: Address) -> None:
    before, old = content(address), infos(address)["memories"]
    report = recollect(str(address), metric="cosine")
    present = infos(address)
    [kept] = [name for name in present if MARK in name]
    new = present["memories"]
    assert (new.metric, new.count, new.model) == ("cosine", COUNT, old.model)
    assert new.settings["metadata"] == {"about": "x"}
    assert new.settings["configuration"]["hnsw"]["ef_construction"] == 77
    assert content(address) == content(address, kept) == before
    assert present[kept].settings["id"] == old.settings["id"] != new.settings["id"]
    assert report.backup
    assert kept in " ".join(report.next_steps)
    assert not Job.of_live(address.whole()).folder.exists()
    assert not catalogue.unfinished_jobs()
    let_go(str(address.select(kept)))
    assert list(infos(address)) == ["memories"]


def test_other_vectors(address: Address) -> None:
    before = content(address)
    recollect(str(address), embed=three_numbers, function=FUNCTION)
    new = infos(address)["memories"]
    assert (new.metric, new.dimension, new.model) == ("l2", 3, "other-model")
    assert content(address) == before


@pytest.mark.parametrize("what", ["added", "changed", "removed"])
def test_what_programs_write_meanwhile_is_carried_over(address: Address, what: str) -> None:
    done = []

    def embed(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
        if done:
            return three_numbers(texts, neighbours)
        done.append(what)
        with open_store(address) as other:
            [one] = other.fetch([Key("memories", "id003")])
            changes = {
                "added": Changes(put=(Put(replace(one, key=Key("memories", "new")), None),)),
                "changed": Changes(put=(Put(replace(one, text="changed"), record_hash(one)),)),
                "removed": Changes(delete=(Ref.of(one),)),
            }
            other.write(changes[what], Progress())
        return three_numbers(texts, neighbours)

    report = recollect(str(address), embed=embed)
    [kept] = [name for name in infos(address) if MARK in name]
    assert content(address) == content(address, kept)
    assert report.skipped == ()
    assert done


@pytest.mark.parametrize("filled", [False, True])
def test_a_collection_that_a_program_makes_in_between_is_set_aside(
    address: Address, filled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames the name is free."""
    rename, made = Server.rename, []

    def racing(server: Server, place: Place, name: str) -> None:
        rename(server, place, name)
        if not made:
            made.append(name)
            with open_store(address) as other:
                other.write(Changes(collections=(CollectionInfo("memories", 0, 0, 0),)), Progress())
                record = MemoryRecord(Key("memories", "theirs"), "text", embedding=np.ones(8, np.float32))
                other.write(Changes(put=(Put(record, None),) * filled), Progress())

    before = content(address)
    monkeypatch.setattr(Server, "rename", racing)
    report = recollect(str(address), metric="ip")
    assert infos(address)["memories"].metric == "ip"
    now = content(address)
    assert {id: now.get(id) for id in before} == before
    assert ("theirs" in now) is filled
    assert "made this collection meanwhile" in report.skipped[0].reason


def test_a_failure_before_the_switch_leaves_only_the_old_one(address: Address) -> None:
    before, ids = content(address), {name: info.settings["id"] for name, info in infos(address).items()}

    def fails(texts: Sequence[str], neighbours: Sequence[MemoryRecord]) -> npt.NDArray[np.float32]:
        raise ServerUnreachable("The model's server is gone.")

    with pytest.raises(ServerUnreachable):
        recollect(str(address), embed=fails)
    assert content(address) == before
    assert {name: info.settings["id"] for name, info in infos(address).items()} == ids
    assert not Job.of_live(address.whole()).folder.exists()


def test_killed_anywhere_the_name_means_the_old_or_the_new(address: Address, tmp_path: Path) -> None:
    before = content(address)
    listing = tmp_path / "points"

    in_child(f"list:{listing}", partial(recollect, str(address), metric="ip"))
    points = listing.read_text().splitlines()
    first = next(number for number, name in enumerate(points, 1) if name.startswith("rename memories"))
    written = next(number for number, name in enumerate(points, 1) if name.startswith("write 7 and"))
    metrics, came = set(), dict[str, str]()
    for point in (written, first - 2, first, first + 1, first + 2, len(points) - 1):
        old = infos(address)["memories"]
        deed = partial(recollect, str(address), metric="l2" if old.metric == "ip" else "ip")
        assert in_child(f"kill:{point}", deed) == -signal.SIGKILL
        came |= bring(address, old, point)
        recover.recover_all()
        present = infos(address)
        metrics.add(present["memories"].metric == old.metric)
        assert content(address) == before | came, points[point - 1]
        assert not [name for name in present if MARK in name and "old-" not in name], points[point - 1]
        assert not catalogue.unfinished_jobs()
    assert metrics == {True, False}
    assert came


def bring(address: Address, old: CollectionInfo, number: int) -> dict[str, str]:
    """A program that has the old collection open adds a memory while the two trade names."""
    name = next(name for name, info in infos(address).items() if info.settings["id"] == old.settings["id"])
    if name == "memories" or Job.of_live(address.whole()).facts().get("state") != JobState.SWAP:
        return {}
    with open_store(address) as other:
        vector = np.ones(8, np.float32)
        fitted = other.fit(MemoryRecord(Key(name, f"came-{number}"), "came", embedding=vector))[0]
        other.write(Changes(put=(Put(fitted, None),)), Progress())
        return {fitted.key.id: record_hash(fitted)}


def test_a_forged_journal_renames_nothing(address: Address, tmp_path: Path) -> None:
    """One that came with somebody's files names a server of ours."""
    ids = {name: info.settings["id"] for name, info in infos(address).items()}
    job = Job(tmp_path / "theirs")
    facts = Switch("memories", ids["memories"], "1").facts
    job.begin(id="x", store=str(address.select(None)), kind=recover.STAGED_COLLECTION, **facts)
    job.note(JobState.SWAP)
    with pytest.raises(StoreDamaged):
        recover.recover_path(job.target)
    assert {name: info.settings["id"] for name, info in infos(address).items()} == ids


def test_what_cannot_be_made_anew_is_refused(address: Address, jsonl_file: Path) -> None:
    with pytest.raises(CollectionNeeded):
        recollect(str(address.select(None)), metric="ip")
    for wrong in ({"metric": "l2"}, {"metric": "hamming"}, {}):
        with pytest.raises(UsageError):
            recollect(str(address), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Chroma server"):
        recollect(str(jsonl_file), metric="ip")
    with pytest.raises(UsageError, match="kept"):
        let_go(str(address))


NAMES = Switch("c", "id-old", "1")


@pytest.mark.parametrize(
    ("there", "step"),
    [
        ({"c": "id-old"}, False),
        ({"c": "id-old", NAMES.staged: "new"}, ("c", NAMES.old)),
        ({NAMES.old: "id-old", NAMES.staged: "new"}, (NAMES.staged, "c")),
        ({NAMES.old: "id-old", NAMES.staged: "new", "c": "theirs"}, ("c", NAMES.aside)),
        ({NAMES.old: "id-old", "c": "new"}, True),
        ({NAMES.old: "id-old"}, (NAMES.old, "c")),
    ],
)
def test_every_state_has_its_next_step(there: dict[str, str], step: Any) -> None:
    places = {name: Place(Home("t", "d"), Collection(id, name, None)) for name, id in there.items()}
    source = next(place for place in places.values() if place.collection.id == NAMES.id)
    found = _next(NAMES, source, places)
    assert (found if isinstance(found, bool) else (found[0].collection.name, found[1])) == step
