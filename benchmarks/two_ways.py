#!/usr/bin/env python3
"""Each MusicXML file of music21's corpus read directly and through music21: where do the core texts differ, and why?

    python benchmarks/two_ways.py --workers 2 -o docs/two_ways.tsv

Writes a line for each file that differs: its name, in how many of its measures, and what differs in them. The
causes lie in music21, which drops or changes that on its way in or out (MIDI programs, which it keeps only for
instruments that it knows, are not compared).
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
from collections import Counter
from pathlib import Path

from scorelm import music21_bridge
from scorelm.api import load
from scorelm.errors import ScorelmError
from scorelm.notation.lexemes import DURATIONS, STRING_PATTERN, cut
from scorelm.notation.pitches import ALTER_OF, PITCH_OF
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

PROGRAM = re.compile(r"!instrument!\d+")
CAUSES = (
    ("rests: a lone rest becomes a measure rest, an empty measure gains one", frozenset("zZxXyo")),
    ("graces: their slash", frozenset("{}/")),
    ("measure numbers and lengths", frozenset("#?@")),
    ("staves of notes that change them", frozenset("O")),
    ("fermatas", frozenset("H")),
    ("voices", frozenset("&")),
    ("ties", frozenset("-")),
    ("notes", frozenset((*PITCH_OF, *ALTER_OF, "%", "n", "+"))),
    ("values", frozenset(DURATIONS)),
    ("tuplets", frozenset(("[3", "[2", "[4", "[5", "[6", "[7", "[9", "[:", "]", "+:", "]+"))),
    ("parts", frozenset("P;")),
)


def texts(path: Path) -> tuple[str, str]:
    """The core text read directly, and the one read through music21."""
    (stream,) = music21_bridge.read_streams(path)
    both = (load(path), music21_bridge.from_music21(stream))
    direct, through = (PROGRAM.sub("", write(strip(score))) for score in both)
    return direct, through


def causes(direct: str, through: str) -> tuple[int, Counter[str]]:
    """How many measures differ, and in how many of them each kind of thing does."""
    first, second = direct.split("|")[1:-1], through.split("|")[1:-1]
    found: Counter[str] = Counter()
    if len(first) != len(second):
        found["the number of measures"] += 1
    differing = [(a, b) for a, b in zip(first, second) if a != b]
    for a, b in differing:
        one, other = (Counter(cut(re.sub(STRING_PATTERN, "", text))) for text in (a, b))  # its letters are no notes
        changed = set((one - other) | (other - one))
        kinds = {name for name, lexemes in CAUSES if changed & lexemes}
        named = {lexeme.strip("!") for lexeme in changed if lexeme.startswith("!") and len(lexeme) > 1}
        kinds |= {f"marks: {', '.join(sorted(named))}"} if named else set()
        kinds |= {"keys"} if any(re.fullmatch(r"K-?\d|K!", x) for x in changed) else set()
        if re.findall(STRING_PATTERN, a) != re.findall(STRING_PATTERN, b):
            kinds |= {"names"}
        found.update(kinds or {"the order of things"})
    return len(differing), found


def compare(path: Path) -> tuple[str, str]:
    """-> "same", "differs" or "fails", and a line about it."""
    name = path.relative_to(music21_bridge.corpus_root()).as_posix()
    try:
        direct, through = texts(path)
    except (ScorelmError, ValueError) as error:
        return "fails", f"{name}\t-\tmusic21 fails: {' '.join(str(error).split())[:160]}"
    if direct == through:
        return "same", name
    count, found = causes(direct, through)
    return "differs", f"{name}\t{count}\t{'; '.join(f'{kind} ({n})' for kind, n in found.most_common())}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth file alone")
    parser.add_argument("--largest", type=int, default=10**9, metavar="BYTES", help="leave out larger files")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    endings = (".mxl", ".xml", ".musicxml")
    files = [p for p in sorted(music21_bridge.corpus_root().rglob("*")) if p.suffix in endings][:: options.every]
    files = [p for p in files if p.stat().st_size <= options.largest]
    counts: Counter[str] = Counter()
    lines = ["file\tmeasures\twhat differs, in how many measures"]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for number, (kind, line) in enumerate(pool.imap(compare, files), 1):
            counts[kind] += 1
            if kind != "same":
                lines.append(line)
            print(f"\r{number}/{len(files)} {dict(counts)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        print("\n".join(lines))
    print(
        f"{len(files)} files: {counts['same']} the same, {counts['differs']} differ, {counts['fails']} music21 fails on"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
