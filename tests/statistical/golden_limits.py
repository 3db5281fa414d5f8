#!/usr/bin/env python3
"""Writes golden_limits.hpp: Clopper-Pearson limits to 30 digits, by mpmath, for samples too large for exact fractions.

usage: tests/statistical/golden_limits.py > tests/statistical/golden_limits.hpp, then clang-format-16 -i on it (needs mpmath)
"""
from mpmath import exp, log, mp, mpf, nstr

mp.dps = 50


def failure_rate(k, n, beta):
    """The q with P(Bin(n, 1 - q) <= k) = beta. Newton's iteration in log(q), in which log(tail) is concave."""
    log_q, ways = log(mpf(n - k) / n / 2), mp.binomial(n, k)
    while True:
        q = exp(log_q)
        ratio, total, odds = mpf(1), mpf(1), q / (1 - q)  # P(X <= k) / P(X = k)
        for j in range(k, 0, -1):
            ratio *= odds * j / (n - j + 1)
            total += ratio
            if ratio < mpf(10) ** -50:
                break
        tail = ways * (1 - q) ** k * q ** (n - k) * total
        step = (log(beta) - log(tail)) * total / (n - k)
        log_q += step
        if abs(step) < mpf(10) ** -40:
            return exp(log_q)


def upper(k, n, beta):
    return 1 - failure_rate(k, n, beta)


def lower(k, n, beta):
    return failure_rate(n - k, n, beta)


print("#pragma once\n#include <cstdint>\n\n// Written by golden_limits.py; do not edit.\nnamespace mpp::statistical {\n")
print("struct GoldenLimit {\n  std::uint64_t violations, n;\n  double beta;\n  const char* upper;\n  const char* lower;\n};")
print("inline constexpr GoldenLimit golden_limits[] = {")
for n in (1000, 5000, 100000):
    for k in (1, 7, n // 100, n // 20, n // 2, n - 40):
        for beta in (0.05, 1e-6, 1e-300, 3e-308):  # the doubles, exactly: mpf(float) converts without rounding
            b = mpf(beta)
            print(f'    {{{k}, {n}, {beta}, "{nstr(upper(k, n, b), 30)}", "{nstr(lower(k, n, b), 30)}"}},')
print("};\n\n}  // namespace mpp::statistical")
