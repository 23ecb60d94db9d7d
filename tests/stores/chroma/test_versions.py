"""Which chromadb fits which folder."""

from __future__ import annotations

from itertools import pairwise

import pytest

from memdefrag.stores.chroma.versions import LEVELS, fits, level_made_by, level_of, version_tuple, words, writer_for


def migrations(queue: int, metadb: int, sysdb: int) -> dict[str, int]:
    return {"embeddings_queue": queue, "metadb": metadb, "sysdb": sysdb}


MEMORY_SERVICE = migrations(2, 4, 9)
BUILT_IN = migrations(2, 6, 10)


@pytest.mark.parametrize("version", ["0.5.7", "0.5.23", "0.6.0", "0.6.3"])
def test_releases_of_one_level_fit_each_other(version: str) -> None:
    assert fits(version, MEMORY_SERVICE)


@pytest.mark.parametrize("version", ["0.4.24", "0.5.5", "1.0.0", "1.5.9", "", "unknown"])
def test_releases_of_other_levels_do_not_fit(version: str) -> None:
    assert not fits(version, MEMORY_SERVICE)


def test_the_writer_of_a_level_fits_it() -> None:
    for level in LEVELS:
        found = migrations(*level.migrations)
        assert writer_for(found) == level.writer
        assert fits(level.writer, found) and fits(level.first, found) and fits(level.last, found)


def test_levels_rise_without_overlap() -> None:
    for older, newer in pairwise(LEVELS):
        assert version_tuple(older.last) < version_tuple(newer.first)
        assert older.migrations < newer.migrations


def test_a_release_newer_than_known_fits_only_the_newest_folders() -> None:
    assert fits("1.9.0", BUILT_IN)
    assert not fits("1.9.0", MEMORY_SERVICE)
    assert level_made_by("1.9.0") is None


def test_an_unknown_folder_has_no_writer() -> None:
    future = migrations(2, 7, 12)
    assert level_of(future) is None and writer_for(future) is None and not fits("1.5.9", future)
    assert words(future) == "an unknown chromadb"


def test_words_name_the_releases() -> None:
    assert words(MEMORY_SERVICE) == "chromadb 0.5.7 to 0.6.3"
    assert words(migrations(1, 3, 5)) == "chromadb 0.5.0"


def test_the_installed_release_makes_the_level_the_table_says() -> None:
    from importlib.metadata import version

    assert fits(version("chromadb"), BUILT_IN)
