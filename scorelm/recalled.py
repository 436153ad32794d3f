"""What came next, the last time that a text went as it goes now: shown to the student, which says how much that counts.

A piece says again what it has said: its first lines once more, the figure of its trumpets in every measure. A student
that has read few pieces does not trust what it has read of this one, so it is told: the token that came behind the
longest stretch that stands here and stood before. It is told so of its part alone, and of the text as it stands, in
which parts follow each other. Each length has a row of a table, with which the student says how likely that token is now
(the match model of Mahoney's PAQ compressors; Grave et al., Improving Neural Language Models with a Continuous Cache,
2017).

A student that writes is not told: of what it has written itself it would say the same line on and on.

    Recall    follows tokens; ``recalled`` are two tokens, and a row for each
    columns   what is shown -> these
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from scorelm.notation.heard import FEATURES

RECALLS = "scorelm_recalled"  # of a model's config: the fingerprint of what it recalls
OF_A_PART = (32, 24, 20, 16, 12, 10, 8, 6, 5, 4, 3)  # tokens that a stretch is long, at least
OF_THE_TEXT = (32, 24, 16, 12, 8, 6, 4, 3)
ROWS = len(OF_A_PART) + len(OF_THE_TEXT)
NOTHING = 0  # the number of no row; the first of them has number 1
READ = 1 + len(FEATURES)  # columns that are read; behind them stand those of what is recalled: token, number, twice


class _Stream:
    """Tokens that follow each other, and what came last behind each stretch of them.

    lengths: of the stretches, falling; first: the number of the first one's row
    """

    def __init__(self, lengths: Sequence[int], first: int) -> None:
        self.lengths, self.first = lengths, first
        self.tokens: list[int] = []
        self.behind: dict[tuple[int, ...], int] = {}

    def push(self, token: int) -> None:
        for length in self.lengths:
            if length <= len(self.tokens):
                self.behind[tuple(self.tokens[-length:])] = token
        self.tokens = [*self.tokens[-self.lengths[0] :], token]

    def recalled(self) -> tuple[int, int]:
        for number, length in enumerate(self.lengths):
            token = self.behind.get(tuple(self.tokens[-length:])) if length <= len(self.tokens) else None
            if token is not None:
                return token, self.first + number
        return 0, NOTHING


class Recall:
    """Follows a text token by token."""

    def __init__(self) -> None:
        self.parts: list[_Stream] = []
        self.text = _Stream(OF_THE_TEXT, 1 + len(OF_A_PART))

    def push(self, token: int, part: int) -> None:
        """A token of a part, from 0."""
        self._part(part).push(token)
        self.text.push(token)

    def recalled(self, part: int) -> tuple[int, int, int, int]:
        """A token and the number of a row, or NOTHING, by the part in which the next token stands; and by the text."""
        return *self._part(part).recalled(), *self.text.recalled()

    def _part(self, part: int) -> _Stream:
        while part >= len(self.parts):
            self.parts.append(_Stream(OF_A_PART, 1))
        return self.parts[part]


def columns(shown: Any, recalled_from: int) -> list[tuple[Any, Any]]:
    """Tokens and numbers of rows, (moments,) each. shown: (moments, columns), a token first; numpy's or torch's"""
    return [(shown[:, at], (shown[:, at + 1] - (recalled_from - 1)).clip(NOTHING)) for at in (READ, READ + 2)]


def fingerprint() -> str:
    """Of the table: a model that has learnt another one cannot be told these."""
    return hashlib.sha256(repr((OF_A_PART, OF_THE_TEXT)).encode()).hexdigest()[:16]
