#!/usr/bin/env python3
"""Decode attention over compressed pages, with its certificate, beside scaled_dot_product_attention of PyTorch and llama.cpp's
attention over the types of its KV cache: one thread each, turn by turn, keys and values larger than the last cache.

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

    from attention_ggml import CACHES, Ggml, bytes_per_token
    from shared import ROOT, Server, write_report
except ImportError as missing:
    raise SystemExit(f"{missing}; install the peers: pip install -r {Path(__file__).parent}/attention_requirements.txt")

LEVELS = ("k4v4", "k8v4", "k8v8", "k12v8", "exact")
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
BESIDE = {"k8v8": "q8_q8", "k8v4": "q8_q4", "k4v4": "q4_q4"}  # our levels and llama.cpp's types of as many bits
LARGEST_ERROR = {"f16_f16": 1e-2, "q8_f16": 5e-2, "q8_q8": 5e-2}  # relative to rms(v)
LARGEST_ERROR_OF_4_BITS = 0.15
SLOW = 3.0  # forms that take so many times the fastest one of PyTorch, or of ggml, are run once
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


def definition(keys, values, queries):
    """@return outputs and rms(v) under the weights of each query, in double precision"""
    keys, values = keys.astype(np.float64), values.astype(np.float64)
    logits = queries.astype(np.float64) @ keys.T / math.sqrt(keys.shape[1])
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ values, np.sqrt(weights @ np.sum(values**2, axis=1))


def check(server, folder, group, head_dim):
    """Everybody against the definition.
    @return by system the largest error of an output relative to rms(v), what our certificates allow, and error over that"""
    source = np.random.default_rng(8)
    tokens = 1000  # the last page is open
    keys, values = (source.standard_normal((tokens, head_dim)).astype(np.float16) for _ in range(2))
    queries = (3.0 * source.standard_normal((group, head_dim))).astype(np.float32)
    for name, rows in (("keys", keys), ("values", values), ("queries", queries)):
        np.save(folder / f"{name}.npy", rows)
    exact, rms = definition(keys, values, queries)
    error = lambda output: float(np.max(np.linalg.norm(output - exact, axis=1) / rms))
    errors, certified, over_bound = {}, {}, {}
    for levels in LEVELS:
        answer = server.ask(f"read {levels}")
        output, bounds = np.asarray(answer["output"]), np.asarray(answer["error"])
        errors[levels], certified[levels] = error(output), float(np.max(bounds / rms))
        over_bound[levels] = float(np.max(np.linalg.norm(output - exact, axis=1) / bounds))
    theirs = attention(torch.from_numpy(queries)[None, :, None], torch.from_numpy(keys)[None, None].float(),
                       torch.from_numpy(values)[None, None].float(), enable_gqa=True)  # fmt: skip
    errors["torch_fp32"] = error(theirs[0, :, 0].numpy())
    for types, forms in CACHES:  # of two KV heads, the second one with the values negated
        read = Ggml(types, forms, np.stack([keys, keys]), np.stack([values, -values]), np.tile(queries, (2, 1)))
        for name in read.graphs:
            read.run(name)
            first, second = read.output(name).reshape(2, group, head_dim)
            errors[name] = max(error(first), error(-second))
            largest = LARGEST_ERROR.get("_".join(types), LARGEST_ERROR_OF_4_BITS)
            if not errors[name] <= largest:
                raise SystemExit(f"{name} is off by {errors[name]:.2e} rms(v), expected at most {largest}")
    return errors, certified, over_bound


def take_turn(times, name, run):
    """Runs a form once more, unless another one of the same library is far faster."""
    library = name.split("_")[0]
    taken = times.setdefault(name, [])
    fastest = min((min(others) for other, others in times.items() if other.startswith(library) and others), default=0.0)
    if not taken or min(taken) < SLOW * fastest:
        taken.append(run() * 1e6)


def measure(server, context, head_dim, group, repetitions):
    """Microseconds of every system, in turn, so that drift hits all alike; the first turn is not counted.
    @return them, and bytes of keys and values of a token"""
    peers = Torch(context, head_dim, group)
    source = np.random.default_rng(6)
    draw = lambda *shape: source.standard_normal(shape, np.float32)
    keys, values = draw(1, context, head_dim), draw(1, context, head_dim)
    caches, times, size = [], {}, {}
    for types, forms in CACHES:
        token_bytes = bytes_per_token(types, head_dim)
        copies = math.ceil(POOL_BYTES / (token_bytes * context))
        caches.append(Ggml(types, forms, keys, values, draw(copies * group, head_dim), copies))
        size.update(dict.fromkeys(caches[-1].graphs, token_bytes))
    for repetition in range(repetitions + 1):
        for levels in LEVELS:
            answer = server.ask(f"time {levels} {context} {head_dim} {group}")
            for name, taken in ((levels, answer["us"]), (f"{levels}+certificate", answer["certified_us"])):
                times.setdefault(name, []).append(taken)
                size[name] = answer["bytes_per_token"]
        for kind, form in itertools.product(TYPES, ("gqa", "folded")):
            name = f"torch_{kind}_{form}"
            size[name] = 2 * head_dim * TYPES[kind].itemsize
            take_turn(times, name, lambda: peers.run(kind, form))
        for cache in caches:
            for name in cache.graphs:
                take_turn(times, name, lambda: cache.run(name))
    server.ask("free")
    return {name: taken[1:] or taken for name, taken in times.items()}, size


def say(line):
    print(line, file=sys.stderr, flush=True)


def summarise_errors(head_dim, errors, certified, over_bound, metrics):
    """@return whether all our outputs are within their certificates"""
    say(f"\nhead_dim {head_dim}: largest error of an output relative to rms(v), 1000 tokens, 8 queries; certified: our bound")
    for name, error in errors.items():
        say(f"{name:22}{error:>12.2e}" + (f"{certified[name]:>12.2e} certified" if name in certified else ""))
        metrics[f"llm.output_error.{name}.d{head_dim}"] = error
        if name in certified:
            metrics[f"llm.output_certified.{name}.d{head_dim}"] = certified[name]
    metrics[f"llm.error_over_bound.d{head_dim}"] = worst = max(over_bound.values())
    return worst <= 1.0


def summarise(context, head_dim, group, times, size, metrics):
    """@return the ratios that were set"""
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    where = f"{context // 1024}k.d{head_dim}.g{group}"
    fastest = {kind: min(middle[f"torch_{kind}_{form}"] for form in ("gqa", "folded")) for kind in TYPES}
    best = min(fastest.values())
    say(f"\n{context} tokens, head_dim {head_dim}, {group} queries per KV head; us per KV head: median (least - most)")
    for name, taken in times.items():
        spread = f"{middle[name]:.0f} ({min(taken):.0f} - {max(taken):.0f})"
        say(f"{name:22}{spread:>32}{best / middle[name]:>9.2f} x torch{size[name]:>9.1f} bytes a token")
        metrics[f"llm.us.{name}.{where}"] = middle[name]
        metrics[f"llm.bytes_per_token.{name}.d{head_dim}"] = size[name]
    ours = {levels: middle[f"{levels}+certificate"] for levels in LEVELS} | {"exact": middle["exact"]}
    least = lambda *starts: min(taken for name, taken in middle.items() if name.startswith(starts))
    forms = ("flash", "plain", "folded")
    ratios = {
        "exact_vs_torch": best / ours["exact"],
        "exact_vs_torch_fp16": fastest["fp16"] / ours["exact"],
        "k8v4_vs_torch": best / ours["k8v4"],
        "exact_vs_ggml_f16": least(*(f"ggml_{form}_f16_f16" for form in forms)) / ours["exact"],
        "k8v4_vs_ggml": least("ggml_") / ours["k8v4"],
        "k8v4_vs_llama": least("ggml_flash", "ggml_plain") / ours["k8v4"],
    } | {f"{levels}_vs_ggml_{types}": middle[f"ggml_flash_{types}"] / ours[levels] for levels, types in BESIDE.items()}
    metrics.update({f"llm.{name}.{where}": ratio for name, ratio in ratios.items()})
    return ratios


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
            sound = summarise_errors(head_dim, *check(server, Path(scratch), 8, head_dim), metrics) and sound
        for head_dim, context, group in itertools.product(dims, contexts, (1, 4, 8)):
            times, size = measure(server, context * 1024, head_dim, group, 3 if options.quick else 7)
            names = summarise(context * 1024, head_dim, group, times, size, metrics)
        server.close()
    for name in names:
        ratios = [metrics[f"llm.{name}.32k.d128.g{group}"] for group in (1, 4, 8)]
        metrics[f"llm.{name}"] = statistics.geometric_mean(ratios)
        metrics[f"llm.{name}_least"] = min(value for key, value in metrics.items() if key.startswith(f"llm.{name}."))
    metrics["llm.within_bounds"] = int(sound)
    write_report("attention_peers", metrics, options.json)
    if not sound:
        raise SystemExit("an output is outside of its certificate")


if __name__ == "__main__":
    main()
