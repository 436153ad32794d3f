"""What a text under way asks of a model's tokens, whatever these are: whole lexemes, or sub-words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from scorelm.notation.sound import Sound

Ids = np.ndarray[Any, np.dtype[np.int64]]
LineEnd = tuple[int, Sequence[int]]
MOST_KEPT = 1 << 16  # sets of tokens that are remembered


class Walk(Protocol):
    """A text under way. Whoever pushes only what ``choices`` names reaches a sound text."""

    fits: bool  # whether something given passed with the last token
    ended: bool

    @property
    def against(self) -> int:
        """Notes of this measure that break a rule, since it left no others."""

    @property
    def forbidden(self) -> Sequence[int]:
        """The ids that may come all the same, though a rule speaks against them; none where tokens are sub-words."""

    def choices(self) -> Ids:
        """The ids that may come, (choices,), each once."""

    def line_end(self) -> LineEnd | None:
        """The token that ends a line of music here, where one may, and those that would end it elsewhere. Behind
        ``choices``, which may move on."""

    def push(self, token: int) -> Sequence[str]:
        """Move on by a token; what is written by it, as lexemes are spelled. ValueError where it may not come."""

    def copy(self) -> Walk:
        """A walk of its own from here on; costs next to nothing."""


def meant(logits: Any, ids: Ids, line_end: LineEnd | None) -> Any:
    """What a model says, (vocabulary,), of the tokens that may come, (choices,).

    Which of these ends a line of music, a staff's or a part's or the measure's, is known by its parts and their staves. A
    model that has read little music of such parts, and means another one, means this one.
    """
    out = logits[ids]
    if line_end:
        own, others = line_end
        out[ids == own] = np.logaddexp.reduce(logits[[own, *others]])
    return out


class BoundTokens(Protocol):
    """The tokens of a model."""

    end: int
    spells_lines: bool  # whether the new line behind a "|" is written with tokens

    def walk(self, sound: Sound, begun: str = "", fresh: bool = False) -> Walk:
        """A text under way. ValueError where ``begun`` is not sound.

        sound: stands behind the last whole measure; begun: what is written of the next one
        fresh: whether not even the text's first "|" is written
        """

    def free(self) -> Walk:
        """A text under way that the grammar does not bind."""

    def encode(self, text: str) -> Sequence[tuple[int | None, tuple[str, ...]]]:
        """The tokens of a text with their lexemes; an id is None where the model knows no such token, the lexemes are
        () where tokens are none."""

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens; those that are no text (the end, padding) are left out."""


class Free:
    """Any of some tokens, until the end comes."""

    fits = False
    against = 0
    forbidden: Sequence[int] = ()

    def __init__(self, ids: Ids, spelled: Sequence[tuple[str, ...]], end: int) -> None:
        self.ended = False
        self._ids = ids
        self._spelled = spelled
        self._end = end

    def choices(self) -> Ids:
        return self._ids

    def line_end(self) -> None:
        return None

    def push(self, token: int) -> Sequence[str]:
        self.ended = token == self._end
        return self._spelled[token]

    def copy(self) -> Free:
        out = Free(self._ids, self._spelled, self._end)
        out.ended = self.ended
        return out
