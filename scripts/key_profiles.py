#!/usr/bin/env python3
"""How often each degree of a major and of a minor key is sung: scripts/key_profiles.py [DATASET]

Notes are counted by their place on the line of fifths from the tonic of the signature's major key, in the pieces whose
notes are in the key that they say. scorelm/guidance.py has these counts for the training chorales."""

from __future__ import annotations

import sys
from collections import Counter

from scorelm import cli
from scorelm.analysis.lines import lines
from scorelm.analysis.tonality import declared, estimated
from scorelm.bound.home import Home, fifths_of
from scorelm.dataset import read_rows
from scorelm.guidance import FLATTEST, MAJOR
from scorelm.notation.lexemes import cut
from scorelm.notation.reader import parse


def main() -> int:
    counts: dict[str, Counter[int]] = {"major": Counter(), "minor": Counter()}
    pieces: Counter[str] = Counter()
    for row in read_rows(sys.argv[1] if len(sys.argv) > 1 else "dataset", "train"):
        score = parse(row["text"])
        found, tonic, home = lines(score), declared(score), Home()
        for lexeme in cut(row["text"].split("|")[1]):
            home = home.push(lexeme)
        if home.key is None or home.key[1] not in counts or tonic is None:
            continue
        if estimated(found) == (tonic.pitch_class, tonic.major):
            signature, mode = home.key
            pieces[mode] += 1
            counts[mode] += Counter(fifths_of(note.pitch) - signature for line in found for note in line.notes)
    for mode, found_in in counts.items():
        print(mode, pieces[mode], tuple(found_in[FLATTEST + degree] for degree in range(len(MAJOR))))
    return 0


if __name__ == "__main__":
    sys.exit(cli.run("key_profiles.py", main))
