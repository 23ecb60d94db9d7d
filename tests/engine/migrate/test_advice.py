"""What a person is told before and after a migration."""

from __future__ import annotations

from dataclasses import replace

from memdefrag.base.errors import StoreError
from memdefrag.engine.migrate import advice
from memdefrag.engine.migrate.routing import route
from memdefrag.model.address import Address
from memdefrag.model.migration import Checked, Entry, MigrateOptions, MigrationReport, Outcome, Selection
from memdefrag.model.records import CollectionInfo, Key

FOLDER, NEW = Address("chroma", "/old"), Address("chroma", "/new")


def steps(source: Address, target: Address) -> tuple[str, ...]:
    return advice.next_steps(source, target, MigrationReport(str(source), str(target), False, ()))


def test_nobody_switches_over_from_or_to_a_file_that_is_handed_on() -> None:
    file = Address("jsonl", "/notes.jsonl")
    assert steps(FOLDER, NEW)[0] == f"Stop the programs that write to {FOLDER.location}."
    assert steps(file, NEW) == steps(FOLDER, file) == steps(Address("mem0", "/all.json"), NEW) == ()


def test_a_folder_that_the_services_own_chroma_cannot_open_is_told() -> None:
    [told] = advice.older_service("0.5.23")
    assert "chromadb 0.5.23" in told and "--chroma-python" in told
    assert advice.older_service(None) == ()


def test_a_store_that_is_not_searched_is_told_with_the_remedy() -> None:
    way = route([CollectionInfo("memory_collection", 1, 1, 1, 8)], [], MigrateOptions())
    [told] = advice.warnings(way, Address("memory-service", "/sqlite_vec.db"))
    assert "--target-collection default" in told


def test_what_cannot_be_taken_back_is_told_with_what_was_refused_or_differed() -> None:
    key = Key("c", "one")
    checked = Checked(1, 0, 0, 0, 1)
    refused = MigrationReport("", "", False, (Entry(key, key, Outcome.FAIL, "is a link"),), checked=checked)
    differing = replace(refused, checked=replace(checked, differences=("d",)))
    for report, why in ((refused, "is a link"), (differing, "(d)")):
        told = advice.not_taken_back(StoreError("The server is gone."), report)
        assert why in told.message and "The server is gone." in told.message


def test_catching_up_goes_where_the_migration_went() -> None:
    options = MigrateOptions(target_collection="all of it", selection=Selection(tags=frozenset({"b", "a"})))
    report = MigrationReport("", "", False, ())
    told = advice.next_steps(Address("chroma", "/a b"), Address("chroma", "/c"), report, options)
    wanted = "memdefrag migrate 'chroma:/a b' chroma:/c --target-collection 'all of it' --tag a --tag b --catch-up"
    assert wanted in told[1]


def test_how_a_store_that_was_made_goes_away_again_is_told() -> None:
    entry = Entry(Key("c", "a"), Key("c", "a"), Outcome.COPY)
    made = MigrationReport("", "", False, (entry,))
    place = Address("jsonl", "/new.jsonl")
    [told] = advice.next_steps(FOLDER, place, made)
    assert told.endswith(f"delete {place.location}")
    assert advice.emptied(made, place)[0].endswith(f"delete {place.location}")
    for other in (replace(made, step="S"), replace(made, entries=())):
        assert advice.next_steps(FOLDER, place, other) == ()
    assert advice.emptied(replace(made, step="S"), place) == ()
