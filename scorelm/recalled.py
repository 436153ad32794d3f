"""What came next, the last time that a text went as it goes now: shown to the student, which says how much that counts.

A piece says again what it has said: its first lines once more, the figure of its trumpets in every measure. A student
that has read few pieces does not trust what it has read of this one, so it is told: what came behind the longest stretch
that stands here and stood before. It is told so in three ways: of the text as it stands, in which parts follow each
other; of the part alone, at any height, for its pitches are steps from the one before; and of the rhythm alone, for which
all pitches are one, in any part. Each length of each way has a row of a table, with which the student says how likely
that token is now (the match model of Mahoney's PAQ compressors; Grave et al., Improving Neural Language Models with a
Continuous Cache, 2017).

A student that writes is told of the music that it was given, and of nothing that it has written: of that it would say
the same line on and on.

    Recall    follows tokens, and learns them; ``recalled`` is a token and a row for each way
    columns   what is shown -> these
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from scorelm.notation.heard import FEATURES, FIFTHS, STEPS

if TYPE_CHECKING:
    from scorelm.vocabulary import Vocabulary

RECALLS = "scorelm_recalled"  # of a model's config: the fingerprint of what it recalls
OF_THE_TEXT = (64, 32, 24, 16, 12, 8, 6, 4, 3)  # tokens that a stretch is long, at least
OF_A_PART = (24, 16, 12, 10, 8, 6, 5, 4, 3)
OF_RHYTHM = (64, 48, 32, 24, 16, 12, 10, 8, 7, 6, 5, 4, 3, 2)
ROWS = len(OF_THE_TEXT) + len(OF_A_PART) + len(OF_RHYTHM)
NOTHING = 0  # the number of no row; the first of them has number 1
ANY_PITCH = 0  # the token that stands for all that are a pitch; behind the end of a text, which it is, nothing comes
READ = 1 + len(FEATURES)  # columns that are read; behind them stand those of what is recalled:
RECALLED = tuple(READ + 2 * way for way in range(3))  # a token, and behind it a number

_PLACES = {(pitch,): (STEPS[pitch], FIFTHS[pitch]) for pitch in STEPS}  # of tokens that are a pitch and no more
_PITCHES = {place: pitch for (pitch,), place in _PLACES.items()}


class _Stretches:
    """What came last behind each stretch. lengths: falling; first: the number of the first one's row"""

    def __init__(self, lengths: Sequence[int], first: int) -> None:
        self.lengths, self.first = lengths, first
        self.behind: dict[tuple[Hashable, ...], Any] = {}

    def push(self, line: list[Any], symbol: Hashable, learns: bool) -> None:
        """A symbol behind a line, which keeps no more of it than is asked for."""
        for length in self.lengths if learns else ():
            if length <= len(line):
                self.behind[tuple(line[-length:])] = symbol
        line.append(symbol)
        del line[: -self.lengths[0]]

    def recalled(self, line: list[Any]) -> tuple[Any, int]:
        found: tuple[Any, int] = None, NOTHING
        for number, length in reversed(list(enumerate(self.lengths, self.first))):
            symbol = self.behind.get(tuple(line[-length:])) if length <= len(line) else None
            if symbol is None:  # what is longer did not stand here either
                break
            found = symbol, number
        return found


class _Part:
    """The lines of a part, and the place of its last pitch."""

    def __init__(self) -> None:
        self.stretches = _Stretches(OF_A_PART, 1 + len(OF_THE_TEXT))
        self.melody: list[Any] = []
        self.rhythm: list[Any] = []
        self.place: tuple[int, int] | None = None

    def copy(self) -> _Part:
        out = copy.copy(self)
        out.melody, out.rhythm = list(self.melody), list(self.rhythm)
        return out


class Recall:
    """Follows a text token by token. A token that is several lexemes is no pitch."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.quote = vocabulary.ids['"']
        self.quoted = False  # letters of a string are no pitches
        self.text = _Stretches(OF_THE_TEXT, 1)
        self.line: list[Any] = []
        self.rhythm = _Stretches(OF_RHYTHM, 1 + len(OF_THE_TEXT) + len(OF_A_PART))
        self.parts: list[_Part] = []

    def push(self, token: int, part: int, learns: bool = True) -> None:
        """A token of a part, from 0. learns: it is recalled from now on"""
        its = self._part(part)
        place = None if self.quoted else _PLACES.get(self.vocabulary.tokens[token])
        step: Hashable = token
        if place is not None:
            if its.place is not None:
                step = place[0] - its.place[0], place[1] - its.place[1]
            its.place = place
        self.text.push(self.line, token, learns)
        its.stretches.push(its.melody, step, learns)
        self.rhythm.push(its.rhythm, token if place is None else ANY_PITCH, learns)
        self.quoted ^= token == self.quote

    def recalled(self, part: int) -> list[tuple[int, int]]:
        """By the text, by the part in which the next token stands and by its rhythm: a token, in a rhythm it may be
        ANY_PITCH, and the number of a row; or 0 and NOTHING."""
        its = self._part(part)
        step, number = its.stretches.recalled(its.melody)
        if isinstance(step, tuple):
            known = None if self.quoted else its.place
            pitch = known and _PITCHES.get((known[0] + step[0], known[1] + step[1]))
            step = self.vocabulary.ids.get(pitch) if pitch else None
        said = self.text.recalled(self.line), (step, number), self.rhythm.recalled(its.rhythm)
        return [(0, NOTHING) if token is None else (token, row) for token, row in said]

    def begin_anew(self) -> None:
        """Follow another text, with what was learnt of this one."""
        self.line, self.quoted = [], False
        for part in self.parts:
            part.melody, part.rhythm, part.place = [], [], None

    def copy(self) -> Recall:
        """One that goes on from here by itself. What was learnt belongs to both, and neither is to learn more."""
        out = copy.copy(self)
        out.line, out.parts = list(self.line), [part.copy() for part in self.parts]
        return out

    def _part(self, part: int) -> _Part:
        while part >= len(self.parts):
            self.parts.append(_Part())
        return self.parts[part]


def is_pitch(token: Sequence[str]) -> bool:
    """Whether ANY_PITCH stands for it. token: its lexemes"""
    return tuple(token) in _PLACES


def shown_of(said: Sequence[tuple[int, int]], recalled_from: int) -> tuple[int, ...]:
    """``Recall.recalled`` as the columns that a model is shown. recalled_from: the first row"""
    return tuple(column for token, number in said for column in (token, recalled_from - 1 + number))


def columns(shown: Any, recalled_from: int) -> list[tuple[Any, Any]]:
    """Tokens and numbers of rows, (moments,) each. shown: (moments, columns), a token first; numpy's or torch's"""
    return [(shown[:, at], (shown[:, at + 1] - (recalled_from - 1)).clip(NOTHING)) for at in RECALLED]


def fingerprint() -> str:
    """Of the table: a model that has learnt another one cannot be told these."""
    return hashlib.sha256(repr((OF_THE_TEXT, OF_A_PART, OF_RHYTHM)).encode()).hexdigest()[:16]
