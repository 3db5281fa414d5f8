"""Commands for a house: a small grammar with words that sound alike (to, two; for, four) and words that share their ends."""
from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

ROOMS = ["kitchen", "bedroom", "bathroom", "garden", "office"]
DEVICES = ["light", "lamp", "heater", "fan", "radio"]
HOURS = "two four five six seven eight nine ten twelve".split()
NUMBERS = HOURS + "fifteen twenty thirty forty fifty".split()
DAYS = ["today", "tomorrow", "tonight"]
AT = [f"at {hour}" for hour in HOURS]
FOR = [f"for {number} {unit}" for number in NUMBERS for unit in ("seconds", "minutes")]
IN = [f"in {number} {unit}" for number in NUMBERS for unit in ("minutes", "hours")]

# One rule per line: each list is a choice.
RULES = [
    (["turn"], ["on", "off"], ["the"], ROOMS, DEVICES),
    (["open", "close", "lock"], ["the"], ROOMS, ["door", "window"]),
    (["set", "start"], ["a timer"], FOR),
    (["set the"], ROOMS, ["heater to"], NUMBERS, ["degrees"]),
    (["make the"], ROOMS, ["light", "lamp"], ["brighter", "darker", "red", "green", "blue"]),
    (["dim the"], ROOMS, ["light", "lamp"], FOR + [f"to {number} percent" for number in NUMBERS]),
    (["play"], ["some music", "the radio"], ["in the"], ROOMS, ["", *FOR]),
    (["stop the"], ["music", "timer", "radio"], ["in the"], ROOMS),
    (["call"], ["anna", "tom", "my mother", "the doctor"], AT + IN),
    (["remind me to"], ["water the flowers", "buy milk", "close the window", "call anna"], DAYS + AT + IN),
    (["what is the"], ["time", "weather"], ["today", "tomorrow", "in the garden", "in the office"]),
]


def sentences_of(rule: tuple[list[str], ...]) -> Iterator[str]:
    for choice in itertools.product(*rule):
        yield " ".join(part for part in choice if part)


def draw(count: int, seed: int) -> list[str]:
    """`count` distinct sentences; every rule is as likely as any other while it has sentences left."""
    source = random.Random(seed)
    left = [source.sample(all_of, len(all_of)) for all_of in (list(sentences_of(rule)) for rule in RULES)]
    total = sum(len(rule) for rule in left)
    if count > total:
        raise ValueError(f"the grammar has {total} sentences, {count} were asked for")
    drawn: list[str] = []
    while len(drawn) < count:
        rule = source.choice([rule for rule in left if rule])
        drawn.append(rule.pop())
    source.shuffle(drawn)  # small rules are drawn empty first
    return drawn


def words_of(sentences: list[str]) -> list[str]:
    return sorted({word for sentence in sentences for word in sentence.split()})
