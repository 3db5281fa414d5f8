#!/usr/bin/env python3
"""Exact top-k by our ranking pool beside FAISS: same vectors, same run, one thread each, turn by turn.

    pip install -r bench/peers/requirements.txt
    bench/peers/ranking.py --quick --json -

The table on stderr shows every system, losses included. --json writes {"bench", "device", "commit", "metrics"}; the
metrics are explained in bench/README.md. --quick: 64 queries, HNSW on fewer rows, no SQ4 and no PCA before Panorama,
under 50 seconds.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and FAISS start their pools; our binary inherits it

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

try:
    import faiss
    import numpy as np

    import ranking_systems as systems
    from shared import ROOT, write_report
except ImportError as missing:
    raise SystemExit(f"{missing}; install the peers: pip install -r {Path(__file__).parent}/requirements.txt")

K = 10
BATCHES = (1, 64)


@dataclass
class Plan:
    """How much is measured. Slow systems answer `window` queries per repetition at batch 1, others next time."""

    queries: int
    repetitions: int
    window: int
    hnsw_rows: int
    panoramas: tuple
    full: bool


QUICK = Plan(queries=64, repetitions=5, window=8, hnsw_rows=20_000, panoramas=("faiss_panorama",), full=False)
FULL = Plan(queries=256, repetitions=7, window=64, hnsw_rows=sys.maxsize, panoramas=tuple(systems.PANORAMA), full=True)


def exact_top(rows, queries, k):
    """The k best ids of every query: scores in double precision, equal scores by smaller id.

    A matrix product in double finds 4 k candidates; those are ordered by their exact scores (products of floats are exact
    in double, fsum rounds once), so that the order of summation cannot decide between neighbours.
    """
    wide = queries.astype(np.float64)
    candidates = [[] for _ in queries]
    for start in range(0, len(rows), 50_000):
        scores = wide @ rows[start : start + 50_000].astype(np.float64).T
        keep = min(4 * k, scores.shape[1])
        best = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
        for query, numbers in enumerate(best):
            candidates[query] += [(-scores[query, i], start + int(i)) for i in numbers]
    top = []
    for query, found in enumerate(candidates):
        ids = [i for _, i in sorted(found)[: 4 * k]]
        exact = [(-math.fsum(wide[query] * rows[i].astype(np.float64)), i) for i in ids]
        top.append([i for _, i in sorted(exact)[:k]])
    return top


def prepare(folder, binary, plan):
    """Our server and every peer over the vectors in `folder`, and the truth for each number of rows in use."""
    rows, queries = np.load(folder / "rows.npy", mmap_mode="r"), np.load(folder / "queries.npy")
    ours = systems.Ours(binary, str(folder), K, len(rows))  # builds its pool while the peers are built
    few = rows[: plan.hnsw_rows]
    dims = rows.shape[1]
    bases = {
        "rabitq_refine": faiss.IndexRaBitQFastScan(dims, systems.INNER_PRODUCT),
        "pq_refine": faiss.IndexPQFastScan(dims, dims // 2, 4, systems.INNER_PRODUCT),
    }
    if plan.full:
        four_bits = faiss.ScalarQuantizer.QT_4bit
        bases["sq4_refine"] = faiss.IndexScalarQuantizer(dims, four_bits, systems.INNER_PRODUCT)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # building is not what is compared
        jobs = [pool.submit(exact_top, rows, queries, K), pool.submit(exact_top, few, queries, K),
                pool.submit(systems.flat, rows)]  # fmt: skip
        truth, few_truth, flat = [job.result() for job in jobs]
        jobs = [pool.submit(systems.refined, name, base, rows, queries, K, flat, truth) for name, base in bases.items()]
        jobs.append(pool.submit(systems.hnsw, few, queries, K, few_truth))
        peers = [job.result() for job in jobs]
    ours.wait_until_ready()
    # Tuned by time in the full run, so only now that nothing else runs.
    panoramas = [systems.panorama(name, rows, queries, K, plan.full) for name in plan.panoramas]
    exact = systems.Peer("faiss_flat", flat, queries, K, rows=len(rows), bytes_beside_rows=0, setting="exact")
    everyone = [ours, exact, *panoramas, *peers]
    if len(few) != len(rows):
        small = systems.flat(few)
        everyone.append(systems.Peer("faiss_flat_small", small, queries, K, rows=len(few), bytes_beside_rows=0,
                                     setting="exact, for HNSW"))  # fmt: skip
    return everyone, {len(few): few_truth, len(rows): truth}


def measure(everyone, plan):
    """Microseconds per query of every system, batch and repetition. The systems take turns, so drift hits all alike."""
    times = {}
    for repetition in range(plan.repetitions):
        for batch in BATCHES:
            for system in everyone:
                # Panorama answers the queries of a batch one by one; its time per query is that of batch 1.
                if batch > 1 and not plan.full and "panorama" in system.name:
                    continue
                most = plan.window if batch == 1 and system.rows > 100_000 else None
                system.run(batch, repetition, most=2)  # not counted: its pages and caches went cold while others ran
                times.setdefault((system.name, batch), []).append(system.run(batch, repetition, most))
    return times


def say(line):
    print(line, file=sys.stderr, flush=True)


def summarise(family, everyone, truths, times, metrics):
    """Prints one table and adds this family's metrics."""
    flat_ms = statistics.median(times["faiss_flat", 1]) / 1e3
    ours, dims = everyone[0], everyone[1].queries.shape[1]
    say(f"\n{family}: {ours.rows} x {dims}, inner product, k = {K}, one thread; ms per query: median (least - most)")
    say(f"{'system':19}{'setting':17}{'rows':>9}{'batch 1':>28}{'batch 64':>28}{'recall':>8}{'MB':>8}{'x flat':>8}")
    for system in everyone:
        recall = systems.top10_recall(system.ids, truths[system.rows])
        metrics[f"ranking.recall.{system.name}.{family}"] = recall
        metrics[f"ranking.bytes.{system.name}.{family}"] = system.bytes_beside_rows
        metrics[f"ranking.rows.{system.name}.{family}"] = system.rows
        if hasattr(system, "k_factor"):
            metrics[f"ranking.k_factor.{system.name}.{family}"] = system.k_factor
        cells = []
        for batch in BATCHES:
            taken = [us / 1e3 for us in times.get((system.name, batch), [])]
            if taken:
                metrics[f"ranking.ms_b{batch}.{system.name}.{family}"] = statistics.median(taken)
            cells.append(f"{statistics.median(taken):.3f} ({min(taken):.3f} - {max(taken):.3f})" if taken else "-")
        gain = f"{flat_ms / metrics[f'ranking.ms_b1.{system.name}.{family}']:.2f}" if system.rows == ours.rows else ""
        say(f"{system.name:19}{system.setting:17}{system.rows:>9}{cells[0]:>28}{cells[1]:>28}{recall:>8.4f}"
            f"{system.bytes_beside_rows / 1e6:>8.1f}{gain:>8}")  # fmt: skip

    truth = truths[ours.rows]
    identical = sum(ours.ids.get(query) == ids for query, ids in enumerate(truth))
    metrics[f"ranking.identical.{family}"] = int(identical == len(truth))
    metrics[f"ranking.build_s.{family}"] = ours.build_s
    for name in ("bytes_fraction", "bound_max", "certified"):
        metrics[f"ranking.{name}.{family}"] = ours.answer[name]
    for system in everyone[1:]:
        for batch, suffix in ((1, ""), (64, "_b64")):
            if system.rows == ours.rows and (system.name, batch) in times:
                theirs = metrics[f"ranking.ms_b{batch}.{system.name}.{family}"]
                mine = metrics[f"ranking.ms_b{batch}.{ours.name}.{family}"]
                metrics[f"ranking.speedup_vs_{system.name}{suffix}.{family}"] = theirs / mine
    say(f"mpp: {identical} of {len(truth)} answers identical to the double-precision top {K}, {ours.answer['certified']} "
        f"certified, largest bound {ours.answer['bound_max']}, bytes at {ours.answer['bytes_fraction']:.4f} of fp32, "
        f"built in {ours.build_s:.1f} s")  # fmt: skip


def worst_over_families(metrics, families):
    """Adds `ranking.x` = the worst of `ranking.x.<family>`: least speed-up and identity, most of everything else."""
    stems = {name.rsplit(".", 1)[0] for name in metrics}
    for stem in sorted(stems):
        values = [metrics[f"{stem}.{family}"] for family in families if f"{stem}.{family}" in metrics]
        lowest = stem.startswith(("ranking.speedup", "ranking.identical", "ranking.recall", "ranking.certified"))
        metrics[stem] = min(values) if lowest else max(values)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under 50 seconds, data included")
    parser.add_argument("--json", metavar="FILE", help="write the metrics; - is stdout")
    parser.add_argument("--families", default="clustered,power_law", help="of clustered, power_law, gaussian")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, default=128, help="even, as PQ takes two dimensions per code")
    parser.add_argument("--binary", default=str(ROOT / "build/release/bench/bench_ranking"), help="our benchmark")
    options = parser.parse_args()
    if options.rows < systems.TRAIN_ROWS or options.dims < 2 or options.dims % 2:
        parser.error(f"--rows must be at least {systems.TRAIN_ROWS}, --dims even and at least 2")
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} is not there; build it: cmake --workflow --preset release")
    return options


def main():
    options = arguments()
    plan = QUICK if options.quick else FULL
    families = options.families.split(",")
    faiss.omp_set_num_threads(1)
    metrics = {}
    with tempfile.TemporaryDirectory() as scratch:
        exports = [
            subprocess.Popen([options.binary, "--export", f"{scratch}/{family}", "--family", family, "--rows",
                              str(options.rows), "--dims", str(options.dims), "--queries", str(plan.queries)])
            for family in families
        ]  # fmt: skip
        for family, export in zip(families, exports):
            if export.wait() != 0:
                raise SystemExit(f"{options.binary} --export --family {family} ended with status {export.returncode}")
        for family in families:
            everyone, truths = prepare(Path(scratch) / family, options.binary, plan)
            times = measure(everyone, plan)
            everyone[0].close()
            summarise(family, everyone, truths, times, metrics)
            del everyone
    worst_over_families(metrics, families)
    write_report("ranking_peers", metrics, options.json)


if __name__ == "__main__":
    main()
