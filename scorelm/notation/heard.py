"""Text -> what is heard where each lexeme stands: what is in force there, and what sounds with the note to come.

The text is short because it says little twice: a value holds until it changes, a part has no name behind its first
measure, and what the other voices sing meanwhile stands some lines before. All of it follows from the text so far. It
is worked out here and shown to the student beside each lexeme, so that its layers need not find it out.

    FEATURES      what is heard, and how many values it may have
    Ear           follows a text; ``heard`` is a row for each feature, of one table of ``ROWS``
    moved_rows    where each row goes in another key
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from scorelm.notation.lexemes import ACCIDENTALS, COMMON_PARTS, PITCHES
from scorelm.notation.model import Pitch
from scorelm.notation.pitches import LEXEME_OF, PITCH_OF
from scorelm.notation.positions import Clock

NEIGHBOURS = (1, 2, 3)  # parts above and below that are listened to
NOTHING, REST, OTHER = range(3)  # the first values of a pitch: no note, a rest, one that has no value
_OCTAVES = range(2, 8)
VALUES = {  # that a pitch has as a feature
    p: OTHER + 1 + i for i, p in enumerate(p for p in PITCHES if PITCH_OF[p][1] in _OCTAVES)
}
_LETTERS = "CDEFGAB"
FIFTHS = {  # on the line of fifths, from C
    p: "FCGDAEB".index(step) - 1 + 7 * alter for p, (step, _, alter) in PITCH_OF.items()
}
STEPS = {p: 7 * octave + _LETTERS.index(step) for p, (step, octave, _) in PITCH_OF.items()}
_DOUBLE = frozenset((*ACCIDENTALS, "%"))  # before a pitch they make another of it
_NAMES = {name: 2 + i for i, name in enumerate(COMMON_PARTS)}  # 1: another name
_NEAR = 1e-6  # quarters: times are sums of floats
_PER_QUARTER = 96  # divides what is usual
_LENGTHS = {
    round(_PER_QUARTER * quarters): 1 + i
    for i, quarters in enumerate(
        (1, 0.5, 2, 1.5, 3, 0.25, 4, 0.75, 6, 8, 0.125, 0.375, 12, 1 / 3, 2 / 3, 1 / 6, 4 / 3, 1 / 12, 16, 0.0625)
    )
}
_MOST_SIXTEENTHS = 64  # of a measure
_MOST_LEFT = 32  # sixteenths of a note
_MOST_SINCE = 64  # quarters
_MOST_PARTS = 15
_MOST_STEPS = 16  # of an interval
_MOST_FIFTHS = 9  # from the tonic of the key signature's major key

_PITCH = OTHER + 1 + len(VALUES)
_INTERVAL = 2 * _MOST_STEPS + 2
_DEGREE = 2 * _MOST_FIFTHS + 3
EDITION = 2  # counts on where a feature comes to mean another thing

FEATURES: dict[str, int] = {
    "key": 16,  # fifths of the signature
    "value": 1 + len(_LENGTHS),  # what a note lasts that says nothing
    "metre": _MOST_SIXTEENTHS + 1,  # sixteenths of the time signature
    "moment": _MOST_SIXTEENTHS + 1,  # sixteenths from the barline to the note to come
    "left": _MOST_SIXTEENTHS + 1,  # sixteenths from there to the measure's end
    "part": _MOST_PARTS + 1,
    "parts": _MOST_PARTS + 1,  # of the measure before
    "name": 2 + len(COMMON_PARTS),  # of the part
    "tied": 2,  # whether the note to come is tied to
    "fermata": 2,  # whether the note above has one
    "since-fermata": _MOST_SINCE + 2,
    "pitch": _PITCH,  # that the part sang last
    "pitch-before": _PITCH,
    "degree": _DEGREE,  # of ``pitch``, from the tonic
    **{f"above-{k}": _PITCH for k in NEIGHBOURS},  # what the parts above sing meanwhile
    **{f"above-degree-{k}": _DEGREE for k in NEIGHBOURS},
    **{f"until-{k}": _MOST_LEFT + 2 for k in NEIGHBOURS},  # sixteenths that it still lasts
    **{f"before-{k}": _PITCH for k in NEIGHBOURS},  # what they sang until now
    **{f"interval-{k}": _INTERVAL for k in NEIGHBOURS},  # steps from ``pitch`` up to that
    **{f"motion-{k}": _INTERVAL for k in NEIGHBOURS},  # steps from there to what they sing now
    **{f"below-{k}": _PITCH for k in NEIGHBOURS},  # what the parts below sang last
    "doubled": _PITCH,  # what the part sings if it goes on playing with the part that it mostly played with
    "doubled-until": _MOST_LEFT + 2,
}
ROWS = sum(FEATURES.values())
STARTS = dict(zip(FEATURES, accumulate(FEATURES.values(), initial=0)))
_OFFSETS = tuple(STARTS.values())


class _Note(NamedTuple):
    start: float  # quarters
    end: float
    pitch: str | None  # its lexeme; None: a rest
    value: int  # as a feature has it
    fermata: bool


class _Part:
    """What is remembered of a part."""

    __slots__ = ("before", "doubles", "key", "last", "name", "notes", "old", "struck", "tied", "value")

    def __init__(self) -> None:
        self.notes: list[_Note] = []  # of this measure and of the one before
        self.old = 0  # of these, those of the one before
        self.last: str | None = None  # pitches
        self.value = self.before = NOTHING  # these as features have them
        self.tied = False
        self.name = 0
        self.key: int | None = None  # where it is not all parts'
        self.struck = 0  # notes
        self.doubles: dict[tuple[int, int], int] = {}  # (a part above, octaves from it): notes played with it

    def copy(self) -> _Part:
        out = copy.copy(self)
        out.notes, out.doubles = list(self.notes), dict(self.doubles)
        return out

    def at(self, moment: float) -> int:
        """The number of the note that sounds then; -1: none."""
        for number in range(len(self.notes) - 1, -1, -1):
            note = self.notes[number]
            if note.start <= moment < note.end:
                return number
        return -1

    def until(self, moment: float) -> int:
        """The number of the note that sounds just before it; -1: none."""
        for number in range(len(self.notes) - 1, -1, -1):
            note = self.notes[number]
            if note.start < moment - _NEAR and moment < note.end + _NEAR:
                return number
        return -1


class Ear:
    """Follows a text lexeme by lexeme; any text, also one that breaks the format."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.parts: list[_Part] = []
        self.here = 0  # the part
        self.count = 0  # parts of the measure before
        self.key: int | None = None
        self.fermata = 0.0  # where the last one ends, in quarters
        self.with_fermata = False  # the note to come
        self.otherwise = False  # the pitch to come is none of the lexemes

    def copy(self) -> Ear:
        out = copy.copy(self)
        out.clock = self.clock.copy()
        out.parts = [part.copy() for part in self.parts]
        return out

    def push(self, lexeme: str) -> float:
        """The position of the next lexeme of a text, as ``Clock`` has it."""
        clock = self.clock
        was, quoted, counts = clock.now, clock.in_string or lexeme == '"', clock.number is not None
        position = clock.push(lexeme)
        if not quoted and not (counts and lexeme in PITCH_OF and clock.now == was):
            self._step(lexeme, was)
        return position

    def _step(self, lexeme: str, was: float) -> None:
        now = self.clock.now
        if lexeme in PITCH_OF:
            if now > was:
                self._sing(lexeme, was, now)
            self.otherwise = False
        elif lexeme in ("z", "x", "y"):
            if now > was and self.parts:
                self.parts[self.here].notes.append(_Note(was, now, None, REST, self.with_fermata))
                self.with_fermata = False
        elif lexeme == "|":
            self.count, self.here = self.here + 1 if self.parts else 0, 0
            self.otherwise = False
            for part in self.parts or (self._new(),):
                part.notes = part.notes[part.old :]
                part.old = len(part.notes)
            self.with_fermata = False
        elif lexeme == ";" and self.parts:
            self.here += 1
            if self.here == len(self.parts):
                self._new()
            self.with_fermata = False
        elif lexeme == "H":
            self.with_fermata = True
        elif lexeme == "-":
            if self.parts:
                self.parts[self.here].tied = True
        elif lexeme in _DOUBLE:
            self.otherwise = True
        elif lexeme[0] == "P" and self.parts:
            self.parts[self.here].name = _NAMES.get(lexeme, 1)
        elif lexeme[0] == "K" and lexeme[1:].lstrip("-").isdigit():
            self._set_key(int(lexeme[1:]))

    def _new(self) -> _Part:
        self.parts.append(_Part())
        return self.parts[-1]

    def _set_key(self, fifths: int) -> None:
        if self.clock.in_part and self.parts:
            self.parts[self.here].key = fifths
        else:
            self.key = fifths
            for part in self.parts:
                part.key = None

    def _sing(self, lexeme: str, start: float, end: float) -> None:
        if not self.parts:
            return
        part = self.parts[self.here]
        value = OTHER if self.otherwise else VALUES.get(lexeme, OTHER)
        part.notes.append(_Note(start, end, lexeme, value, self.with_fermata))
        if self.with_fermata:
            self.fermata = end
        self.with_fermata = part.tied = False
        part.before, part.value, part.last = part.value, value, lexeme
        part.struck += 1
        step, octave, alter = PITCH_OF[lexeme]
        for number in range(self.here):
            at = self.parts[number].at(start)
            other = self.parts[number].notes[at] if at >= 0 else None
            if other is not None and other.start == start and other.pitch is not None:
                its_step, its_octave, its_alter = PITCH_OF[other.pitch]
                if (its_step, its_alter) == (step, alter):
                    place = number, octave - its_octave
                    part.doubles[place] = part.doubles.get(place, 0) + 1

    def heard(self) -> tuple[int, ...]:
        """A row for each of FEATURES: what is heard where the next lexeme stands."""
        clock, now = self.clock, self.clock.now
        part = self.parts[self.here] if self.parts else _Part()
        key = self.key if part.key is None else part.key
        length = clock.nominal if clock.declared is None else clock.declared
        since = now - self.fermata
        above = [self._above(k, part, now, key) for k in NEIGHBOURS]
        note, *_ = above[0]
        doubled, doubled_until = self._doubled(part, now)
        values = (
            0 if key is None else min(15, max(1, key + 8)),
            _LENGTHS.get(round(_PER_QUARTER * clock.held * clock.ratios[-1]), 0),
            _sixteenths(clock.nominal, _MOST_SIXTEENTHS),
            _sixteenths(now - clock.start, _MOST_SIXTEENTHS),
            _sixteenths(clock.start + length - now, _MOST_SIXTEENTHS),
            min(self.here, _MOST_PARTS),
            min(self.count, _MOST_PARTS),
            part.name,
            int(part.tied),
            int(note is not None and note.fermata),
            min(int(since), _MOST_SINCE) if since >= 0 else _MOST_SINCE + 1,
            part.value,
            part.before,
            _degree(part.last, key),
            *(found[1] for found in above),
            *(found[2] for found in above),
            *(found[3] for found in above),
            *(found[4] for found in above),
            *(found[5] for found in above),
            *(found[6] for found in above),
            *(self.parts[self.here + k].value if self.here + k < len(self.parts) else NOTHING for k in NEIGHBOURS),
            doubled,
            doubled_until,
        )
        return tuple(map(int.__add__, _OFFSETS, values))

    def _above(
        self, k: int, part: _Part, now: float, key: int | None
    ) -> tuple[_Note | None, int, int, int, int, int, int]:
        """The note of the k-th part above, its value, its degree, how long it lasts, what it sang until now, the interval
        to that from this part's last note, and how it has moved now."""
        if k > self.here:
            return None, NOTHING, 0, 0, NOTHING, 0, 0
        other = self.parts[self.here - k]
        at = other.at(now)
        note = other.notes[at] if at >= 0 else None
        before = NOTHING
        interval = motion = 0
        until_now = other.until(now)
        if until_now >= 0:
            old = other.notes[until_now]
            before = old.value
            interval = _interval(part.last, old.pitch)
            if note is not None:
                motion = _interval(old.pitch, note.pitch)
        if note is None:
            return None, NOTHING, 0, 0, before, interval, motion
        until = 1 + _sixteenths(note.end - now, _MOST_LEFT)
        return note, note.value, _degree(note.pitch, key), until, before, interval, motion

    def _doubled(self, part: _Part, now: float) -> tuple[int, int]:
        if not part.doubles:
            return NOTHING, 0
        place = max(part.doubles, key=part.doubles.__getitem__)
        if 2 * part.doubles[place] < part.struck:
            return NOTHING, 0
        other, octaves = place
        at = self.parts[other].at(now)
        if at < 0:
            return NOTHING, 0
        note = self.parts[other].notes[at]
        value = REST
        if note.pitch is not None:
            step, octave, alter = PITCH_OF[note.pitch]
            value = VALUES.get(LEXEME_OF.get((step, octave + octaves, alter), ""), OTHER)
        return value, 1 + _sixteenths(note.end - now, _MOST_LEFT)


def fingerprint() -> str:
    """Of FEATURES: a model that was taught to hear other ones cannot be told these."""
    return hashlib.sha256(repr((EDITION, FEATURES)).encode()).hexdigest()[:16]


def _sixteenths(quarters: float, most: int) -> int:
    """So many sixteenths; ``most`` where they are more, or no whole number."""
    found = 4 * quarters
    return int(found) if 0 <= found < most and found == int(found) else most


def _degree(pitch: str | None, key: int | None) -> int:
    """A pitch's place on the line of fifths, from the tonic of the major key of a signature."""
    if pitch is None or key is None:
        return 0
    return min(2 * _MOST_FIFTHS + 2, max(1, FIFTHS[pitch] - key + _MOST_FIFTHS + 1))


def _interval(low: str | None, high: str | None) -> int:
    """Steps from one pitch to another."""
    if low is None or high is None:
        return 0
    return min(2 * _MOST_STEPS + 1, max(1, STEPS[high] - STEPS[low] + _MOST_STEPS + 1))


def moved_rows(moved: Callable[[Pitch], Pitch], fifths: int) -> list[int | None]:
    """The row that each of ROWS becomes in a key so many fifths away; None where there is none.

    moved: a pitch in that key
    """
    out: list[int | None] = []
    for name, size in FEATURES.items():
        rows: list[int | None] = list(range(size))
        if name == "key":
            rows = [0, *(row + fifths if 1 <= row + fifths < size else None for row in range(1, size))]
        elif size == _PITCH:
            rows[OTHER] = None
            for lexeme, row in VALUES.items():
                pitch = moved(Pitch(*PITCH_OF[lexeme]))
                rows[row] = VALUES.get(LEXEME_OF.get((pitch.step, pitch.octave, pitch.alter), ""), OTHER)
        out += [None if row is None else STARTS[name] + row for row in rows]
    return out
