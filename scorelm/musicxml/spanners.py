"""Numbers of slurs, hairpins, brackets: a source's own become the smallest that are free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from scorelm.musicxml.derive import Line, measure_lines
from scorelm.musicxml.values import whole
from scorelm.notation.model import Argument, Mark, Measure, Score, Staff, TimedMark

# Lines above and below a staff, whose starts and stops stand on its time line. A source writes them in an order of
# its own, so that they are numbered one by one as they are read, and at last in the order of the writer.
_ON_TIME_LINE: dict[str, tuple[str, bool | None]] = {
    "<(": ("wedge", True), ">(": ("wedge", True), "<)": ("wedge", False), "wedge-continue": ("wedge", None),
    **{f"{size}{side}(": ("octave-shift", True) for size in (8, 15, 22) for side in ("va", "vb", "ma", "mb")},
    "ottava)": ("octave-shift", False), "ottava-continue": ("octave-shift", None),
    "dashes(": ("dashes", True), "dashes)": ("dashes", False), "dashes-continue": ("dashes", None),
    "bracket(": ("bracket", True), "bracket)": ("bracket", False), "bracket-continue": ("bracket", None),
}  # fmt: skip
_ONE_BY_ONE = frozenset(kind for kind, _ in _ON_TIME_LINE.values())


class Spanners:
    """What is open in one part, by kind.

    A stop may stand before its start in the document (voices are written one after another): then the stop
    takes a number and the start finds it.

    one_by_one: kinds of which each line gets a number that no other has
    """

    def __init__(self, one_by_one: frozenset[str] = _ONE_BY_ONE) -> None:
        self._open: dict[str, dict[str, tuple[int, bool]]] = {}  # kind -> source's number -> ours, opened by a start
        self._one_by_one = one_by_one
        self._given: dict[str, int] = {}  # kind -> how many numbers

    def number(self, kind: str, number: str | None, start: bool) -> tuple[Argument, ...]:
        """The arguments that tell this start or stop apart: none for number 1."""
        opened = self._open.setdefault(kind, {})
        key = number or "1"
        if key in opened and opened[key][1] != start:
            return _arguments(opened.pop(key)[0])
        if kind in self._one_by_one:
            own = opened[key][0] if key in opened else self._given.get(kind, 0) + 1
            self._given[kind] = max(own, self._given.get(kind, 0))
        else:
            taken = {own for k, (own, _) in opened.items() if k != key}
            own = next(n for n in range(1, len(taken) + 2) if n not in taken)
        opened[key] = (own, start)
        return _arguments(own)

    def current(self, kind: str, number: str | None) -> tuple[Argument, ...]:
        """The arguments of what goes on here; one that begins behind it, at the same note, has the number it is to have."""
        found = self._open.get(kind, {}).get(number or "1")
        return _arguments(max(1, whole(number, 1)) if found is None else found[0])


def renumber(score: Score) -> Score:
    """Lines on time lines that were numbered one by one -> numbered by the smallest that are free, part by part."""
    measures = list(score.measures)
    for index in range(len(score.parts)):
        spanners = Spanners(one_by_one=frozenset())
        for at, measure in enumerate(measures):
            measures[at] = _renumbered(measure, index, spanners)
    return replace(score, measures=tuple(measures))


def _renumbered(measure: Measure, index: int, spanners: Spanners) -> Measure:
    part = measure.parts[index]
    if part is None or not any(_is_line(t) for staff in part.staves for t in staff.marks):
        return measure
    new: dict[int, TimedMark] = {}
    for timed in _as_written(part.staves, measure_lines(measure, index)):
        mark = timed.mark
        if isinstance(mark, Mark) and mark.name in _ON_TIME_LINE:
            kind, start = _ON_TIME_LINE[mark.name]
            old = str(mark.args[0]) if mark.args and isinstance(mark.args[0], Fraction) else "1"
            args = spanners.current(kind, old) if start is None else spanners.number(kind, old, start)
            more = tuple(a for a in mark.args if not isinstance(a, Fraction))
            new[id(timed)] = replace(timed, mark=replace(mark, args=args + more))
    staves = tuple(replace(s, marks=tuple(new.get(id(t), t) for t in s.marks)) for s in part.staves)
    parts = (*measure.parts[:index], replace(part, staves=staves), *measure.parts[index + 1 :])
    return replace(measure, parts=parts)


def _is_line(timed: TimedMark) -> bool:
    return isinstance(timed.mark, Mark) and timed.mark.name in _ON_TIME_LINE


def _as_written(staves: tuple[Staff, ...], lines: list[Line]) -> Iterator[TimedMark]:
    """A measure's marks as the writer meets them: with the voices of their staff, then those between all notes."""
    waiting = [list(staff.marks) for staff in staves]
    for line in lines:
        for event in line.events:
            yield from (t for t in waiting[line.staff] if t.offset == event.offset)
            waiting[line.staff] = [t for t in waiting[line.staff] if t.offset != event.offset]
    for marks in waiting:
        yield from marks


def _arguments(own: int) -> tuple[Argument, ...]:
    return () if own == 1 else (Fraction(own),)
