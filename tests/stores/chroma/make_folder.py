"""Makes a small Chroma folder and the truth about it; a script for any chromadb from 0.5 to 1.5.

python make_chroma_folder.py FOLDER SYNC_THRESHOLD TRUTH.json
"""

import json
import sys
from pathlib import Path

import chromadb
import numpy as np
from chromadb.config import Settings

PATH, SYNC, TRUTH = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
NEW = int(chromadb.__version__.split(".")[0]) >= 1
RNG = np.random.default_rng(5)
VECTORS = {}


def settings():
    return Settings(anonymized_telemetry=False, is_persistent=True, persist_directory=PATH)


def make(client, name, **metadata):
    return client.create_collection(name, metadata=metadata or None, embedding_function=None)


def known(name, ids, dimension, scale=1.0):
    """New vectors for these ids, remembered as the truth."""
    block = (RNG.normal(size=(len(ids), dimension)) * scale).astype("f4").tolist()
    VECTORS.setdefault(name, {}).update(zip(ids, block, strict=True))
    return {"ids": ids, "embeddings": block}


def drop(collection, ids):
    collection.delete(ids=ids)
    for id in ids:
        del VECTORS[collection.name][id]


def fill(big, small, plain):
    """All by turns, so that the numbers of their records interleave."""
    for start in range(0, 350, 50):
        ids = [f"b{n}" for n in range(start, start + 50)]
        metadata = [{"n": n, "even": n % 2 == 0} for n in range(start, start + 50)]
        big.add(**known("big", ids, 16, 3.0), documents=[f"text {id}" for id in ids], metadatas=metadata)
        plain.add(**known("plain", [f"p{n}" for n in range(start, start + 33)], 4))
        ids = [f"s{n}" for n in range(start // 10, start // 10 + 5)]
        metadata = [
            {"tags": "a,b", "timestamp": 1.7e9 + n, "number": n, "flag": n == 3, "whole": 2.0, "large": 2**53 + 1}
            for n in range(5)
        ]
        small.add(
            **known("small", ids, 8),
            documents=[f"note {id}" for id in ids],
            metadatas=metadata,
            uris=[f"file:///{id}" for id in ids],
        )


def change(big, small):
    drop(big, [f"b{n}" for n in range(20, 60, 4)])
    big.update(**known("big", ["b1", "b300"], 16))
    big.update(ids=["b2"], metadatas=[{"n": -2, "extra": "x"}])
    small.update(ids=["s1"], metadatas=[{"number": None, "added": "yes"} if NEW else {"added": "yes"}])
    small.update(**known("small", ["s2"], 8), documents=["changed"])
    small.upsert(
        **known("small", ["s3", "s900"], 8), documents=["up", "new"], metadatas=[{"number": 33}, {"number": 9}]
    )
    drop(small, ["s4"])
    small.add(ids=["s5"], embeddings=[[9.0] * 8], documents=["ignored: the id is there"])


def add_oddities(small):
    odd = {
        "nothing": (None, None, None),
        "no text": (None, {"k": "v"}, None),
        "no metadata": ("text", None, None),
        "empty text": ("", {"k": ""}, None),
        "日本語 😀": ("日本語の文書 😀", {"ключ": "значение"}, None),
        "zero\0byte": ("a\0b", {"k": "x\0y"}, None),
        "only uri": (None, {"k": 1}, "https://x/é.jpg"),
        "a chunk": ("part", {"is_chunk": True}, None),
    }
    for id, (document, metadata, uri) in odd.items():
        small.add(
            **known("small", [id], 8),
            documents=None if document is None else [document],
            metadatas=[metadata] if metadata else None,
            uris=[uri] if uri else None,
        )
    if NEW:
        lists = {"t": ["b", "a", "b"], "i": [2, 1], "f": [1.0, 2.5], "b": [True, False]}
        small.add(**known("small", ["lists"], 8), documents=["lists"], metadatas=[lists])


def main():
    client = chromadb.PersistentClient(PATH, settings=Settings(anonymized_telemetry=False))
    hnsw = {"hnsw:space": "cosine", "hnsw:M": 8, "hnsw:sync_threshold": SYNC, "hnsw:batch_size": 50}
    big = make(client, "big", **hnsw)
    small = make(client, "small", **{"hnsw:space": "l2", "note": "été", "version": 3, "weight": 0.5})
    make(client, "empty")
    plain = make(client, "plain", **hnsw)
    fill(big, small, plain)
    change(big, small)
    add_oddities(small)
    make(client, "gone").add(ids=["1"], embeddings=[[1.0, 2.0]])
    client.delete_collection("gone")

    admin = chromadb.AdminClient(settings())
    admin.create_tenant("team")
    admin.create_database("archive", "team")
    other = chromadb.PersistentClient(
        PATH, settings=Settings(anonymized_telemetry=False), tenant="team", database="archive"
    )
    notes = make(other, "notes", **{"hnsw:space": "ip"})
    notes.add(**known("team/archive/notes", ["a", "b"], 4), documents=["one", "two"])

    truth = {}
    for name, collection in (("big", big), ("small", small), ("plain", plain), ("team/archive/notes", notes)):
        found = collection.get(include=["documents", "metadatas", "uris"])
        columns = (found[part] for part in ("ids", "documents", "metadatas", "uris"))
        truth[name] = {
            id: {"text": text, "metadata": metadata or {}, "uri": uri, "embedding": VECTORS[name][id]}
            for id, text, metadata, uri in zip(*columns, strict=True)
        }
    TRUTH.write_text(json.dumps(truth), encoding="utf-8")


if __name__ == "__main__":
    main()
