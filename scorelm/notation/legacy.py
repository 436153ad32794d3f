"""The text of the first ScoreLM -> score, one part of chords.

    text    = "|" [ chords ] "|" *( "_" "|" [ chords ] "|" )
    chords  = chord *( "," chord )
    chord   = "n(" duration "," *( ["T."] name ) ")"      ; T. starts a tie; C#4, B-3 (B flat)
    duration = quarters, decimal or "1/3", or a name: "eighth"

It has no key, clef, metre or rests. What is guessed or left out is reported.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction

from scorelm.notation.model import (
    Chord,
    Item,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Staff,
    Time,
    Tuplet,
)
from scorelm.notation.normal import normalise
from scorelm.notation.repair import Problem
from scorelm.notation.values import fill, value_of

TYPES: dict[str, Fraction | int] = {
    "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": Fraction(1, 2), "16th": Fraction(1, 4),
    "32nd": Fraction(1, 8), "64th": Fraction(1, 16),
}  # fmt: skip
_START = re.compile(r"\s*\|\s*(?:n\(|\|\s*_\s*\|)")
_CHORD = re.compile(r"n\(\s*([^,()]*?)\s*,\s*([^()]*)\)|([^\s,]+)")
_NAME = re.compile(r"(T\.)?([A-G])(#{0,3}|-{0,3})(\d)$")
_LONGEST = 64  # quarters


def is_legacy(text: str) -> bool:
    """Whether a text is of the first ScoreLM."""
    return _START.match(text) is not None


def read_legacy(text: str) -> tuple[Score, tuple[str, ...], tuple[Problem, ...]]:
    """The score, what was guessed, and what was left out because it cannot be read. Never raises."""
    problems: list[Problem] = []
    measures = [_items(body, number, problems) for number, body in enumerate(_bodies(text), 1)]
    lengths = Counter(length for _, length in measures if length)
    time, usual = None, Fraction(0)
    guesses: tuple[str, ...] = ()
    if lengths:
        usual = lengths.most_common(1)[0][0]
        unit = max(4, 4 * usual.denominator)
        if usual.denominator <= 16 and usual.denominator & (usual.denominator - 1) == 0:
            time = Time((((int(usual * unit / 4),), unit),))
            guesses = (f"the time signature is a guess: most measures last {usual} quarters",)
    out = []
    for number, (items, length) in enumerate(measures, 1):
        length = length or usual or Fraction(4)
        voice = items or (Rest(None, True),)
        head = ((time if time is not None else Time(())),) if number == 1 else ()
        out.append(Measure((PartMeasure((Staff((voice,)),)),), str(number), length, False, head))
    return normalise(Score((Part(""),), tuple(out))), guesses, tuple(problems)


def _bodies(text: str) -> list[str]:
    """What stands between the delimiters of each measure; an unfinished one at the end too."""
    bodies = re.split(r"\|\s*_\s*\|", text.strip())
    bodies[0] = bodies[0].removeprefix("|")
    bodies[-1] = bodies[-1].rstrip("_ \n").removesuffix("|")
    return bodies


def _items(body: str, number: int, problems: list[Problem]) -> tuple[tuple[Item, ...], Fraction]:
    """-> a voice and its length in quarters."""
    chords: list[tuple[Fraction, tuple[Note, ...]]] = []
    for match in _CHORD.finditer(body):
        duration, names, stray = match.groups()

        column = match.start() + 1
        if stray is not None:
            problems.append(Problem(number, 1, column, f"left out {stray[:40]!r}"))
            continue
        quarters = _quarters(duration)
        if quarters is None:
            problems.append(Problem(number, 1, column, f"left out a chord: {duration!r} is no duration"))
            continue
        notes = []
        for name in names.split():
            found = _NAME.match(name)
            if found is None:
                problems.append(Problem(number, 1, column, f"left out {name!r}, which is no note"))
                continue
            tie, step, sign, octave = found.groups()
            alter = len(sign) if sign.startswith("#") else -len(sign)
            notes.append(Note(Pitch(step, int(octave), alter), tie is not None))
        chords.append((quarters, tuple(notes)))
    return tuple(_grouped(chords)), sum((quarters for quarters, _ in chords), Fraction(0))


def _quarters(text: str) -> Fraction | None:
    if text in TYPES:
        return Fraction(TYPES[text])
    try:
        quarters = Fraction(text).limit_denominator(1024)
    except (ValueError, ZeroDivisionError):
        return None
    return quarters if 0 < quarters <= _LONGEST else None


def _grouped(chords: list[tuple[Fraction, tuple[Note, ...]]]) -> list[Item]:
    """Events; thirds and sixths of a quarter that fill a plain value together become a triplet."""
    out: list[Item] = []
    at = 0
    while at < len(chords):
        end = _triplet_end(chords, at)
        if end:
            inside = [e for quarters, notes in chords[at:end] for e in _events(quarters * Fraction(3, 2), notes)]
            out.append(Tuplet(3, 2, tuple(inside)))
        else:
            end = at + 1
            out += _events(*chords[at])
        at = end
    return out


def _triplet_end(chords: list[tuple[Fraction, tuple[Note, ...]]], start: int) -> int:
    """Behind the last chord of a triplet that begins here; 0 where none does."""
    if _written(chords[start][0]):
        return 0
    total = Fraction(0)
    for end in range(start, len(chords)):
        quarters = chords[end][0]
        if not _written(quarters * Fraction(3, 2)):
            return 0
        total += quarters
        if _written(total):
            return end + 1
    return 0


def _events(quarters: Fraction, notes: tuple[Note, ...]) -> list[Item]:
    """A chord as the written values that its length takes, tied; without notes it is a rest."""
    values = fill(quarters)
    if not notes:
        return [Rest(value) for value in values]
    held = tuple(replace(note, tie=True) for note in notes)
    return [Chord(notes if i == len(values) - 1 else held, value) for i, value in enumerate(values)]


def _written(quarters: Fraction) -> bool:
    return value_of(quarters).written == quarters
