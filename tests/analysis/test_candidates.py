from __future__ import annotations

import numpy as np

from memdefrag.analysis.detect import analyze
from memdefrag.model.records import CollectionInfo, Key, MemoryRecord, Snapshot


def test_texts_spelled_all_but_alike_are_seen_whatever_their_vectors() -> None:
    said = "Maria keeps the spare keys of the office in the upper drawer of her desk"
    texts = [said, said.replace("drawer", "drawr"), said.replace("Maria keeps", "Nobody ever found")]
    vectors = np.eye(3, dtype=np.float32)
    records = [MemoryRecord(Key("notes", text), text, embedding=v) for text, v in zip(texts, vectors, strict=True)]
    [group] = analyze([Snapshot("here", (CollectionInfo("notes", 3, 3, 3, 3),), tuple(records))]).groups()
    assert sorted(group.members) == [0, 1]


def test_a_pair_its_spelling_found_has_the_cosine_of_its_vectors_but_not_where_only_a_stamp_differs() -> None:
    said = "Maria keeps the spare keys of the office in the upper drawer of her desk"
    texts = [said, said.replace("drawer", "drawr"), f"[2024-03-01] {said}"]
    vectors = np.array([[1, 0, 0], [3, 4, 0], [0, 0, 2]], np.float32)
    records = [MemoryRecord(Key("notes", text), text, embedding=v) for text, v in zip(texts, vectors, strict=True)]
    pairs = analyze([Snapshot("here", (CollectionInfo("notes", 3, 3, 3, 3),), tuple(records))]).pairs
    spelled, stamped = pairs.find(0, 1), pairs.find(0, 2)
    assert spelled is not None and stamped is not None
    assert pairs.cosine[spelled] == np.float32(0.6)
    assert np.isnan(pairs.cosine[stamped])
