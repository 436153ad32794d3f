"""The normal form: one score, one data model.

Spacers run together, voices of spacers alone are dropped, marks stand in the published order, a
key or time that all share stands once, ``exact`` only where it says something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from scorelm.notation.lyrics import verse_order
from scorelm.notation.marks import SCOPES, rank
from scorelm.notation.model import (
    ONE,
    Argument,
    Attribute,
    Chord,
    Item,
    Key,
    Mark,
    Measure,
    Note,
    PartMeasure,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    TimedMark,
    Tuplet,
    Voice,
)
from scorelm.notation.values import fill

# said once for the chord where all its notes bear them
_OF_ALL = frozenset(
    ("arpeggio", "arpeggio-up", "arpeggio-down", "cue", "small", "grace-cue", "large", "stem-none", "stem-double")
)


def normalise(score: Score) -> Score:
    """The same score in normal form. A normal score comes back equal."""
    if not score.measures:
        return Score()
    return Score(score.parts, tuple(normal_measure(m) for m in score.measures))


def normal_measure(measure: Measure) -> Measure:
    parts = tuple(p and _normal_part(p, measure.length) for p in measure.parts)
    marks = measure.marks
    for kind in (Key, Time):
        parts = tuple(p and _lift_to_part(p, kind) for p in parts)
        shared = _shared([p.marks for p in parts if p is not None], kind)
        if shared is not None:
            parts = tuple(p and replace(p, marks=tuple(m for m in p.marks if m != shared)) for p in parts)
            marks = (*marks, shared)
    return replace(measure, parts=parts, marks=_head(marks), end=_ordered(measure.end))


def _ordered(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Marks in the published order."""
    return tuple(sorted(marks, key=_place)) if len(marks) > 1 else marks


def _place(mark: Mark) -> tuple[int, bool, Argument]:
    """Lyrics by their verses."""
    return rank(mark), *(verse_order(mark.args[0]) if mark.name == "lyric" and mark.args else (False, ""))


def _head(marks: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """Marks of a measure's or a part's head: a key and a time behind the others, of several the last."""
    if len(marks) < 2:
        return marks
    last = {type(mark): mark for mark in marks if isinstance(mark, (Key, Time))}
    others = sorted((mark for mark in marks if not isinstance(mark, (Key, Time))), key=rank)
    return (*others, *(last[kind] for kind in (Key, Time) if kind in last))


def _lift_to_part(part: PartMeasure, kind: type) -> PartMeasure:
    """A key or time that all staves have at their start becomes the part's, instead of one it has."""
    starts = [tuple(t.mark for t in staff.marks if t.offset == 0) for staff in part.staves]
    shared = _shared(starts, kind)
    if shared is None:
        return part
    lifted = TimedMark(Fraction(0), shared)
    staves = tuple(replace(staff, marks=tuple(t for t in staff.marks if t != lifted)) for staff in part.staves)
    return replace(part, staves=staves, marks=_head((*part.marks, shared)))


def _shared(groups: list[tuple[Attribute, ...]], kind: type) -> Attribute | None:
    """The one mark of a kind that every group has, each group once."""
    found = [[mark for mark in marks if isinstance(mark, kind)] for marks in groups]
    if not found or any(len(marks) != 1 or marks != found[0] for marks in found):
        return None
    return found[0][0]


def _normal_part(part: PartMeasure, length: Fraction) -> PartMeasure:
    return replace(
        part,
        staves=tuple(_normal_staff(staff) for staff in part.staves),
        length=None if part.length == length else part.length,
        marks=_head(part.marks),
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
    return _normal_items(voice, ONE)


def _normal_items(items: Sequence[Item], ratio: Fraction) -> tuple[Item, ...]:
    out: list[Item] = []
    empty = Fraction(0)  # spacers waiting to be run together
    for item in items:
        if isinstance(item, Spacer) and ratio is ONE:
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
    if len(notes) == 1 and not notes[0].marks and len(item.marks) < 2:  # as most are
        return item
    item = _lifted(item)
    notes = item.notes
    if any(len(n.marks) > 1 for n in notes):
        notes = tuple(replace(n, marks=_ordered(n.marks)) for n in notes)
    if len(notes) > 1:
        notes = tuple(sorted(notes, key=note_order))
    if notes is item.notes and len(item.marks) < 2:
        return item
    return replace(item, notes=notes, marks=_ordered(item.marks))


def _lifted(chord: Chord) -> Chord:
    """What the only note of a chord bears, or an arpeggio or a size that all its notes bear, is the chord's."""
    first, *others = chord.notes
    lifted = tuple(
        m for m in first.marks
        if SCOPES.get(m.name) == "event" and (not others or (m.name in _OF_ALL and all(m in n.marks for n in others)))
    )  # fmt: skip
    if not lifted:
        return chord
    notes = tuple(replace(n, marks=tuple(m for m in n.marks if m not in lifted)) for n in chord.notes)
    return replace(chord, notes=notes, marks=(*chord.marks, *lifted))


def note_order(note: Note) -> tuple[int, int, Fraction | int, bool, bool, str]:
    """Chord notes stand from low to high: by octave, step, alteration; among equals unpitched, tied, marked ones last."""
    p = note.pitch
    marks = "".join(mark.name + str(mark.args) for mark in note.marks)
    return p.octave, "CDEFGAB".index(p.step), p.alter, note.unpitched, note.tie, marks
