"""Writes emissions of many utterances under several conditions as mpp::speech::read_emission_set() reads them."""
from __future__ import annotations

import json
import pathlib

import numpy as np


def rounded(emissions: np.ndarray) -> list[list[str]]:
    """Two significant digits of ln(p / largest p of the frame). The reader restores rows that sum to one."""
    relative = emissions.astype(np.float64) - emissions.max(axis=1, keepdims=True)
    return [["0" if value > -0.005 else f"{value:.2g}" for value in row] for row in relative]


def heard_by_reader(emissions: np.ndarray) -> np.ndarray:
    """The log-probabilities that a reader of the rounded file has."""
    relative = np.array([[float(value) for value in row] for row in rounded(emissions)])
    return relative - np.log(np.exp(relative).sum(axis=1, keepdims=True))


def write_emission_set(folder: pathlib.Path, tokens: list[str], frame_ms: int, sentences: list[str],
                       conditions: dict[str, list[np.ndarray]], about: str) -> None:
    """One CSV file per condition, the utterances one after the other, and set.json with how many frames each has."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [len(one) for one in next(iter(conditions.values()))]
    listed = []
    for name, emissions in conditions.items():
        if [len(one) for one in emissions] != frames:
            raise ValueError(f"{name}: frame counts differ from those of the first condition")
        file = name.replace(" ", "_").replace("-", "minus_") + ".csv"
        lines = [";".join(row) for one in emissions for row in rounded(one)]
        (folder / file).write_text("\n".join(lines) + "\n", encoding="ascii")
        listed.append({"name": name, "file": file})
    utterances = [{"text": text, "frames": count} for text, count in zip(sentences, frames, strict=True)]
    head = {"about": about, "tokens": tokens, "blank": 0, "separator": 1, "frame_ms": frame_ms, "conditions": listed}
    body = json.dumps(head, indent=1)[:-2] + ',\n "utterances": [\n  '
    body += ",\n  ".join(json.dumps(one) for one in utterances) + "\n ]\n}\n"
    (folder / "set.json").write_text(body, encoding="ascii")
