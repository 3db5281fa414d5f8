#!/usr/bin/env python3
"""Decode attention over compressed pages, with its certificate, beside scaled_dot_product_attention of PyTorch: one thread each,
turn by turn, keys and values larger than the last cache.

    pip install -r bench/peers/attention_requirements.txt
    bench/peers/attention.py --quick --json -

The table on stderr shows every system, losses included; --json writes {"bench", "device", "commit", "metrics"}, explained
in bench/README.md. --quick: 32k tokens, head_dim 128 only, under 50 seconds.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and PyTorch start their pools; our binary inherits it

import argparse
import itertools
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

try:
    import numpy as np
    import torch

    from shared import ROOT, Server, write_report
except ImportError as missing:
    raise SystemExit(f"{missing}; install the peers: pip install -r {Path(__file__).parent}/attention_requirements.txt")

LEVELS = ("k4v4", "k8v4", "k8v8", "k12v8", "exact")
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
SLOW = 3.0  # forms that take so many times the fastest one of PyTorch are run once
POOL_BYTES = 128 << 20  # as ours: of 16-bit keys and values
attention = torch.nn.functional.scaled_dot_product_attention


class Torch:
    """Reads of one context: as many KV heads as the pool holds, in one call."""

    def __init__(self, context, head_dim, group):
        heads = max(1, POOL_BYTES // (4 * head_dim * context))
        source = torch.Generator().manual_seed(6)
        draw = lambda *shape: torch.randn(*shape, generator=source)
        base = [draw(1, 1, context, head_dim) for _ in range(2)]
        self.heads = heads
        self.queries = draw(1, heads * group, 1, head_dim)
        self.kv = {name: [x.to(kind).repeat(1, heads, 1, 1) for x in base] for name, kind in TYPES.items()}
        self.group, self.head_dim = group, head_dim

    def run(self, kind, form):
        """@return seconds of this thread for one read"""
        keys, values = self.kv[kind]
        queries = self.queries.to(TYPES[kind])
        if form == "folded":  # the queries of a group as if they were positions
            queries = queries.reshape(1, self.heads, self.group, self.head_dim)
        begin = time.thread_time()
        with torch.inference_mode():
            attention(queries, keys, values, enable_gqa=form == "gqa")
        return (time.thread_time() - begin) / self.heads


def check(server, folder, group, head_dim):
    """Ours against the definition in NumPy, double precision: every output is within its certificate.
    @return the largest error over its bound, per level"""
    source = np.random.default_rng(8)
    tokens = 1000  # the last page is open
    keys, values = (source.standard_normal((tokens, head_dim)).astype(np.float16) for _ in range(2))
    queries = (3.0 * source.standard_normal((group, head_dim))).astype(np.float32)
    for name, rows in (("keys", keys), ("values", values), ("queries", queries)):
        np.save(folder / f"{name}.npy", rows)
    logits = queries.astype(np.float64) @ keys.astype(np.float64).T / math.sqrt(head_dim)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact = weights / weights.sum(axis=1, keepdims=True) @ values.astype(np.float64)
    ratios = {}
    for levels in LEVELS:
        answer = server.ask(f"read {levels}")
        off = np.linalg.norm(np.asarray(answer["output"]) - exact, axis=1)
        ratios[levels] = float(np.max(off / np.asarray(answer["error"])))
    theirs = attention(torch.from_numpy(queries)[None, :, None], torch.from_numpy(keys)[None, None].float(),
                       torch.from_numpy(values)[None, None].float(), enable_gqa=True)  # fmt: skip
    ratios["torch"] = float(np.max(np.linalg.norm(theirs[0, :, 0].numpy() - exact, axis=1)))
    return ratios


def measure(server, context, head_dim, group, repetitions):
    """Microseconds of every system, in turn, so that drift hits all alike; the first turn is not counted."""
    peers = Torch(context, head_dim, group)
    times = {}
    for repetition in range(repetitions + 1):
        for levels in LEVELS:
            answer = server.ask(f"time {levels} {context} {head_dim} {group}")
            times.setdefault(levels, []).append(answer["us"])
            times.setdefault(f"{levels}+certificate", []).append(answer["certified_us"])
        fastest = min((min(taken) for name, taken in times.items() if name.startswith("torch")), default=math.inf)
        for kind, form in itertools.product(TYPES, ("gqa", "folded")):
            taken = times.setdefault(f"torch_{kind}_{form}", [])
            if not taken or min(taken) < SLOW * fastest:
                taken.append(peers.run(kind, form) * 1e6)
    server.ask("free")
    return {name: taken[1:] or taken for name, taken in times.items()}


def say(line):
    print(line, file=sys.stderr, flush=True)


def summarise(context, head_dim, group, times, metrics):
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    where = f"{context // 1024}k.d{head_dim}.g{group}"
    fastest = {kind: min(middle[f"torch_{kind}_{form}"] for form in ("gqa", "folded")) for kind in TYPES}
    best = min(fastest.values())
    say(f"\n{context} tokens, head_dim {head_dim}, {group} queries per KV head; us per KV head: median (least - most)")
    for name, taken in times.items():
        say(f"{name:20}{f'{middle[name]:.0f} ({min(taken):.0f} - {max(taken):.0f})':>32}{best / middle[name]:>9.2f} x torch")
        metrics[f"llm.us.{name}.{where}"] = middle[name]
    metrics[f"llm.exact_vs_torch.{where}"] = best / middle["exact"]
    metrics[f"llm.exact_vs_torch_fp16.{where}"] = fastest["fp16"] / middle["exact"]
    metrics[f"llm.k8v4_vs_torch.{where}"] = best / middle["k8v4+certificate"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under 50 seconds")
    parser.add_argument("--json", metavar="FILE", help="write the metrics; - is stdout")
    parser.add_argument("--binary", default=str(ROOT / "build/release/bench/bench_attention"), help="our benchmark")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} is not there; build it: cmake --workflow --preset release")
    return options


def main():
    options = arguments()
    torch.set_num_threads(1)
    contexts, dims = ((32,), (128,)) if options.quick else ((1, 8, 32, 128), (64, 128))
    metrics, sound = {}, True
    with tempfile.TemporaryDirectory() as scratch:
        server = Server([options.binary, "--serve", scratch])
        server.read()
        for head_dim in dims:
            ratios = check(server, Path(scratch), 8, head_dim)
            say(f"head_dim {head_dim}: error of outputs over their bound: "
                + ", ".join(f"{levels} {ratios[levels]:.4f}" for levels in LEVELS) + f"; error of torch {ratios['torch']:.2e}")  # fmt: skip
            metrics[f"llm.error_over_bound.d{head_dim}"] = worst = max(ratios[levels] for levels in LEVELS)
            sound = sound and worst <= 1.0
        for head_dim, context, group in itertools.product(dims, contexts, (1, 4, 8)):
            times = measure(server, context * 1024, head_dim, group, 3 if options.quick else 7)
            summarise(context * 1024, head_dim, group, times, metrics)
        server.close()
    for name in ("exact_vs_torch", "exact_vs_torch_fp16", "k8v4_vs_torch"):
        ratios = [metrics[f"llm.{name}.32k.d128.g{group}"] for group in (1, 4, 8)]
        metrics[f"llm.{name}"] = statistics.geometric_mean(ratios)
        metrics[f"llm.{name}_least"] = min(value for key, value in metrics.items() if key.startswith(f"llm.{name}."))
    metrics["llm.within_bounds"] = int(sound)
    write_report("attention_peers", metrics, options.json)
    if not sound:
        raise SystemExit("an output is outside of its certificate")


if __name__ == "__main__":
    main()
