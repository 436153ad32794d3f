#!/usr/bin/env python3
"""Write new music. `infer.py "|"` begins a new piece, `infer.py FILE` continues a score or a text to its end,
--given FILE writes other parts to those of a score, --rewrite 5-8 writes some measures anew."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from scorelm import cli

if TYPE_CHECKING:
    from scorelm.compose import Wish

ENDINGS = (".sclm", ".musicxml", ".mid", ".svg", ".png")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__)
    add = out.add_argument
    add("prompt", nargs="?", default="|", help='score text ("|": a new piece), - for stdin, or the path of a score')
    add("-m", "--model", metavar="DIR", help="default: score-lm, else the chorale model that ships")
    add("-n", type=int, default=1, help="how many samples; default: 1")
    add("--best", type=int, metavar="N", help="keep only so many of them, by likelihood and by what is counted in them")
    add("--measures", type=int, help="exactly so many, the prompt's counted; default: 8 or more, 8 more than a score")
    add("--key", help="of a new piece: D, Bb, b, 'B minor'")
    add("--time", help="of a new piece: 3/4, 6/8, 3+2/8, C")
    add("--parts", help="of a new piece, or of the result of --given: Soprano,Alto,Tenor,Bass or Voice,Piano:2")
    add("--from-measure", type=int, metavar="N", help="keep the measures before it, write on from there")
    add("--given", metavar="FILE", help="its parts stay note for note, others are written to them; default: a choir's")
    add("--given-parts", metavar="NAMES", help="take only these parts of --given")
    add("--rewrite", metavar="5-8", help="write these measures of the prompt anew, keep all around them")
    add("--part", metavar="NAMES", help="with --rewrite: only in these parts")
    add("--tries", type=int, metavar="K", help="keep the likeliest of K ways; default: 4 where parts are given, else 1")
    add("--again", type=int, metavar="N", help="begin a measure that goes astray anew, up to N times; default: 20")
    add("--adapt", action="store_true", help="learn the prompt's measures first (seconds), then write like them")
    add("--temperature", type=float, default=0.8, help="0: always the likeliest; default: 0.8")
    add("--top-k", type=int, default=0, help="choose among the K likeliest; default: 0, all")
    add("--top-p", type=float, default=0.95, help="choose among the likeliest that add up; default: 0.95")
    add("--min-p", type=float, default=0.0, help="only what is this likely beside the likeliest; default: 0")
    add("--guidance", type=float, default=2.0, help="how firmly key and voices are led; 0: as it likes; default: 2")
    add("--strict", action="store_true", help="voices led as a textbook asks, fermatas and the end on triads")
    add("--free", action="store_true", help="not bound to the grammar: texts as they come; how many are valid is said")
    add("--engine", default="numpy", help="numpy; transformers or vllm, which use a GPU; default: numpy")
    add("--seed", type=int, help="of the first sample, the next ones have seed + 1 ...; default: drawn")
    add("-o", "--output", metavar="DIR", help=f"write each sample there as {' '.join(ENDINGS)}")
    add("--wav", action="store_true", help="with -o: write each sample as .wav too, by fluidsynth or tinysoundfont")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("infer.py", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    from scorelm.audio import ready
    from scorelm.compose import Wish, ranked, valid
    from scorelm.errors import ConfigError
    from scorelm.files import from_stdin, make_folder
    from scorelm.generation import find_model

    for name in ("prompt", "given"):
        if getattr(options, name) == "-":
            setattr(options, name, from_stdin())
    if options.wav:
        if not options.output:
            raise ConfigError("--wav writes beside the files of -o DIR, which is missing")
        ready()
    if options.free and options.output:
        raise ConfigError("--free prints texts that may be no scores, which -o DIR cannot write")
    wish = Wish(**{field.name: getattr(options, field.name) for field in fields(Wish)})
    folder, seeds = find_model(options.model), wish.seeds()
    say(f"model {folder}, seed {seeds[0]}")
    if options.output:
        make_folder(options.output)
    student = wish.student(folder, options.engine, say)
    started = time.monotonic()
    texts = written(wish, student, seeds)
    report(texts, time.monotonic() - started)
    if wish.free:
        parsed, sound = valid(texts)
        say(f"{parsed} of {wish.n} free samples parse, {sound} are sound")
    kept = range(wish.n)
    if wish.best is not None:
        found = ranked(student, texts)
        for place, (number, figures) in enumerate(found):
            say(f"{'kept' if place < wish.best else 'left'}: seed {seeds[number]}: {figures}")
        kept = [number for number, _ in found[: wish.best]]
    if wish.n > 1:
        print("\n".join(texts[number] for number in kept), end="")  # an empty line between two texts
    for number in kept if options.output else ():
        save(texts[number], Path(options.output) / f"sample-{seeds[number]}", options.wav)
    return 0


def written(wish: Wish, student: object, seeds: range) -> list[str]:
    texts = [""] * wish.n
    for number, piece in wish.write(student, seeds, say):
        texts[number] += piece
        if wish.n == 1:
            print(piece, end="", flush=True)  # measure by measure
    return texts


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def report(texts: list[str], seconds: float) -> None:
    from scorelm.notation.lexemes import cut

    lexemes = sum(len(cut(text)) for text in texts)
    say(f"{sum(text.count('|') - 1 for text in texts)} measures in {seconds:.1f} s, {lexemes / seconds:.0f} lexemes/s")


def save(text: str, path: Path, sound: bool) -> None:
    from scorelm import save as write

    for ending in (*ENDINGS, *((".wav",) if sound else ())):
        say(str(write(text, path.with_name(path.name + ending))))


if __name__ == "__main__":
    sys.exit(main())
