"""The texts of a split, read from disk when they are asked for: a corpus may be larger than memory."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from scorelm.errors import ConfigError, ScoreError
from scorelm.notation.model import Key, Score
from scorelm.notation.reader import parse
from scorelm.notation.transform import interval_size, transpose
from scorelm.notation.writer import write

# one interval or two enharmonic ones for each of the twelve distances
INTERVALS = "P1 m2 A1 M2 m3 A2 M3 P4 A4 d5 -P4 -M3 -m3 -M2 -m2 -A1".split()


class Corpus:
    """``folder/split.jsonl`` of one folder or of several (with commas between them), of which only the places of its
    lines are kept. ConfigError where one is missing."""

    def __init__(self, folders: str | Path, split: str) -> None:
        self.paths = [Path(folder) / f"{split}.jsonl" for folder in str(folders).split(",")]
        self.places: list[array[int]] = []
        for path in self.paths:
            if not path.is_file():
                raise ConfigError(f"{path}: no such file; make the dataset with: python generate_data.py")
            places = array("Q", [0])
            with path.open("rb") as file:
                for line in file:
                    places.append(places[-1] + len(line))
            if len(places) == 1:
                raise ConfigError(f"{path}: is empty")
            self.places.append(places)
        self.ends = list(accumulate(len(places) - 1 for places in self.places))
        for end in self.ends:  # a wrong file is refused before any work
            self.row(end - 1)
        self.row(0)

    def __len__(self) -> int:
        return self.ends[-1]

    def row(self, number: int) -> tuple[str, float]:
        """(text, quarters) of a line, from 0. ConfigError where it holds none."""
        which = bisect_right(self.ends, number)
        line_number = number - (self.ends[which - 1] if which else 0)
        path, places = self.paths[which], self.places[which]
        with path.open("rb") as file:
            file.seek(places[line_number])
            line = file.read(places[line_number + 1] - places[line_number])
        try:
            row = json.loads(line)
            return str(row["text"]), float(row["quarters"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{path}: line {line_number + 1} is no row with text and quarters") from None


def intervals_of(score: Score) -> list[str]:
    """The intervals that take a score to each of the twelve keys with the fewest sharps or flats; P1 first."""
    home = _first_key(score)
    chosen: dict[int, tuple[int, str]] = {}
    for interval in INTERVALS:
        steps, semitones = interval_size(interval)
        fifths = home + 7 * semitones - 12 * steps
        pitch_class = semitones % 12
        if pitch_class not in chosen or abs(fifths) < abs(chosen[pitch_class][0]):
            chosen[pitch_class] = (fifths, interval)
    others = sorted(pitch_class for pitch_class in chosen if pitch_class)
    return ["P1", *(chosen[p][1] for p in others if abs(chosen[p][0]) <= 7)]


def in_all_keys(text: str) -> list[str]:
    """The text in each of the twelve keys; itself first."""
    score = parse(text)
    out = [text]
    for interval in intervals_of(score)[1:]:
        try:
            out.append(write(transpose(score, interval)))
        except ScoreError:  # beyond the range of pitches
            continue
    return out


def _first_key(score: Score) -> int:
    for measure in score.measures[:1]:
        for marks in (measure.marks, *(part.marks for part in measure.parts if part)):
            for mark in marks:
                if isinstance(mark, Key):
                    return mark.fifths
    return 0
