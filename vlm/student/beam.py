"""What the encoder hears in the columns of a strip -> the likeliest sound texts.

A prefix beam search over CTC (Graves et al. 2006; Hannun et al. 2014) whose prefixes all obey the grammar: what does
not fill its measure is no text, however likely its signs are, so a wrong value is often put right by its barline.
Where the lengths of the measures are known, from the other staves of the system, they are obeyed as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from scorelm.notation.lexemes import COMMON_PARTS, END_OF_TEXT, LEXEMES
from scorelm.notation.sound import Sound

BLANK = 0  # of the columns: nothing begins here
WIDTHS = 12, 128, 256  # prefixes kept; more where the best is unsure, most where none is complete in the end
UNSURE = -8.0  # nats: a text that is less likely is looked for in a wider beam
LEAST = -9.0  # nats: what is less likely in a column is not tried
MOST_TRIED = 16  # tokens in a column
METRES = 4  # time signatures beside the likeliest that are kept in mind, since what follows tells them apart
OF_METRE = 3  # prefixes of each of these
NEVER = -math.inf
METRE_SIGNS = frozenset({"!common!", "!cut!"})
SEVERAL_STAVES = frozenset(x for x, (_, staves) in COMMON_PARTS.items() if staves > 1)


class Head(NamedTuple):
    """What the start of a measure says of its length, as far as it was read: "?@1" of a pickup, "@4", or ""."""

    text: str = ""
    stage: str = ""  # "#": in the measure's number; "@": in its length; "|": past both

    def then(self, lexeme: str) -> Head:
        if lexeme == "|":
            return Head()
        if self.stage == "|":
            return self
        if lexeme == "#" or (self.stage == "#" and lexeme.isdigit()):
            return Head(self.text, "#")
        if lexeme in "?@" or (self.stage == "@" and (lexeme == ":" or lexeme.isdigit())):
            return Head(self.text + lexeme, "" if lexeme == "?" else "@")
        return Head(self.text, "|")


class Metre(NamedTuple):
    """The time signature that holds, as far as it was read."""

    text: str = ""
    read: bool = False  # whether it is being read

    def then(self, lexeme: str) -> Metre:
        if lexeme == "T":
            return Metre("T", True)
        if self.read and (lexeme.isdigit() or lexeme in ":+" or lexeme in METRE_SIGNS):
            return Metre(self.text + lexeme, True)
        return Metre(self.text) if self.read else self


def heads_of(lexemes: Iterable[str]) -> tuple[str, ...]:
    """Of each whole measure of a text, from behind the first "|" on."""
    out, head = [], Head()
    for lexeme in lexemes:
        if lexeme == "|":
            out.append(head.text)
        head = head.then(lexeme)
    return tuple(out)


@dataclass(eq=False)
class Prefix:
    """A text up to some token. ``walk`` says what may come; ``heads`` those of all measures, where they are known."""

    walk: Sound
    heads: tuple[str, ...] | None = None
    token: int = BLANK
    before: Prefix | None = None
    head: Head = field(default_factory=Head)
    metre: Metre = field(default_factory=Metre)
    behind: dict[int, Prefix] = field(default_factory=dict)

    def then(self, token: int) -> Prefix:
        found = self.behind.get(token)
        if found is None:
            walk = self.walk.copy()
            walk.push(LEXEMES[token])
            lexeme = LEXEMES[token]
            found = self.behind[token] = Prefix(
                walk, self.heads, token, self, self.head.then(lexeme), self.metre.then(lexeme)
            )
        return found

    def allows(self, token: int) -> bool:
        lexeme = LEXEMES[token]
        if lexeme not in self.walk.allowed or lexeme in SEVERAL_STAVES:
            return False
        if lexeme.isdigit() and LEXEMES[self.token] == "P":
            return False  # a strip shows one staff
        if self.heads is None or self.head.stage == "|":
            return True
        known, head = self.heads[self.walk.count], self.head.then(lexeme)
        return head.text == known if head.stage == "|" else known.startswith(head.text)

    @property
    def complete(self) -> bool:
        return END_OF_TEXT in self.walk.allowed

    def tokens(self) -> list[int]:
        """From the first one behind the first "|"."""
        out, at = [], self
        while at.before is not None:
            out.append(at.token)
            at = at.before
        return out[::-1]


def search(
    heard: np.ndarray[Any, np.dtype[np.float32]], most_measures: int, heads: tuple[str, ...] | None = None
) -> list[tuple[Prefix, float]]:
    """The likeliest texts, best first, with their nats: complete ones, else what was under way in the widest beam.

    heard: logarithms of the probabilities of each token, (columns, vocabulary); BLANK is one of them
    heads: of all measures, where they are known
    """
    kept: list[tuple[Prefix, float]] = []
    for width in WIDTHS:
        found = _found(heard, most_measures, heads, width)
        complete = [f for f in found if f[0].complete]
        if complete and (kept or complete[0][1] >= UNSURE):
            return complete
        kept = complete
    return kept or found


def greedy(heard: np.ndarray[Any, np.dtype[np.float32]]) -> list[str]:
    """The likeliest lexeme of each column, no text perhaps. heard: as of ``search``"""
    best = heard.argmax(1).tolist()
    return [LEXEMES[i] for i, before in zip(best, [BLANK, *best]) if i not in (BLANK, before)]


def _found(
    heard: np.ndarray[Any, np.dtype[np.float32]], most_measures: int, heads: tuple[str, ...] | None, width: int
) -> list[tuple[Prefix, float]]:
    """What stands in a beam of so many prefixes, best first."""
    measures = len(heads) if heads else None
    start = Prefix(Sound("|", measures=measures, at_most=most_measures, max_parts=1, excerpt=True), heads or None)
    beam: dict[Prefix, tuple[float, float]] = {start: (0.0, NEVER)}  # ended by a blank, by its own last token
    for column in heard:
        likely = np.flatnonzero(column > LEAST)
        if len(likely) > MOST_TRIED:
            likely = likely[np.argsort(column[likely])[-MOST_TRIED:]]
        tried = [(int(token), float(column[token])) for token in likely if token != BLANK]
        beam = _step(beam, tried, column, width)
    return sorted(((prefix, _sum(*ends)) for prefix, ends in beam.items()), key=lambda f: -f[1])


def _step(
    beam: dict[Prefix, tuple[float, float]], tried: list[tuple[int, float]], column: Any, width: int
) -> dict[Prefix, tuple[float, float]]:
    """One column on."""
    blank = float(column[BLANK])
    found: dict[tuple[Prefix, int], list[float]] = {}  # a prefix, or one that goes on from it
    for prefix, (by_blank, by_token) in beam.items():
        both = _sum(by_blank, by_token)
        own = found.setdefault(_key(prefix), [NEVER, NEVER])
        own[0] = _sum(own[0], both + blank)
        if prefix.before is not None:
            own[1] = _sum(own[1], by_token + float(column[prefix.token]))
        for token, nats in tried:
            if prefix.allows(token):
                more = found.setdefault((prefix, token), [NEVER, NEVER])
                # a token behind itself needs a blank between them
                more[1] = _sum(more[1], (by_blank if token == prefix.token else both) + nats)
    ranked = sorted(found.items(), key=lambda f: -_sum(*f[1]))
    best = ranked[:width] + _of_other_metres(ranked, width)
    return {(prefix if token == BLANK else prefix.then(token)): (ends[0], ends[1]) for (prefix, token), ends in best}


def _of_other_metres(ranked: list[Any], width: int) -> list[Any]:
    """Of what does not fit into the beam the best with time signatures of which nothing does."""
    some: dict[str, int] = {}
    out = []
    for at, one in enumerate(ranked):
        (prefix, token), _ = one
        metre = (prefix.metre if token == BLANK else prefix.metre.then(LEXEMES[token])).text
        if at < width:
            some[metre] = OF_METRE
        elif some.get(metre, 0) < OF_METRE and (metre in some or len(some) <= METRES):
            some[metre] = some.get(metre, 0) + 1
            out.append(one)
    return out


def _key(prefix: Prefix) -> tuple[Prefix, int]:
    """A prefix as what goes on from the one before it, so that two ways to it meet."""
    return (prefix, BLANK) if prefix.before is None else (prefix.before, prefix.token)


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    if one < other:
        one, other = other, one
    return one if other == NEVER else one + math.log1p(math.exp(other - one))
