"""Tokens that are a lexeme each, or two lexemes in a row."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np

from scorelm.bound.walk import MOST_KEPT, Free, Ids, LineEnd
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import END_MARKS, END_OF_TEXT, PADDING, cut, joined, name_lexeme
from scorelm.notation.sound import Fitted, Sound
from scorelm.notation.steps import Lexemes, Node, only

LINE_ENDS = ("/", ";", "|")  # of a staff, a part, a measure
MEASURE_ENDS = tuple(name_lexeme(name) for name in END_MARKS)  # stand before a "|"


class LexemeTokens:
    """``tokens[id]`` is a tuple of lexemes. Of a lexeme that is in no token, none can be written; where it is given, it
    stands in the text and the model is not shown it."""

    spells_lines = False

    def __init__(self, tokens: Sequence[tuple[str, ...]]) -> None:
        """ConfigError where a token is more than two lexemes, or the end is none."""
        self.tokens = tokens
        self.single: dict[str, int] = {}
        self.pairs: dict[str, dict[str, int]] = {}  # by the first lexeme, then by the second
        for number, lexemes in enumerate(tokens):
            if len(lexemes) == 1:
                self.single[lexemes[0]] = number
            elif len(lexemes) == 2:
                self.pairs.setdefault(lexemes[0], {})[lexemes[1]] = number
            else:
                raise ConfigError(f"the token {''.join(lexemes)!r} is no lexeme and not two in a row")
        if END_OF_TEXT not in self.single:
            raise ConfigError(f"no token is {END_OF_TEXT}")
        self.end = self.single[END_OF_TEXT]
        self._firsts = frozenset(self.pairs)
        self._kept: dict[Lexemes | tuple[Lexemes, ...], Ids] = {}
        self._beginning: dict[Lexemes, tuple[str, ...]] = {}
        self._line_ends: dict[Lexemes, LineEnd | None] = {}

    def walk(self, sound: Sound, begun: str = "", fresh: bool = False) -> LexemeWalk:
        node = Node(only("|"), lambda _: sound.node) if fresh else sound.node
        out = LexemeWalk(self, node)
        for lexeme in cut(begun):
            out.advance(lexeme)
        return out

    def free(self) -> Free:
        ids = [i for i, lexemes in enumerate(self.tokens) if lexemes != (PADDING,)]
        spelled = [() if i == self.end else lexemes for i, lexemes in enumerate(self.tokens)]
        return Free(np.array(ids), spelled, self.end)

    def encode(self, text: str) -> list[tuple[int | None, tuple[str, ...]]]:
        out: list[tuple[int | None, tuple[str, ...]]] = []
        lexemes = cut(text)
        quoted, at = False, 0
        while at < len(lexemes):
            pair = (
                None
                if quoted
                else self.pairs.get(lexemes[at], {}).get(lexemes[at + 1] if at + 1 < len(lexemes) else "")
            )
            token = self.single.get(lexemes[at]) if pair is None else pair
            out.append((token, tuple(lexemes[at : at + (1 if pair is None else 2)])))
            quoted = quoted != (lexemes[at] == '"')
            at += len(out[-1][1])
        return out

    def text(self, ids: Iterable[int]) -> str:
        return joined(x for i in ids for x in self.tokens[i] if x not in (END_OF_TEXT, PADDING))

    def choices(self, node: Node, quoted: bool) -> Ids:
        allowed = node.allowed
        firsts = () if quoted or not self.pairs else self._beginning_of(allowed)
        key = (allowed, *map(node.peek, firsts)) if firsts else allowed
        found = self._kept.get(key)
        if found is None:
            ids = {self.single[lexeme] for lexeme in allowed if lexeme in self.single}
            for first in firsts:
                behind = node.peek(first)
                ids.update(number for second, number in self.pairs[first].items() if second in behind)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = np.array(sorted(ids), np.int64)
        return found

    def line_end(self, allowed: Lexemes) -> LineEnd | None:
        """See ``Walk.line_end``; None where it is open which of them comes."""
        if allowed not in self._line_ends:
            if len(self._line_ends) >= MOST_KEPT:
                self._line_ends.clear()
            here = [lexeme for lexeme in LINE_ENDS if lexeme in allowed and lexeme in self.single]
            elsewhere = [self.single[x] for x in (*LINE_ENDS, *MEASURE_ENDS) if x in self.single and x not in allowed]
            self._line_ends[allowed] = (self.single[here[0]], elsewhere) if len(here) == 1 else None
        return self._line_ends[allowed]

    def _beginning_of(self, allowed: Lexemes) -> tuple[str, ...]:
        """Those of some lexemes that a pair begins with."""
        found = self._beginning.get(allowed)
        if found is None:
            found = self._beginning[allowed] = tuple(sorted(allowed & self._firsts))
        return found


class LexemeWalk:
    def __init__(self, tokens: LexemeTokens, node: Node) -> None:
        self.tokens = tokens
        self.node = node
        self.fits = self.ended = False
        self._quoted = False
        self._passed: tuple[str, ...] = ()  # given lexemes that no token is, behind the last token

    @property
    def against(self) -> int:
        return self.node.against

    @property
    def forbidden(self) -> Sequence[int]:
        single = self.tokens.single
        return [single[lexeme] for lexeme in self.node.forbidden if lexeme in single]

    def choices(self) -> Ids:
        if self.ended:
            return np.array([self.tokens.end])
        found = self.tokens.choices(self.node, self._quoted)
        while not len(found):  # what is given is newer than the model
            (lexeme,) = self.node.allowed
            self.advance(lexeme)
            self._passed += (lexeme,)
            found = self.tokens.choices(self.node, self._quoted)
        return found

    def line_end(self) -> LineEnd | None:
        return None if self.ended or self._quoted else self.tokens.line_end(self.node.allowed)

    def push(self, token: int) -> Sequence[str]:
        if token == self.tokens.end and END_OF_TEXT in self.node.allowed:
            self.ended = True
        if self.ended:
            return ()
        self.fits = False
        lexemes = self.tokens.tokens[token]
        for lexeme in lexemes:
            self.advance(lexeme)
        if self._passed:
            lexemes, self._passed = self._passed + lexemes, ()
        return lexemes

    def advance(self, lexeme: str) -> None:
        if lexeme not in self.node.allowed:
            raise ValueError(f"{lexeme!r} may not stand here")
        self.node = self.node.push(lexeme)
        self.fits = self.fits or isinstance(self.node, Fitted)
        if lexeme == '"':
            self._quoted = not self._quoted

    def copy(self) -> LexemeWalk:
        return copy.copy(self)
