"""Scores in other clefs, note values, signatures, notes and names than they have, or from a later measure on.

A reader that saw little but 4/4 in treble and bass clefs guesses what it should read. What is changed here is as well
drawn as it was, and mostly as good music; where notes are moved at random it is none, and can only be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from scorelm.notation.lexemes import DURATION_LETTERS
from scorelm.notation.model import (
    STEPS,
    Attribute,
    Chord,
    Clef,
    Item,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Time,
    TimedMark,
    Tuplet,
    Value,
    chords,
)
from scorelm.notation.normal import normalise
from scorelm.notation.transform import extract, map_score
from scorelm.part_names import names

CLEFS = (
    Clef("G", 2), Clef("G", 2), Clef("G", 2), Clef("F", 4), Clef("F", 4), Clef("G", 2, -1), Clef("C", 1), Clef("C", 2),
    Clef("C", 3), Clef("C", 3), Clef("C", 4), Clef("F", 3), Clef("G", 1),
)  # by how often they are chosen  # fmt: skip
BOTTOM = {"G": ("E", 4), "C": ("F", 3), "F": ("G", 2)}  # on the lowest line, the clef on line 2, 3 and 4
USUAL_LINE = {"G": 2, "C": 3, "F": 4}
LEDGER = 7  # steps that a note may stand beyond the staff
FINEST, LONGEST = DURATION_LETTERS.index("u"), DURATION_LETTERS.index("w")
SAME_LENGTH = {  # signatures of measures that last as long
    (3, 4): [(6, 8)], (6, 8): [(3, 4)], (2, 4): [(4, 8)], (4, 4): [(2, 2), (8, 8)], (2, 2): [(4, 4)], (3, 2): [(6, 4)],
    (6, 4): [(3, 2)], (4, 2): [(2, 1)], (12, 8): [(6, 4)], (4, 8): [(2, 4)],
}  # fmt: skip


def varied(score: Score, rng: np.random.Generator) -> Score:
    """The score with other names of its parts, or note values, or clefs ..., or several of these, by chance."""
    for share, change in CHANGES:
        if rng.random() < share:
            score = change(score, rng)
    return normalise(score)


def _begun_later(score: Score, rng: np.random.Generator) -> Score:
    """From another measure on, whose start says what is in force; it may be the second half of one."""
    last = len(score.measures)
    return extract(score, (int(rng.integers(1, max(2, last))), last))


def _renamed(score: Score, rng: np.random.Generator) -> Score:
    found = names(len(score.parts), rng)
    return replace(score, parts=tuple(Part(name, part.staves) for name, part in zip(found, score.parts)))


def _rescaled(score: Score, rng: np.random.Generator) -> Score:
    """All values halved or doubled, the signatures' too: 3/4 becomes 3/8 or 3/2."""
    kinds = {chord.value.kind for chord in chords(score)}
    ways = [way for way in (1, 1, -1) if kinds and min(kinds) + way >= LONGEST and max(kinds) + way <= FINEST]
    return rescaled(score, ways[int(rng.integers(len(ways)))]) if ways else score


def rescaled(score: Score, kinds: int) -> Score:
    """All values so many kinds shorter. kinds: 1 halves them, -1 doubles them"""
    factor = Fraction(1, 2) ** kinds

    def value(v: Value) -> Value:
        return Value(v.kind + kinds, v.dots, None if v.exact is None else v.exact * factor)

    def item(i: Item) -> Item:
        if isinstance(i, Tuplet):
            return replace(i, items=tuple(map(item, i.items)))
        if isinstance(i, Rest) and i.value is None:
            return i
        assert i.value is not None
        return i if isinstance(i, Chord) and i.grace else replace(i, value=value(i.value))

    def part(p: PartMeasure) -> PartMeasure:
        staves = [replace(s, marks=tuple(TimedMark(t.offset * factor, t.mark) for t in s.marks)) for s in p.staves]
        return replace(p, staves=tuple(staves), length=None if p.length is None else p.length * factor)

    def measure(m: Measure) -> Measure:
        return replace(m, parts=tuple(p and part(p) for p in m.parts), length=m.length * factor)

    def time(mark: Attribute) -> Attribute:
        if not isinstance(mark, Time):
            return mark
        return Time(tuple((beats, unit * 2 if kinds > 0 else max(1, unit // 2)) for beats, unit in mark.terms))

    measures = tuple(map(measure, _items(score, item).measures))
    return map_score(replace(score, measures=measures), marks=_each(time))


def _other_times(score: Score, rng: np.random.Generator) -> Score:
    """Signatures of the same length: 6/8 for 3/4, 2/2 for C."""
    at = int(rng.integers(1 << 16))

    def time(mark: Attribute) -> Attribute:
        if not isinstance(mark, Time) or len(mark.terms) != 1 or len(mark.terms[0][0]) != 1:
            return mark
        ((beats,), unit) = mark.terms[0]
        others = SAME_LENGTH.get((beats, unit), [])
        if not others:
            return mark
        beats, unit = others[at % len(others)]
        return Time((((beats,), unit),))

    return map_score(score, marks=_each(time))


def _moved(score: Score, rng: np.random.Generator) -> Score:
    """Half of the notes some steps away, or with another accidental; ties go, since they would not hold."""

    def note(n: Note) -> Note:
        n = replace(n, tie=False)
        if n.unpitched or rng.random() < 0.5:
            return n
        place = 7 * n.pitch.octave + STEPS.index(n.pitch.step) + int(rng.integers(-3, 4))
        alter = int(rng.choice((-1, 0, 1))) if rng.random() < 0.3 else n.pitch.alter
        return replace(n, pitch=Pitch(STEPS[place % 7], min(9, max(0, place // 7)), alter))

    def item(i: Item) -> Item:
        if isinstance(i, Tuplet):
            return replace(i, items=tuple(map(item, i.items)))
        if not isinstance(i, Chord):
            return i
        found = {(n.pitch.octave, STEPS.index(n.pitch.step)): n for n in map(note, i.notes)}
        return replace(i, notes=tuple(found[place] for place in sorted(found)))

    return _items(score, item)


def _in_clefs(score: Score, rng: np.random.Generator) -> Score:
    """Each part of one staff in one clef of those that suit its notes, in some parts by chance."""
    chosen: list[Clef | None] = []
    for number, part in enumerate(score.parts):
        places = _places(score, number)
        suits = [clef for clef in CLEFS if places and all(_fits(clef, place) for place in places)]
        change = part.staves == 1 and suits and rng.random() < 0.6
        chosen.append(suits[int(rng.integers(len(suits)))] if change else None)

    def other(p: PartMeasure | None, clef: Clef | None) -> PartMeasure | None:
        if p is None or clef is None:
            return p
        staff = p.staves[0]
        begins = tuple(t for t in staff.marks if not isinstance(t.mark, Clef) or t.offset == 0)
        marks = tuple(replace(t, mark=clef) if isinstance(t.mark, Clef) else t for t in begins)
        own = tuple(clef if isinstance(mark, Clef) else mark for mark in p.marks)
        return replace(p, staves=(replace(staff, marks=marks),), marks=own)

    measures = [
        replace(m, parts=tuple(other(p, clef) for p, clef in zip(m.parts, chosen, strict=True))) for m in score.measures
    ]
    return replace(score, measures=tuple(measures))


def _places(score: Score, part: int) -> set[int]:
    """Where its notes stand: octave * 7 + step."""
    alone = Score((score.parts[part],), tuple(replace(m, parts=(m.parts[part],)) for m in score.measures))
    return {
        7 * n.pitch.octave + STEPS.index(n.pitch.step)
        for chord in chords(alone)
        for n in chord.notes
        if not n.unpitched
    }


def _fits(clef: Clef, place: int) -> bool:
    step, octave = BOTTOM[clef.sign]
    bottom = 7 * (octave + clef.octave) + STEPS.index(step) - 2 * ((clef.line or 0) - USUAL_LINE[clef.sign])
    return -LEDGER <= place - bottom <= 8 + LEDGER


def _each(change: Callable[[Attribute], Attribute]) -> Callable[[tuple[Attribute, ...]], tuple[Attribute, ...]]:
    return lambda marks: tuple(map(change, marks))


def _items(score: Score, item: Callable[[Item], Item]) -> Score:
    def part(p: PartMeasure | None) -> PartMeasure | None:
        staves = [replace(s, voices=tuple(tuple(map(item, v)) for v in s.voices)) for s in p.staves] if p else []
        return p and replace(p, staves=tuple(staves))

    return replace(score, measures=tuple(replace(m, parts=tuple(map(part, m.parts))) for m in score.measures))


CHANGES = (  # how likely each is
    (0.25, _begun_later), (0.5, _renamed), (0.35, _rescaled), (0.15, _other_times), (0.15, _moved), (0.3, _in_clefs),
)  # fmt: skip
