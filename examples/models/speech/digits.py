#!/usr/bin/env python3
"""Trains a small CTC net on recorded digits and writes emissions of spoken digit strings under several levels of noise.

The recordings (the free spoken digit dataset, CC BY-SA 4.0) are not ours, so nothing made from them is part of the project:
run this before the full speech benchmark. Takes some three minutes on one core.
"""
from __future__ import annotations

import argparse
import collections
import io
import os
import pathlib
import sys
import tarfile

import numpy as np

import noisy
import sound
from ctc_net import Alphabet

NAMES = "zero one two three four five six seven eight nine".split()
DECIBELS = [20, 10, 5, 0]  # of the speech above the noise, in what is written
STRIDE = 2  # frames of 10 ms per emission: a quick "three" has five letters in 150 ms

Recordings = dict[tuple[str, int], list[np.ndarray]]  # by speaker and digit


def options() -> argparse.Namespace:
    root = pathlib.Path(__file__).resolve().parents[3]
    data = pathlib.Path(os.environ.get("MPP_DATA_DIR", root.parent / "shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("out", type=pathlib.Path, nargs="?", default=root / "out/speech_digits", help="folder to write (default: %(default)s)")
    add("--recordings", type=pathlib.Path, default=data / "speech/fsdd_train.tar",
        help="tar of {digit}_{speaker}_{index}.wav (default: %(default)s)")
    add("--strings", type=int, default=120, help="held-out digit strings that are written (default: %(default)s)")
    noisy.add_options(parser, epochs=24, batch=8)
    return parser.parse_args()


def read_recordings(tar: pathlib.Path) -> tuple[Recordings, Recordings]:
    """Training and held-out recordings: every ninth one of a speaker is held out."""
    training: Recordings = collections.defaultdict(list)
    held_out: Recordings = collections.defaultdict(list)
    with tarfile.open(tar) as archive:
        for name in sorted(member.name for member in archive.getmembers() if member.name.endswith(".wav")):
            digit, speaker, index = pathlib.PurePosixPath(name).stem.split("_")
            wave = sound.read_wave(io.BytesIO(archive.extractfile(name).read()))
            (held_out if int(index) % 9 == 0 else training)[speaker, int(digit)].append(wave)
    return training, held_out


def string_of(parts: list[tuple[int, np.ndarray]], source: np.random.Generator) -> noisy.Spoken:
    """The recordings one after the other at one loudness, with 30 to 200 ms of silence around each."""
    pause = lambda: np.zeros(source.integers(sound.RATE * 3 // 100, sound.RATE // 5), np.float32)
    pieces = [pause()]
    for _, wave in parts:
        pieces += [0.1 / np.sqrt(sound.speech_power(wave)) * wave, pause()]
    return " ".join(NAMES[digit] for digit, _ in parts), np.concatenate(pieces)


def training_strings(recordings: Recordings, source: np.random.Generator) -> list[noisy.Spoken]:
    """Every recording once, in strings of one to four digits of one speaker."""
    strings = []
    for speaker in sorted({speaker for speaker, _ in recordings}):
        own = [(digit, wave) for (who, digit), waves in recordings.items() if who == speaker for wave in waves]
        left = [own[i] for i in source.permutation(len(own))]
        while left:
            count = int(source.integers(1, 5))
            strings.append(string_of(left[:count], source))
            left = left[count:]
    return strings


def held_out_strings(recordings: Recordings, count: int, source: np.random.Generator) -> list[noisy.Spoken]:
    """Three to eight digits, the speakers in turn."""
    speakers = sorted({speaker for speaker, _ in recordings})
    strings = []
    for i in range(count):
        digits = source.integers(0, 10, source.integers(3, 9)).tolist()
        choose = lambda waves: waves[source.integers(len(waves))]
        strings.append(string_of([(d, choose(recordings[speakers[i % len(speakers)], d])) for d in digits], source))
    return strings


def main() -> None:
    o = options()
    if not o.recordings.is_file():
        sys.exit(f"digits.py: {o.recordings} is not there; name the tar with --recordings or its folder with MPP_DATA_DIR")
    training, held_out = read_recordings(o.recordings)
    test = held_out_strings(held_out, o.strings, np.random.default_rng(o.seed + 1))
    alphabet = Alphabet.of(NAMES)
    net = noisy.train_net(alphabet, STRIDE, lambda source: training_strings(training, source), o)
    noisy.write_held_out(o.out, net, alphabet, test, DECIBELS,
                         "Made by examples/models/speech/digits.py from the free spoken digit dataset (CC BY-SA 4.0).",
                         o.seed + 2)
    (o.out / "words.lst").write_text("\n".join(NAMES) + "\n", encoding="ascii")
    print(f"{o.out}: {len(test)} strings")


if __name__ == "__main__":
    main()
