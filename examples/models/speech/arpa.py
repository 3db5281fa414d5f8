"""An n-gram model with Witten-Bell smoothing, counted from sentences and written in ARPA format.

    P(w | h) = (c(h w) + n(h) P(w | h without its first word)) / (c(h) + n(h)),   n(h): distinct words seen after h

is a backoff model as it stands: an unseen w has P(w | h) = b(h) P(w | shorter h) with b(h) = n(h) / (c(h) + n(h)).
Below the unigrams is the uniform distribution over all words, </s> and <unk>.
"""
from __future__ import annotations

import collections
import math
import pathlib

Ngram = tuple[str, ...]


class NgramCounts:
    def __init__(self, sentences: list[str], order: int):
        self.order = order
        self.words = sorted({word for sentence in sentences for word in sentence.split()})
        self.after: dict[Ngram, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for sentence in sentences:
            words = ["<s>", *sentence.split(), "</s>"]
            for end in range(1, len(words)):
                for start in range(max(0, end - order + 1), end + 1):
                    self.after[tuple(words[start:end])][words[end]] += 1

    def backoff(self, history: Ngram) -> float:
        seen = self.after.get(history)
        return len(seen) / (seen.total() + len(seen)) if seen else 1.0

    def probability(self, history: Ngram, word: str) -> float:
        shorter = self.probability(history[1:], word) if history else 1.0 / (len(self.words) + 2)
        seen = self.after.get(history)
        if not seen:
            return shorter
        return (seen[word] + len(seen) * shorter) / (seen.total() + len(seen))

    def ngrams(self, n: int) -> list[Ngram]:
        if n == 1:
            return [("<unk>",), ("<s>",), ("</s>",), *((word,) for word in self.words)]
        return sorted((*history, word) for history, seen in self.after.items() if len(history) == n - 1 for word in seen)


def write_arpa(path: pathlib.Path, counts: NgramCounts) -> None:
    ngrams = {n: counts.ngrams(n) for n in range(1, counts.order + 1)}
    lines = ["\\data\\", *(f"ngram {n}={len(listed)}" for n, listed in ngrams.items()), ""]
    for n, listed in ngrams.items():
        lines.append(f"\\{n}-grams:")
        for ngram in listed:
            log10 = -99.0 if ngram == ("<s>",) else math.log10(counts.probability(ngram[:-1], ngram[-1]))
            line = f"{log10:.4f}\t{' '.join(ngram)}"
            if n < counts.order and ngram in counts.after:
                line += f"\t{math.log10(counts.backoff(ngram)):.4f}"
            lines.append(line)
        lines.append("")
    path.write_text("\n".join([*lines, "\\end\\", ""]), encoding="ascii")
