"""A score of several staves <-> the scores of its single staves, which is what a strip shows and what is read.

    apart(score) -> a score for each staff        together(scores) -> the score of a system, and what did not fit
    behind(systems) -> the score of a page

Staves become parts of one staff each: which of them a brace joins is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

from scorelm.notation.model import Attribute, Clef, Key, Mark, Measure, Part, PartMeasure, Rest, Score, Staff, Time
from scorelm.notation.normal import normalise
from scorelm.notation.salvage import fitted

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True)
class Doubt:
    """Where staves of a system do not agree: measure and staff, both from 1."""

    measure: int
    staff: int
    why: str


def apart(score: Score) -> list[Score]:
    """What stands on each staff alone, from the top. A printed measure number is seen on the first one alone."""
    out: list[Score] = []
    for p, part in enumerate(score.parts):
        for s in range(part.staves):
            measures = []
            for number, measure in enumerate(score.measures, 1):
                own = measure.parts[p]
                if own is not None:
                    own = replace(own, staves=own.staves[s : s + 1])
                shown = measure.number if not out else str(number - (score.measures[0].number == "0"))
                measures.append(replace(measure, parts=(own,), number=shown))
            name = part.name if part.staves == 1 else ""
            out.append(normalise(Score((Part(name, 1),), tuple(measures))))
    return out


def together(staves: Sequence[Score]) -> tuple[Score, list[Doubt]]:
    """The score of a system from what was read on its staves; what most of them say holds for all."""
    if not staves:
        return Score(), []
    counts = [len(staff.measures) for staff in staves]
    length = _commonest(counts)
    doubts = [
        Doubt(min(count, length) + (count < length), number, f"{count} measures were read, {length} on most staves")
        for number, count in enumerate(counts, 1)
        if count != length
    ]
    measures = []
    for index in range(length):
        there = [staff.measures[index] if index < len(staff.measures) else None for staff in staves]
        measure, found = _across(there, index + 1)
        measures.append(measure)
        doubts += found
    parts = tuple(staff.parts[0] if staff.parts else Part("") for staff in staves)
    return normalise(Score(parts, tuple(measures))), sorted(doubts, key=lambda d: (d.measure, d.staff))


def _across(there: Sequence[Measure | None], number: int) -> tuple[Measure, list[Doubt]]:
    """One measure of all staves."""
    present = [measure for measure in there if measure is not None]
    length = _commonest([measure.length for measure in present])
    shared = _commonest([measure.marks for measure in present])
    doubts, parts = [], []
    for staff, measure in enumerate(there, 1):
        if measure is None or not measure.parts or measure.parts[0] is None:
            parts.append(_silent())
            continue
        own = measure.parts[0]
        if measure.length != length:
            done = "was filled with rests" if measure.length < length else "was cut"
            doubts.append(Doubt(number, staff, f"held {measure.length} quarters, most staves {length}: it {done}"))
            own = replace(own, staves=tuple(_fitted(one, length) for one in own.staves), length=None)
        missing = tuple(m for m in measure.marks if m not in shared and isinstance(m, Key))
        parts.append(replace(own, marks=(*missing, *own.marks)))
    first = present[0]
    return (
        Measure(
            tuple(parts), first.number, length, _commonest([m.implicit for m in present]), shared,
            _commonest([m.end for m in present]),
        ),
        doubts,
    )  # fmt: skip


def _fitted(staff: Staff, length: Fraction) -> Staff:
    """A staff's measure as long as those of the others."""
    voices = [
        voice if not voice or any(isinstance(item, Rest) and item.value is None for item in voice)
        else fitted(voice, length, number == 0)
        for number, voice in enumerate(staff.voices)
    ]  # fmt: skip
    return Staff(tuple(voices), tuple(mark for mark in staff.marks if mark.offset <= length))


def _silent() -> PartMeasure:
    return PartMeasure((Staff(((Rest(None, measure=True),),)),))


def behind(systems: Iterable[Score]) -> Score:
    """Systems one behind the other. Those of fewer staves have the first ones, the others
    rest; a time signature holds on."""
    systems = list(systems)
    if not systems:
        return Score()
    widest = max(systems, key=lambda system: len(system.parts))
    parts = widest.parts if not systems[0].parts else tuple(
        replace(part, name=systems[0].parts[i].name or part.name) if i < len(systems[0].parts) else part
        for i, part in enumerate(widest.parts)
    )  # fmt: skip
    measures: list[Measure] = []
    state: dict[object, Attribute] = {}
    clefs: dict[int, Clef] = {}
    number = 0
    for system in systems:
        for index, measure in enumerate(system.measures):
            marks = (
                measure.marks if index or not measures else tuple(m for m in measure.marks if state.get(_kind(m)) != m)
            )
            for mark in measure.marks:
                state[_kind(mark)] = mark
            there = (*measure.parts, *(_silent(),) * (len(parts) - len(measure.parts)))
            if not measures:
                number = int(measure.number) if measure.number.isdecimal() else 1
            there = tuple(_without_said(part, p, clefs) for p, part in enumerate(there))
            measures.append(replace(measure, marks=marks, parts=there, number=str(number)))
            number += 1
    return normalise(Score(parts, tuple(measures)))


def _without_said(part: PartMeasure | None, number: int, clefs: dict[int, Clef]) -> PartMeasure | None:
    """Without a clef that is in force already: each system draws it again. ``clefs``: of each part"""
    if part is None:
        return None
    staff, kept = part.staves[0], []
    for timed in staff.marks:
        if isinstance(timed.mark, Clef):
            if clefs.get(number) == timed.mark:
                continue
            clefs[number] = timed.mark
        kept.append(timed)
    return replace(part, staves=(replace(staff, marks=tuple(kept)), *part.staves[1:]))


def _kind(mark: Attribute) -> object:
    return type(mark) if isinstance(mark, (Key, Time)) else mark.name if isinstance(mark, Mark) else type(mark)


def _commonest(values: Sequence[H]) -> H:
    """The first of those that are there most often."""
    return Counter(values).most_common(1)[0][0]
