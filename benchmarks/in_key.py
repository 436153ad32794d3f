#!/usr/bin/env python3
"""Does what is written keep to the key that it says, and end there? With guidance and without, side by side.

    python benchmarks/in_key.py                              # guidance 0 and 2
    python benchmarks/in_key.py --guidance 0 1 2 4 --strict

New pieces of 12 measures for four voices in each of --keys; validation pieces of four voices gone on with from measure 5
on, in the key that they say; their sopranos harmonised. Beside them those pieces as Bach has them.
- key: the share whose notes are in the key that is said, by Krumhansl's estimate; of what is gone on with, the new
  measures alone
- tonic: the share that ends on the tonic's triad in root position
- parallel fifths and octaves in 1000 pairs of voices that move together, crossings in 1000 simultaneities
- how likely the model finds the whole: nats a quarter, over every token
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from scorelm import extract, generate
from scorelm.analysis.lines import lines
from scorelm.analysis.summary import Counts
from scorelm.analysis.tonality import declared, estimated
from scorelm.dataset import read_rows
from scorelm.generation import Student, find_model
from scorelm.notation.reader import parse

KEYS = ("c minor", "a", "F", "Eb", "f# minor", "B minor", "g minor", "D", "e minor", "A")
CHOIR = "Soprano,Alto,Tenor,Bass"
KEPT = 4  # measures of a piece that is gone on with
WAYS = ("new", "gone on with", "harmonised")


class Side:
    """Figures of some texts, each judged from a measure on."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.counts = Counts()
        self.texts = self.in_key = 0
        self.nats = 0.0

    def add(self, text: str, first: int = 1) -> None:
        score = parse(text)
        tonic = declared(score)
        new = lines(parse(extract(text, (first, len(score.measures)))))
        self.texts += 1
        self.in_key += tonic is not None and estimated(new) == (tonic.pitch_class, tonic.major)
        self.counts.add(score)
        self.nats += sum(self.student.losses(text)) / float(score.quarters)

    def row(self, name: str) -> str:
        voices, last = self.counts.voices, self.counts.last
        pairs = max(1, voices["moving_pairs"])
        parallels = " + ".join(f"{1000 * voices[kind] / pairs:.1f}" for kind in ("fifths", "octaves"))
        crossings = 1000 * voices["crossings"] / max(1, voices["simultaneities"])
        return (
            f"| {name} | {self.texts} | {self.in_key / self.texts:.2f} | {last['tonic'] / self.texts:.2f} | {parallels} | "
            f"{crossings:.1f} | {self.nats / self.texts:.2f} |"
        )


def written(way: str, rows: list[dict[str, Any]], options: argparse.Namespace, **wish: Any) -> Iterator[str]:
    wish |= {"n": options.n if way == "new" else options.each, "seed": options.seed, "strict": options.strict}
    if way == "new":
        for key in options.keys:
            yield from generate("|", key=key, parts=CHOIR, measures=12, **wish)
        return
    for row in rows:
        if way == "gone on with":
            yield from generate(row["text"], from_measure=KEPT + 1, **wish)
        else:
            yield from generate(given=extract(row["text"], parts=[1]), **wish)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--dataset", default="dataset")
    parser.add_argument("--guidance", type=float, nargs="+", default=[0.0, 2.0], help="default: 0 2")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="default: all three")
    parser.add_argument("--keys", nargs="+", default=KEYS, help=f"default: {', '.join(KEYS)}")
    parser.add_argument("-n", type=int, default=10, help="new pieces in each key; default: 10")
    parser.add_argument("--pieces", type=int, default=26, help="so many at most are gone on with; default: 26")
    parser.add_argument("--each", type=int, default=2, help="texts of each of them; default: 2")
    parser.add_argument("--seed", type=int, default=500, help="of the first text; default: 500")
    parser.add_argument("--strict", action="store_true", help="by strict voice leading, as infer.py --strict")
    options = parser.parse_args()
    student = Student(find_model(options.model))
    rows = [row for row in read_rows(options.dataset, "validation") if row["parts"] == 4]
    rows = [row for row in rows if row["measures"] > KEPT and declared(parse(row["text"]))]
    rows = rows[:: max(1, -(-len(rows) // options.pieces))]
    print("| | texts | key | tonic | parallels in 1000 | crossings in 1000 | nats a quarter |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    bach = Side(student)
    for row in rows:
        bach.add(row["text"], KEPT + 1)
    print(bach.row("Bach"))
    for way in options.ways:
        for guidance in options.guidance:
            side = Side(student)
            for text in written(way, rows, options, model=student, guidance=guidance):
                side.add(text, KEPT + 1 if way == "gone on with" else 1)
                print(f"{way}, guidance {guidance:g}: {side.texts}", end="\r", file=sys.stderr, flush=True)
            print(side.row(f"{way}, guidance {guidance:g}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
