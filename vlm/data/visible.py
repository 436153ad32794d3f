"""What a picture shows of a score: the text that a reader of the picture alone can give.

    visible(score, Shown(first=4, last=7, names=("S.", "B."), numbers={4: "5"}))

It is the text of those measures in a profile, with keys and clefs in force said again as the engraver draws them
again, and without all that leaves no ink:

- a time signature stands only where it is drawn; before it measures state their lengths (``@``)
- a part's name is what is printed beside its staves, the abbreviation too, or nothing
- a measure's number is what is printed; between two printed ones measures are counted
- a key has no mode; a part has no instrument, no sound and no transposition
- hidden rests are spacers, rests have no place of their own, unmetred measures no sign
- a change of clef at a measure's end is one at the next one's start
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.model import (
    Attribute,
    Clef,
    Item,
    Key,
    Mark,
    Measure,
    Part,
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
from scorelm.notation.normal import normalise
from scorelm.notation.transform import extract, strip
from scorelm.notation.values import fill

UNSEEN = frozenset("instrument sound transpose times untyped tuplet-none unplaced".split())
START = Fraction(0)


class NotShown(ScoreError):
    """A score holds what no picture can say."""


@dataclass(frozen=True)
class Shown:
    """Which measures stand on a picture, counted from 0, and what is printed beside the notes."""

    first: int
    last: int
    names: tuple[str, ...] = ()  # of the parts, as printed; () for none
    numbers: Mapping[int, str] = field(default_factory=dict)  # measure, counted from 0 -> its printed number
    alone: bool = False  # engraved as a piece of its own: the time signature in force is drawn, it ends with a bar


def prepare(score: Score, profile: str = "core") -> Score:
    """A whole score without what is never printed, in a profile; done once, before ``visible``.

    Raises NotShown where notes last otherwise than they are written.
    """
    plain = strip(score, profile)
    measures = [_plain_measure(measure) for measure in plain.measures]
    return normalise(Score(plain.parts, tuple(_clefs_moved(measures))))


def visible(prepared: Score, shown: Shown) -> Score:
    """What the picture says. ``prepared``: the whole score, from ``prepare``"""
    out = extract(prepared, (shown.first + 1, shown.last + 1))
    measures = list(out.measures)
    if shown.alone:
        measures[-1] = _ended(measures[-1])
    elif not _has_time(prepared.measures[shown.first]):
        measures[0] = _without_time(measures[0])
    if not any(isinstance(mark, Key) for mark in _all_marks(measures[0])):
        measures[0] = replace(measures[0], marks=(*measures[0].marks, Key(0)))
    names = shown.names or ("",) * len(out.parts)
    parts = tuple(Part(name, part.staves) for name, part in zip(names, out.parts, strict=True))
    return normalise(Score(parts, tuple(_numbered(measures, shown))))


def pickup(score: Score) -> bool:
    """Whether a score begins with a measure that is shorter than its time signature says."""
    first = score.measures[0]
    for mark in _all_marks(first):
        if isinstance(mark, Time):
            return mark.quarters is not None and first.length < mark.quarters
    return False


def _numbered(measures: list[Measure], shown: Shown) -> list[Measure]:
    """Measures count from 1, a pickup at the start of the piece is 0, what is printed holds."""
    begins = (shown.first == 0 or shown.alone) and pickup(Score((), (measures[0],)))
    count = 0 if begins else 1
    out = []
    for index, measure in enumerate(measures):
        printed = shown.numbers.get(shown.first + index, "")
        if printed.isdecimal():
            count = int(printed)
        out.append(replace(measure, number=str(count), implicit=begins and index == 0))
        count += 1
    return out


def _ended(measure: Measure) -> Measure:
    """With a final barline, which engravers draw at the end of any piece that says nothing else."""
    drawn = {"end", "repeat)", "ending)", "ending-open)"}
    return measure if any(mark.name in drawn for mark in measure.end) else replace(measure, end=(Mark("end"),))


def _all_marks(measure: Measure) -> list[Attribute]:
    """Of a measure's start: its own, its parts', and those on its staves at offset 0."""
    out = [*measure.marks]
    for part in measure.parts:
        if part is not None:
            out += part.marks
            out += [timed.mark for staff in part.staves for timed in staff.marks if timed.offset == 0]
    return out


def _has_time(measure: Measure) -> bool:
    return any(isinstance(mark, Time) for mark in _all_marks(measure))


def _without_time(measure: Measure) -> Measure:
    def part(p: PartMeasure) -> PartMeasure:
        staves = tuple(
            replace(s, marks=tuple(t for t in s.marks if t.offset or not isinstance(t.mark, Time))) for s in p.staves
        )
        return replace(p, staves=staves, marks=tuple(m for m in p.marks if not isinstance(m, Time)))

    return replace(
        measure,
        marks=tuple(m for m in measure.marks if not isinstance(m, Time)),
        parts=tuple(p and part(p) for p in measure.parts),
    )


def _plain_measure(measure: Measure) -> Measure:
    return replace(
        measure,
        marks=_plain(measure.marks),
        parts=tuple(p and _plain_part(p, measure.length) for p in measure.parts),
    )


def _plain_part(part: PartMeasure, length: Fraction) -> PartMeasure:
    length = part.length or length
    return replace(part, staves=tuple(_plain_staff(s, length) for s in part.staves), marks=_plain(part.marks))


def _plain_staff(staff: Staff, length: Fraction) -> Staff:
    marks = [TimedMark(timed.offset, mark) for timed in staff.marks for mark in _plain((timed.mark,))]
    return Staff(tuple(_plain_voice(voice, length) for voice in staff.voices), tuple(marks))


def _plain(marks: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    out: list[Attribute] = []
    for mark in marks:
        if isinstance(mark, Key):
            out.append(replace(mark, mode=None))
        elif isinstance(mark, Time):
            if mark.terms:
                out.append(mark)
        elif isinstance(mark, Clef) or mark.name not in UNSEEN:
            out.append(mark)
    return tuple(out)


def _plain_voice(voice: Voice, length: Fraction) -> Voice:
    out: list[Item] = []
    for item in voice:
        out += _plain_item(item, length)
    return tuple(out)


def _plain_item(item: Item, length: Fraction) -> list[Item]:
    if isinstance(item, Tuplet):
        inner = tuple(x for i in item.items for x in _plain_item(i, length))
        return [replace(item, items=inner, marks=tuple(m for m in item.marks if m.name not in UNSEEN))]
    if item.value is not None and item.value.exact is not None:
        raise NotShown("notes last otherwise than they are written")
    if isinstance(item, Spacer):
        return [item]
    if isinstance(item, Rest):
        if item.hidden:  # a measure rest without a value stands alone in its voice
            return [Spacer(item.value)] if item.value else [Spacer(value) for value in fill(length)]
        return [replace(item, position=None, marks=tuple(m for m in item.marks if m.name not in UNSEEN))]
    notes = tuple(replace(n, marks=tuple(m for m in n.marks if m.name not in UNSEEN)) for n in item.notes)
    return [replace(item, notes=notes, marks=tuple(m for m in item.marks if m.name not in UNSEEN))]


def _clefs_moved(measures: list[Measure]) -> list[Measure]:
    """A clef that stands behind a measure's last note stands before the next one's first: they look the same."""
    out: list[Measure] = []
    waiting: dict[tuple[int, int], Attribute] = {}
    for measure in measures:
        parts: list[PartMeasure | None] = []
        for number, part in enumerate(measure.parts):
            if part is None:
                parts.append(None)
                continue
            length = part.length or measure.length
            staves = []
            for index, staff in enumerate(part.staves):
                marks = list(staff.marks)
                late = waiting.pop((number, index), None)
                if late is not None and not any(t.offset == 0 and isinstance(t.mark, Clef) for t in marks):
                    marks.insert(0, TimedMark(START, late))
                for timed in [t for t in marks if isinstance(t.mark, Clef) and t.offset >= length > 0]:
                    waiting[number, index] = timed.mark
                    marks.remove(timed)
                staves.append(replace(staff, marks=tuple(marks)))
            parts.append(replace(part, staves=tuple(staves)))
        out.append(replace(measure, parts=tuple(parts)))
    return out


def described(score: Score, marks: tuple[Mark, ...]) -> Score:
    """A score with more marks in its head: what is to be printed above it."""
    if not score.measures:
        return score
    first = score.measures[0]
    there = {mark.name for mark in first.marks if isinstance(mark, Mark)}
    added = tuple(mark for mark in marks if mark.name not in there)
    return normalise(Score(score.parts, (replace(first, marks=(*added, *first.marks)), *score.measures[1:])))
