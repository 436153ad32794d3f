#!/usr/bin/env python3
"""Sopranos of the test split, harmonised: whether they stay as they were, and how what is written stands to Bach's.

    python benchmarks/harmonise.py --json harmonise.json

The pieces are those of four parts. Each soprano is given with several seeds until there are --count harmonisations.
- kept: the share of given parts that come back note for note, compared in the data model (a part without a name gets one)
- notes a quarter of the written parts (heads that no tie leads to), against those of Bach's own lower parts
- parallel fifths and octaves in 1000 pairs of voices that move together, crossings in 1000 simultaneities
- how likely the model finds Bach's own lower voices: -log2 p a quarter of their lexemes, each given all that stands
  before it in the text, so the soprano up to its measure's end; then the same of what was written
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from scorelm.analysis.summary import Counts
from scorelm.compose import GIVEN_TRIES, Wish
from scorelm.dataset import read_rows
from scorelm.generation import Student, find_model
from scorelm.likelihood import breakdown
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Score, chords
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract
from scorelm.notation.writer import write

LOWER = (2, 3, 4)  # parts, from 1


def struck(score: Score) -> int:
    """Note heads that no tie leads to."""
    return sum(not note.tie for chord in chords(score) for note in chord.notes)


class Side:
    """What is counted of Bach's pieces, or of what was written to their sopranos."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.counts = Counts()
        self.struck, self.nats, self.quarters = 0, 0.0, 0.0

    def add(self, text: str) -> None:
        score = parse(text)
        self.counts.add(score)
        self.struck += struck(extract(score, parts=LOWER))
        voices = breakdown(text, [[lexeme] for lexeme in cut(text)], self.student.losses(text))[1]
        self.nats += sum(voices.get(part, 0.0) for part in LOWER)
        self.quarters += float(score.quarters)

    def figures(self) -> dict[str, float]:
        voices = self.counts.voices
        return {
            "pieces": self.counts.parsed,
            "notes_a_quarter": self.struck / self.quarters,
            "parallels_per_1000": 1000 * (voices["fifths"] + voices["octaves"]) / max(1, voices["moving_pairs"]),
            "crossings_per_1000": 1000 * voices["crossings"] / max(1, voices["simultaneities"]),
            "bits_a_quarter": self.nats / math.log(2) / self.quarters,
        }


def harmonised(student: Student, soprano: str, seeds: Sequence[int], tries: int, strict: bool) -> list[str]:
    wish = Wish(given=soprano, n=len(seeds), seed=seeds[0], tries=tries, strict=strict)
    texts = [""] * len(seeds)
    for number, piece in wish.write(student, seeds):
        texts[number] += piece
    return texts


def shares(count: int, pieces: int) -> Iterator[int]:
    """How many harmonisations each piece has."""
    for number in range(pieces):
        yield count // pieces + (number < count % pieces)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--dataset", default="dataset")
    parser.add_argument("--count", type=int, default=200, help="harmonisations; default: 200")
    parser.add_argument("--tries", type=int, default=GIVEN_TRIES, help=f"ways of each; default: {GIVEN_TRIES}")
    parser.add_argument("--strict", action="store_true", help="by strict voice leading, as infer.py --strict")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    folder = find_model(options.model)
    student = Student(folder)
    rows = [row for row in read_rows(options.dataset, "test") if row["parts"] == 4]
    bach, written = Side(student), Side(student)
    done = kept = 0
    started = time.process_time()
    for row, wanted in zip(rows, shares(options.count, len(rows))):
        if not wanted:
            continue
        soprano = write(extract(parse(row["text"]), parts=[1]))
        bach.add(row["text"])
        for text in harmonised(student, soprano, range(1, 1 + wanted), options.tries, options.strict):
            done += 1
            kept += extract(parse(text), parts=[1]).measures == parse(soprano).measures
            written.add(text)
        seconds = time.process_time() - started
        print(f"{row['source']}: {kept} of {done} kept, {seconds:.0f} CPU s", file=sys.stderr, flush=True)
    found: dict[str, Any] = {
        "model": str(folder),
        "tries": options.tries,
        "strict": options.strict,
        "harmonisations": done,
        "kept": kept / done,
        "cpu_s": time.process_time() - started,
        "bach": bach.figures(),
        "written": written.figures(),
    }
    found["notes_ratio"] = found["written"]["notes_a_quarter"] / found["bach"]["notes_a_quarter"]
    print(f"given parts kept: {kept} of {done}; notes a quarter, written / Bach's: {found['notes_ratio']:.3f}\n")
    print("| | pieces | notes a quarter | parallels in 1000 | crossings in 1000 | bits a quarter |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in ("bach", "written"):
        figures = list(found[name].values())
        print(f"| {name} | {figures[0]} | " + " | ".join(f"{value:.2f}" for value in figures[1:]) + " |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if kept == done else 1


if __name__ == "__main__":
    sys.exit(main())
