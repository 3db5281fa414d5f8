#!/usr/bin/env python3
"""Our confidence limits, p-values and ranks beside those of SciPy, MAPIE, confseq, crepes and plain NumPy.

    pip install -r bench/peers/guarantees_requirements.txt
    pip install --no-build-isolation --no-deps confseq==0.0.11
    bench/peers/guarantees.py --json -

Every value is computed by ours and theirs for the same samples; the script fails if they differ by more than 1e-9. Below
the table: what two of them return where they are known to be wrong. Without confseq its rows are left out, which is said.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

try:
    import numpy as np

    import guarantees_formulas as other
except ImportError as missing:
    raise SystemExit(f"{missing}; pip install -r {Path(__file__).parent}/guarantees_requirements.txt")

ROOT = Path(__file__).resolve().parents[2]
AGREEMENT = 1e-9
BETAS = (0.1, 0.05, 0.01)


class Ours:
    """bench_guarantees --serve: a line of JSON in, a line of JSON out. Doubles keep their bits both ways."""

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._read()

    def __call__(self, call, **arguments):
        arrays = {name: list(map(float, x)) if isinstance(x, np.ndarray) else x for name, x in arguments.items()}
        self.process.stdin.write(json.dumps({"call": call, **arrays}) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench_guarantees ended")
        return json.loads(line)


def counts():
    for n in (1, 2, 9, 50, 299, 1000, 20_000):
        for violations in sorted({0, 1, 3, n // 100, n // 20, n // 2, n - 1, n}):
            if violations <= n:
                yield violations, n


def graded_samples(random):
    for n in (1, 2, 9, 50, 299, 1001, 5000):
        yield random.beta(0.2, 19.8, n)
        yield random.uniform(0.0, 1.0, n)
        yield np.where(random.uniform(size=n) < 0.02, 1.0, 0.03125)
        yield random.choice([0.0, 0.25, 0.5, 1.0], n)
        yield random.binomial(1, 0.05, n).astype(float)
        yield np.full(n, 0.1)
        yield np.zeros(n)


class Table:
    """Largest difference per row of the comparison."""

    def __init__(self):
        self.rows = {}

    def add(self, name, peer, ours, theirs):
        row = self.rows.setdefault((name, peer), [0, 0.0, 0.0])
        gap = abs(ours - theirs)
        row[0] += 1
        row[1] = max(row[1], gap if not math.isnan(gap) else math.inf)
        row[2] = max(row[2], gap / abs(theirs) if theirs else 0.0)

    def print(self):
        say(f"{'ours':28}{'by':24}{'values':>8}{'largest gap':>14}{'relative':>12}")
        for (name, peer), (values, gap, relative) in self.rows.items():
            wrong = "" if gap <= AGREEMENT else "  DIFFERS"
            say(f"{name:28}{peer:24}{values:8}{gap:14.2e}{relative:12.2e}{wrong}")

    def worst(self):
        return max(gap for _, gap, _ in self.rows.values())


def say(line):
    print(line, file=sys.stderr, flush=True)


def compare_counts(ours, table):
    for violations, n in counts():
        for beta in BETAS:
            for side in ("upper", "lower"):
                value = ours(f"clopper_pearson_{side}", violations=violations, n=n, beta=beta)
                for peer, prefix in (("scipy.stats.beta", "clopper_pearson"), ("scipy.stats.binomtest", "binomtest")):
                    table.add(f"clopper_pearson_{side}", peer, value, getattr(other, f"{prefix}_{side}")(violations, n, beta))
        for risk in (0.01, 0.05, 0.3):
            value = ours("binomial_p", violations=violations, n=n, risk=risk)
            table.add("binomial_p", "scipy.stats.binomtest", value, other.binomial_p(violations, n, risk))
            if violations < n and not other.mapie_count_is_lost(violations, n):
                table.add("binomial_p", "mapie, binary", value, other.mapie_binomial_p(violations, n, risk))
    for risk, beta, violations in ((0.05, 0.05, 0), (0.01, 0.05, 0), (0.01, 0.01, 0), (0.01, 0.05, 5), (0.001, 0.05, 0)):
        value = ours("minimum_samples", risk=risk, beta=beta, violations=violations)
        table.add("minimum_samples", "scipy.stats.binom", value, other.minimum_samples(risk, beta, violations))


def compare_graded(ours, table, random):
    pairs = [
        ("hoeffding_bentkus", "plain NumPy, SciPy", other.hoeffding_bentkus_upper, other.hoeffding_bentkus_lower),
        ("empirical_bernstein", "plain NumPy", other.empirical_bernstein_upper, None),
        ("betting", "plain NumPy", other.betting_upper, None),
    ]
    p_values = [
        ("hoeffding_bentkus_p", "plain NumPy, SciPy", other.hoeffding_bentkus_p),
        ("betting_p", "plain NumPy", other.betting_p),
    ]
    if other.betting_mart is not None:
        pairs.append(("betting", "confseq betting_mart", other.confseq_betting_upper, None))
        p_values.append(("betting_p", "confseq betting_mart", other.confseq_betting_p))
    for losses in graded_samples(random):
        for beta in BETAS:
            for name, peer, upper, lower in pairs:
                table.add(f"{name}_upper", peer, ours(f"{name}_upper", losses=losses, beta=beta), upper(losses, beta))
                below = (lower or other.mirrored(upper))(losses, beta)
                table.add(f"{name}_lower", peer, ours(f"{name}_lower", losses=losses, beta=beta), below)
            if len(losses) > 1:
                value = ours("empirical_bernstein_upper", losses=losses, beta=beta)
                table.add("empirical_bernstein_upper", "mapie, bernstein", value, other.mapie_bernstein_upper(losses, beta))
        for risk in (0.01, 0.05, 0.3):
            for name, peer, p_value in p_values:
                table.add(name, peer, ours(name, losses=losses, risk=risk), p_value(losses, risk))
            if not other.mapie_ceiling_is_lost(losses):  # else it is wrong: below
                value = ours("hoeffding_bentkus_p", losses=losses, risk=risk)
                table.add("hoeffding_bentkus_p", "mapie", value, other.mapie_hoeffding_bentkus_p(losses, risk))


def compare_ranks(ours, table, random):
    for n in (99, 299, 1000, 5000):
        scores = random.exponential(size=n)
        scores[: n // 3] = np.round(scores[: n // 3], 1)  # ties
        for risk in (0.3, 0.1, 0.05, 0.0625):
            value = ours("split_conformal", scores=scores, risk=risk)
            table.add("split conformal kappa", "exact fractions", value, other.split_conformal(scores, risk))
            if risk == 0.0625:  # its rank is in floating point: right where 1 - confidence is exact
                table.add("split conformal kappa", "crepes", value, other.crepes_split_conformal(scores, risk))
            for beta in BETAS:
                value = ours("tolerance", scores=scores, risk=risk, beta=beta)
                table.add("tolerance kappa", "scipy.stats.binom", value, other.tolerance(scores, risk, beta))


def known_mistakes(ours, random, metrics):
    """Figures of public code that is wrong, beside ours for the same samples."""
    n, mean, replicates = 1000, 0.05, 1000
    samples = [random.binomial(1, mean, n).astype(float) for _ in range(replicates)]
    for delta in (0.1, 0.05):
        theirs = sum(other.mapie_betting_refutes(losses, mean, delta) for losses in samples) / replicates
        mine = sum(ours("betting_upper", losses=losses, beta=delta) < mean for losses in samples) / replicates
        say(f"limit below the true mean of 5 %, n = {n}, promised in at most {delta:.0%}: "
            f"mapie 'wsr' {theirs:.1%}, ours {mine:.1%}")  # fmt: skip
        metrics[f"guarantees.peers_wrong.mapie_wsr.{delta:g}"] = theirs
        metrics[f"guarantees.peers_wrong.betting.{delta:g}"] = mine
    lost = [(k, n) for n in (500, 1000, 2000, 5000) for k in range(n + 1) if other.mapie_count_is_lost(k, n)]
    k, n = min(lost, key=lambda pair: pair[0] / pair[1])
    say(f"ceil(n * mean) is not the count for {len(lost)} of 8,504 (k, n): p-value of {k} in {n} at risk {1.3 * k / n:.3g}: "
        f"mapie {other.mapie_binomial_p(k, n, 1.3 * k / n):.6g}, "
        f"exact {ours('binomial_p', violations=k, n=n, risk=1.3 * k / n):.6g}")  # fmt: skip
    metrics["guarantees.peers_wrong.counts_lost"] = len(lost)


def device():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown CPU"


def commit():
    git = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip() or "unknown"  # as in an unpacked archive


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE", help="write the metrics; - is stdout")
    parser.add_argument("--binary", default=str(ROOT / "build/release/bench/bench_guarantees"), help="our benchmark")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} is not there; build it: cmake --workflow --preset release")
    return options


def main():
    options = arguments()
    warnings.simplefilter("ignore")  # of peers, about small samples
    random = np.random.default_rng(7)
    ours, table, metrics = Ours(options.binary), Table(), {}
    compare_counts(ours, table)
    compare_graded(ours, table, random)
    compare_ranks(ours, table, random)
    table.print()
    if other.betting_mart is None:
        say("confseq is not installed: its rows are left out")
    say("")
    known_mistakes(ours, random, metrics)
    ours.close()
    metrics["guarantees.peers_values"] = sum(values for values, _, _ in table.rows.values())
    metrics["guarantees.peers_rows"] = len(table.rows)
    metrics["guarantees.peers_largest_gap"] = table.worst()
    metrics["guarantees.peers_agree"] = int(table.worst() <= AGREEMENT)
    report = {"bench": "guarantees_peers", "device": device(), "commit": commit(), "metrics": metrics}
    if options.json == "-":
        print(json.dumps(report))
    elif options.json:
        Path(options.json).write_text(json.dumps(report) + "\n")
    return 0 if table.worst() <= AGREEMENT else 1


if __name__ == "__main__":
    sys.exit(main())
