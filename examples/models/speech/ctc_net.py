"""A small CTC net: three convolutions, a bidirectional GRU, a softmax over letters, separator and blank."""
from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from sound import BANDS

BLANK, SEPARATOR = 0, 1  # tokens "_" and "|"; the letters follow


@dataclasses.dataclass(frozen=True)
class Alphabet:
    letters: str

    @staticmethod
    def of(sentences: list[str]) -> Alphabet:
        return Alphabet("".join(sorted(set("".join(sentences)) - {" "})))

    @property
    def tokens(self) -> list[str]:
        return ["_", "|", *self.letters]

    def encode(self, sentence: str) -> list[int]:
        """Every word ends in the separator."""
        at = {letter: i + 2 for i, letter in enumerate(self.letters)}
        return [token for word in sentence.split() for token in [*(at[c] for c in word), SEPARATOR]]

    def decode(self, tokens: list[int]) -> str:
        return " ".join("".join(self.tokens[t] for t in tokens).replace("|", " ").split())


class CtcNet(nn.Module):
    def __init__(self, tokens: int, stride: int, width: int = 96):
        super().__init__()
        self.stride = stride
        self.hear = nn.Sequential(
            nn.Conv1d(BANDS, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 5, stride=stride, padding=2), nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2), nn.ReLU(), nn.Dropout(0.1))
        self.remember = nn.GRU(width, width, bidirectional=True, batch_first=True)
        self.say = nn.Linear(2 * width, tokens)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[batch, frames, BANDS] -> log-probabilities [batch, ceil(frames / stride), tokens]"""
        heard = self.hear(features.transpose(1, 2)).transpose(1, 2)
        return self.say(self.remember(heard)[0]).log_softmax(-1)

    def frames_of(self, frames: int) -> int:
        return (frames + self.stride - 1) // self.stride


Sample = tuple[np.ndarray, list[int]]  # features [frames, BANDS], labels


def batches(samples: list[Sample], size: int) -> Iterator[list[Sample]]:
    for at in range(0, len(samples), size):
        yield samples[at : at + size]


def padded(net: CtcNet, batch: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(features) for features, _ in batch)
    inputs = torch.zeros(len(batch), longest, BANDS)
    for row, (features, _) in enumerate(batch):
        inputs[row, : len(features)] = torch.from_numpy(features)
    return inputs, torch.tensor([net.frames_of(len(features)) for features, _ in batch])


def train(net: CtcNet, epoch_samples: Callable[[], list[Sample]], epochs: int, batch: int, rate: float) -> None:
    """Adam under a one-cycle rate. `epoch_samples` gives the samples of the next epoch, each with new noise, shuffled.
    Batches are made of samples of like length, so that little is padding, and visited in random order."""
    loss_of = nn.CTCLoss(blank=BLANK, zero_infinity=True)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = None
    start = time.monotonic()
    net.train()
    for epoch in range(epochs):
        parts = list(batches(sorted(epoch_samples(), key=lambda sample: len(sample[0])), batch))
        if schedule is None:
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * len(parts))
        total = 0.0
        for part in torch.randperm(len(parts)).tolist():
            inputs, lengths = padded(net, parts[part])
            labels = [labels for _, labels in parts[part]]
            loss = loss_of(net(inputs).transpose(0, 1), torch.tensor(sum(labels, [])), lengths,
                           torch.tensor([len(one) for one in labels]))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2}/{epochs}  loss {total / len(parts):.3f}  {time.monotonic() - start:.0f} s", file=sys.stderr,
              flush=True)
    net.eval()


@torch.no_grad()
def emissions_of(net: CtcNet, features: np.ndarray) -> np.ndarray:
    """float32 log-probabilities [frames, tokens] of one utterance, alone in its batch: no padding is heard."""
    return net(torch.from_numpy(features)[None])[0].numpy()


def best_path(emissions: np.ndarray) -> list[int]:
    """The most probable token of every frame, repetitions merged, blanks removed."""
    path = emissions.argmax(axis=1)
    return [int(k) for i, k in enumerate(path) if k != BLANK and (i == 0 or path[i - 1] != k)]


def word_errors(said: str, heard: str) -> int:
    """Fewest words inserted, deleted and substituted."""
    row = list(range(len(heard.split()) + 1))
    for i, word in enumerate(said.split(), start=1):
        above, row[0] = row[0], i
        for j, other in enumerate(heard.split(), start=1):
            above, row[j] = row[j], min(above + (word != other), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def word_error_rate(alphabet: Alphabet, sentences: list[str], emissions: list[np.ndarray]) -> float:
    """Of the best paths."""
    errors = sum(word_errors(s, alphabet.decode(best_path(e))) for s, e in zip(sentences, emissions, strict=True))
    return errors / sum(len(s.split()) for s in sentences)
