#!/usr/bin/env python3
"""Write new music: continue a text (or a score file) to its end. `infer.py "|"` begins a new piece."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scorelm import cli

ENDINGS = (".sclm", ".musicxml", ".mid", ".svg", ".png")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__)
    out.add_argument("prompt", help='score text ("|" alone: a new piece), - for stdin, or the path of a score')
    out.add_argument("-m", "--model", metavar="DIR", help="default: score-lm, else the chorale model that ships")
    out.add_argument("-n", type=int, default=1, help="how many samples; default: 1")
    out.add_argument("--measures", type=int, help="exactly so many, those of the prompt counted; default: 8 or more")
    out.add_argument("--temperature", type=float, default=0.95, help="0: always the likeliest; default: 0.95")
    out.add_argument("--top-k", type=int, default=0, help="choose among the K likeliest; default: 0, all")
    out.add_argument("--top-p", type=float, default=0.98, help="choose among the likeliest that add up; default: 0.98")
    out.add_argument(
        "--min-p", type=float, default=0.0, help="only what is this likely beside the likeliest; default: 0"
    )
    out.add_argument("--engine", default="numpy", help="numpy, or transformers, which uses a GPU; default: numpy")
    out.add_argument("--seed", type=int, help="of the first sample, the next ones have seed + 1 ...; default: drawn")
    out.add_argument("-o", "--output", metavar="DIR", help=f"write each sample there as {' '.join(ENDINGS)}")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("infer.py", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    from scorelm.errors import ConfigError
    from scorelm.generation import Student, find_model
    from scorelm.sampling import Sampling

    if options.n < 1:
        raise ConfigError(f"-n is 1 or more, not {options.n}")
    if options.measures is not None and options.measures < 1:
        raise ConfigError(f"--measures is 1 or more, not {options.measures}")
    sampling = Sampling(options.temperature, options.top_k, options.top_p, options.min_p)
    seed = time.time_ns() % 10**6 if options.seed is None else options.seed
    prompt = read_prompt(options.prompt)
    folder = find_model(options.model)
    print(f"model {folder}, seed {seed}", file=sys.stderr, flush=True)
    student = Student(folder, options.engine)
    started = time.monotonic()
    texts = [""] * options.n
    seeds = range(seed, seed + options.n)
    for row, piece in student.write(prompt, seeds=seeds, measures=options.measures, sampling=sampling):
        texts[row] += piece
        if options.n == 1:
            sys.stdout.write(piece)  # measure by measure
            sys.stdout.flush()
    if options.n > 1:
        print("\n".join(texts), end="")  # an empty line between two texts
    report(texts, time.monotonic() - started)
    for number, text in zip(seeds, texts):
        if options.output:
            save(text, Path(options.output), number)
    return 0


def report(texts: list[str], seconds: float) -> None:
    from scorelm.notation.lexemes import cut

    lexemes = sum(len(cut(text)) for text in texts)
    measures = sum(text.count("|") - 1 for text in texts)
    print(f"{measures} measures in {seconds:.1f} s, {lexemes / seconds:.0f} lexemes/s", file=sys.stderr, flush=True)


def read_prompt(prompt: str) -> str:
    if prompt == "-":
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        return sys.stdin.read()
    if "|" not in prompt:
        if not Path(prompt).is_file():
            from scorelm.errors import ConfigError

            raise ConfigError(f"{prompt}: no such file, nor score text, which begins with '|'")
        from scorelm.api import load
        from scorelm.generation import continuable
        from scorelm.notation.transform import strip

        return continuable(strip(load(prompt)))
    return prompt


def save(text: str, folder: Path, seed: int) -> None:
    from scorelm import save as write

    for ending in ENDINGS:
        print(write(text, folder / f"sample-{seed}{ending}"), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
