"""The sound level of the grammar, walked lexeme by lexeme: what may come next.

Whoever pushes only allowed lexemes reaches a text that ``parse`` reads, in which every voice of every
part fills its measure, every tuplet is complete and closed, and every tie leads to a note. The walk is a
recursive-descent grammar of generators that yield what they allow and are sent what was chosen. Its state
is bounded: the measure that is being written, and what is in force where it began.

Sound is narrower than readable: written durations only, no spacers in a first voice, tuplets with lexemes
of their own and complete in one measure, declared lengths in 16ths of a quarter, keys and times at the
start of a measure, the core profile's marks.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, lru_cache
from typing import Self

from scorelm.errors import FormatError
from scorelm.notation.lexemes import COMMON_PARTS, END_OF_TEXT, IDS, SIMPLE_TUPLETS, cut
from scorelm.notation.marks import CLEF_OF
from scorelm.notation.model import Chord, Measure, PartMeasure, Time, timeline
from scorelm.notation.pitches import ALTER_OF, PITCH_OF, spell_pitch
from scorelm.notation.reader import VALUES, Reader, parse
from scorelm.notation.scanner import END, MODES, Scanner
from scorelm.notation.state import EIGHTH, State
from scorelm.notation.writer import MAX_STAVES

Lexemes = frozenset[str]
Walk = Generator[Lexemes, str, str]
Pitch = tuple[str, int, Fraction | int]  # step, octave, alteration
Place = tuple[int, int, int]  # part, staff, voice, from 0

UNIT = 1024  # ticks a quarter
SMALLEST = UNIT // 32  # a 128th
SHORTEST_TUPLET_UNIT = UNIT // 16
LONGEST_MEASURE = 32  # quarters
MAX_VOICES = 4
MAX_CHORD = 6
MAX_GRACES = 8
MAX_DEPTH = 2
MAX_STRING = 40

DIGITS = frozenset("0123456789")
VALUE_TICKS = {
    lexeme: int(value.written * UNIT)
    for lexeme, value in VALUES.items()
    if value.dots <= 2 and value.written * UNIT >= SMALLEST
}
POSITION = {lexeme: 7 * octave + "CDEFGAB".index(step) for lexeme, (step, octave, _) in PITCH_OF.items()}
FERMATA = frozenset(("H", "!inverted-fermata!"))
CLEFS = frozenset(x for x, clef in CLEF_OF.items() if clef.line is not None or clef.sign == "percussion")
KEYS = frozenset(f"K{fifths}" for fifths in range(-7, 8))
MODE_LEXEMES = frozenset(MODES)
SYMBOLS = frozenset(("!common!", "!cut!"))
UNITS = ("1", "2", "4", "8", "16", "32")
STRING_OR_QUOTE = frozenset(chr(c) for c in range(32, 127)) - frozenset("|\\")
PART_HEADS = frozenset((*COMMON_PARTS, "P"))
END_MARKS = ("!repeat)!", "!end!", "!double!", "!ending)!")
GRACE_VALUES = frozenset("qist")
_HEAD = [["#"], ["?"], ["@"], ["!repeat(!"], ["!ending!"], sorted(KEYS), ["T"]]
# what may stand in a measure's head behind its number (1), "?" (2), length (3), ...; a time is the last
HEAD = [frozenset(x for stage in _HEAD[i:] for x in stage) for i in range(8)] + [frozenset()]
_MARKS = [["!instrument!"], ["!sound!"], ["!transpose!"], sorted(KEYS)]
PART_MARKS = [frozenset(x for stage in _MARKS[i:] for x in stage) for i in range(4)]


def only(*lexemes: str) -> Lexemes:
    return frozenset(lexemes)


@lru_cache(maxsize=65536)
def union(*sets: Lexemes) -> Lexemes:
    """The same object for the same sets, so that a mask can be kept for it."""
    return frozenset().union(*sets)


@dataclass
class _Level:
    """A voice, or a tuplet in it, while it is filled; in ticks as written."""

    capacity: int
    filled: int = 0
    actual: int = 1
    normal: int = 1

    @property
    def left(self) -> int:
        return self.capacity - self.filled

    def complete(self) -> bool:
        """Whether a tuplet holds `actual` times a power of two, long enough for the rest to be filled."""
        unit, rest = divmod(self.filled, self.actual)
        return rest == 0 and unit >= SMALLEST and unit & (unit - 1) == 0


@dataclass
class OpenVoice:
    """What one voice holds while it is written."""

    place: Place
    held: str
    pending: list[Pitch]  # pitches that ties lead to, low to high
    first: bool  # of its staff
    levels: list[_Level] = field(default_factory=list)
    notes: int = 0  # events that are not spacers

    @property
    def done(self) -> bool:
        return len(self.levels) == 1 and self.levels[0].left == 0


_STANDS_ON = ("count", "state", "parts", "ties", "ended")


class Sound:
    """Says at each point of a text which lexemes may come: ``allowed``; ``push`` moves on.

    prompt: readable text; its whole measures are taken as they stand, what follows the last ``|`` must be sound
    measures: the text ends with exactly so many measures, those of the prompt counted; None: where it likes
    at_least, at_most: bounds of the number of measures where it is free

    Raises FormatError where the prompt breaks the format.
    """

    def __init__(
        self,
        prompt: str = "|",
        measures: int | None = None,
        at_least: int = 1,
        at_most: int = 10**6,
        max_parts: int = 16,
    ) -> None:
        self.at_least = measures or at_least
        self.at_most = measures or at_most
        self.max_parts = max_parts
        self.count = 0  # whole measures
        self.state = State()
        self.parts = 0  # declared
        self.ties: dict[Place, list[Pitch]] = {}  # pitches awaited
        self.clefs: Lexemes = CLEFS  # that may come
        self.last = False  # whether the measure under way is the last
        self.allowed: Lexemes = only()
        self.fits = False  # whether something given that says how well all before it fits has just passed
        self.ended = False
        whole = prompt.rfind("|") + 1
        self._start(prompt[:whole] or "|")
        self._begin()
        self._push_prompt(prompt, whole)

    def push(self, lexeme: str) -> None:
        """Move on by a lexeme. ValueError where it is not allowed."""
        if lexeme not in self.allowed:
            raise ValueError(f"{lexeme!r} may not stand here")
        self.fits = False
        try:
            self.allowed = self._walk.send(lexeme)
        except StopIteration:
            self.allowed = only()
        self._since.append(lexeme)
        if lexeme == "|":
            self._keep()

    def copy(self) -> Self:
        """The same walk, to go another way from here: a walk cannot be copied within a measure, but gone again."""
        out = copy.copy(self)
        out.__dict__.update(copy.deepcopy(self._kept))
        out._begin()
        for lexeme in self._since:
            out.push(lexeme)
        return out

    def _begin(self) -> None:
        """Where a measure begins."""
        self._walk = self._text()
        self.allowed = next(self._walk)
        self._keep()

    def _keep(self) -> None:
        """What a walk stands on where a measure begins."""
        self._kept = copy.deepcopy({name: getattr(self, name) for name in _STANDS_ON})
        self._since: list[str] = []

    def _push_prompt(self, prompt: str, whole: int) -> None:
        rest = prompt[whole:]
        lexemes = cut(rest)
        for number, lexeme in enumerate(lexemes):
            if lexeme not in self.allowed:
                place = (
                    whole + next(i for i in range(len(rest) + 1) if len(cut(rest[:i])) > number or i == len(rest)) - 1
                )
                shown = " ".join(sorted(self.allowed, key=lambda x: IDS[x])[:6])
                raise FormatError(
                    f"{lexeme!r} may not stand here in sound text, but {shown} ... may", prompt, max(place, 0)
                )
            self.push(lexeme)

    def _start(self, prompt: str) -> None:
        """Take whole measures as the reader reads them."""
        scanner = Scanner(prompt)
        if not scanner.take("|"):
            raise scanner.error("'|', with which every text begins")
        reader = Reader(scanner)
        last: Measure | None = None
        while scanner.tokens[scanner.i] != END:
            last = reader.measure()
            self.count += 1
            if not scanner.take("|"):
                raise scanner.error("'|' at the end of the measure")
        self.state = reader.state
        self.parts = len(reader.parts)
        if last is None:
            return
        self.ended = any(mark.name == "end" for mark in last.end)
        for number, part in enumerate(last.parts):
            self.ties.update(dangling(number, part, last.length))

    # Each walk below takes the lexeme that it begins with and `follow`, what may stand behind it,
    # and returns the first lexeme that is no longer its own.

    def _text(self) -> Generator[Lexemes, str, None]:
        while True:
            may_end = self.ended or (self.count >= self.at_least and not self.ties)
            if self.count and may_end and (self.ended or self.count >= self.at_most):
                yield only(END_OF_TEXT)
                return
            lexeme = yield union(self._openers(0, None), only(END_OF_TEXT) if self.count and may_end else only())
            if lexeme == END_OF_TEXT:
                return
            yield from self._measure(lexeme)

    def _openers(self, stage: int, length: Fraction | None) -> Lexemes:
        """What may stand in a measure's head from `stage` on, its parts too where its length is known."""
        length = self.state.nominal() if length is None else length
        if length is None or not 0 < length <= LONGEST_MEASURE or (length * 16).denominator != 1:
            # a length must come, by "@" or by a time signature
            return HEAD[stage] if stage <= 3 else HEAD[stage] & union(HEAD[stage], only("T"))
        return union(HEAD[stage], self._part_heads(0) if not self.parts else self._voice_openers(0, 0, 0, length))

    def _part_heads(self, index: int) -> Lexemes:
        """What a part of the first measure may begin with."""
        return PART_HEADS

    def _part_marks(self, stage: int) -> Lexemes:
        """What may stand behind a part's name in the first measure, from `stage` on."""
        return PART_MARKS[stage]

    def _may_come(self, index: int, first: bool) -> tuple[bool, bool]:
        """Whether another part may come behind this one, and whether none may."""
        if first:
            return index + 1 < self.max_parts, True
        return index + 1 < len(self.state.staves), index + 1 == len(self.state.staves)

    def _measure(self, lexeme: str) -> Generator[Lexemes, str, None]:
        state = self.state
        number = str(state.number)
        length: Fraction | None = None
        while True:
            if lexeme == "#":
                number, lexeme = yield from self._number(self._openers(1, length))
            elif lexeme == "?":
                lexeme = yield self._openers(2, length)
            elif lexeme == "@":
                length, lexeme = yield from self._length()
            elif lexeme == "!repeat(!":
                lexeme = yield self._openers(4, length)
            elif lexeme == "!ending!":
                lexeme = yield from self._string(self._openers(5, length))
            elif lexeme in KEYS:
                lexeme = yield from self._key(self._openers(6, length))
            elif lexeme == "T":
                lexeme = yield from self._time(length)
            else:
                break
        state.count(number)
        self.last = self.count + 1 >= self.at_most
        length = state.nominal() if length is None else length
        lexeme = yield from self._parts(lexeme, length or Fraction(4))
        yield from self._end(lexeme)
        self.count += 1

    def _time(self, length: Fraction | None) -> Walk:
        beats = 0
        allowed = frozenset("123456789")
        lexeme = yield allowed
        while lexeme != ":":
            beats = 10 * beats + int(lexeme)
            more = frozenset(d for d in DIGITS if 10 * beats + int(d) <= 24)
            lexeme = yield union(more, only(":"))
        units = [u for u in UNITS if 4 * beats <= LONGEST_MEASURE * int(u)]
        unit = yield frozenset(u[0] for u in units)
        while True:
            longer = frozenset(u[len(unit)] for u in units if u.startswith(unit) and len(u) > len(unit))
            done = unit in units
            follow = only()
            if done:
                self.state.enter_score([Time((((beats,), int(unit)),))])
                follow = union(self._openers(8, length), SYMBOLS)
            lexeme = yield union(longer, follow)
            if lexeme not in longer:
                break
            unit += lexeme
        if lexeme in SYMBOLS:
            lexeme = yield self._openers(8, length)
        return lexeme

    def _key(self, follow: Lexemes) -> Walk:
        lexeme = yield union(follow, MODE_LEXEMES)
        if lexeme in MODE_LEXEMES:
            lexeme = yield follow
        return lexeme

    def _digits(self, most: int, follow: Lexemes, least: int = 0) -> Generator[Lexemes, str, tuple[str, str]]:
        """A whole number from `least` to `most`."""
        text = yield DIGITS if least == 0 else DIGITS - {"0"}
        return (yield from self._more_digits(text, most, follow))

    def _more_digits(self, text: str, most: int, follow: Lexemes) -> Generator[Lexemes, str, tuple[str, str]]:
        while True:
            more = frozenset(d for d in DIGITS if text != "0" and int(text + d) <= most)
            lexeme = yield union(more, follow)
            if lexeme not in more:
                return text, lexeme
            text += lexeme

    def _number(self, follow: Lexemes) -> Generator[Lexemes, str, tuple[str, str]]:
        """A measure's number: digits, or a string ("4a")."""
        lexeme = yield union(DIGITS, only('"'))
        if lexeme != '"':
            return (yield from self._more_digits(lexeme, 9999, follow))
        text = ""
        while len(text) < MAX_STRING:
            lexeme = yield STRING_OR_QUOTE
            if lexeme == '"':
                return text, (yield follow)
            text += lexeme
        yield only('"')
        return text, (yield follow)

    def _length(self) -> Generator[Lexemes, str, tuple[Fraction, str]]:
        """A length in quarters: whole, or with the denominator 2, 4, 8 or 16."""
        top = 0
        while True:
            sets = [frozenset(d for d in DIGITS if _live(10 * top + int(d)))]
            if 0 < top <= LONGEST_MEASURE:
                sets.append(self._openers(3, Fraction(top)))
            if top % 2:
                sets.append(only(":"))
            lexeme = yield union(*sets)
            if lexeme == ":":
                break
            if lexeme not in DIGITS:
                return Fraction(top), lexeme
            top = 10 * top + int(lexeme)
        bottoms = [b for b in ("2", "4", "8", "16") if top <= LONGEST_MEASURE * int(b)]
        bottom = yield frozenset(b[0] for b in bottoms)
        if bottom == "1":
            bottom += yield only("6")
        length = Fraction(top, int(bottom))
        return length, (yield self._openers(3, length))

    def _string(self, follow: Lexemes) -> Walk:
        """A quoted string, the cursor before its first quote."""
        yield only('"')
        for _ in range(MAX_STRING):
            lexeme = yield STRING_OR_QUOTE
            if lexeme == '"':
                return (yield follow)
        yield only('"')
        return (yield follow)

    def _parts(self, lexeme: str, length: Fraction) -> Walk:
        first = not self.parts
        index = 0
        while True:
            if first:
                lexeme = yield from self._part_head(lexeme, index, length)
            more, none = self._may_come(index, first)
            follow = union(only(";") if more else only(), self._end_marks(0) if none else only())
            lexeme = yield from self._part(index, lexeme, length, follow)
            if lexeme != ";":
                if first:
                    self.parts = index + 1
                return lexeme
            index += 1
            lexeme = yield self._part_heads(index) if first else self._voice_openers(index, 0, 0, length)

    def _part_head(self, lexeme: str, index: int, length: Fraction) -> Walk:
        """P, its staves and name, and the part's marks."""
        state = self.state
        state.add_part(COMMON_PARTS[lexeme][1] if lexeme in COMMON_PARTS else 1)

        if lexeme not in COMMON_PARTS:
            lexeme = yield union(only('"'), frozenset(str(n) for n in range(2, MAX_STAVES + 1)))
            if lexeme != '"':
                state.staves[index] = int(lexeme)
                yield only('"')
            for _ in range(MAX_STRING):
                lexeme = yield STRING_OR_QUOTE
                if lexeme == '"':
                    break
            else:
                yield only('"')
        return (yield from self._marks(index, length))

    def _marks(self, index: int, length: Fraction) -> Walk:
        """The marks behind a part's name; returns the first lexeme of its music."""

        def follow(stage: int) -> Lexemes:
            return union(self._part_marks(stage), self._voice_openers(index, 0, 0, length))

        lexeme = yield follow(0)
        while True:
            if lexeme == "!instrument!":
                _, lexeme = yield from self._digits(128, follow(1), 1)
            elif lexeme == "!sound!":
                lexeme = yield from self._string(follow(2))
            elif lexeme == "!transpose!":
                lexeme = yield from self._transposition(follow(3))
            elif lexeme in KEYS:
                lexeme = yield from self._key(self._voice_openers(index, 0, 0, length))
            else:
                return lexeme

    def _transposition(self, follow: Lexemes) -> Walk:
        """Semitones and diatonic steps."""
        for number in range(2):
            lexeme = yield union(DIGITS, only("-"))
            if lexeme == "-":
                lexeme = yield DIGITS - {"0"}
            text = lexeme
            after = union(only(",") if number == 0 else only(), follow)
            while True:
                more = frozenset(d for d in DIGITS if text != "0" and int(text + d) <= 36)
                lexeme = yield union(more, after)
                if lexeme not in more:
                    break
                text += lexeme
            if lexeme != ",":
                return lexeme
        return lexeme

    def _part(self, index: int, lexeme: str, length: Fraction, follow: Lexemes) -> Walk:
        staves = self.state.staves[index]
        for staff in range(staves):
            after = follow if staff + 1 == staves else only("/")
            number = 0
            while True:
                awaited = any(key[:2] == (index, staff) and key[2] > number for key in self.ties)
                another = only("&") if number + 1 < MAX_VOICES else only()
                behind = only("&") if awaited else union(after, another)
                lexeme = yield from self._voice(index, staff, number, lexeme, length, behind)
                if lexeme != "&":
                    break
                number += 1
                lexeme = yield self._voice_openers(index, staff, number, length)
            if staff + 1 < staves:
                lexeme = yield self._voice_openers(index, staff + 1, 0, length)
        return lexeme

    def _end_marks(self, stage: int) -> Lexemes:
        """Right barlines in their order, and the measure's end."""
        out = set(END_MARKS[stage:])
        last = self.count + 1 >= self.at_most
        if self.ties or self.count + 1 < self.at_least:
            out.discard("!end!")
        if last:
            out.discard("!double!")
        if last and not self.ties and stage <= END_MARKS.index("!end!"):
            return frozenset(out - {"!ending)!"})
        return frozenset(out | {"|"})

    def _end(self, lexeme: str) -> Generator[Lexemes, str, None]:
        while lexeme != "|":
            self.ended |= lexeme == "!end!"
            stage = END_MARKS.index(lexeme) + (2 if lexeme == "!end!" else 1)
            lexeme = yield self._end_marks(stage)

    # -- voices --------------------------------------------------------------------------------

    def _new_voice(self, part: int, staff: int, number: int, length: Fraction) -> OpenVoice:
        return OpenVoice(
            place=(part, staff, number),
            held=self.state.unit(part).letter,
            pending=list(self.ties.get((part, staff, number), ())),
            first=number == 0,
            levels=[_Level(int(length * UNIT))],
        )

    def _voice_openers(self, part: int, staff: int, number: int, length: Fraction) -> Lexemes:
        return self._event_openers(self._new_voice(part, staff, number, length), clef=True, graces=True)

    def _voice(self, part: int, staff: int, number: int, lexeme: str, length: Fraction, follow: Lexemes) -> Walk:
        voice = self._new_voice(part, staff, number, length)
        self.ties.pop((part, staff, number), None)
        clef = graces = True
        while True:
            if lexeme in CLEFS:
                clef = False
                lexeme = yield self._event_openers(voice, clef, graces)
                continue
            if lexeme == "{":
                graces = clef = False
                lexeme = yield from self._graces(voice)
                continue
            if lexeme in SIMPLE_TUPLETS:
                actual, normal = SIMPLE_TUPLETS[lexeme]
                unit = _tuplet_unit(voice.levels[-1].left, normal)
                voice.levels.append(_Level(actual * unit, 0, actual, normal))
                lexeme = yield self._event_openers(voice, False, False)
                continue
            if lexeme == "]":
                level = voice.levels.pop()
                voice.levels[-1].filled += level.normal * (level.filled // level.actual)
            else:
                lexeme = yield from self._event(voice, lexeme, follow)
                if lexeme != "":
                    clef = graces = True
                    if lexeme in follow and voice.done:
                        break
                    continue
            # behind a closed tuplet
            clef = graces = True
            lexeme = yield self._behind(voice, follow)
            if voice.done and lexeme in follow:
                break
        if voice.pending:
            self.ties[part, staff, number] = voice.pending
        return lexeme

    def _behind(self, voice: OpenVoice, follow: Lexemes) -> Lexemes:
        """What may stand behind an event or a tuplet."""
        level = voice.levels[-1]
        if voice.done:
            if voice.pending and self.last:
                return only()  # not reached: such a tie is not allowed
            return follow
        sets = []
        if len(voice.levels) > 1 and level.complete():
            sets.append(only("]"))
        if level.left > 0:
            sets.append(self._event_openers(voice, True, True))
        return union(*sets)

    def _event_openers(self, voice: OpenVoice, clef: bool, graces: bool) -> Lexemes:
        """What an event, or what stands before it, may begin with."""
        level = voice.levels[-1]
        deep = len(voice.levels) > 1
        fitting = _fitting(level.left)
        sets = [fitting - {voice.held}] if fitting else []
        held_fits = voice.held in fitting
        if fitting:
            sets.append(FERMATA)
        if held_fits:
            sets.append(self._sounding(voice))
            sets.append(self._silent(voice, voice.held))
        if not voice.pending:
            if graces and not deep:
                sets.append(only("{"))
            if not deep and level.filled == 0:
                sets.append(only("Z"))
        if len(voice.levels) <= MAX_DEPTH:
            sets.append(frozenset(x for x, (_, normal) in SIMPLE_TUPLETS.items() if _tuplet_unit(level.left, normal)))
        if clef and not deep and voice.first:  # at one moment the first voice bears them
            sets.append(self.clefs)
        return union(*sets)

    def _sounding(self, voice: OpenVoice) -> Lexemes:
        """What a chord may begin with."""
        if voice.pending:
            return only(_spelled(voice.pending[0])[0])
        return _notes(-1)

    def _silent(self, voice: OpenVoice, value: str) -> Lexemes:
        if voice.pending:
            return only()
        if voice.first:
            return only("z")
        alone = len(voice.levels) == 1 and not voice.notes and VALUE_TICKS[value] >= voice.levels[-1].left
        return only("z") if alone else only("z", "y")

    def _event(self, voice: OpenVoice, lexeme: str, follow: Lexemes) -> Walk:
        """An event, `lexeme` its first. Returns the lexeme behind it."""
        level = voice.levels[-1]
        fitting = _fitting(level.left)
        marked = lexeme in FERMATA
        if lexeme == "Z":
            level.filled = level.capacity
            voice.notes += 1
            return (yield follow)
        if marked:
            sets = [fitting - {voice.held}]
            if voice.held in fitting:
                sets += [self._sounding(voice), self._silent(voice, voice.held) - {"y"}]
            lexeme = yield union(*sets)
        if lexeme in VALUE_TICKS:
            voice.held = lexeme
            silent = self._silent(voice, lexeme)
            lexeme = yield union(self._sounding(voice), silent - {"y"} if marked else silent)
        ticks = VALUE_TICKS[voice.held]
        if lexeme in ("z", "y"):
            level.filled += ticks
            voice.notes += lexeme == "z"
            return (yield self._behind(voice, follow))
        voice.notes += 1
        level.filled += ticks
        return (yield from self._chord(voice, lexeme, follow))

    def _may_tie(self, voice: OpenVoice, pitch: Pitch) -> bool:
        """Whether a tie may start at the event that was just counted: not where it would lead out of the text."""
        return not self.last or (len(voice.levels) == 1 and voice.levels[-1].left > 0)

    def _chord(self, voice: OpenVoice, lexeme: str, follow: Lexemes) -> Walk:
        """One note or several, low to high; those that a tie leads to are among them, first."""
        awaited = voice.pending
        tied: list[Pitch] = []
        voice.pending = []
        low = -1
        for number in range(MAX_CHORD):
            if number < len(awaited):
                pitch = awaited[number]
                for expected in _spelled(pitch)[1:]:
                    lexeme = yield only(expected)
            elif lexeme in ALTER_OF:
                sign = lexeme
                lexeme = yield _naturals(low)
                step, octave, _ = PITCH_OF[lexeme]
                pitch = step, octave, ALTER_OF[sign]
            else:
                pitch = PITCH_OF[lexeme]
            low = POSITION[lexeme]
            must_grow = number + 1 < len(awaited)
            may_grow = number + 1 < MAX_CHORD and (must_grow or bool(_notes(low)))
            grow = only("+") if may_grow else only()
            # whether this note ties decides what may follow, so both ways are kept open
            voice.pending = tied
            behind = only() if must_grow else self._behind(voice, follow)
            tie = only("-") if self._may_tie(voice, pitch) else only()
            lexeme = yield union(behind, grow, tie)
            if lexeme == "-":
                tied.append(pitch)
                voice.pending = tied
                behind = only() if must_grow else self._behind(voice, follow)
                lexeme = yield union(behind, grow)
            if lexeme != "+":
                return lexeme
            if must_grow:
                lexeme = yield only(_spelled(awaited[number + 1])[0])
            else:
                lexeme = yield _notes(low)
        raise AssertionError("a chord ends at MAX_CHORD notes")

    def _graces(self, voice: OpenVoice) -> Walk:
        """Graces, behind their "{"; returns the lexeme behind "}"."""
        notes = _notes(-1)
        held = EIGHTH.letter
        lexeme = yield union(only("/"), GRACE_VALUES - {held}, notes)
        if lexeme == "/":
            lexeme = yield union(GRACE_VALUES - {held}, notes)
        for number in range(MAX_GRACES):
            if lexeme in GRACE_VALUES:
                held = lexeme
                lexeme = yield notes
            if lexeme in ALTER_OF:
                lexeme = yield _naturals(-1)
            more = union(GRACE_VALUES - {held}, notes) if number + 1 < MAX_GRACES else only()
            lexeme = yield union(more, only("}"))
            if lexeme == "}":
                break
        return (yield self._event_openers(voice, False, False) - {"Z"})


def dangling(number: int, part: PartMeasure | None, length: Fraction) -> Iterable[tuple[Place, list[Pitch]]]:
    """The pitches that ties lead to out of a part's measure, in each voice that has such."""
    for s, staff in enumerate(part.staves if part else ()):
        for v, voice in enumerate(staff.voices):
            events = timeline(voice, (part and part.length) or length)
            if events and isinstance(events[-1].event, Chord):
                pitches = [n.pitch for n in events[-1].event.notes if n.tie and not n.unpitched]
                if pitches:
                    yield (number, s, v), [(p.step, p.octave, p.alter) for p in pitches]


def _tuplet_unit(left: int, normal: int) -> int:
    """The longest power of two of which `normal` fit into what is left; 0 where a 64th would not."""
    unit = 1 << max(0, (left // normal).bit_length() - 1) if left >= normal else 0
    return unit if unit >= SHORTEST_TUPLET_UNIT else 0


@cache
def _fitting(left: int) -> Lexemes:
    """The values that fit into what is left so that the rest can be filled too."""
    return frozenset(x for x, ticks in VALUE_TICKS.items() if ticks <= left and (left - ticks) % SMALLEST == 0)


@cache
def _live(top: int) -> bool:
    """Whether a numerator can still become a length."""
    if top == 0 or top > 16 * LONGEST_MEASURE:
        return False
    return top <= LONGEST_MEASURE or top % 2 == 1 or 10 * top + 1 <= 16 * LONGEST_MEASURE


@cache
def _naturals(low: int) -> Lexemes:
    """The naturals above a position."""
    return frozenset(x for x, place in POSITION.items() if place > low and PITCH_OF[x][2] == 0)


@cache
def _notes(low: int) -> Lexemes:
    """What a note above a position may begin with."""
    return frozenset(x for x, place in POSITION.items() if place > low).union(ALTER_OF if _naturals(low) else ())


def _spelled(pitch: Pitch) -> list[str]:
    """The lexemes of a pitch."""
    return cut(spell_pitch(*pitch))


def sound_problems(text: str) -> list[str]:
    """Why a text is not sound, [] where it is. Raises FormatError where it is not even readable."""
    parse(text)
    walk = Sound()
    for number, lexeme in enumerate(cut(text)[1:], 1):
        if lexeme not in walk.allowed:
            measure = cut(text)[:number].count("|")
            return [f"measure {measure}: {lexeme!r} may not stand here"]
        walk.push(lexeme)
    if END_OF_TEXT not in walk.allowed and walk.count:
        return ["the text ends while a tie is open"]
    return []
