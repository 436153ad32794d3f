"""The walk through sound text that keeps to a plan: what is given is the only lexeme that may come.

Given measures may be more than sound, for they are forced lexeme by lexeme: whatever the format can write is kept.
What is written between them is sound, and leads into them: a tie goes over to a given note of its pitch or not at all.
"""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction

from scorelm.notation.lexemes import cut
from scorelm.notation.marks import spell_attribute, spell_string
from scorelm.notation.model import Chord, Part, PartMeasure, Score, Time, timeline
from scorelm.notation.plan import Frame, Plan, frames
from scorelm.notation.sound import (
    CLEFS,
    HEAD,
    KEYS,
    SYMBOLS,
    Lexemes,
    OpenVoice,
    Pitch,
    Sound,
    Walk,
    dangling,
    only,
    union,
)
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

EVER = 10**6  # measures
BEFORE_KEY, BEFORE_TIME = 5, 7  # the last stages of a measure's head at which they may come


def walk_of(plan: Plan, measures: int | None = None, at_least: int = 1, at_most: int = EVER) -> Sound:
    """The walk of a plan, behind the measures at its start that are given whole. The bounds are those of ``Sound``."""
    if plan.score.measures:
        return Given(plan, measures, at_least, at_most)
    return Asked(plan, measures, at_least, at_most)


class Given(Sound):
    """Keeps to the given measures of a plan."""

    def __init__(self, plan: Plan, measures: int | None, at_least: int, at_most: int) -> None:
        self.frames = frames(plan)
        self.cell: tuple[Frame, int] | None = None  # the measure and the part under way, where that is to be written
        count = len(self.frames)
        super().__init__(lead(plan), count if plan.closed else measures, max(at_least, count), at_most)

    def _start(self, prompt: str) -> None:
        super()._start(prompt)
        self.ended = False  # a final barline among the given measures ends nothing
        for place in list(self.ties):
            if not self._is_free(self.count, place[0]):
                del self.ties[place]

    def _is_free(self, measure: int, part: int) -> bool:
        """Whether a part of a measure is to be written. Behind the given measures all are."""
        if measure >= len(self.frames):
            return measure < self.at_most
        return part in self.frames[measure].free

    def _text(self) -> Generator[Lexemes, str, None]:
        while self.count < len(self.frames):
            yield from self._framed(self.frames[self.count])
        yield from super()._text()

    def _framed(self, frame: Frame) -> Generator[Lexemes, str, None]:
        """A given measure. What comes before its first lexeme is done again where the walk is copied, to no effect."""
        measure, first = frame.measure, not self.parts
        if first:
            self.state.declare(Part("", _staves(part)) for part in measure.parts)
        self.state.enter_score(measure.marks)
        self.state.count(measure.number)
        self.last = self.count + 1 >= self.at_most
        for lexeme in frame.head:
            yield only(lexeme)
        for index, (part, section) in enumerate(zip(measure.parts, frame.sections)):
            follow = only(";" if index + 1 < len(frame.sections) else frame.end[0])
            for lexeme in section:
                yield only(lexeme)
            self.state.enter_part(index, part.marks if part else ())
            if index in frame.free:
                yield from self._free(frame, index, first, follow)
                continue
            for timed in (t for staff in (part.staves if part else ()) for t in staff.marks):
                if isinstance(timed.mark, Time):
                    self.state.enter_time(index, timed.mark)
            self._lead_over(index, part, measure.length)
            yield follow
            self.fits = True
        for lexeme in frame.end[1:]:
            yield only(lexeme)
        self.parts = len(frame.sections)
        self.count += 1

    def _free(self, frame: Frame, index: int, first: bool, follow: Lexemes) -> Generator[Lexemes, str, None]:
        """A part that is to be written, behind what it begins with, and the lexeme behind it."""
        part = frame.measure.parts[index]
        length = (part and part.length) or frame.measure.length
        partly = any(index not in other.free for other in self.frames)
        self.cell = frame, index
        self.clefs = only() if partly else CLEFS  # a new clef would hold for the given measures behind it too
        if first and part and not part.marks:
            lexeme = yield from self._marks(index, length)
        else:
            lexeme = yield self._voice_openers(index, 0, 0, length)
        yield from self._part(index, lexeme, length, follow)
        self.cell = None
        self.clefs = CLEFS

    def _part_marks(self, stage: int) -> Lexemes:
        return super()._part_marks(stage) - KEYS  # keys are given

    def _voice_openers(self, part: int, staff: int, number: int, length: Fraction) -> Lexemes:
        clef = self.cell[0].clefs.get((part, staff)) if self.cell and number == 0 else None
        return only(clef) if clef else super()._voice_openers(part, staff, number, length)

    def _lead_over(self, index: int, part: PartMeasure | None, length: Fraction) -> None:
        """Ties out of a given part's measure are followed where what comes is to be written."""
        self.ties = {place: pitches for place, pitches in self.ties.items() if place[0] != index}
        if self._is_free(self.count + 1, index):
            self.ties.update(dangling(index, part, length))

    def _may_tie(self, voice: OpenVoice, pitch: Pitch) -> bool:
        if not super()._may_tie(voice, pitch):
            return False
        inside = len(voice.levels) == 1 and voice.levels[-1].left > 0
        if inside or self._is_free(self.count + 1, voice.place[0]):
            return True
        return pitch in _first_pitches(self.frames[self.count + 1], voice.place)


def lead(plan: Plan) -> str:
    """The text of the measures at a plan's start that are given whole, in the core profile."""
    return write(strip(Score(plan.score.parts, plan.score.measures[: plan.lead])))


def _staves(part: PartMeasure | None) -> int:
    return len(part.staves) if part else 1


def _first_pitches(frame: Frame, place: tuple[int, int, int]) -> set[Pitch]:
    """The pitches of the first event of a given voice."""
    part = frame.measure.parts[place[0]]
    voices = part.staves[place[1]].voices if part else ()
    if not part or place[2] >= len(voices):
        return set()
    events = timeline(voices[place[2]], part.length or frame.measure.length)
    first = next((t.event for t in events if not (isinstance(t.event, Chord) and t.event.grace)), None)
    if not isinstance(first, Chord):
        return set()
    return {(n.pitch.step, n.pitch.octave, n.pitch.alter) for n in first.notes if not n.unpitched}


class Asked(Sound):
    """A new piece in the key, time and parts that were asked for, each where it was."""

    def __init__(self, plan: Plan, measures: int | None, at_least: int, at_most: int) -> None:
        self.plan = plan
        super().__init__("|", measures, at_least, at_most)

    def _openers(self, stage: int, length: Fraction | None) -> Lexemes:
        allowed = super()._openers(stage, length)
        key, time = self.plan.key, self.plan.time
        if self.count:
            return allowed - (KEYS if key else only()) - (only("T") if time else only())
        if key and stage <= BEFORE_KEY:
            return (allowed & HEAD[0]) - KEYS - only("T") | only(f"K{key.fifths}")
        if time and stage <= BEFORE_TIME:
            return allowed & HEAD[0] | only("T")
        return allowed

    def _key(self, follow: Lexemes) -> Walk:
        if not self.plan.key:
            return (yield from super()._key(follow))
        yield only(f"!{self.plan.key.mode}!")
        return (yield follow)

    def _time(self, length: Fraction | None) -> Walk:
        time = self.plan.time
        if not time:
            return (yield from super()._time(length))
        for lexeme in cut(spell_attribute(time))[1:]:
            yield only(lexeme)
        self.state.enter_score([time])
        more = SYMBOLS if time.symbol is None else only()
        lexeme = yield union(self._openers(8, length), more)
        if lexeme in more:
            lexeme = yield self._openers(8, length)
        return lexeme

    def _part_marks(self, stage: int) -> Lexemes:
        allowed = super()._part_marks(stage)
        return allowed - KEYS if self.plan.key else allowed

    def _part_heads(self, index: int) -> Lexemes:
        return only(self._head(index)[0]) if self.plan.parts else super()._part_heads(index)

    def _head(self, index: int) -> list[str]:
        part = self.plan.parts[index]
        return cut("P" + (str(part.staves) if part.staves > 1 else "") + spell_string(part.name))

    def _may_come(self, index: int, first: bool) -> tuple[bool, bool]:
        if first and self.plan.parts:
            return index + 1 < len(self.plan.parts), index + 1 == len(self.plan.parts)
        return super()._may_come(index, first)

    def _part_head(self, lexeme: str, index: int, length: Fraction) -> Walk:
        if not self.plan.parts:
            return (yield from super()._part_head(lexeme, index, length))
        self.state.add_part(self.plan.parts[index].staves)
        for expected in self._head(index)[1:]:
            yield only(expected)
        return (yield from self._marks(index, length))
