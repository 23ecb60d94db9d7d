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
