"""The normal form: one score, one data model.

Spacers run together, voices of spacers alone are dropped, marks stand in the published order, a
key or time that all share stands once, ``exact`` only where it says something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from scorelm.notation.marks import rank
from scorelm.notation.model import (
    Attribute,
    Item,
    Key,
    Measure,
    Note,
    PartMeasure,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    Tuplet,
    Voice,
)
from scorelm.notation.values import fill


def normalise(score: Score) -> Score:
    """The same score in normal form. A normal score comes back equal."""
    if not score.measures:
        return Score()
    return Score(score.parts, tuple(normal_measure(m) for m in score.measures))


def normal_measure(measure: Measure) -> Measure:
    parts = tuple(p and _normal_part(p, measure.length) for p in measure.parts)
    marks = list(measure.marks)
    for kind in (Key, Time):
        parts = _lift_to_parts(parts, kind)
        shared, parts = _lift_to_measure(parts, kind)
        if shared is not None and not any(isinstance(m, kind) for m in marks):
            marks.append(shared)
    return replace(measure, parts=parts, marks=_ordered(marks, key_last=True), end=_ordered(measure.end))


def _ordered(marks: Sequence[Attribute], key_last: bool = False) -> tuple:  # type: ignore[type-arg]
    """Marks in the published order; keys and times after the marks of a measure or part."""
    if len(marks) < 2:
        return tuple(marks)
    return tuple(sorted(marks, key=lambda m: rank(m) + (10**6 if key_last and rank(m) < 0 else 0)))


def _lift_to_parts(parts: tuple[PartMeasure | None, ...], kind: type) -> tuple[PartMeasure | None, ...]:
    """What all staves of a part have at their start becomes the part's."""
    out = []
    for part in parts:
        if part is not None and part.staves:
            starts = [[t for t in s.marks if t.offset == 0 and isinstance(t.mark, kind)] for s in part.staves]
            if all(len(s) == 1 and s[0] == starts[0][0] for s in starts) and not any(
                isinstance(m, kind) for m in part.marks
            ):
                mark = starts[0][0]
                staves = tuple(replace(s, marks=tuple(t for t in s.marks if t != mark)) for s in part.staves)
                part = replace(part, staves=staves, marks=_ordered((*part.marks, mark.mark), key_last=True))
        out.append(part)
    return tuple(out)


def _lift_to_measure(
    parts: tuple[PartMeasure | None, ...], kind: type
) -> tuple[Attribute | None, tuple[PartMeasure | None, ...]]:
    """What all parts have becomes the measure's."""
    present = [p for p in parts if p is not None]
    found = [[m for m in p.marks if isinstance(m, kind)] for p in present]
    if not found or any(len(f) != 1 or f[0] != found[0][0] for f in found):
        return None, parts
    shared = found[0][0]
    return shared, tuple(p and replace(p, marks=tuple(m for m in p.marks if m != shared)) for p in parts)


def _normal_part(part: PartMeasure, length: Fraction) -> PartMeasure:
    return replace(
        part,
        staves=tuple(_normal_staff(staff) for staff in part.staves),
        length=None if part.length == length else part.length,
        marks=_ordered(part.marks, key_last=True),
    )


def _normal_staff(staff: Staff) -> Staff:
    voices = [_normal_voice(v) for v in staff.voices]
    while voices and not voices[-1]:
        voices.pop()
    marks = staff.marks
    if len(marks) > 1:
        marks = tuple(sorted(marks, key=lambda t: (t.offset, rank(t.mark))))
    return Staff(tuple(voices), marks)


def _normal_voice(voice: Voice) -> Voice:
    if all(isinstance(item, Spacer) for item in voice):
        return ()
    return _normal_items(voice, Fraction(1))


def _normal_items(items: Sequence[Item], ratio: Fraction) -> tuple[Item, ...]:
    out: list[Item] = []
    empty = Fraction(0)  # spacers waiting to be run together
    for item in items:
        if isinstance(item, Spacer) and ratio == 1:
            empty += item.value.quarters
            continue
        if empty:
            out.extend(Spacer(v) for v in fill(empty))
            empty = Fraction(0)
        out.append(_normal_item(item, ratio))
    if empty:
        out.extend(Spacer(v) for v in fill(empty))
    return tuple(out)


def _normal_item(item: Item, ratio: Fraction) -> Item:
    if isinstance(item, Tuplet):
        inner = ratio * Fraction(item.normal, item.actual)
        return replace(item, items=_normal_items(item.items, inner), marks=_ordered(item.marks))
    value = item.value
    if value is not None and value.exact is not None and value.exact == value.written * ratio:
        item = replace(item, value=replace(value, exact=None))
    if isinstance(item, Spacer):
        return item
    if isinstance(item, Rest):
        return replace(item, marks=_ordered(item.marks)) if len(item.marks) > 1 else item
    notes = item.notes
    if len(notes) > 1:
        notes = tuple(sorted(notes, key=note_order))
    if any(len(n.marks) > 1 for n in notes):
        notes = tuple(replace(n, marks=_ordered(n.marks)) for n in notes)
    if notes is item.notes and len(item.marks) < 2:
        return item
    return replace(item, notes=notes, marks=_ordered(item.marks))


def note_order(note: Note) -> tuple[int, int, Fraction | int, bool]:
    """Chord notes stand from low to high: by octave, step, alteration; a tied one last among equals."""
    p = note.pitch
    return p.octave, "CDEFGAB".index(p.step), p.alter, note.tie
