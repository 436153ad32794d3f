"""The inside of a voice of sound text: events, chords, tuplets, graces, and the time that is left for them.

A voice knows what it holds and not where it stands, so its places are shared by all texts (``steps.Local``).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from scorelm.notation.lexemes import SIMPLE_TUPLETS, cut
from scorelm.notation.marks import CLEF_OF
from scorelm.notation.pitches import ALTER_OF, PITCH_OF, spell_pitch
from scorelm.notation.reader import VALUES
from scorelm.notation.state import EIGHTH
from scorelm.notation.steps import Lexemes, Local, Pitch, only, union

UNIT = 1024  # ticks a quarter
SMALLEST = UNIT // 32  # a 128th
SHORTEST_TUPLET_UNIT = UNIT // 16
MAX_CHORD = 6
MAX_VOICES = 4  # of a staff
MAX_GRACES = 8
MAX_DEPTH = 2

VALUE_TICKS = {
    lexeme: int(value.written * UNIT)
    for lexeme, value in VALUES.items()
    if value.dots <= 2 and value.written * UNIT >= SMALLEST
}
POSITION = {lexeme: 7 * octave + "CDEFGAB".index(step) for lexeme, (step, octave, _) in PITCH_OF.items()}
HIGHEST = POSITION["f''''"]  # above it, a sharp leads out of MIDI's pitches
FERMATA = frozenset(("H", "!inverted-fermata!"))
CLEFS = frozenset(x for x, clef in CLEF_OF.items() if clef.line is not None or clef.sign == "percussion")
GRACE_VALUES = frozenset("qist")
TUPLET, TIE, CHORD, GRACES = only("]"), only("-"), only("+"), only("{")


Awaited = tuple[tuple[Pitch, int], ...]


class Limits(NamedTuple):
    """How much may be written."""

    notes: int = MAX_CHORD  # of a chord
    ties: int = MAX_CHORD  # that begin at one
    heads: int | None = None  # of a tied note in a measure; None: any number
    voices: int = MAX_VOICES  # of a staff
    shortest: int = SMALLEST  # value, in ticks as written, but where the time that is left asks for a shorter one


ORDERLY = Limits(heads=2)  # thirty of a million notes of scores have more


class Level(NamedTuple):
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


class Voice(NamedTuple):
    """What one voice holds while it is written."""

    held: str  # the value that a note has which says none
    pending: tuple[Pitch, ...]  # pitches that ties lead to, low to high
    first: bool  # of its staff
    over: frozenset[Pitch] | None  # the pitches that may be tied into the next measure; None: all
    levels: tuple[Level, ...]
    clefs: Lexemes = CLEFS  # that may come
    filled: bool = False  # holds an event that is not a spacer
    limits: Limits = Limits()
    heads: tuple[int, ...] = ()  # in this measure, of each pitch that is pending; where they count, and there are some

    @property
    def left(self) -> int:
        return self.levels[-1].left

    @property
    def deep(self) -> bool:
        return len(self.levels) > 1

    def advance(self, ticks: int, filled: bool = True) -> Voice:
        level = self.levels[-1]
        levels = (*self.levels[:-1], level._replace(filled=level.filled + ticks))
        return self._replace(levels=levels, filled=self.filled or filled)


@lru_cache(maxsize=1 << 16)
def opening(voice: Voice, clef: bool = True, graces: bool = True, rest: bool = True) -> Local:
    """Before an event, or what stands before it: a clef, graces, a tuplet's opening; a measure rest."""
    return Local(_openers(voice, clef, graces, rest), lambda lexeme: _begun(voice, lexeme, graces))


@lru_cache(maxsize=1 << 16)
def behind(voice: Voice) -> Local:
    """Behind an event or a tuplet."""
    if not voice.deep and voice.left == 0:
        return Local(only(), lambda lexeme: _begun(voice, lexeme, True), done=True, pending=voice.pending)
    close = TUPLET if voice.deep and voice.levels[-1].complete() else only()
    more = _openers(voice, True, True, True) if voice.left > 0 else only()
    return Local(union(close, more), lambda lexeme: _begun(voice, lexeme, True))


def _openers(voice: Voice, clef: bool, graces: bool, rest: bool) -> Lexemes:
    """What an event, or what stands before it, may begin with."""
    fitting = _fitting(voice.left, voice.limits.shortest)
    sets = [fitting - {voice.held}, FERMATA] if fitting else []
    if voice.held in fitting:
        sets += [_sounding(voice), _silent(voice)]
    if not voice.deep and not voice.pending:
        if graces:
            sets.append(GRACES)
        if rest and voice.levels[0].filled == 0:
            sets.append(only("Z"))
    if len(voice.levels) <= MAX_DEPTH:
        sets.append(_tuplets(voice.left, voice.limits.shortest))
    if clef and not voice.deep and voice.first:  # at one moment the first voice bears them
        sets.append(voice.clefs)
    return union(*sets)


def _begun(voice: Voice, lexeme: str, graces: bool) -> Local:
    """Behind one of the openers, or the end of a tuplet."""
    if lexeme in CLEFS:
        return opening(voice, False, graces)
    if lexeme == "{":
        return _graces(voice)
    if lexeme in SIMPLE_TUPLETS:
        actual, normal = SIMPLE_TUPLETS[lexeme]
        level = Level(actual * _tuplet_unit(voice.left, normal), 0, actual, normal)
        return opening(voice._replace(levels=(*voice.levels, level)), False, False)
    if lexeme == "]":
        level = voice.levels[-1]
        ticks = level.normal * (level.filled // level.actual)
        return behind(voice._replace(levels=voice.levels[:-1]).advance(ticks, False))
    if lexeme == "Z":
        return behind(voice.advance(voice.left))
    if lexeme in FERMATA:
        fitting = _fitting(voice.left, voice.limits.shortest)
        sounds = [_sounding(voice), _silent(voice) - {"y"}] if voice.held in fitting else []
        return Local(union(fitting - {voice.held}, *sounds), lambda x: _event(voice, x, True))
    return _event(voice, lexeme, False)


def _event(voice: Voice, lexeme: str, marked: bool) -> Local:
    """Behind the first lexeme of an event, its fermata not counted."""
    if lexeme in VALUE_TICKS:
        valued = voice._replace(held=lexeme)
        silent = _silent(valued)
        return Local(
            union(_sounding(valued), silent - {"y"} if marked else silent), lambda x: _event(valued, x, marked)
        )
    after = voice.advance(VALUE_TICKS[voice.held], lexeme != "y")
    if lexeme in ("z", "y"):
        return behind(after)
    heads = voice.heads or (0,) * len(voice.pending)
    return _note(after._replace(pending=(), heads=()), tuple(zip(voice.pending, heads)), 0, lexeme, -1)


def _sounding(voice: Voice) -> Lexemes:
    """What a chord may begin with."""
    return only(_spelled(voice.pending[0])[0]) if voice.pending else _notes(-1)


def _silent(voice: Voice) -> Lexemes:
    """The rests that may have the value that is held."""
    if voice.pending:
        return only()
    if voice.first:
        return only("z")
    alone = not voice.deep and not voice.filled and VALUE_TICKS[voice.held] >= voice.left
    return only("z") if alone else only("z", "y")


def _note(voice: Voice, awaited: Awaited, number: int, lexeme: str, low: int, spelled: int = 1) -> Local:
    """Behind a lexeme of a chord's note; notes come from low to high, those that a tie leads to first.

    voice: as the chord leaves it, pending the ties that begin in it so far; number: of notes before this one
    awaited: the pitches that a tie leads to, and the heads that each has; spelled: how many lexemes of such a pitch are
        written
    """
    if number < len(awaited):
        pitch, _ = awaited[number]
        if spelled < len(_spelled(pitch)):
            expected = _spelled(pitch)[spelled]
            return Local(only(expected), lambda x: _note(voice, awaited, number, x, low, spelled + 1))
    elif lexeme in ALTER_OF:
        alter = ALTER_OF[lexeme]
        return Local(_naturals(low), lambda x: _noted(voice, awaited, number, x, (*PITCH_OF[x][:2], alter)))
    else:
        pitch = PITCH_OF[lexeme]
    return _noted(voice, awaited, number, lexeme, pitch)


def _noted(voice: Voice, awaited: Awaited, number: int, lexeme: str, pitch: Pitch, tied: bool = False) -> Local:
    """Behind a note of a chord, or behind the tie that begins at it."""
    low = POSITION[lexeme]
    must_grow = number + 1 < len(awaited)
    may_grow = must_grow or (number + 1 < voice.limits.notes and bool(_notes(low)))
    inside = not voice.deep and voice.left > 0
    heads = 1 + (awaited[number][1] if number < len(awaited) else 0)
    limits = voice.limits
    may_tie = not tied and heads != limits.heads and len(voice.pending) < limits.ties
    may_tie = may_tie and (inside or voice.over is None or pitch in voice.over)
    over = behind(voice)

    def step(x: str) -> Local:
        if x == "-":
            tying = voice._replace(pending=(*voice.pending, pitch), heads=(*voice.heads, heads) if limits.heads else ())
            return _noted(tying, awaited, number, lexeme, pitch, True)
        if x == "+":
            first = only(_spelled(awaited[number + 1][0])[0]) if must_grow else _notes(low)
            return Local(first, lambda y: _note(voice, awaited, number + 1, y, low))
        return over.step(x)

    allowed = union(only() if must_grow else over.allowed, CHORD if may_grow else only(), TIE if may_tie else only())
    return Local(allowed, step, over.done and not must_grow, voice.pending)


def _graces(voice: Voice) -> Local:
    """Behind the "{" of graces."""

    def first(allowed: Lexemes, held: str, number: int) -> Local:
        return Local(allowed, lambda x: begun(x, held, number))

    def begun(lexeme: str, held: str, number: int) -> Local:
        if lexeme == "/":
            return first(union(GRACE_VALUES - {held}, notes), held, number)
        if lexeme == "}":
            return opening(voice, False, False, False)
        if lexeme in GRACE_VALUES:
            return Local(notes, lambda x: begun(x, lexeme, number))
        if lexeme in ALTER_OF:
            return Local(_naturals(-1), lambda x: begun(x, held, number))
        more = union(GRACE_VALUES - {held}, notes) if number + 1 < MAX_GRACES else only()
        return first(union(more, only("}")), held, number + 1)

    notes = _notes(-1)
    return first(union(only("/"), GRACE_VALUES - {EIGHTH.letter}, notes), EIGHTH.letter, 0)


def _tuplet_unit(left: int, normal: int) -> int:
    """The longest power of two of which `normal` fit into what is left; 0 where a 64th would not."""
    unit = 1 << max(0, (left // normal).bit_length() - 1) if left >= normal else 0
    return unit if unit >= SHORTEST_TUPLET_UNIT else 0


@cache
def _tuplets(left: int, shortest: int) -> Lexemes:
    return frozenset(x for x, (_, normal) in SIMPLE_TUPLETS.items() if _tuplet_unit(left, normal) >= shortest)


@cache
def _fitting(left: int, shortest: int) -> Lexemes:
    """The values that fit into what is left so that the rest can be filled too, with none that is shorter."""
    unit = min(shortest, left & -left)
    return frozenset(x for x, ticks in VALUE_TICKS.items() if ticks <= left and (left - ticks) % unit == 0)


def _above(lexemes: Lexemes, more: Lexemes) -> list[Lexemes]:
    """Of each position from -1 on: those of some lexemes that lie above it, and ``more`` where there are any."""
    at: list[set[str]] = [set() for _ in range(HIGHEST + 1)]
    for lexeme in lexemes:
        if POSITION[lexeme] <= HIGHEST:
            at[POSITION[lexeme]].add(lexeme)
    out, found = [only()], only()
    for here in reversed(at):
        found = found.union(here, more)
        out.append(found)
    return out[::-1]


_NATURALS = _above(frozenset(x for x in POSITION if PITCH_OF[x][2] == 0), only())
_NOTES = _above(frozenset(POSITION), frozenset(ALTER_OF))


def _naturals(low: int) -> Lexemes:
    """The naturals above a position."""
    return _NATURALS[min(low, HIGHEST) + 1]


def _notes(low: int) -> Lexemes:
    """What a note above a position may begin with."""
    return _NOTES[min(low, HIGHEST) + 1]


@cache
def _spelled(pitch: Pitch) -> list[str]:
    """The lexemes of a pitch."""
    return cut(spell_pitch(*pitch))
