"""Text -> where in the music each lexeme stands: the positions that the student's attention turns by.

A lexeme's position is the moment at which the next note of its voice begins, so that what sounds together
stands together, however far apart it is written: voices begin again where their measure begins.

    position = 16 * quarters since the start + lexemes since the clock stood there
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

from scorelm.notation.lexemes import SIMPLE_TUPLETS
from scorelm.notation.model import MAX_QUARTERS
from scorelm.notation.pitches import PITCH_OF
from scorelm.notation.reader import VALUES

PER_QUARTER = 16  # a sixteenth takes four positions, which leaves room between two of them
MOST_AT_ONE_MOMENT = 64
_QUARTERS = {lexeme: float(value.written) for lexeme, value in VALUES.items()}
_NUMBER = frozenset("0123456789:+")
_ONE_EVENT = frozenset((*PITCH_OF, "z", "x", "y"))
_LENGTH = re.compile(r"([\d+]{1,9})(?::(\d{1,9}))?")


class Clock:
    """Follows a text lexeme by lexeme; any text, also one that breaks the format. Times are in quarters."""

    def __init__(self) -> None:
        self.start = 0.0  # of the measure
        self.now = 0.0
        self.end = 0.0  # of what was written in the measure
        self.nominal = 4.0  # by the time signature
        self.declared: float | None = None
        self.unit = self.held = 1.0  # what a note lasts that says nothing
        self.ratios = [1.0]
        self.since = 0
        self.in_string = self.in_grace = False
        self.in_part = False  # no longer in the head of the measure
        self.joined = False  # the next pitch sounds with the one before, or is no note
        self.before = ""  # the lexeme before
        self.number: list[str] | None = None  # of a time signature or a length, while it is read
        self.number_of = ""

    def copy(self) -> Clock:
        out = copy.copy(self)
        out.ratios = list(self.ratios)
        out.number = None if self.number is None else list(self.number)
        return out

    def push(self, lexeme: str) -> float:
        """The position of the next lexeme of a text."""
        was = self.now
        if self.in_string:
            self.in_string = lexeme != '"'
        else:
            if self.number is not None:
                if lexeme in _NUMBER:
                    self.number.append(lexeme)
                else:
                    self._read_number()
            self._step(lexeme)
        self.before = lexeme
        self.since = 0 if self.now != was or lexeme in ("|", ";") else min(self.since + 1, MOST_AT_ONE_MOMENT)
        return PER_QUARTER * self.now + self.since

    def _step(self, lexeme: str) -> None:
        if lexeme in _ONE_EVENT:
            if not self.joined and not self.in_grace:
                self._move_to(self.now + self.held * self.ratios[-1])
            self.joined = False
        elif lexeme in ("+", "o"):
            self.joined = True
        elif lexeme in _QUARTERS:
            self.held = _QUARTERS[lexeme]
        elif lexeme == "|":
            length = self.nominal if self.declared is None else self.declared
            self.start = self.end = max(self.end, self.start + length) if self.before else 0.0
            self.declared = None
            self.in_part = False
            self._begin_voice()
        elif lexeme in (";", "&") or (lexeme == "/" and not self.in_grace):
            self._begin_voice()
        elif lexeme in ("Z", "X"):
            self._move_to(self.start + (self.nominal if self.declared is None else self.declared))
        elif lexeme == '"':
            self.in_string = True
        elif lexeme[0] == "P":
            self.in_part = True
        elif lexeme in SIMPLE_TUPLETS:
            actual, normal = SIMPLE_TUPLETS[lexeme]
            self.ratios.append(self.ratios[-1] * normal / actual)
        elif lexeme in ("]", "]+"):
            if len(self.ratios) > 1:
                self.ratios.pop()
        elif lexeme == "{":
            self.in_grace = True
            self.held_before, self.held = self.held, 0.5
        elif lexeme == "}" and self.in_grace:
            self.in_grace = False
            self.held = self.held_before
        elif lexeme in ("T", "@", "[:"):
            self.number, self.number_of = [], "value" if self.before in _QUARTERS else lexeme

    def _move_to(self, quarters: float) -> None:
        self.now = quarters
        self.end = max(self.end, quarters)

    def _begin_voice(self) -> None:
        self.now = self.start
        self.held = self.unit
        self.ratios = [1.0]
        self.in_grace = self.joined = False

    def _read_number(self) -> None:
        found = _LENGTH.fullmatch("".join(self.number or ()))
        self.number = None
        top = sum(int(term) for term in found[1].split("+") if term) if found else 0
        if not found or not top or not int(found[2] or 1):
            return
        number = min(MAX_QUARTERS, top / int(found[2] or 1))
        if self.number_of == "[:":
            self.ratios.append(self.ratios[-1] / number)
        elif self.number_of == "T":
            self.nominal = 4 * number
            self.unit = self.held = 4 / int(found[2] or 4)
        elif self.number_of == "value":
            self.held = number
        elif not self.in_part:
            self.declared = number


def positions(lexemes: Iterable[str]) -> list[float]:
    """The position of each lexeme of a text."""
    clock = Clock()
    return [clock.push(lexeme) for lexeme in lexemes]


def positions_of_tokens(tokens: Iterable[Iterable[str]]) -> list[float]:
    """The position of each token of a text, which is that of its last lexeme."""
    clock = Clock()
    return [[clock.push(lexeme) for lexeme in token][-1] for token in tokens]
