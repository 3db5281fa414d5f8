"""The decoders that bench/peers/speech.py compares: two peers in this process, our binary in one of its own.

Every system answers `decode(task)` with an Answer: seconds of its thread, the transcript, and the score in its own terms.
"""

import copy
import ctypes
import logging
import math
import os
import sys
import time
from dataclasses import dataclass, field

from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    SmearingMode,
    Trie,
    ZeroLM,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from pyctcdecode import build_ctcdecoder

from shared import Server

logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
LN10 = math.log(10.0)


@dataclass
class Task:
    """One utterance to decode. Without lm_weight: no lexicon, no model, sum semantics."""

    name: str  # as in metric names
    utterance: str
    emissions: object  # float32 [frames, tokens], the blank last
    lm_weight: float = None  # factor of the natural logarithm of the model's probability
    bonus: float = 0.0

    @property
    def blank(self):
        return self.emissions.shape[1] - 1


@dataclass
class Answer:
    seconds: float
    score: float  # as the system sees it, nats
    labels: list = None  # tokens, without lexicon
    words: list = None  # with lexicon
    more: dict = field(default_factory=dict)


class Language:
    """words.lst and lm.arpa, as every system here is given them."""

    def __init__(self, folder, alphabet):
        self.arpa = str(folder / "lm.arpa")
        token = {letter: i for i, letter in enumerate(alphabet)}
        self.silence = token["|"] = token[" "]
        self.spellings = {}
        for line in (folder / "words.lst").read_text().splitlines():
            word, *letters = line.split()
            self.spellings[word] = [token[letter] for letter in letters]


def quietly(make):
    """kenlm draws its progress on file descriptor 2, which is the table's."""
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        return make()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def resident_rise(work):
    """Bytes by which the resident memory of this process rises at most while `work` runs."""

    def status(key):
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the peak starts again from here
    before = status("VmRSS:")
    work()
    return max(0, status("VmHWM:") - before)


class Peer:
    """A decoder in this process."""

    def rise(self, task):
        """Bytes by which a decode raises the resident memory, and its answer."""
        answers = []
        return resident_rise(lambda: answers.append(self.decode(task))), answers[0]


class Flashlight(Peer):
    """LexiconDecoder with KenLM, or LexiconFreeDecoder with log-add; thresholds as torchaudio's ctc_decoder sets them."""

    def __init__(self, language, width):
        self.name, self.width, self.language = f"flashlight_{width}", width, language
        self.zero = ZeroLM()

    def prepare(self):
        """The trie and the model: shared by all utterances, so not timed."""
        self.words = Dictionary(list(self.language.spellings) + ["<unk>"])
        self.unknown = self.words.get_index("<unk>")
        self.words.set_default_index(self.unknown)
        self.model = quietly(lambda: KenLM(self.language.arpa, self.words))
        self.trie = Trie(max(map(max, self.language.spellings.values())) + 2, self.language.silence)
        start = self.model.start(False)
        for word, spelling in self.language.spellings.items():
            index = self.words.get_index(word)
            self.trie.insert(spelling, index, self.model.score(start, index)[1])
        self.trie.smear(SmearingMode.MAX)
        return self

    def share(self, other):
        self.words, self.unknown, self.model, self.trie = other.words, other.unknown, other.model, other.trie
        return self

    def decode(self, task):
        frames, tokens = task.emissions.shape
        common = dict(beam_size=self.width, beam_size_token=tokens, beam_threshold=50.0, sil_score=0.0,
                      criterion_type=CriterionType.CTC)  # fmt: skip
        begin = time.thread_time()
        if task.lm_weight is None:
            options = LexiconFreeDecoderOptions(**common, lm_weight=0.0, log_add=True)
            decoder = LexiconFreeDecoder(options, self.zero, 0, task.blank, [])
        else:
            # Its model speaks log10.
            options = LexiconDecoderOptions(**common, lm_weight=task.lm_weight * LN10, word_score=task.bonus,
                                            unk_score=-math.inf, log_add=False)  # fmt: skip
            decoder = LexiconDecoder(options, self.trie, self.model, self.language.silence, task.blank, self.unknown,
                                     [], False)  # fmt: skip
        best = decoder.decode(task.emissions.ctypes.data, frames, tokens)[0]
        seconds = time.thread_time() - begin
        if task.lm_weight is not None:
            return Answer(seconds, best.score, words=[self.words.get_entry(i) for i in best.words if i >= 0])
        # One token per frame, padded with one more at each end.
        path = best.tokens[1:-1]
        labels = [k for i, k in enumerate(path) if k != task.blank and (i == 0 or k != path[i - 1])]
        return Answer(seconds, best.score, labels=labels)


class Pyctcdecode(Peer):
    """Log-add prefix beam search at its defaults: width 100, tokens below -5 and beams 10 below the best are dropped.

    Words are its `unigrams`: others are not forbidden but cost -10. It sums over paths with the model too.
    """

    name, width = "pyctcdecode", 100

    def __init__(self, language, alphabet):
        self.language, self.alphabet = language, alphabet
        self.plain = {}

    def prepare(self):
        words = list(self.language.spellings)
        self.with_model = quietly(lambda: build_ctcdecoder(self.alphabet + [""], self.language.arpa, unigrams=words))
        return self

    def decoder(self, task):
        if task.lm_weight is not None:
            self.with_model.reset_params(alpha=float(task.lm_weight), beta=float(task.bonus))
            return self.with_model
        letters = task.emissions.shape[1] - 1
        if letters not in self.plain:  # any distinct characters do; the space stands first as in the speech alphabet
            names = [" "] + [chr(0x4E00 + i) for i in range(letters - 1)]
            self.plain[letters] = (build_ctcdecoder(names + [""]), names)
        return self.plain[letters][0]

    def decode(self, task):
        decoder = self.decoder(task)
        begin = time.thread_time()
        text, _, _, _, score = decoder.decode_beams(task.emissions, beam_width=self.width)[0]
        seconds = time.thread_time() - begin
        if task.lm_weight is not None:
            return Answer(seconds, score, words=text.split())
        names = self.plain[task.emissions.shape[1] - 1][1]
        return Answer(seconds, score, labels=[names.index(letter) for letter in text])


class Ours(Server):
    """Our binary, kept running: one line of JSON for each line (bench/README.md). `ladder` names the levels it climbs."""

    width = 0

    def __init__(self, binary, folder):
        self.name, self.ladder = "mpp", ""
        super().__init__([binary, "--serve", folder])
        self.read()

    def on(self, ladder):
        """The same process on another ladder."""
        other = copy.copy(self)
        other.name, other.ladder = f"mpp_{ladder}", f" {ladder}"
        return other

    def request(self, task):
        if task.lm_weight is None:
            return f"sum {task.utterance}{self.ladder}"
        return f"max {task.utterance} {task.lm_weight!r} {task.bonus!r}{self.ladder}"

    def decode(self, task):
        return self.answer(self.ask(self.request(task)))

    def rise(self, task):
        found = self.ask("rise " + self.request(task))
        return found["rise_bytes"], self.answer(found)

    @staticmethod
    def answer(found):
        return Answer(found["ms"] / 1e3, found["score"], found.get("tokens"), found.get("words"), found)

