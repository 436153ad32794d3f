#!/usr/bin/env python3
"""How much better is a score known when its beginning has been learnt (infer.py --adapt)? benchmarks/adapt.py SCORES

Of each score the first measures are given and the next ones judged, in bits a quarter note, every token of them counted:
by the model as it is, which has the beginning before it, and by what it becomes when it learns that first.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from scorelm import cli
from scorelm.api import load
from scorelm.errors import ConfigError, ScorelmError
from scorelm.generation import Student, find_model
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write
from scorelm.training.adapting import having_learnt

ENDINGS = (".mxl", ".musicxml", ".xml", ".krn", ".abc", ".mid")


def main(options: argparse.Namespace) -> int:
    model = find_model(options.model)
    student = Student(model)
    sums = [0.0, 0.0, 0.0, 0.0]  # quarters, bits as it is, bits having learnt, CPU seconds of learning
    pieces = 0
    for file in files(options.scores):
        try:
            score = strip(load(file))
        except ScorelmError as error:
            print(f"{file}: {error}", file=sys.stderr)
            continue
        last = options.given + options.judged
        if len(score.measures) < last:
            print(f"{file}: has {len(score.measures)} measures, not {last}", file=sys.stderr)
            continue
        whole = write(extract(score, measures=(1, last)))
        given = "".join(bar + "|" for bar in whole.split("|")[: options.given + 1]) + "\n"
        quarters = float(extract(score, measures=(options.given + 1, last)).quarters)
        started = time.process_time()
        with having_learnt(model, given) as folder:
            learnt = Student(folder)
        seconds = time.process_time() - started
        bits = [bits_behind(one, given, whole) for one in (student, learnt)]
        print(f"{file.name}: {bits[0] / quarters:.2f} -> {bits[1] / quarters:.2f}, {seconds:.1f} s", flush=True)
        sums = [a + b for a, b in zip(sums, (quarters, *bits, seconds))]
        pieces += 1
    if not pieces:
        raise ConfigError("no score is long enough")
    quarters, before, after, seconds = sums
    print(
        f"{pieces} scores, bits a quarter of measures {options.given + 1} to {options.given + options.judged}: "
        f"{before / quarters:.3f} as it is, {after / quarters:.3f} having learnt the {options.given} before "
        f"({100 * (after / before - 1):+.1f} %), {seconds / pieces:.1f} CPU s to learn them"
    )
    return 0


def files(names: list[Path]) -> list[Path]:
    found = [file for name in names for file in (sorted(name.rglob("*")) if name.is_dir() else [name])]
    return [file for file in found if file.suffix in ENDINGS]


def bits_behind(student: Student, given: str, whole: str) -> float:
    """What the tokens behind the given ones cost, the end of the text not counted."""
    known = len(student.tokens.encode(given))
    return sum(student.losses(whole)[known - 1 : -1]) / math.log(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", type=Path, metavar="SCORES", help="files or folders")
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--given", type=int, default=16, help="measures; default: 16")
    parser.add_argument("--judged", type=int, default=8, help="measures behind them; default: 8")
    sys.exit(cli.run("adapt.py", lambda: main(parser.parse_args())))
