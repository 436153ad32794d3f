"""Strict voice leading, a rule over any walk: no parallel fifths and octaves, no crossings, no singer beyond his range,
no fermata but on a major or minor triad, its fifth not in the bass, and no end but on the tonic's triad.

They are those that scorelm.analysis.voice_leading counts. A pitch is refused where it would make one with a line whose
notes are known by then: those written before it in the text, and given ones. Where two or more sing, singers are held
against singers, instruments against instruments, which may play with a singer in octaves; else all against all. A singer
sings one note at a time. Pitches are as written, transposing parts too.
A rule that would leave no pitch is let go, triads first, then ranges; of the others the note counts (``against``). A text
that may go on, and has not written ``PATIENCE`` measures, does not end away from home; else such an end counts, too, as
it does in a text that is not led otherwise; of that one, what the rule would refuse to singers is told (``forbidden``).
Given notes are not judged.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from scorelm.analysis.lines import Line, Sounding, midi, role_of
from scorelm.analysis.voice_leading import FIFTH, OCTAVE, RANGES, interval_class
from scorelm.bound.home import Home, fifths_of, pitch_of
from scorelm.notation.lexemes import COMMON_PARTS, END_OF_TEXT, FINAL, cut
from scorelm.notation.model import Pitch
from scorelm.notation.pitches import ALTER_OF, PITCH_OF
from scorelm.notation.positions import Clock
from scorelm.notation.sound import Fitted, Place, Sound
from scorelm.notation.sound_voice import TIE
from scorelm.notation.steps import Lexemes, Node

PITCHES = frozenset(PITCH_OF)
ENDS = frozenset((FINAL, END_OF_TEXT))
SEVERAL = frozenset("+&")  # notes at once, voices of a staff
NONE: Lexemes = frozenset()
TRIADS = (4, -3)  # a major and a minor third over the root, on the line of fifths
PATIENCE = 32  # measures: a text that has written so many may end where it will
AWAY = 5  # notes: what an end counts that is not at home
NEAR = 1e-6  # quarters: times are sums of floats


def strict(
    sound: Sound, before: str = "|", given: tuple[Line, ...] = (), begun: bool = False, leads: bool = True
) -> Sound:
    """The same walk, bound to strict voice leading.

    before: the text up to where the walk stands; given: lines of which some notes stand there already, later in the text
    begun: whether some of the next measure is written; the rule holds behind it
    leads: the whole rule; else the text ends at home, and its voices go as they like
    """
    voices = Voices(given, leads)
    for lexeme in cut(before):
        voices = voices.push(lexeme)
    voices.holds, voices.written = not begun, 0
    return sound.narrowed(lambda node: led(node, voices))


class Note:
    """A note as it was written, the highest of a ``chord``. Times in quarters from the start; tied heads are one note,
    and one whose next head is still to come is ``tied``."""

    __slots__ = ("chord", "end", "onset", "pitch", "semitones", "tied")

    def __init__(self, onset: float, end: float, pitch: Pitch, chord: bool = False, tied: bool = False) -> None:
        self.onset = onset
        self.end = end
        self.pitch = pitch
        self.semitones = midi(pitch)
        self.chord = chord
        self.tied = tied

    def sounds(self, onset: float, end: float) -> bool:
        """At some time between these."""
        return self.onset < end - NEAR and self.end > onset + (-NEAR if self.tied else NEAR)


Notes = tuple[Note, ...]


class Voices:
    """What sounds in each line around the place where a text stands. ``push`` gives another one, this one stays."""

    def __init__(self, given: tuple[Line, ...] = (), leads: bool = True) -> None:
        self.leads = leads
        self.clock = Clock()
        self.given = {line.place: tuple(_note(note) for note in line.notes) for line in given}
        self.given_roles = {line.place[0]: line.role for line in given}
        self.lines: dict[Place, Notes] = {}  # this measure's notes, and the last one before it
        self.roles: tuple[str, ...] = ()  # of the parts: "soprano", or nothing of an instrument's
        self.place: Place = (0, 0, 0)
        self.alter: int | None = None  # of a sign that is a lexeme of its own
        self.name: str | None = None  # of a part, while it is read
        self.tied = False
        self.fermata = False  # over the note to come
        self.home = Home()
        self.holds = True  # the rule
        self.written = 0  # measures that it held in
        self.against = 0  # notes of this measure that were written against it

    def push(self, lexeme: str) -> Voices:
        out = copy.copy(self)
        out.clock = self.clock.copy()
        out.clock.push(lexeme)
        out._follow(lexeme, self.clock)
        return out

    def _follow(self, lexeme: str, before: Clock) -> None:
        if before.in_string:
            if self.name is not None:
                self._read_name(lexeme)
            return
        self.home = self.home.push(lexeme)
        if lexeme in ALTER_OF:
            self.alter = ALTER_OF[lexeme]
        elif lexeme in PITCHES:
            if not before.in_grace:
                self._sound(pitch_of(lexeme, self.alter), before)
            self.alter = None
        elif lexeme == "-":
            self.tied = True
            if notes := self.lines.get(self.place):
                last = notes[-1]
                held = Note(last.onset, last.end, last.pitch, last.chord, tied=True)
                self.lines = {**self.lines, self.place: (*notes[:-1], held)}
        elif lexeme == "H":
            self.fermata = True
        elif lexeme == "|":
            self.place, self.holds, self.against, self.fermata = (0, 0, 0), True, 0, False
            self.written += 1
            self.lines = {place: notes[-1:] for place, notes in self.lines.items()}
        elif lexeme == ";":
            self.place = (self.place[0] + 1, 0, 0)
        elif lexeme == "/" and not before.in_grace:
            self.place = (self.place[0], self.place[1] + 1, 0)
        elif lexeme == "&":
            self.place = (*self.place[:2], self.place[2] + 1)
        elif lexeme in COMMON_PARTS:
            self.roles += (role_of(COMMON_PARTS[lexeme][0]),)
        elif lexeme == "P":
            self.name = ""
        elif lexeme in ("z", "y", "x", "Z", "X"):
            self.tied = self.fermata = False

    def _read_name(self, lexeme: str) -> None:
        if lexeme == '"':
            self.roles += (role_of(self.name or ""),)
            self.name = None
        else:
            self.name = (self.name or "") + lexeme

    def _sound(self, pitch: Pitch, before: Clock) -> None:
        notes = self.lines.get(self.place, ())
        last = notes[-1] if notes else None
        if before.joined and last:  # a chord counts by its highest note
            highest = pitch if midi(pitch) >= last.semitones else last.pitch
            notes = (*notes[:-1], Note(last.onset, last.end, highest, chord=True))
        elif self.tied and last and last.pitch == pitch and abs(last.end - before.now) < NEAR:
            notes = (*notes[:-1], Note(last.onset, self.clock.now, pitch, last.chord))
        else:
            notes = (*notes, Note(before.now, self.clock.now, pitch))
        self.lines = {**self.lines, self.place: notes}
        self.tied = self.fermata = False

    def kept(self, allowed: Lexemes) -> tuple[Lexemes, bool]:
        """Those of some lexemes that lead well; or all, and True, where no pitch does."""
        if not (self.leads and self.holds) or self.clock.in_string or self.clock.in_grace:
            return allowed, False
        if self._role(self.place) and allowed - SEVERAL - TIE:
            allowed -= SEVERAL
        pitches = allowed & PITCHES
        if len(pitches) < 2:
            return allowed, False
        refused = self._beside()
        for more in (self._out_of_range(), self._out_of_chord()):
            if pitches - refused - more:
                refused |= more
        return (allowed - refused, False) if pitches - refused else (allowed, True)

    def forbidden(self) -> Lexemes:
        """The pitches that the rule would refuse to a singer of several."""
        if not (self.holds and self._role(self.place) and self._choir()) or self.clock.in_string or self.clock.in_grace:
            return NONE
        return self._beside() | self._out_of_range() | self._out_of_chord()

    def _beside(self) -> Lexemes:
        """The pitches with which the line here would cross another one, or be parallel to it."""
        return NONE.union(*(crossing | parallel for crossing, parallel in self._judged()))

    def ill_led(self) -> Lexemes:
        """The pitches with which a singer would leave his range, go parallel to another one, or rest on no triad, and
        where but one sings, or none, also those with which an instrument would go parallel; crossings are none of them,
        which Bach writes."""
        if self.clock.in_string or self.clock.in_grace or (self._choir() and not self._role(self.place)):
            return NONE
        parallels = (parallel for _, parallel in self._judged())
        return self._out_of_range().union(self._out_of_chord(), *parallels)

    def _out_of_range(self) -> Lexemes:
        if not (role := self._role(self.place)):
            return NONE
        low, high = RANGES[role]
        return _beyond(high, True, self.alter) | _beyond(low, False, self.alter)

    def _out_of_chord(self) -> Lexemes:
        """The pitches under a fermata that make no triad with the singers above."""
        role = self._role(self.place)
        if not (self.fermata and role):
            return NONE
        now = self.clock.now
        chord = frozenset(
            fifths_of(note.pitch)
            for place in self.lines.keys() | self.given.keys()
            if place < self.place and self._role(place)
            for note in self._around(place, now, now)
            if note.onset < now + NEAR and note.end > now + NEAR
        )
        return _no_triad(chord, role == "bass", self.alter) if chord else NONE

    def _judged(self) -> Iterator[tuple[Lexemes, Lexemes]]:
        """The pitches that would cross each other line, and those that would be parallel to it."""
        clock = self.clock
        choir = self._choir()
        own = self.lines.get(self.place, ())
        onset = own[-1].onset if clock.joined and own else clock.now
        end = onset + clock.held * clock.ratios[-1]
        was = next((note for note in reversed(own) if abs(note.end - onset) < NEAR), None)
        for place in self.lines.keys() | self.given.keys():
            if place == self.place or (choir and bool(self._role(place)) != bool(self._role(self.place))):
                continue
            notes = self._around(place, onset, end)
            there = [note.semitones for note in notes if note.sounds(onset, end)]
            crossing = parallel = NONE
            if there and place < self.place:
                crossing = _beyond(min(there), True, self.alter)
            elif there:
                crossing = _beyond(max(there), False, self.alter)
            old = next((note for note in notes if abs(note.end - onset) < NEAR), None)
            new = next((note for note in notes if abs(note.onset - onset) < NEAR), None)
            if was and old and new and new.semitones != old.semitones:
                interval = interval_class(_sounding(was.pitch), _sounding(old.pitch))
                if interval in (FIFTH, OCTAVE):
                    parallel = _apart(new.pitch, interval, self.alter) - _alike(was.semitones, self.alter)
            yield crossing, parallel

    def at_home(self) -> bool:
        """Whether the chord that sounds now is the tonic's triad, the tonic in the bass, and whole where four lines sound;
        so far as a key is said, and notes alone tell. Without a mode it is the major key's or the minor one's."""
        choir = self._choir()
        found = [notes for place, notes in self.lines.items() if notes and not (choir and not self._role(place))]
        if self.home.key is None or not found:
            return True
        last = max(notes[-1].onset for notes in found)
        chord = [note for notes in found for note in notes if note.onset < last + NEAR and note.end > last + NEAR]
        if any(note.chord for note in chord):
            return True
        bass = fifths_of(min(chord, key=lambda note: note.semitones).pitch)
        triads = ({0, 1, 4}, {0, 1, -3})
        own = {fifths_of(note.pitch) - bass for note in chord}
        return bass in self.home.tonics() and (own in triads if len(chord) > 3 else any(own <= x for x in triads))

    def _choir(self) -> bool:
        """Whether two or more sing, by what is known."""
        parts = range(max(len(self.roles), 1 + max(self.given_roles, default=-1)))
        return sum(bool(self._role((part, 0, 0))) for part in parts) > 1

    def _role(self, place: Place) -> str:
        known = self.roles[place[0]] if place[0] < len(self.roles) else ""
        return known or self.given_roles.get(place[0], "")

    def _around(self, place: Place, onset: float, end: float) -> Notes:
        """A line's notes that touch some time."""
        written = self.lines.get(place, ())
        known = [note for note in self.given.get(place, ()) if note.end > onset - NEAR and note.onset < end + NEAR]
        last = written[-1].end if written else 0.0
        return (*written, *(note for note in known if note.onset > last - NEAR))


class Led(Node):
    """A place in a text whose lines lead well."""

    __slots__ = ("lets_go", "node", "voices")

    def __init__(self, node: Node, voices: Voices) -> None:
        self.node = node
        self.voices = voices
        self.room = node.room
        self.allowed, self.lets_go = voices.kept(node.allowed)
        refused = ENDS if voices.leads else ENDS - {FINAL}
        if (
            voices.written < PATIENCE
            and not self.allowed.isdisjoint(refused)
            and not voices.at_home()
            and self._may_go_on()
        ):
            self.allowed -= refused

    def _may_go_on(self) -> bool:
        """Whether this may be the end of a measure that is not the last, or the beginning of another one."""
        if "|" in self.allowed:
            return bool(self.node.peek("|") - ENDS)
        return END_OF_TEXT in self.allowed and bool(self.allowed - ENDS)

    @property
    def against(self) -> int:
        return self.voices.against

    @property
    def forbidden(self) -> Lexemes:
        pitches = self.allowed & PITCHES
        return pitches & self.voices.forbidden() if len(pitches) > 1 else NONE

    def push(self, lexeme: str) -> Node:
        voices = self.voices.push(lexeme)
        if lexeme in PITCHES:
            voices.against += self.lets_go
        voices.against += AWAY * (lexeme == FINAL and not voices.at_home())
        return led(self.node.push(lexeme), voices)

    def peek(self, lexeme: str) -> Lexemes:
        return self.voices.push(lexeme).kept(self.node.peek(lexeme))[0]


class LedFitted(Led, Fitted):
    """The same behind something given."""


def led(node: Node, voices: Voices) -> Led:
    return LedFitted(node, voices) if isinstance(node, Fitted) else Led(node, voices)


def _note(note: Sounding) -> Note:
    return Note(float(note.onset), float(note.end), note.pitch)


@lru_cache(maxsize=1 << 12)
def _sounding(pitch: Pitch) -> Sounding:
    return Sounding(Fraction(0), Fraction(0), pitch, midi(pitch))


@lru_cache(maxsize=1 << 12)
def _beyond(semitones: Fraction | int, above: bool, alter: int | None) -> Lexemes:
    """The pitches above, or below, some pitch."""
    found = ((lexeme, midi(pitch_of(lexeme, alter))) for lexeme in PITCHES)
    return frozenset(lexeme for lexeme, own in found if (own > semitones if above else own < semitones))


@lru_cache(maxsize=1 << 12)
def _apart(pitch: Pitch, interval: tuple[int, int], alter: int | None) -> Lexemes:
    """The pitches that stand in this interval to another one, octaves taken away."""
    other = _sounding(pitch)
    return frozenset(x for x in PITCHES if interval_class(_sounding(pitch_of(x, alter)), other) == interval)


@lru_cache(maxsize=1 << 12)
def _no_triad(chord: frozenset[int], bass: bool, alter: int | None) -> Lexemes:
    """The pitches that make no triad with others, which stand on the line of fifths; in the bass its fifth, too."""
    roots = {other + k for other in chord for k in range(-4, 4)}
    triads = [(root, root + 1, root + third) for root in roots for third in TRIADS]
    fitting = {own for triad in triads if chord <= set(triad) for own in (triad[::2] if bass else triad)}
    return frozenset(x for x in PITCHES if fifths_of(pitch_of(x, alter)) not in fitting) if fitting else NONE


@lru_cache(maxsize=1 << 10)
def _alike(semitones: Fraction | int, alter: int | None) -> Lexemes:
    """The pitches that sound as this one does."""
    return frozenset(lexeme for lexeme in PITCHES if midi(pitch_of(lexeme, alter)) == semitones)
