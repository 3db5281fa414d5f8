"""What both scripts share: training under noise of all kinds, writing emissions of held-out speech under more and more of it."""
from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable

import numpy as np
import torch

import sound
from ctc_net import Alphabet, CtcNet, Sample, emissions_of, train, word_error_rate
from emission_set import heard_by_reader, write_emission_set

Spoken = tuple[str, np.ndarray]  # what is said, and its sound

PINK = 1.0  # tilt of the noise in what is written
TILTS = [0.0, 0.5, PINK, 1.5, 2.0]  # of the noise in training: white to brown


def add_options(parser: argparse.ArgumentParser, epochs: int, batch: int) -> None:
    add = parser.add_argument
    add("--epochs", type=int, default=epochs, help="passes over the training recordings (default: %(default)s)")
    add("--batch", type=int, default=batch, help="utterances per step (default: %(default)s)")
    add("--threads", type=int, default=1, help="cores used (default: %(default)s)")
    add("--seed", type=int, default=1, help="of everything that is drawn (default: %(default)s)")


def train_net(alphabet: Alphabet, stride: int, epoch: Callable[[np.random.Generator], list[Spoken]],
              o: argparse.Namespace) -> CtcNet:
    """One in four utterances is clean, the others have noise at 30 to -3 dB. `epoch` gives what is heard in one pass."""
    torch.manual_seed(o.seed)
    torch.set_num_threads(o.threads)
    torch.use_deterministic_algorithms(True)
    source = np.random.default_rng(o.seed)

    def sample(text: str, wave: np.ndarray) -> Sample:
        snr = None if source.random() < 0.25 else source.uniform(-3.0, 30.0)
        return sound.log_mel(sound.with_noise(wave, snr, float(source.choice(TILTS)), source)), alphabet.encode(text)

    net = CtcNet(len(alphabet.tokens), stride)
    train(net, lambda: [sample(*spoken) for spoken in epoch(source)], o.epochs, o.batch, rate=3e-3)
    return net


def write_held_out(folder: pathlib.Path, net: CtcNet, alphabet: Alphabet, spoken: list[Spoken], decibels: list[int], about: str,
                   seed: int) -> None:
    """Emissions without noise, then with the speech so many decibels above the noise."""
    sentences = [text for text, _ in spoken]
    conditions = {}
    for name, snr in {"clean": None, **{f"{level} dB": float(level) for level in decibels}}.items():
        noise = np.random.default_rng(seed)  # the same noise, louder and louder
        conditions[name] = [emissions_of(net, sound.log_mel(sound.with_noise(wave, snr, PINK, noise, held_out=True)))
                            for _, wave in spoken]
        heard = [heard_by_reader(one) for one in conditions[name]]
        print(f"{name:>6}: word error rate of the best path {100 * word_error_rate(alphabet, sentences, heard):.1f} %")
    write_emission_set(folder, alphabet.tokens, 10 * net.stride, sentences, conditions, about)
