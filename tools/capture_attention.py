#!/usr/bin/env python3
"""Runs a small trained language model over texts of this repository and writes what its attention reads: keys and values
after the rotary embedding in float16, and the float32 queries of the last positions of every window.

    tools/capture_attention.py                  # into out/attention, for bench_attention --captured out/attention

The model is not part of the repository: a Llama in Hugging Face layout (config.json, model.safetensors) over bytes, named by
MPP_MODEL_DIR. Needs NumPy only and takes about a second for each window.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import struct
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXTS = ("*.cpp", "*.hpp", "*.cu", "*.md", "*.py")
TAIL = 64  # positions of a window whose queries are written: what one page more holds
SANE = (1.0, 1.7)  # bits per byte of text that the model was not trained on

README = """Reads of attention, captured by tools/capture_attention.py from a small trained model.

layer<L>_head<H>_keys.npy, _values.npy   float16 [windows * context, head_dim], keys after the rotary embedding
layer<L>_head<H>_queries.npy             float32 [windows * tail * group, head_dim], the group of a position together

H is a KV head. Queries are those of the last `tail` positions of each window, in order; the one at position t sees tokens
0 ... t of its window and no others. attention.json says how many there are of each; logits are q . k / sqrt(head_dim).
"""


def options() -> argparse.Namespace:
    model = os.environ.get("MPP_MODEL_DIR", ROOT.parent / "shared/models/byte_llama_4m")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("out", type=pathlib.Path, nargs="?", default=ROOT / "out/attention", help="folder to write (default: %(default)s)")
    add("--model", type=pathlib.Path, default=model, help="folder of the model (default: %(default)s)")
    add("--windows", type=int, default=32, help="texts, one window of the model's context each (default: %(default)s)")
    return parser.parse_args()


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All float32 tensors of a file: 8 bytes of length, a JSON header with their places, the numbers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, expected F32")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors


class Llama:
    """The forward pass of a Llama over one window, in float32."""

    def __init__(self, folder: pathlib.Path):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors")
        self.context = self.config["max_position_embeddings"]
        self.layers = self.config["num_hidden_layers"]
        self.heads = self.config["num_attention_heads"]
        self.kv_heads = self.config["num_key_value_heads"]
        self.head_dim = self.config["head_dim"]
        frequency = self.config["rope_theta"] ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        angle = np.outer(np.arange(self.context), frequency)
        self.cos, self.sin = (np.concatenate([f(angle)] * 2, axis=1).astype(np.float32) for f in (np.cos, np.sin))

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        scale = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.config["rms_norm_eps"])
        return x * scale * self.weights[name]

    def heads_of(self, x: np.ndarray, name: str) -> np.ndarray:
        """[heads][tokens][head_dim]"""
        rows = x @ self.weights[name].T
        return rows.reshape(len(x), -1, self.head_dim).transpose(1, 0, 2)

    def rotate(self, x: np.ndarray) -> np.ndarray:
        left, right = np.split(x, 2, axis=-1)
        return x * self.cos[: x.shape[1]] + np.concatenate([-right, left], axis=-1) * self.sin[: x.shape[1]]

    def run(self, tokens: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        """Logits [tokens][vocabulary], and per layer queries, keys and values as heads_of() gives them."""
        x = self.weights["model.embed_tokens.weight"][tokens]
        future = np.triu(np.full((len(tokens), len(tokens)), -np.inf, np.float32), 1)
        reads = []
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            h = self.norm(x, prefix + "input_layernorm.weight")
            queries, keys, values = (self.heads_of(h, f"{prefix}self_attn.{part}_proj.weight") for part in "qkv")
            queries, keys = self.rotate(queries), self.rotate(keys)
            reads.append((queries, keys, values))
            group = self.heads // self.kv_heads
            mixed = []
            for head in range(self.heads):
                logits = queries[head] @ keys[head // group].T / np.float32(math.sqrt(self.head_dim)) + future
                weights = np.exp(logits - logits.max(axis=1, keepdims=True))
                mixed.append(weights @ values[head // group] / weights.sum(axis=1, keepdims=True))
            x = x + np.concatenate(mixed, axis=1) @ self.weights[prefix + "self_attn.o_proj.weight"].T
            h = self.norm(x, prefix + "post_attention_layernorm.weight")
            gate, up, down = (self.weights[f"{prefix}mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
            gated = h @ gate.T
            x = x + (gated / (1.0 + np.exp(-gated)) * (h @ up.T)) @ down.T
        return self.norm(x, "model.norm.weight") @ self.weights["model.embed_tokens.weight"].T, reads


def windows(count: int, context: int) -> list[tuple[str, np.ndarray]]:
    """The first bytes of `count` texts, evenly spaced among all that are long enough, by name."""
    folders = [ROOT / name for name in ("bench", "core", "docs", "domains", "examples", "kernels", "tests", "tools")]
    paths = sorted(path for folder in folders for pattern in TEXTS for path in folder.rglob(pattern))
    paths = [path for path in paths if path.stat().st_size >= context]
    if len(paths) < count:
        raise ValueError(f"--windows is {count}, but only {len(paths)} texts have {context} bytes")
    chosen = [paths[i * len(paths) // count] for i in range(count)]
    return [(str(path.relative_to(ROOT)), np.frombuffer(path.read_bytes()[:context], np.uint8)) for path in chosen]


def bits_per_byte(logits: np.ndarray, tokens: np.ndarray) -> float:
    shifted = logits[:-1] - logits[:-1].max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(tokens) - 1), tokens[1:]] - np.log(np.exp(shifted).sum(axis=1))
    return float(-chosen.mean() / math.log(2.0))


def main() -> int:
    arguments = options()
    if not (arguments.model / "model.safetensors").exists():
        raise SystemExit(f"there is no model in {arguments.model}; set MPP_MODEL_DIR")
    model = Llama(arguments.model)
    group = model.heads // model.kv_heads
    captured = [[([], [], []) for _ in range(model.kv_heads)] for _ in range(model.layers)]
    bits = []
    texts = windows(arguments.windows, model.context)
    for name, tokens in texts:
        logits, reads = model.run(tokens)
        bits.append(bits_per_byte(logits, tokens))
        print(f"{name}: {bits[-1]:.3f} bits per byte", file=sys.stderr)
        for layer, (queries, keys, values) in enumerate(reads):
            for head, (all_keys, all_values, all_queries) in enumerate(captured[layer]):
                all_keys.append(keys[head].astype(np.float16))
                all_values.append(values[head].astype(np.float16))
                last = queries[head * group : (head + 1) * group, -TAIL:]
                all_queries.append(np.ascontiguousarray(last.transpose(1, 0, 2)).reshape(-1, model.head_dim))
    mean = float(np.mean(bits))
    if not SANE[0] <= mean <= SANE[1]:
        raise SystemExit(f"{mean:.3f} bits per byte, expected {SANE[0]} to {SANE[1]}: the forward pass is wrong")

    arguments.out.mkdir(parents=True, exist_ok=True)
    for layer, heads in enumerate(captured):
        for head, parts in enumerate(heads):
            for part, rows in zip(("keys", "values", "queries"), parts):
                np.save(arguments.out / f"layer{layer}_head{head}_{part}.npy", np.concatenate(rows))
    (arguments.out / "README.txt").write_text(README)
    about = {"windows": arguments.windows, "context": model.context, "tail": TAIL, "layers": model.layers,
             "kv_heads": model.kv_heads, "group": group, "head_dim": model.head_dim, "bits_per_byte": mean,
             "texts": [name for name, _ in texts]}  # fmt: skip
    (arguments.out / "attention.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{arguments.windows} windows, {mean:.3f} bits per byte, in {arguments.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
