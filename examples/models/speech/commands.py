#!/usr/bin/env python3
"""Speaks commands with espeak-ng, trains a small CTC net on them and writes what the speech example decodes:
emissions of held-out commands under several levels of noise, the word list and a trigram model.

Takes some ten minutes on one core. Needs the Debian package espeak-ng and requirements.txt.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import pathlib
import random
import subprocess
import sys

import numpy as np

import arpa
import grammar
import noisy
import sound
from ctc_net import Alphabet

VOICES = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc", "en-gb-x-gbcwmd"]
VARIANTS = ["", "+m1", "+m3", "+m7", "+f1", "+f2", "+f4", "+f5"]
DECIBELS = [10, 5, 0, -5]  # of the speech above the noise, in what is written
STRIDE = 3  # frames of 10 ms per emission


def options() -> argparse.Namespace:
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=pathlib.Path, default=here.parent / "commands", help="folder to write (default: %(default)s)")
    add("--sentences", type=int, default=900, help="distinct training sentences (default: %(default)s)")
    add("--speakers", type=int, default=2, help="times each training sentence is spoken (default: %(default)s)")
    add("--held-out", type=int, default=40, help="held-out sentences that are written (default: %(default)s)")
    noisy.add_options(parser, epochs=14, batch=16)
    return parser.parse_args()


def speak(job: tuple[str, str, int, int]) -> np.ndarray:
    """A sentence in a voice, at a speed in words per minute and a pitch from 0 to 99."""
    sentence, voice, speed, pitch = job
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch), sentence]
    wave = subprocess.run(command, capture_output=True, check=True).stdout
    # Written to a pipe, the header's lengths are wrong: take the rate from it and all that follows as samples.
    return sound.at_our_rate(np.frombuffer(wave[44:], dtype="<i2"), int.from_bytes(wave[24:28], "little"))


def speak_all(sentences: list[str], seed: int, threads: int) -> list[noisy.Spoken]:
    source = random.Random(seed)
    jobs = [(sentence, source.choice(VOICES) + source.choice(VARIANTS), source.randint(130, 190), source.randint(30, 70))
            for sentence in sentences]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(zip(sentences, pool.map(speak, jobs), strict=True))


def main() -> None:
    o = options()
    sentences = grammar.draw(o.sentences + o.held_out, o.seed)
    training, held_out = sentences[o.held_out :], sentences[: o.held_out]
    missing = set(grammar.words_of(held_out)) - set(grammar.words_of(training))
    if missing:
        sys.exit(f"commands.py: no training sentence has {', '.join(sorted(missing))}; raise --sentences")
    print(f"speaking {len(training) * o.speakers + len(held_out)} recordings", file=sys.stderr)
    spoken = speak_all(training * o.speakers, o.seed, o.threads)
    test = speak_all(held_out, o.seed + 1, o.threads)

    alphabet = Alphabet.of(sentences)
    net = noisy.train_net(alphabet, STRIDE, lambda _: spoken, o)
    noisy.write_held_out(o.out, net, alphabet, test, DECIBELS,
                         "Made by examples/models/speech/commands.py: espeak-ng voices, our own net, pink noise.", o.seed + 2)
    (o.out / "words.lst").write_text("\n".join(grammar.words_of(training)) + "\n", encoding="ascii")
    arpa.write_arpa(o.out / "lm.arpa", arpa.NgramCounts(training, order=3))
    print(f"{o.out}: {sum(file.stat().st_size for file in o.out.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
