#!/usr/bin/env python3
"""Certified decoding beside flashlight-text and pyctcdecode: same emissions, lexicon and model, one thread, turn by turn.

    pip install -r bench/peers/speech_requirements.txt
    bench/peers/speech.py --quick --json -

Needs MPP_DATA_DIR/speech (default ../shared/data beside the repository). The table on stderr shows every system, losses
included; --json writes {"bench", "device", "commit", "metrics"}, explained in bench/README.md. --quick: fewer
repetitions, flashlight at width 2500 on one input only, under 50 seconds.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy starts its pool; our binary inherits it

import argparse
import json
import math
import statistics
import sys
import tempfile
from pathlib import Path

try:
    import kenlm
    import numpy as np

    import speech_systems as systems
    from shared import ROOT, write_report
    from speech_objective import Objective, log_probability, log_softmax
except ImportError as missing:
    raise SystemExit(f"{missing}; install the peers: pip install -r {Path(__file__).parent}/speech_requirements.txt")

ALPHABET = list(" abcdefghijklmnopqrstuvwxyz'")
# (lm_weight, bonus): of log10, which is flashlight's unit, and of the natural logarithm, which is ours and pyctcdecode's.
WEIGHTS = ((1.0, 0.0), (2.0, 0.5), (3.23, -0.26))
PYCTCDECODE_WEIGHTS = (0.5, 1.5)  # its defaults
SLOW = 0.5  # seconds: what takes longer is decoded less often, and never without being counted
AGREEMENT = 1e-3  # nats between a score and the same transcript scored by speech_objective.py


def read_csv(path):
    return [[float(x) for x in line.strip(" ;").split(";")] for line in path.read_text().splitlines() if line.strip()]


def all_tasks(folder):
    libri = log_softmax(json.loads((folder / "libri_logits.json").read_text()))
    tasks = [systems.Task("libri", "libri", libri)]
    for name in ("iam_word", "iam_line"):
        tasks.append(systems.Task(name, name, log_softmax(read_csv(folder / f"{name}.csv"))))
    for unit, factor in (("log10", 1.0 / math.log(10.0)), ("ln", 1.0)):
        for weight, bonus in WEIGHTS:
            tasks.append(systems.Task(f"libri_lm{weight:g}_{unit}", "libri", libri, weight * factor, bonus))
    tasks.append(systems.Task("libri_lm_pyctcdecode", "libri", libri, *PYCTCDECODE_WEIGHTS))
    return tasks


def value_of(objective, task, answer):
    """The transcript's worth in nats, by neither us nor the peers."""
    if task.lm_weight is None:
        return log_probability(task.emissions, task.blank, answer.labels)
    return objective.score(task.emissions, answer.words, task.lm_weight, task.bonus)


def measure(systems_of, tasks, repetitions, slow_repetitions):
    """Resident memory and answers of every system and task, one answer per repetition. The systems take turns, so drift
    hits all alike. The slow are repeated less, without an uncounted decode before, and the one that showed their memory
    counts: the table marks them."""
    rises, answers = {}, {}
    for task in tasks:  # memory first, while no freed block can hide what a decode takes
        for system in systems_of(task):
            rises[system.name, task.name], answer = system.rise(task)
            answers[system.name, task.name] = [answer] if answer.seconds > SLOW else []
    for repetition in range(repetitions):
        for task in tasks:
            for system in systems_of(task):
                found = answers[system.name, task.name]
                if found and found[0].seconds > SLOW:
                    if repetition + 1 >= slow_repetitions:
                        continue
                else:
                    system.decode(task)  # not counted: its pages and caches went cold while others ran
                found.append(system.decode(task))
    return rises, answers


def say(line):
    print(line, file=sys.stderr, flush=True)


def transcript(task, answer):
    return answer.words if task.lm_weight is not None else answer.labels


def summarise(task, compared, answers, rises, objective, metrics):
    """Prints one table and adds this task's metrics. @return whether our figures agree with the independent ones"""
    frames, tokens = task.emissions.shape
    what = "no lexicon, log-add" if task.lm_weight is None else f"lexicon + LM, {task.lm_weight:.4f} / {task.bonus}"
    say(f"\n{task.name}: {frames} x {tokens}, {what}; ms: median (least - most); worth of the transcript in nats")
    say(f"{'system':17}{'width':>7}{'ms':>32}{'worth':>14}{'below ours':>12}{'MB':>9}{'x ours':>9}")
    ours = answers["mpp", task.name][-1]
    mine = statistics.median(a.seconds for a in answers["mpp", task.name])
    best = value_of(objective, task, ours)
    sound = abs(best - ours.score) <= AGREEMENT and math.isfinite(ours.more["gap"])
    proof = "proof" if ours.more["gap"] == 0.0 else "gap"
    for system in compared:
        found = answers[system.name, task.name]
        ms = [a.seconds * 1e3 for a in found]
        middle = statistics.median(ms)
        worth = value_of(objective, task, found[-1])
        key = f"{system.name}.{task.name}"
        metrics[f"speech.ms.{key}"] = middle
        metrics[f"speech.rise_mb.{key}"] = rises[system.name, task.name] / 1e6
        if worth > -math.inf:
            metrics[f"speech.worth.{key}"] = worth
            metrics[f"speech.below_optimum.{key}"] = best - worth
        if not system.name.startswith("mpp"):
            metrics[f"speech.speedup_vs_{key}"] = middle / (mine * 1e3)
            # What a certificate is for: nobody is above the proven optimum by more than our gap.
            sound = sound and worth <= best + ours.more["gap"] + AGREEMENT
            if system.name.startswith("flashlight") and task.lm_weight is not None:
                sound = sound and abs(worth - found[-1].score) <= AGREEMENT  # so the objectives are the same
        shown = f"{worth:.4f}" if worth > -math.inf else "not in lexicon"
        below = f"{best - worth:.4f}" if worth > -math.inf else "-"
        cold = "*" if found[0].seconds > SLOW else ""
        say(f"{system.name:17}{system.width or proof:>7}{f'{middle:.2f} ({min(ms):.2f} - {max(ms):.2f}){cold}':>32}{shown:>14}"
            f"{below:>12}{rises[system.name, task.name] / 1e6:>9.3f}{middle / (mine * 1e3):>9.2f}")  # fmt: skip
    metrics[f"speech.gap.mpp.{task.name}"] = ours.more["gap"]
    metrics[f"speech.live_max.mpp.{task.name}"] = ours.more["live_max"]
    metrics[f"speech.request_mb.mpp.{task.name}"] = ours.more["request_bytes"] / 1e6
    text = transcript(task, ours)
    if task.lm_weight is not None or task.utterance == "libri":
        say("  " + (" ".join(text) if task.lm_weight is not None else "".join(ALPHABET[k] for k in text)))
    say(f"  mpp: gap {ours.more['gap']}, level {ours.more['level']}, at most {ours.more['live_max']} live hypotheses, "
        f"{ours.more['request_bytes'] / 1e6:.3f} MB by our ledger")  # fmt: skip
    if any(answers[system.name, task.name][0].seconds > SLOW for system in compared):
        say("  * every decode counts, the first one of the process too: nothing was warmed up")
    if not sound:
        say(f"  WRONG: scores disagree: ours {ours.score}, rescored {best}")
    return sound


def worst_with_model(metrics, tasks):
    """speech.speedup_vs_<peer>: the least over the weights of log10, the peers' unit; with _ln, of the natural logarithm."""
    for peer, name in (("flashlight", "flashlight_50"), ("flashlight_2500", "flashlight_2500"), ("pyctcdecode",) * 2):
        for unit, suffix in (("log10", ""), ("ln", "_ln")):
            keys = [f"speech.speedup_vs_{name}.{task.name}" for task in tasks if task.name.endswith(f"_{unit}")]
            ratios = [metrics[key] for key in keys if key in metrics]
            if ratios:
                metrics[f"speech.speedup_vs_{peer}{suffix}"] = min(ratios)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under 50 seconds, data included")
    parser.add_argument("--json", metavar="FILE", help="write the metrics; - is stdout")
    parser.add_argument("--tasks", default="", help="only the tasks whose names contain this")
    parser.add_argument("--binary", default=str(ROOT / "build/release/bench/bench_speech"), help="our benchmark")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} is not there; build it: cmake --workflow --preset release")
    options.folder = Path(os.environ.get("MPP_DATA_DIR", ROOT / "../shared/data")) / "speech"
    if not (options.folder / "libri_logits.json").exists():
        parser.error(f"{options.folder} has no libri_logits.json; set MPP_DATA_DIR")
    return options


def main():
    options = arguments()
    tasks = [task for task in all_tasks(options.folder) if options.tasks in task.name]
    language = systems.Language(options.folder, ALPHABET)
    scorer = systems.quietly(lambda: kenlm.Model(language.arpa))
    objective = Objective(language.spellings, scorer, language.silence, len(ALPHABET))
    metrics = {}
    with tempfile.TemporaryDirectory() as scratch:
        for task in tasks:
            np.save(Path(scratch) / f"{task.utterance}.npy", task.emissions)
        ours = systems.Ours(options.binary, scratch)
        narrow = systems.Flashlight(language, 50).prepare()
        wide = systems.Flashlight(language, 2500).share(narrow)
        short = ours.on("short")
        pyctcdecode = systems.Pyctcdecode(language, ALPHABET).prepare()

        def systems_of(task):
            if task.lm_weight is None:
                return [ours, short, narrow, pyctcdecode]
            if options.quick and task.name != "libri_lm2_log10":
                return [ours, narrow, pyctcdecode]
            return [ours, narrow, wide, pyctcdecode]

        rises, answers = measure(systems_of, tasks, 5 if options.quick else 15, 1 if options.quick else 3)
        ours.close()
    sound = all([summarise(task, systems_of(task), answers, rises, objective, metrics) for task in tasks])
    worst_with_model(metrics, tasks)
    metrics["speech.scores_agree"] = int(sound)
    write_report("speech_peers", metrics, options.json)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
