"""The systems that bench/peers/ranking.py compares: FAISS indexes in this process, our binary in one of its own.

Every system answers `run(batch, repetition)` with the mean microseconds per query of one pass and keeps the ids it
returned in `ids` (query number -> the k best), so that quality is judged on exactly the answers that were timed.
"""

import os
import time

import faiss
import numpy as np

from shared import Server

INNER_PRODUCT = faiss.METRIC_INNER_PRODUCT
TRAIN_ROWS = 20_000
K_FACTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # the last two only matter where 128 misses the recall asked for
EF_SEARCH = (16, 32, 64, 128, 256, 512, 1024)
RECALL = 0.99
# (n_levels, rows per batch) of Panorama: the best of {2, 4, 8, 16} x {64, 128, 512, 1024, 2048} on 1e6 x 128. The full
# run tries the grid again.
PANORAMA = {"faiss_panorama": (4, 1024), "faiss_panorama_pca": (8, 1024)}
PANORAMA_GRID = [(levels, rows) for levels in (2, 4, 8, 16) for rows in (128, 512, 1024)]


def top10_recall(ids, truth):
    """Mean share of the true top k among the ids returned, over the queries that were answered."""
    return float(np.mean([len(set(ids[q]) & set(truth[q])) / len(truth[q]) for q in ids]))


class Peer:
    """A FAISS index, timed from Python: the call costs some 5 microseconds, against milliseconds of search."""

    def __init__(self, name, index, queries, k, *, bytes_beside_rows, rows, params=None, setting="", keep=()):
        self.name, self.index, self.queries, self.k, self.rows = name, index, queries, k, rows
        self.bytes_beside_rows, self.params, self.setting = bytes_beside_rows, params, setting
        self.keep = keep  # indexes that `index` refers to and Python must not collect
        self.ids = {}

    def search(self, queries):
        extra = {"params": self.params} if self.params is not None else {}
        return self.index.search(queries, self.k, **extra)[1]

    def run(self, batch, repetition, most=None):
        """One pass over the queries, in batches; with `most`, over so many of them, others in the next repetition."""
        count = len(self.queries)
        window = range(count) if most is None else [(repetition * most + i) % count for i in range(min(most, count))]
        elapsed = 0.0
        for start in range(0, len(window), batch):
            numbers = list(window[start : start + batch])
            asked = np.ascontiguousarray(self.queries[numbers])
            begin = time.perf_counter()
            ids = self.search(asked)
            elapsed += time.perf_counter() - begin
            self.ids.update(zip(numbers, ids.tolist()))
        return elapsed / len(window) * 1e6


class Ours(Server):
    """Our binary, kept running on the same vectors: `run <batch>` on its input, one line of JSON on its output."""

    name, setting = "mpp", "exact"

    def __init__(self, binary, folder, k, rows):
        self.rows, self.ids, self.answer = rows, {}, {}
        super().__init__([binary, "--serve", folder, "--k", str(k)])

    def wait_until_ready(self):
        ready = self.read()
        self.build_s, self.bytes_beside_rows = ready["build_s"], ready["bytes_resident"]

    def run(self, batch, repetition, most=None):
        """One pass over all queries; `most` saves time with slow systems and is not needed here."""
        self.answer = self.ask(f"run {batch}")
        self.ids.update(enumerate(self.answer["ids"]))
        return float(np.mean(self.answer["us_per_query"]))


def flat(rows):
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


def principal_axes(rows):
    """The orthogonal map to principal axes, not centred so that inner products stay what they are."""
    sample = rows[:: max(1, len(rows) // TRAIN_ROWS)]
    _, axes = np.linalg.eigh(sample.T @ sample / len(sample))
    turn = faiss.LinearTransform(rows.shape[1], rows.shape[1], False)
    faiss.copy_array_to_vector(np.ascontiguousarray(axes[:, ::-1].T, dtype=np.float32).ravel(), turn.A)
    turn.is_trained = True
    turn.set_is_orthonormal()
    return turn


def panorama(name, rows, queries, k, tune):
    """Exact search that stops early by Cauchy-Schwarz; with `_pca`, after the energy is moved to the first dimensions."""
    turn = principal_axes(rows) if name.endswith("_pca") else None
    turned = turn.apply(rows) if turn else rows
    best = None
    for levels, batch_rows in PANORAMA_GRID if tune else [PANORAMA[name]]:
        index = faiss.IndexFlatIPPanorama(rows.shape[1], levels, batch_rows)
        index.add(turned)
        whole = faiss.IndexPreTransform(turn, index) if turn else index
        peer = Peer(name, whole, queries, k, rows=len(rows), bytes_beside_rows=4 * index.cum_sums.size(),
                    setting=f"{levels} levels", keep=(turn, index))  # fmt: skip
        took = min(peer.run(1, repetition, most=8) for repetition in range(3)) if tune else 0.0
        if best is None or took < best[0]:
            best = took, peer
    return best[1]


def refined(name, base, rows, queries, k, rows_index, truth):
    """A quantised index whose k * k_factor best are rescored with the fp32 rows of `rows_index`.

    k_factor is the smallest with the recall asked for. What the rescoring can return is what the quantised index
    ranks among its first k * k_factor, so one search answers for all factors; the recall reported is that of the timed
    run.
    """
    base.train(rows[:TRAIN_ROWS])
    base.add(rows)
    candidates = base.search(queries, min(k * K_FACTORS[-1], len(rows)))[1].tolist()
    reaches = [f for f in K_FACTORS if top10_recall({q: c[: k * f] for q, c in enumerate(candidates)}, truth) >= RECALL]
    factor = reaches[0] if reaches else K_FACTORS[-1]
    params = faiss.IndexRefineSearchParameters(k_factor=factor)
    peer = Peer(name, faiss.IndexRefine(base, rows_index), queries, k, rows=len(rows), params=params,
                bytes_beside_rows=base.codes.size(), setting=f"k_factor {factor}", keep=(base, rows_index))  # fmt: skip
    peer.k_factor = factor
    return peer


def hnsw(rows, queries, k, truth):
    """HNSW32 at the smallest efSearch with the recall asked for. Built on all cores: building is not what is compared."""
    faiss.omp_set_num_threads(os.cpu_count())
    index = faiss.IndexHNSWFlat(rows.shape[1], 32, INNER_PRODUCT)
    index.add(rows)
    faiss.omp_set_num_threads(1)
    links = 4 * index.hnsw.neighbors.size() + 8 * index.hnsw.offsets.size() + 4 * index.hnsw.levels.size()
    for ef in EF_SEARCH:
        params = faiss.SearchParametersHNSW(efSearch=ef)
        found = dict(enumerate(index.search(queries, k, params=params)[1].tolist()))
        if top10_recall(found, truth) >= RECALL:
            break
    return Peer("hnsw", index, queries, k, rows=len(rows), params=params, bytes_beside_rows=links,
                setting=f"efSearch {ef}")  # fmt: skip
