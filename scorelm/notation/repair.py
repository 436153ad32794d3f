"""Any string -> a canonical text that parses, and what was mended.

A text is read measure by measure. A measure that breaks the format costs itself alone (salvage.py). Only
what governs other measures is decided by them: the number of parts and staves, and the time signature.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from scorelm.errors import FormatError, ScoreError
from scorelm.notation.lexemes import STRING_PATTERN
from scorelm.notation.marks import spell_time
from scorelm.notation.model import Measure, Part, PartMeasure, Score, Staff, Time
from scorelm.notation.normal import normal_measure
from scorelm.notation.reader import Reader, parse
from scorelm.notation.salvage import MEASURE_REST, Salvage
from scorelm.notation.scanner import END, Scanner
from scorelm.notation.state import State
from scorelm.notation.writer import MAX_PARTS, MAX_STAVES, measure_text, write

LIKELY_TIMES = tuple(
    Time((((beats,), unit),))
    for beats, unit in (
        (4, 4), (3, 4), (2, 4), (6, 8), (2, 2), (3, 8), (9, 8), (12, 8), (3, 2), (6, 4), (5, 4), (4, 2), (4, 8),
        (2, 8), (5, 8), (7, 8), (1, 4), (7, 4), (1, 2), (4, 16), (3, 16), (6, 16), (9, 4), (12, 4), (8, 4), (8, 8),
    )
)  # fmt: skip
WITNESSES = 8  # measures that are asked whether a time signature holds


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that was mended. ``measure``, ``line``, ``column``: as in FormatError, in the text as it came."""

    measure: int
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.message} (measure {self.measure}, line {self.line}, column {self.column})"


def repair(text: str) -> tuple[str, tuple[Problem, ...]]:
    """Canonical text, and a Problem for each thing mended, in the order of the text. What parses has none."""
    if _reads(text):
        return write(parse(text)), ()
    mender = _Mender(text)
    measures = mender.measures()
    mended = write(Score(tuple(mender.parts), tuple(measures)) if measures else Score())
    return mended, tuple(sorted(mender.problems))


@dataclass(frozen=True)
class _Segment:
    """What stands between two delimiters. ``start``: its place in the text; ``closed``: by a "|"."""

    text: str
    start: int
    closed: bool

    @property
    def blank(self) -> bool:
        return not self.text.strip()


def _reads(text: str) -> bool:
    try:
        return bool(write(parse(text)))
    except (FormatError, ScoreError):
        return False


def _segments(text: str) -> list[_Segment]:
    out = []
    start = 0
    for piece in text.split("|"):
        out.append(_Segment(piece, start, start + len(piece) < len(text)))
        start += len(piece) + 1
    return [s for s in out if not s.blank or (s.closed and s.start > 0)]


class _Mender:
    """Goes through the measures of a broken text; ``state`` and ``parts`` as the strict reader has them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []
        self.state = State()
        self.parts: list[Part] = []
        self.segments = _segments(text)
        self.shape = [] if _reads(text[: text.rfind("|") + 1]) else _shape(self.segments)

    def report(self, message: str, position: int) -> None:
        place = FormatError(message, self.text, position)
        self.problems.append(Problem(place.measure, place.line, place.column, message))

    def measures(self) -> list[Measure]:
        if not self.text.lstrip().startswith("|"):
            self.report("'|', with which every text begins, is missing", 0)
        out: list[Measure] = []
        todo = self.segments[::-1]
        while todo:
            segment = todo.pop()
            measure = self._as_it_stands(segment)
            if measure is None and todo:
                measure = self._joined(segment, todo[-1])
                if measure is not None:
                    segment = todo.pop()
            after = todo[::-1]
            if measure is not None:
                measure = self._with_fitting_time(measure, segment, after)
            else:
                measure = self._mended(segment, after, todo)
            if measure is not None:
                if not segment.closed:
                    self.report("'|' is missing at the end of the measure", len(self.text.rstrip()))
                out.append(normal_measure(measure))
        return out

    # -- what parses ------------------------------------------------------------------------------

    def _read(self, segment: _Segment, state: State, parts: list[Part]) -> Measure | None:
        """A measure as the strict reader reads it; ``state`` and ``parts`` move on."""
        before, first = state.copy(), not parts
        reader = Reader(Scanner(segment.text), state, parts)
        try:
            measure = reader.measure()
            if reader.s.tokens[reader.s.i] != END:
                return None
            if first:
                before.declare(parts)
            measure_text(measure, parts, before, first)
        except (FormatError, ScoreError):
            return None
        return measure

    def _as_it_stands(self, segment: _Segment) -> Measure | None:
        state, parts = self.state.copy(), list(self.parts)
        measure = self._read(segment, state, parts)
        if measure is None or (self.shape and [part.staves for part in parts] != self.shape):
            return None
        self.state, self.parts = state, parts
        return measure

    def _joined(self, segment: _Segment, behind: _Segment) -> Measure | None:
        """A measure that a "|" cut in two."""
        if not segment.blank and self._read(behind, self.state.copy(), list(self.parts)) is not None:
            return None
        joined = _Segment(segment.text + behind.text, segment.start, behind.closed)
        measure = self._as_it_stands(joined)
        if measure is not None:
            self.report("a '|' inside the measure was left out", behind.start - 1)
        return measure

    # -- a time signature that its measures contradict -----------------------------------------------

    def _with_fitting_time(self, measure: Measure, segment: _Segment, after: Sequence[_Segment]) -> Measure:
        """The measure with another time signature, where it has one and the measures behind it deny it."""
        if not any(isinstance(mark, Time) for mark in measure.marks):
            return measure
        time = self._time_of(after)
        if time is None:
            return measure
        self._enter(time, segment)
        marks = tuple(mark for mark in measure.marks if not isinstance(mark, Time))
        return replace(measure, marks=(*marks, time))

    def _enter(self, time: Time, segment: _Segment) -> None:
        self.report(f"the time signature is {spell_time(time)} by the measures behind this", segment.start)
        self.state.enter_score([time])

    def _time_of(self, after: Sequence[_Segment]) -> Time | None:
        """The time signature that most of the next measures fit; None where the one in force does for half of them."""
        witnesses: list[_Segment] = []
        for segment in after:
            if "T" in re.sub(STRING_PATTERN, "", segment.text) or len(witnesses) == WITNESSES:
                break
            if segment.closed and not segment.blank and "@" not in segment.text:
                witnesses.append(segment)

        def fits(time: Time | None) -> int:
            count = 0
            for segment in witnesses:
                state = self.state.copy()
                if time is not None:
                    state.enter_score([time])
                count += self._read(segment, state, list(self.parts)) is not None
            return count

        if not witnesses or 2 * fits(None) >= len(witnesses):
            return None
        best = max(LIKELY_TIMES, key=fits)
        return best if 2 * fits(best) > len(witnesses) else None

    # -- what does not parse -------------------------------------------------------------------------

    def _mended(self, segment: _Segment, after: Sequence[_Segment], todo: list[_Segment]) -> Measure | None:
        """What can be read in a measure. What belongs to the next one, its "|" being lost, goes back to ``todo``."""
        salvage = Salvage(segment.text, lambda message, place: self.report(message, segment.start + place))
        first, known = not self.parts, len(self.problems)
        if not salvage.holds_music and (first or not segment.closed):
            self.report("left out: a measure without a note or a rest", segment.start)
            return None
        salvage.head(first)
        state = self.state.copy()
        state.enter_score(salvage.marks)
        wanted = (len(self.shape) or None) if first else len(self.parts)
        salvage.align(wanted, state.unit(0), salvage.length or state.nominal())
        if first:
            self.parts = salvage.declare(self.shape)
            state.declare(self.parts)
            state.enter_score(salvage.marks)
        self.state = state
        time = self._time_of(after)
        if time is not None:
            self._enter(time, segment)
            salvage.marks = [*(mark for mark in salvage.marks if not isinstance(mark, Time)), time]
        before = self.state.copy()
        measure = salvage.measure(self.state, self.parts)
        if len(self.problems) == known:  # what was wrong is nothing that had to be left out
            self.report(*self._why(segment, before))
        try:
            measure_text(normal_measure(measure), self.parts, before, first)
        except ScoreError as error:
            self.report(f"the measure rests: {error}", segment.start)
            measure = self._silent(measure)
        if salvage.rest is not None:
            at = segment.start + salvage.rest
            self.report("a '|' is missing before this", at)
            todo.append(_Segment(segment.text[salvage.rest :], at, segment.closed))
        return measure

    def _why(self, segment: _Segment, state: State) -> tuple[str, int]:
        """What the strict reader says of a measure, and where."""
        reader = Reader(Scanner(segment.text), state, list(self.parts))
        try:
            reader.measure()
            place = reader.s.places[reader.s.i]
            return "'|' is missing before this", segment.start + place
        except FormatError as error:
            return error.message, segment.start + error.position

    def _silent(self, measure: Measure) -> Measure:
        """A measure of rests instead of one beyond the bounds of the format."""
        length = self.state.nominal() or Fraction(4)
        parts = tuple(PartMeasure(tuple(Staff(((MEASURE_REST,),)) for _ in range(p.staves))) for p in self.parts)
        return Measure(parts, measure.number, length)


def _shape(segments: Sequence[_Segment]) -> list[int]:
    """The staves of each part, where most measures agree about it; else nothing."""
    cut = [re.sub(STRING_PATTERN, "", s.text).replace("{/", "{").split(";") for s in segments if s.closed]
    sizes = Counter(len(sections) for sections in cut)
    if not sizes:
        return []
    size, count = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if count < 2 or 2 * count <= len(cut) or size > MAX_PARTS:
        return []
    agreeing = [sections for sections in cut if len(sections) == size]
    staves = []
    for part in range(size):
        present = [sections[part] for sections in agreeing if "!absent!" not in sections[part]]
        slashes = Counter(section.count("/") for section in present or agreeing[0][:1])
        staves.append(min(MAX_STAVES, slashes.most_common(1)[0][0] + 1))
    return staves
