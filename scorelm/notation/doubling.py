"""Colla parte: instruments that play with the voices of a score, as in Bach's cantatas.

Most chorales are handed down as four voices alone; a model that learns from few scores with instruments hardly learns
that an instrument mostly plays what a voice sings. So some scores are learnt again with instruments added.
"""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

from scorelm.notation.model import Clef, Mark, Measure, Part, PartMeasure, Pitch, Score, TimedMark, chords
from scorelm.notation.normal import normalise
from scorelm.notation.transform import map_score, moved_pitch

MOST_PARTS = 5  # of a score that instruments are added to
MOST_ADDED = 4
TREBLE, ALTO, BASS = Clef("G", 2), Clef("C", 3), Clef("F", 4)
# instruments by the place of the voice that they play with (from the top; -1: the lowest), clef, octaves above it
SECTIONS: dict[int, tuple[tuple[str, Clef, int], ...]] = {
    0: (("Violin 1", TREBLE, 0), ("Oboe 1", TREBLE, 0), ("Flute", TREBLE, 0), ("Horn", TREBLE, 0), ("Cornet", TREBLE, 0),
        ("Trumpet", TREBLE, 0), ("Recorder 1", TREBLE, 1), ("Flute 1", TREBLE, 1), ("Violin", TREBLE, 0)),
    1: (("Violin 2", TREBLE, 0), ("Oboe 2", TREBLE, 0), ("Oboe d'amore", TREBLE, 0), ("Recorder 2", TREBLE, 1),
        ("Horn 2", TREBLE, 0), ("Trombone 1", ALTO, 0)),
    2: (("Viola", ALTO, 0), ("Taille", ALTO, 0), ("Oboe 3", TREBLE, 1), ("Recorder 3", TREBLE, 1), ("Trombone 2", ALTO, 0)),
    -1: (("Continuo", BASS, 0), ("Organ", BASS, 0), ("Violoncello", BASS, 0), ("Bassoon", BASS, 0), ("Trombone 3", BASS, 0)),
}  # fmt: skip
RANGE = range(9)  # octaves that an instrument can be written in


def doubled(score: Score, chance: random.Random) -> Score | None:
    """The score with one to four instruments, each of which plays with a voice; None where it is no such score.

    They stand above the voices, those of the lowest voice below them, each section in its usual order.
    """
    if not 2 <= len(score.parts) <= MOST_PARTS or any(part.staves != 1 for part in score.parts):
        return None
    voices = {place: place % len(score.parts) for place in SECTIONS if place < len(score.parts) - 1}
    wanted = chance.sample(sorted(voices, key=lambda place: place % 9), min(len(voices), chance.randint(1, MOST_ADDED)))
    above: list[tuple[str, list[PartMeasure | None] | None]] = []
    below: list[tuple[str, list[PartMeasure | None] | None]] = []
    for place in sorted(wanted, key=lambda place: place % 9):
        name, clef, octaves = chance.choice(SECTIONS[place])
        (below if place < 0 else above).append((name, _with(score, voices[place], clef, octaves)))
    if any(part is None for _, part in above + below):
        return None
    upper = [(name, part) for name, part in above if part is not None]
    lower = [(name, part) for name, part in below if part is not None]
    names = [*(Part(name) for name, _ in upper), *score.parts, *(Part(name) for name, _ in lower)]
    measures = [
        replace(m, parts=(*(part[i] for _, part in upper), *m.parts, *(part[i] for _, part in lower)))
        for i, m in enumerate(score.measures)
    ]
    return normalise(Score(tuple(names), tuple(measures)))


def _with(score: Score, voice: int, clef: Clef, octaves: int) -> list[PartMeasure | None] | None:
    """A voice's measures in another clef and octave; None where that cannot be written."""
    alone = Score((score.parts[voice],), tuple(replace(m, parts=(m.parts[voice],)) for m in score.measures))

    def pitch(p: Pitch) -> Pitch:
        return moved_pitch(p, 7 * octaves, 12 * octaves)

    moved = map_score(alone, pitch=pitch, steps=7 * octaves)
    if any(note.pitch.octave not in RANGE for chord in chords(moved) for note in chord.notes):
        return None
    return [_in_clef(m, clef) for m in moved.measures]


def _in_clef(measure: Measure, clef: Clef) -> PartMeasure | None:
    """The part of a measure of one part; clefs at its start become ``clef``, later ones go."""
    part = measure.parts[0]
    if part is None:
        return None
    staff = part.staves[0]
    marks: list[TimedMark] = []
    for timed in staff.marks:
        if not isinstance(timed.mark, Clef):
            marks.append(timed)
        elif timed.offset == 0:
            marks.append(TimedMark(Fraction(0), clef))
    own = tuple(clef if isinstance(mark, Clef) else mark for mark in part.marks)
    own = tuple(mark for mark in own if not (isinstance(mark, Mark) and mark.name == "transpose"))
    return replace(part, staves=(replace(staff, marks=tuple(marks)),), marks=own)
