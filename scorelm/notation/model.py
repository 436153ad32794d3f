"""The data model: a score as it is written, immutable and normal by construction.

    Score -> parts: Part (name, staves)
          -> measures: Measure (number, length, marks, end)
               -> parts: PartMeasure | None (length, marks, staff lines of voices)
                    -> staves: Staff -> voices: Voice = items
                         Item = Chord | Rest | Spacer | Tuplet(items)

Times are exact quarter notes (``Fraction``). A voice without a tuplet open always fills its part's
measure: what a source leaves out is a Spacer. Keys, clefs, dynamics ... stand on the time line
of a staff (``TimedMark``) or, where they hold for the whole part or the whole score from the
measure's start, in ``PartMeasure.marks`` and ``Measure.marks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from scorelm.notation.lexemes import DURATION_LETTERS

STEPS = "CDEFGAB"
MAX_QUARTERS = 4096  # of a measure
ONE = Fraction(1)  # the ratio outside tuplets: `is ONE` is faster than any arithmetic


@dataclass(frozen=True, slots=True)
class Pitch:
    """A written, spelled pitch (for an unpitched note or a rest: its place on the staff)."""

    step: str  # C D E F G A B
    octave: int  # 0-9; C4 is middle C
    alter: Fraction | int = 0  # semitones: -2 double flat, +1 sharp


@dataclass(frozen=True, slots=True)
class Value:
    """A written note value: ``Value(5, 1)`` is a dotted quarter."""

    kind: int  # index into DURATION_LETTERS: 0 maxima, 3 whole, 5 quarter, 13 1024th
    dots: int = 0
    exact: Fraction | None = None  # quarters, only where the source's duration differs from the written value

    @property
    def written(self) -> Fraction:
        """Quarters as written, without tuplets."""
        return _written(self.kind, self.dots)

    @property
    def quarters(self) -> Fraction:
        """Quarters that the note lasts, without tuplets (or ``exact``, then tuplets included)."""
        return self.written if self.exact is None else self.exact

    @property
    def letter(self) -> str:
        return DURATION_LETTERS[self.kind] + "." * self.dots


@cache
def _written(kind: int, dots: int) -> Fraction:
    return Fraction(2) ** (5 - kind) * (2 - Fraction(1, 2**dots))


Argument = Fraction | str


@dataclass(frozen=True, slots=True)
class Mark:
    """Anything named: ``Mark("fermata")``, ``Mark("metronome", (Fraction(5), Fraction(80)))``."""

    name: str
    args: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A key signature. ``mode`` is ``"major"``, ``"minor"``, ``"dorian"`` ... or None."""

    fifths: int  # sharps (+) or flats (-), -7..7; more only through `alters`
    mode: str | None = None
    alters: tuple[tuple[str, Fraction | int], ...] = ()  # non-traditional: (step, semitones); fifths is then 0


@dataclass(frozen=True, slots=True)
class Time:
    """A time signature: ``Time((((3,), 4),))`` is 3/4, ``Time((((3, 2), 8),))`` is 3+2/8; () is senza misura."""

    terms: tuple[tuple[tuple[int, ...], int], ...]
    symbol: str | None = None  # "common", "cut", "single-number", ...

    @property
    def quarters(self) -> Fraction | None:
        """The length of a measure in quarters; None without a metre."""
        if not self.terms:
            return None
        return sum((Fraction(4 * sum(beats), unit) for beats, unit in self.terms), Fraction(0))


@dataclass(frozen=True, slots=True)
class Clef:
    """``Clef("G", 2)`` treble, ``Clef("F", 4)`` bass, ``Clef("G", 2, -1)`` tenor voice."""

    sign: str  # G F C percussion TAB jianpu none
    line: int | None = None
    octave: int = 0


Attribute = Mark | Key | Time | Clef


@dataclass(frozen=True, slots=True)
class Note:
    """One head of a chord."""

    pitch: Pitch
    tie: bool = False  # a tie starts here
    marks: tuple[Mark, ...] = ()
    unpitched: bool = False


@dataclass(frozen=True, slots=True)
class Chord:
    """One or more notes struck together, lowest first. ``grace``: None, "plain" or "slash"."""

    notes: tuple[Note, ...]
    value: Value
    marks: tuple[Mark, ...] = ()
    grace: str | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """A rest. ``value`` None: a measure rest as long as its part's measure, without a written value."""

    value: Value | None
    measure: bool = False  # drawn as a whole rest in the middle of the measure
    hidden: bool = False
    position: Pitch | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Spacer:
    """Time in which a voice is silent and nothing is drawn."""

    value: Value


@dataclass(frozen=True, slots=True)
class Tuplet:
    """``actual`` notes in the time of ``normal``."""

    actual: int
    normal: int
    items: tuple[Item, ...]
    from_previous: bool = False  # it began in the measure before
    into_next: bool = False  # it goes on in the next measure
    marks: tuple[Mark, ...] = ()  # how it is drawn; Mark("tuplet-none"): not marked in the source at all


Event = Chord | Rest | Spacer
Item = Chord | Rest | Spacer | Tuplet
Voice = tuple[Item, ...]  # () is a voice that is absent from this measure


@dataclass(frozen=True, slots=True)
class TimedMark:
    """A clef, key, dynamic, word ... at a moment of a staff's measure."""

    offset: Fraction  # quarters from the start of the measure
    mark: Attribute


@dataclass(frozen=True, slots=True)
class Staff:
    """One staff's measure: its voices in order, and the marks on its time line, ordered."""

    voices: tuple[Voice, ...] = ()
    marks: tuple[TimedMark, ...] = ()


@dataclass(frozen=True, slots=True)
class PartMeasure:
    """One part's measure. ``length`` in quarters, where it is not the measure's own."""

    staves: tuple[Staff, ...]
    length: Fraction | None = None
    marks: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of all parts; a part that has no such measure is None."""

    parts: tuple[PartMeasure | None, ...]
    number: str
    length: Fraction  # quarters
    implicit: bool = False  # not counted: a pickup, the second half of a split measure
    marks: tuple[Attribute, ...] = ()  # what holds for all parts from its start; left barline, repeat, ending
    end: tuple[Mark, ...] = ()  # right barline, repeat, ending


@dataclass(frozen=True, slots=True)
class Part:
    """A part (instrument or voice) and its number of staves."""

    name: str
    staves: int = 1


@dataclass(frozen=True, slots=True)
class Score:
    """A whole score; without measures there are no parts."""

    parts: tuple[Part, ...] = ()
    measures: tuple[Measure, ...] = ()

    @property
    def quarters(self) -> Fraction:
        """The length in quarter notes, repeats not played."""
        return sum((m.length for m in self.measures), Fraction(0))


@dataclass(frozen=True, slots=True)
class Timed:
    """An event with its moment and the tuplets around it (outermost first)."""

    offset: Fraction  # quarters from the start of the measure
    quarters: Fraction  # how long it lasts
    event: Event
    tuplets: tuple[Tuplet, ...] = ()
    first_of: int = 0  # how many of the innermost tuplets begin with it
    last_of: int = 0  # how many of the innermost tuplets end with it


def timeline(voice: Voice, length: Fraction) -> list[Timed]:
    """A voice's events with their moments. ``length``: of the part's measure, in quarters."""
    out: list[Timed] = []

    def walk(items: tuple[Item, ...], ratio: Fraction, around: tuple[Tuplet, ...], offset: Fraction) -> Fraction:
        for item in items:
            if isinstance(item, Tuplet):
                start = len(out)
                offset = walk(item.items, ratio * Fraction(item.normal, item.actual), (*around, item), offset)
                if len(out) > start:
                    out[start] = replace(out[start], first_of=out[start].first_of + 1)
                    out[-1] = replace(out[-1], last_of=out[-1].last_of + 1)
                continue
            quarters = event_quarters(item, ratio, length - offset)
            out.append(Timed(offset, quarters, item, around))
            offset += quarters
        return offset

    walk(voice, ONE, (), Fraction(0))
    return out


def event_quarters(event: Event, ratio: Fraction, left: Fraction) -> Fraction:
    """How long an event lasts: ``ratio`` of the tuplets around it, ``left`` of the measure for a bare measure rest."""
    if isinstance(event, Chord) and event.grace is not None:
        return Fraction(0)
    value = event.value
    if value is None:
        return left
    if value.exact is not None:
        return value.exact
    return value.written if ratio is ONE else value.written * ratio


def chords(score: Score) -> Iterator[Chord]:
    """All chords (single notes too) in the order of the text."""
    for measure in score.measures:
        for part in measure.parts:
            for staff in part.staves if part else ():
                for voice in staff.voices:
                    for timed in timeline(voice, part.length or measure.length if part else measure.length):
                        if isinstance(timed.event, Chord):
                            yield timed.event


KEY_STEPS_SHARP = "FCGDAEB"


@cache
def key_alters(key: Key | None) -> dict[str, Fraction | int]:
    """Step -> semitones under a key signature; a step that is missing is natural."""
    if key is None:
        return {}
    if key.alters:
        return dict(key.alters)
    if key.fifths >= 0:
        return {KEY_STEPS_SHARP[i % 7]: i // 7 + 1 for i in range(key.fifths)} if key.fifths <= 7 else {}
    return {KEY_STEPS_SHARP[6 - i % 7]: -1 for i in range(-key.fifths)}
