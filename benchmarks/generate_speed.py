#!/usr/bin/env python3
"""Tokens a second of generation: plain model.generate, and the ways that scorelm has, in one run.

    python benchmarks/generate_speed.py --json generate_speed.json

All run the same weights on one thread from the same prompt, at batch 1 and 16. ``model.generate`` samples freely, with
transformers' defaults, and hears nothing (it cannot be told). ``numpy`` is scorelm's own engine: alone (a token is drawn
of all, nothing is heard), as ``infer.py --free`` writes, and bound to the grammar, as infer.py writes. CPU seconds of the process, so that other work on the machine counts for
little; each is warmed up.

Then what the grammar costs. Bound texts and free ones are different texts, so here the same texts are written twice in
one loop: after each step of the engine a token is drawn of all, then one of those that the grammar allows, and the
walk moves on. The share is what the second takes more, beside step and first draw together; with what the grammar
remembers of earlier texts (warm) and in a process that has written none (cold). Medians of --times runs.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch

from scorelm.engine import Engine
from scorelm.generation import Student, find_model
from scorelm.hearing import deafen
from scorelm.notation.lexemes import IDS, cut
from scorelm.notation.sound import Sound
from scorelm.pretrained import load_model
from scorelm.readers import Shown, token_of
from scorelm.sampling import Sampling
from scorelm.underway import Context

PROMPT = '|\nT4:4P"Soprano"!clef-G2!GABc;P"Alto"!clef-G2!DDDE;P"Tenor"!clef-F4!B,A,G,G,;P"Bass"!clef-F4!G,^F,G,C,|\n'


def speed(work: Callable[[], int], times: int = 3) -> float:
    """Tokens a CPU second, the median of some times."""
    work()
    found = []
    for _ in range(times):
        started = time.process_time()
        tokens = work()
        found.append(tokens / (time.process_time() - started))
    return statistics.median(found)


def by_generate(folder: Path, rows: int, tokens: int) -> float:
    model, tokens_of = load_model(str(folder))
    if tokens_of.heard:
        deafen(model)
    model.eval()
    prompt = torch.tensor([[IDS[lexeme] for lexeme in cut(PROMPT)]] * rows)

    def work() -> int:
        with torch.inference_mode():
            model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=True, max_new_tokens=tokens,
                min_new_tokens=tokens, pad_token_id=1,
            )  # fmt: skip
        return rows * tokens

    return speed(work)


def by_numpy(folder: Path, rows: int, tokens: int) -> float:
    engine = Engine(folder)
    ids = [IDS[lexeme] for lexeme in cut(PROMPT)]
    sampling = Sampling()

    def work() -> int:
        session = engine.session(rows, len(ids) + tokens)
        chances = [np.random.default_rng(row) for row in range(rows)]
        for row in range(rows):
            session.read(row, ids[:-1], range(len(ids) - 1))
        last = [ids[-1]] * rows
        for at in range(tokens):
            logits = session.step(last, [float(len(ids) + at)] * rows)
            last = [sampling.choose(row, chance) for row, chance in zip(logits, chances)]
        return rows * tokens

    return speed(work)


def free(folder: Path, rows: int, tokens: int) -> float:
    student = Student(folder)

    def work() -> int:
        return sum(len(cut(text)) - len(cut(PROMPT)) for _, text in student.free(PROMPT, seeds=range(rows)))

    return speed(work)


def forget() -> None:
    """Whatever the grammar remembers of earlier texts; a Student remembers some, too."""
    for found in gc.get_objects():
        if type(found) is functools._lru_cache_wrapper and str(found.__module__).startswith("scorelm"):
            found.cache_clear()


def bound(folder: Path, rows: int, tokens: int) -> float:
    student = Student(folder)

    def work() -> int:
        found = 0
        wanted = -(-tokens // 25)  # measures that hold about as many
        for _, piece in student.write(PROMPT, seeds=range(rows), measures=1 + wanted):
            found += len(cut(piece))
        return found - rows * len(cut(PROMPT))

    return speed(work)


def read(student: Student, text: str) -> list[Shown]:
    context = Context(student)
    context.read(text)
    return context.ids


def grammar(folder: Path, rows: int, tokens: int, times: int) -> dict[str, float]:
    """Seconds a token of a step with its draw, and the share that the grammar takes more, warm and cold."""
    student = Student(folder)
    texts = [""] * rows
    for row, piece in student.write(PROMPT, seeds=range(rows), measures=1 + -(-tokens // 20)):
        texts[row] += piece
    shown = [read(student, text) for text in texts]
    written = [[token_of(one) for one in row] for row in shown]
    start = len(read(student, PROMPT))
    stop = min(start + tokens, *map(len, written), len(written[0]))
    sampling = Sampling()

    def once(student: Student) -> tuple[float, float]:
        session = Engine(folder).session(rows, stop)
        chances = [np.random.default_rng(row) for row in range(rows)]
        free, walks = student.tokens.free(), [student.tokens.walk(Sound(PROMPT)) for _ in range(rows)]
        for row in range(rows):
            session.read(row, shown[row][: start - 1], range(start - 1))
        without = more = 0.0
        for at in range(start, stop):
            began = time.perf_counter()
            logits = session.step([row[at - 1] for row in shown], [float(at)] * rows)
            for row, chance in zip(logits, chances):
                sampling.choose(row[free.choices()], chance)
            between = time.perf_counter()
            without += between - began
            for row, walk, ids, chance in zip(logits, walks, written, chances):
                sampling.choose(row[walk.choices()], chance)
                walk.push(ids[at])
            more += time.perf_counter() - between
            began = time.perf_counter()
            for row, chance in zip(logits, chances):
                sampling.choose(row[free.choices()], chance)
            more -= time.perf_counter() - began  # this draw takes the place of the other one
        return without, more

    found: dict[str, list[float]] = {"step": [], "warm": [], "cold": []}
    for _ in range(times):
        forget()
        fresh = Student(folder)
        for name in ("cold", "warm"):
            without, more = once(fresh)
            found[name].append(more / without)
            found["step"].append(without / (rows * (stop - start)))
    return {name: statistics.median(values) for name, values in found.items()}


WAYS = {
    "model.generate": by_generate,
    "numpy, the engine alone": by_numpy,
    "numpy, not bound": free,
    "numpy, bound to the grammar": bound,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--times", type=int, default=7, help="of what the grammar costs; default: 7")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = find_model(options.model)
    found = {name: {rows: way(folder, rows, options.tokens) for rows in (1, 16)} for name, way in WAYS.items()}
    base = found["model.generate"]
    print("| | batch 1, tokens/s | ratio | batch 16 | ratio |\n| --- | --- | --- | --- | --- |")
    for name, row in found.items():
        print(f"| {name} | {row[1]:.0f} | {row[1] / base[1]:.1f} | {row[16]:.0f} | {row[16] / base[16]:.1f} |")
    costs = {rows: grammar(folder, rows, options.tokens, options.times) for rows in (1, 16)}
    print(
        "\n| what the grammar takes more | warm | cold | microseconds a token without it |\n| --- | --- | --- | --- |"
    )
    for rows, cost in costs.items():
        print(f"| batch {rows} | {cost['warm']:.1%} | {cost['cold']:.1%} | {1e6 * cost['step']:.0f} |")
    if options.json:
        found = {"model": str(folder), "tokens_per_second": found, "grammar": costs}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
