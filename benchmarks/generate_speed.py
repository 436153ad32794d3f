#!/usr/bin/env python3
"""Tokens a second of generation: plain model.generate, and the ways that scorelm has, in one run.

    python benchmarks/generate_speed.py --json generate_speed.json

All run the same weights on one thread from the same prompt, at batch 1 and 16. ``model.generate`` samples freely, with
transformers' defaults. ``numpy`` is scorelm's own engine: alone (a token is drawn of all), as ``infer.py --free`` writes,
and bound to the grammar, as infer.py writes; with what the grammar remembers of earlier texts (warm) and without
(cold). CPU seconds of the process, so that other work on the machine counts for little. Each is warmed up but the last.
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
from scorelm.notation.lexemes import IDS, cut
from scorelm.sampling import Sampling

PROMPT = '|\nT4:4P"Soprano"!clef-G2!GABc;P"Alto"!clef-G2!DDDE;P"Tenor"!clef-F4!B,A,G,G,;P"Bass"!clef-F4!G,^F,G,C,|\n'


def speed(work: Callable[[], int], times: int = 3, before: Callable[[], None] | None = None) -> float:
    """Tokens a CPU second, the median of some times; ``before`` each of them something is done that is not timed."""
    work()
    found = []
    for _ in range(times):
        if before:
            before()
        started = time.process_time()
        tokens = work()
        found.append(tokens / (time.process_time() - started))
    return statistics.median(found)


def by_generate(folder: Path, rows: int, tokens: int) -> float:
    from transformers import GPTNeoXForCausalLM

    model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
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
    """Whatever the grammar remembers of earlier texts."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and str(found.__module__).startswith("scorelm"):
            found.cache_clear()


def bound(folder: Path, rows: int, tokens: int, before: Callable[[], None] | None = None) -> float:
    student = Student(folder)

    def work() -> int:
        found = 0
        wanted = -(-tokens // 25)  # measures that hold about as many
        for _, piece in student.write(PROMPT, seeds=range(rows), measures=1 + wanted):
            found += len(cut(piece))
        return found - rows * len(cut(PROMPT))

    return speed(work, before=before)


WAYS = {
    "model.generate": by_generate,
    "numpy, the engine alone": by_numpy,
    "numpy, not bound": free,
    "numpy, bound to the grammar, warm": bound,
    "numpy, bound to the grammar, cold": functools.partial(bound, before=forget),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = find_model(options.model)
    found = {name: {rows: way(folder, rows, options.tokens) for rows in (1, 16)} for name, way in WAYS.items()}
    base = found["model.generate"]
    print("| | batch 1, tokens/s | ratio | batch 16 | ratio |\n| --- | --- | --- | --- | --- |")
    for name, row in found.items():
        print(f"| {name} | {row[1]:.0f} | {row[1] / base[1]:.1f} | {row[16]:.0f} | {row[16] / base[16]:.1f} |")
    if options.json:
        options.json.write_text(json.dumps({"model": str(folder), "tokens_per_second": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
