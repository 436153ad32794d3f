#!/usr/bin/env python3
"""How much better is a score known when its beginning has been learnt (infer.py --adapt)? benchmarks/adapt.py SCORES

Of each score the first measures are given and the next ones judged, in bits a quarter note, every token of them counted:
by the model as it is, which has the beginning before it, and by what it becomes when it learns that first.

--later N tells it of so many measures behind those that are judged, too, as infer.py --rewrite does.
--write has both write these measures, too (infer.py's settings, one seed), and says of the score itself and of what each
wrote: how many of the measures stand among the given ones, rhythm and pitches, in any transposition; how many follow each
other so at most; parallel fifths and octaves in 1000 pairs of voices that move together.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from scorelm import cli
from scorelm.analysis.copies import Index, content
from scorelm.analysis.summary import Counts
from scorelm.api import load
from scorelm.compose import generate
from scorelm.errors import ConfigError, ScorelmError
from scorelm.generation import Student, find_model
from scorelm.notation.model import Score
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write
from scorelm.training.adapting import having_learnt

ENDINGS = (".mxl", ".musicxml", ".xml", ".krn", ".abc", ".mid", ".sclm")


class Written:
    """What is counted of measures that follow given ones."""

    def __init__(self) -> None:
        self.measures, self.known, self.longest = 0, 0, 0
        self.counts = Counts()

    def add(self, given: Score, new: Score) -> None:
        known = {content(measure)[0] for measure in given.measures}
        self.measures += len(new.measures)
        self.known += sum(content(measure)[0] in known for measure in new.measures)
        self.longest = max(self.longest, Index([("", given)]).longest(new).measures)
        self.counts.add(new)

    def __str__(self) -> str:
        voices = self.counts.voices
        fifths, octaves = (1000 * voices[name] / max(voices["moving_pairs"], 1) for name in ("fifths", "octaves"))
        return (
            f"{100 * self.known / self.measures:.0f} % of {self.measures} measures stand among the given ones, "
            f"at most {self.longest} that follow each other; {fifths:.1f} parallel fifths, {octaves:.1f} octaves in 1000"
        )


def main(options: argparse.Namespace) -> int:
    model = find_model(options.model)
    student = Student(model)
    sums = [0.0, 0.0, 0.0, 0.0]  # quarters, bits as it is, bits having learnt, CPU seconds of learning
    pieces = 0
    written = {"the scores": Written(), "as it is": Written(), "having learnt": Written()}
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
        end = min(last + options.later, len(score.measures))
        later = write(extract(score, measures=(last + 1, end))) if end > last else ""
        quarters = float(extract(score, measures=(options.given + 1, last)).quarters)
        started = time.process_time()
        with having_learnt(model, given) as folder:
            learnt = Student(folder)
        seconds = time.process_time() - started
        bits = [bits_behind(one, given, whole, later) for one in (student, learnt)]
        if options.write:
            found = [whole, *(generate(given, one, measures=last, seed=options.seed)[0] for one in (student, learnt))]
            for text, side in zip(found, written.values()):
                side.add(parse(given), extract(parse(text), measures=(options.given + 1, last)))
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
    if options.write:
        for name, side in written.items():
            print(f"{name}: {side}")
    return 0


def files(names: list[Path]) -> list[Path]:
    found = [file for name in names for file in (sorted(name.rglob("*")) if name.is_dir() else [name])]
    return [file for file in found if file.suffix in ENDINGS]


def bits_behind(student: Student, given: str, whole: str, later: str) -> float:
    """What the tokens behind the given ones cost, the end of the text not counted."""
    known = len(student.tokens.encode(given))
    return sum(student.losses(whole, given=given, later=later)[known - 1 : -1]) / math.log(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", type=Path, metavar="SCORES", help="files or folders")
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--given", type=int, default=16, help="measures; default: 16")
    parser.add_argument("--judged", type=int, default=8, help="measures behind them; default: 8")
    parser.add_argument("--later", type=int, default=0, help="measures behind those, which are given, too; default: 0")
    parser.add_argument("--write", action="store_true", help="have both write these measures, too")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    sys.exit(cli.run("adapt.py", lambda: main(parser.parse_args())))
