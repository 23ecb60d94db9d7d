"""How others find all pairs of near vectors: what `tests.bench.pairs` measures, each in a process of its own.

A method takes unit rows, a threshold and a number of threads, and returns the pairs ``i < j`` as ``i * n + j`` in any
order, each at least once; None where it gives groups without their pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]

BLOCK = 1024
NEIGHBOURS = 50
"""Of the indexes that are asked for neighbours, not for all within a distance."""
BLOCKED, OURS = "blocked numpy product", "memdefrag"


class Method(NamedTuple):
    """A way to find pairs. `modules`: what must be installed; it is imported before the clock starts."""

    find: Callable[[Floats, float, int], Keys | None]
    modules: tuple[str, ...] = ()


def _keys(n: int, i: Any, j: Any) -> Keys:
    one, other = np.asarray(i, np.int64), np.asarray(j, np.int64)
    return one[one < other] * n + other[one < other]


def ours(unit: Floats, t: float, threads: int) -> Keys:
    from memdefrag.analysis.similarity.pairs import similar_pairs
    from memdefrag.base.progress import Progress

    found = similar_pairs(unit, t, Progress(), threads=threads)
    return _keys(len(unit), found.i, found.j)


def blocked(unit: Floats, t: float, threads: int) -> Keys:
    """The upper triangle by blocks, each looked through as a whole; the products reuse their memory."""
    n, found = len(unit), []
    memory = np.empty(BLOCK * BLOCK, np.float32)
    for top in range(0, n, BLOCK):
        rows = unit[top : top + BLOCK]
        for left in range(top, n, BLOCK):
            columns = unit[left : left + BLOCK]
            product = memory[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(rows, columns.T, out=product)
            i, j = np.divmod(np.flatnonzero(product >= np.float32(t)), len(columns))
            found.append(_keys(n, i + top, j + left))
    return np.concatenate(found)


def row_loop(unit: Floats, t: float, threads: int) -> Keys:
    n, found = len(unit), []
    for row in range(n - 1):
        near = np.flatnonzero(unit[row + 1 :] @ unit[row] >= np.float32(t))
        found.append(row * n + near + row + 1)
    return np.concatenate(found)


def _within(index: Any, unit: Floats, t: float) -> Keys:
    limits, _, columns = index.range_search(unit, np.nextafter(np.float32(t), np.float32(0)))
    return _keys(len(unit), np.repeat(np.arange(len(unit)), np.diff(limits.astype(np.int64))), columns)


def faiss_flat(unit: Floats, t: float, threads: int) -> Keys:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    return _within(index, unit, t)


def faiss_ivf(lists: int, probes: int, unit: Floats, t: float, threads: int) -> Keys:
    """`lists` times the root of n inverted lists, of which `probes` are looked at; trained on few rows for speed."""
    import faiss

    faiss.omp_set_num_threads(threads)
    count = max(1, lists * math.isqrt(len(unit)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(unit.shape[1]), unit.shape[1], count, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 5, 64, 1
    index.train(unit)
    index.add(unit)
    index.nprobe = probes
    return _within(index, unit, t)


class _NoEncoder:
    """The vectors are there; semhash asks for an encoder all the same."""

    def encode(self, texts: Any, **_: Any) -> Any:
        raise NotImplementedError


def semhash(backend: str, unit: Floats, t: float, threads: int) -> None:
    from semhash import SemHash

    names = [str(row) for row in range(len(unit))]
    SemHash.from_embeddings(unit, names, _NoEncoder(), ann_backend=backend).self_deduplicate(t)


def paraphrase_mining(unit: Floats, t: float, threads: int) -> Keys:
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    torch.set_num_threads(threads)
    found = np.array(paraphrase_mining_embeddings(torch.from_numpy(unit), top_k=100), np.float64).reshape(-1, 3)
    found = found[found[:, 0] >= np.float32(t)]
    ends = np.sort(found[:, 1:].astype(np.int64), axis=1)
    return _keys(len(unit), ends[:, 0], ends[:, 1])


def community_detection(unit: Floats, t: float, threads: int) -> None:
    import torch
    from sentence_transformers.util import community_detection

    torch.set_num_threads(threads)
    community_detection(torch.from_numpy(unit), threshold=t, min_community_size=2)


def hnswlib(unit: Floats, t: float, threads: int) -> Keys:
    import hnswlib as library

    index = library.Index("ip", unit.shape[1])
    index.init_index(len(unit), ef_construction=100, M=16)
    index.set_num_threads(threads)
    index.add_items(unit)
    index.set_ef(100)
    columns, distance = index.knn_query(unit, min(NEIGHBOURS, len(unit)))
    return _of_neighbours(len(unit), columns, 1 - distance >= np.float32(t))


def usearch(unit: Floats, t: float, threads: int) -> Keys:
    from usearch.index import Index

    index = Index(ndim=unit.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(unit)), unit, threads=threads)
    matches = index.search(unit, min(NEIGHBOURS, len(unit)), threads=threads)
    return _of_neighbours(len(unit), np.asarray(matches.keys), 1 - np.asarray(matches.distances) >= np.float32(t))


def _of_neighbours(n: int, columns: npt.NDArray[Any], near: npt.NDArray[np.bool_]) -> Keys:
    row, place = np.nonzero(near)
    ends = np.sort(np.stack((row, columns[row, place].astype(np.int64))), axis=0)
    return _keys(n, *ends)


def scikit_learn(unit: Floats, t: float, threads: int) -> Keys:
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(radius=1 - t, metric="cosine", algorithm="brute", n_jobs=threads).fit(unit)
    graph = fitted.radius_neighbors_graph(mode="connectivity").tocoo()
    return _keys(len(unit), graph.row, graph.col)


IVF = {f"faiss IVF {lists}x{probes}": partial(faiss_ivf, lists, probes)
       for lists, probes in ((1, 1), (1, 2), (1, 3), (1, 4), (1, 8), (4, 3), (4, 4), (4, 6), (4, 8))}  # fmt: skip
METHODS = {
    OURS: Method(ours),
    BLOCKED: Method(blocked),
    **{name: Method(find, ("faiss",)) for name, find in IVF.items()},
    "faiss Flat": Method(faiss_flat, ("faiss",)),
    "semhash": Method(partial(semhash, "usearch"), ("semhash", "usearch.index")),
    "semhash basic": Method(partial(semhash, "basic"), ("semhash",)),
    "ST community_detection": Method(community_detection, ("sentence_transformers",)),
    "ST paraphrase_mining": Method(paraphrase_mining, ("sentence_transformers",)),
    f"hnswlib k={NEIGHBOURS}": Method(hnswlib, ("hnswlib",)),
    f"usearch k={NEIGHBOURS}": Method(usearch, ("usearch.index",)),
    "scikit-learn radius": Method(scikit_learn, ("sklearn.neighbors",)),
    "row loop": Method(row_loop),
}
