"""What the encoder hears in the columns of a strip -> the likeliest sound texts.

A prefix beam search over CTC (Graves et al. 2006; Hannun et al. 2014) whose prefixes all obey the grammar: what does
not fill its measure is no text, however likely its signs are, so a wrong value is often put right by its barline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scorelm.notation.lexemes import END_OF_TEXT, LEXEMES
from scorelm.notation.sound import Sound

BLANK = 0  # of the columns: nothing begins here
WIDTH = 12  # prefixes kept
LEAST = -9.0  # nats: what is less likely in a column is not tried
MOST_TRIED = 16  # tokens in a column
NEVER = -math.inf


@dataclass(eq=False)
class Prefix:
    """A text up to some token. ``walk`` says what may come."""

    walk: Sound
    token: int = BLANK
    before: Prefix | None = None
    behind: dict[int, Prefix] = field(default_factory=dict)

    def then(self, token: int) -> Prefix:
        found = self.behind.get(token)
        if found is None:
            walk = self.walk.copy()
            walk.push(LEXEMES[token])
            found = self.behind[token] = Prefix(walk, token, self)
        return found

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


def search(heard: np.ndarray[Any, np.dtype[np.float32]], most_measures: int) -> list[tuple[Prefix, float]]:
    """The likeliest texts, best first, with their nats: complete ones, else what was under way.

    heard: logarithms of the probabilities of each token, (columns, vocabulary); BLANK is one of them
    """
    start = Prefix(Sound("|", at_most=most_measures, max_parts=1))
    beam: dict[Prefix, tuple[float, float]] = {start: (0.0, NEVER)}  # ended by a blank, by its own last token
    for column in heard:
        likely = np.flatnonzero(column > LEAST)
        if len(likely) > MOST_TRIED:
            likely = likely[np.argsort(column[likely])[-MOST_TRIED:]]
        tried = [(int(token), float(column[token])) for token in likely if token != BLANK]
        beam = _step(beam, tried, column)
    found = sorted(((prefix, _sum(*ends)) for prefix, ends in beam.items()), key=lambda f: -f[1])
    return [f for f in found if f[0].complete] or found


def _step(beam: dict[Prefix, tuple[float, float]], tried: list[tuple[int, float]], column: Any) -> Any:
    """One column on."""
    blank = float(column[BLANK])
    found: dict[tuple[Prefix, int], list[float]] = {}  # a prefix, or one that goes on from it
    for prefix, (by_blank, by_token) in beam.items():
        both = _sum(by_blank, by_token)
        own = found.setdefault(_key(prefix), [NEVER, NEVER])
        own[0] = _sum(own[0], both + blank)
        if prefix.before is not None:
            own[1] = _sum(own[1], by_token + float(column[prefix.token]))
        allowed = prefix.walk.allowed
        for token, nats in tried:
            if LEXEMES[token] in allowed:
                more = found.setdefault((prefix, token), [NEVER, NEVER])
                # a token behind itself needs a blank between them
                more[1] = _sum(more[1], (by_blank if token == prefix.token else both) + nats)
    best = sorted(found.items(), key=lambda f: -_sum(*f[1]))[:WIDTH]
    return {(prefix if token == BLANK else prefix.then(token)): (ends[0], ends[1]) for (prefix, token), ends in best}


def _key(prefix: Prefix) -> tuple[Prefix, int]:
    """A prefix as what goes on from the one before it, so that two ways to it meet."""
    return (prefix, BLANK) if prefix.before is None else (prefix.before, prefix.token)


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    if one < other:
        one, other = other, one
    return one if other == NEVER else one + math.log1p(math.exp(other - one))
