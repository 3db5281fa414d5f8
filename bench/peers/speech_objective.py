"""What a transcript is worth, computed by neither us nor the peers: plain NumPy in double, and kenlm for the model.

Every system's transcript is judged by these, so a score that a system reports in its own unit decides nothing.
"""

import math

import numpy as np

IMPOSSIBLE = -math.inf


def log_softmax(rows):
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    return np.ascontiguousarray(rows - np.log(np.exp(rows).sum(axis=1, keepdims=True)), dtype=np.float32)


def log_probability(emissions, blank, labels):
    """ln of the total probability of all CTC paths that collapse to `labels`: the forward algorithm."""
    wide = emissions.astype(np.float64)
    symbols = [blank]
    for label in labels:
        symbols += [label, blank]
    # From two symbols before: past a blank between two labels that differ.
    skips = [i >= 2 and symbols[i] != blank and symbols[i] != symbols[i - 2] for i in range(len(symbols))]
    skips = np.where(skips, 0.0, IMPOSSIBLE)
    alpha = np.full(len(symbols), IMPOSSIBLE)
    alpha[0] = 0.0  # before the first frame: the empty labelling
    padded = np.full(len(symbols) + 2, IMPOSSIBLE)
    for row in wide:
        padded[2:] = alpha
        alpha = np.logaddexp(np.logaddexp(alpha, padded[1:-1]), padded[:-2] + skips) + row[symbols]
    return float(np.logaddexp(alpha[-1], alpha[-2]) if len(symbols) > 1 else alpha[-1])


class Objective:
    """Max semantics: the best path of a word sequence, plus lm_weight * ln P(words, </s>) + bonus for each word.

    Silence is the separator that ends every spelling, so between words it may be emitted freely, as in flashlight.
    """

    def __init__(self, spellings, model, silence, blank):
        self.spellings, self.model, self.silence, self.blank = spellings, model, silence, blank

    def score(self, emissions, words, lm_weight, bonus):
        """Nats; -infinity for words that the lexicon lacks or that the frames cannot hold."""
        if any(word not in self.spellings for word in words):
            return IMPOSSIBLE
        model = self.model.score(" ".join(words), bos=True, eos=True) * math.log(10.0)
        return self.best_path(emissions, words) + lm_weight * model + bonus * len(words)

    def best_path(self, emissions, words):
        """States of the alignment: between words 1 state, where blank and silence are free; 2 for every letter."""
        wide = emissions.astype(np.float64)
        between = np.maximum(wide[:, self.blank], wide[:, self.silence])
        enter, stay, skips, is_between = [between], [between], [False], [True]
        for word in words:
            before = None
            for token in self.spellings[word]:
                ends = token == self.silence
                # Into a letter from the state just before it, and past its blank unless the letter repeats.
                skips.append(before is not None and token != before)
                enter.append(wide[:, token])
                stay.append(between if ends else wide[:, token])
                is_between.append(ends)
                if not ends:
                    skips.append(False)
                    enter.append(wide[:, self.blank])
                    stay.append(wide[:, self.blank])
                    is_between.append(False)
                before = token
        enter, stay = np.array(enter), np.array(stay)
        skip = np.where(skips, 0.0, IMPOSSIBLE)
        best = np.full(len(enter), IMPOSSIBLE)
        best[0] = 0.0
        padded = np.full(len(enter) + 2, IMPOSSIBLE)
        for frame in range(len(wide)):
            padded[2:] = best
            best = np.maximum(best + stay[:, frame], np.maximum(padded[1:-1], padded[:-2] + skip) + enter[:, frame])
        return float(best[-1]) if is_between[-1] else IMPOSSIBLE
