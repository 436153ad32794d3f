"""Tokens that are strings of characters, as a byte-level BPE has them: a token may hold many lexemes and end inside one.

A text is cut by longest match, so what a character belongs to may show only later: ``C`` may become ``C,``, and
``P"Alto"`` is one lexeme, ``P"Altos"`` many. A ``Reading`` is one way to cut what has come so far; a text under way has
all those that can still hold, mostly one. What the scanner would cut otherwise is no reading: a longer lexeme that
begins at the same place, a ``rival``, must not come about. Characters are bytes, each as the character of its number.

Which tokens may come is found by going through the tree of all tokens with the readings. What stays inside a voice is
found once for each of its places (see ``steps.Local``), for these come again in each measure of each text.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from scorelm.bound.walk import MOST_KEPT, Free, Ids
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import END_OF_TEXT, LEXEMES
from scorelm.notation.sound import MAX_STRING, STRING_OR_QUOTE, Fitted, Sound
from scorelm.notation.steps import Lexemes, Local, Node, Pitch, Within, only

LETTERS = frozenset(STRING_OR_QUOTE) - {'"'}
WRITABLE = frozenset(map(chr, (10, *range(32, 127), *range(0x80, 0xC0), *range(0xC2, 0xF5))))  # in UTF-8


def spelled(lexeme: str) -> str:
    return chr(int(lexeme[3:5], 16)) if lexeme.startswith("<0x") else lexeme


LONGER = frozenset(x for x in LEXEMES[2:] if len(x) > 1 and not x.startswith("<0x"))
BEGINNINGS = frozenset(x[:i] for x in LONGER for i in range(1, len(x)))


class Table:
    """The spellings of some lexemes."""

    def __init__(self, allowed: Lexemes) -> None:
        self.whole = {spelled(lexeme): lexeme for lexeme in allowed if lexeme != END_OF_TEXT}
        self.longer = frozenset(x[:i] for x in self.whole for i in range(1, len(x)))  # what more can follow
        self.begun = self.longer.union(self.whole)
        self.first = frozenset(x[0] for x in self.whole)


table_of = lru_cache(maxsize=1 << 14)(Table)


class Reading(NamedTuple):
    """A way to cut what has come."""

    node: Node
    begun: str = ""  # of a lexeme
    rival: str = ""  # what has come of a longer lexeme than the one that was read at its place
    quoted: bool = False  # whether this is inside a string

    def commit(self, lexeme: str) -> Reading:
        """What was begun is this lexeme."""
        node = self.node.push(lexeme)
        if lexeme == "|":
            node = _line(node)
        quoted = self.quoted != (lexeme == '"')
        rival = self.rival or (self.begun if self.begun in BEGINNINGS and not self.quoted else "")
        return Reading(node, "", rival, quoted)

    def extend(self, character: str, last: bool = False) -> Reading | None:
        """The lexeme goes on by a character, or one begins by it. It is committed where it can be no longer, unless
        the character is the last one and nothing is asked of what comes behind it."""
        table = table_of(self.node.allowed)
        begun = self.begun + character
        if begun not in table.begun:
            return None
        rival = self.rival
        if rival:
            rival += character
            if rival in LONGER:
                return None
            rival = rival if rival in BEGINNINGS else ""
        out = Reading(self.node, begun, rival, self.quoted)
        return out if last or begun in table.longer else out.commit(table.whole[begun])

    def finish(self) -> Reading | None:
        """The lexeme ends here, where it may."""
        lexeme = table_of(self.node.allowed).whole.get(self.begun)
        return None if lexeme is None else self.commit(lexeme)


def step(reading: Reading, character: str) -> list[Reading]:
    out = []
    if (longer := reading.extend(character)) is not None:
        out.append(longer)
    done = reading.finish()
    if done is not None and (begun := done.extend(character)) is not None:
        out.append(begun)
    return out


def _line(node: Node) -> Node:
    """The new line behind a measure, and what comes behind it."""
    out = Fitted if isinstance(node, Fitted) else Node
    return out(only("\n"), lambda _: node)


class Inside(Node):
    """A place in a stretch, without what stands behind it."""

    __slots__ = ("local",)

    def __init__(self, local: Local) -> None:
        # by itself: what is only looked at shall not drive out of ``ahead`` what texts go through
        super().__init__(local.allowed, lambda lexeme: Inside(local.step(lexeme)), local.room)
        self.local = local


class Branch:
    """A beginning that some tokens have. ids: of those that it is the whole of; more: the longer ones, by the next
    character. Branches are made when they are first asked for."""

    def __init__(self, tokens: Sequence[tuple[str, int]], length: int = 0) -> None:
        """tokens: spelling and id of those that begin alike, in order; length: of what is alike"""
        self._tokens = tokens
        self._length = length
        self.ids = [number for spelling, number in tokens if len(spelling) == length]
        self.leaf = len(self.ids) == len(tokens)

    @cached_property
    def more(self) -> dict[str, Branch]:
        longer = self._tokens[len(self.ids) :]
        at = self._length
        return {
            character: Branch(list(alike), at + 1)
            for character, alike in groupby(longer, key=lambda token: token[0][at])
        }


Exits = dict[tuple[Pitch, ...], tuple[Local, list[tuple[Branch, Reading]]]]  # by the ties that lead out of the stretch


class SubwordTokens:
    """``spellings[id]`` is the token's text, each of its bytes as a character; None: the end, padding and the like.

    encoder: a transformers tokenizer
    """

    spells_lines = True

    def __init__(self, spellings: Sequence[str | None], end: int, encoder: Any) -> None:
        """ConfigError where a character has no token of its own, so that a text could not go on."""
        self.spellings = spellings
        self.end = end
        self.encoder = encoder
        writable = [(x, i) for i, x in enumerate(spellings) if x and WRITABLE.issuperset(x)]
        self.root = Branch(sorted(writable))
        missing = [c for c in sorted(WRITABLE) if c not in self.root.more or not self.root.more[c].ids]
        if missing:
            raise ConfigError(f"the tokenizer has no token for {missing[0]!r} alone")
        self._kept: dict[tuple[Branch, Local, str, str, bool], tuple[Ids, Exits]] = {}
        self._strings()

    def _strings(self) -> None:
        """What may come inside a string: tokens without a quote by their lengths, and those that close it."""
        plain: dict[int, list[int]] = {}
        closing: dict[str, Branch] = {}
        for number, spelling in enumerate(self.spellings):
            before, quote, _ = (spelling or "").partition('"')
            if not spelling or not LETTERS.issuperset(before):
                continue
            if not quote:
                plain.setdefault(len(before), []).append(number)
            elif before not in closing:
                branch = self.root
                for character in (*before, quote):
                    branch = branch.more[character]
                closing[before] = branch
        self.closing = list(closing.items())  # what stands before the quote, where the quote leads
        upto = np.array([], np.int64)
        self.plain: list[Ids] = []  # by how many characters may come
        for room in range(MAX_STRING + 1):
            upto = np.sort(np.append(upto, np.array(plain.get(room, ()), np.int64)))
            self.plain.append(upto)

    def walk(self, sound: Sound, begun: str = "", fresh: bool = False) -> SubwordWalk:
        if fresh:
            return SubwordWalk(self, [Reading(Node(only("|"), lambda _: sound.node))])
        if not begun:
            return SubwordWalk(self, [Reading(_line(sound.node))])
        readings = [Reading(sound.node)]
        for character in begun.encode().decode("latin-1"):
            if character.isspace() and not any(reading.quoted for reading in readings):
                done = [r.finish() if r.begun else r for r in readings]
                readings = [r._replace(rival="") for r in done if r is not None]
            else:
                readings = [r for reading in readings for r in step(reading, character)]
            if not readings:
                raise ValueError(f"{character!r} may not stand here")
        return SubwordWalk(self, readings)

    def free(self) -> Free:
        known = [i for i, spelling in enumerate(self.spellings) if spelling or i == self.end]
        return Free(np.array(known), [() if s is None else (_lexemes(s),) for s in self.spellings], self.end)

    def encode(self, text: str) -> list[tuple[int | None, tuple[str, ...]]]:
        return [(int(i), ()) for i in self.encoder(text, add_special_tokens=False)["input_ids"]]

    def text(self, ids: Iterable[int]) -> str:
        return "".join(self.spellings[i] or "" for i in ids).encode("latin-1").decode(errors="replace")

    def choices(self, readings: Sequence[Reading]) -> Ids:
        found: list[Ids] = []
        ends = any(not r.begun and END_OF_TEXT in r.node.allowed for r in readings)
        for reading in readings:
            self._below(self.root, reading, found)
        if ends:
            found.append(np.array([self.end]))
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))

    def _below(self, branch: Branch, reading: Reading, found: list[Ids]) -> None:
        """The tokens that a branch leads to and a reading can go on by."""
        node = reading.node
        if node.room is not None and branch is self.root:
            self._in_string(reading, found)
        elif isinstance(node, Within):
            ids, exits = self._inside(branch, node.local, *reading[1:])
            found.append(ids)
            for local, places in exits.values():
                behind = node.leave(local)
                first = table_of(behind.allowed).first
                for place, left in places:
                    if not first.isdisjoint(place.more):
                        self._below(place, left._replace(node=behind), found)
            if reading.begun and node.behind is not None:
                self._below(branch, reading._replace(node=node.behind), found)
        else:
            if reading.begun and (done := reading.finish()) is not None:
                self._below(branch, done, found)
            first = table_of(node.allowed).first if not reading.begun else branch.more.keys()
            for character in first & branch.more.keys():
                child = branch.more[character]
                if (longer := reading.extend(character, last=child.leaf)) is not None:
                    if child.ids:
                        found.append(np.array(child.ids))
                    if not child.leaf:
                        self._below(child, longer, found)

    def _in_string(self, reading: Reading, found: list[Ids]) -> None:
        """Free text is not gone through letter by letter."""
        room = reading.node.room or 0
        found.append(self.plain[room])
        for before, branch in self.closing:
            if len(before) > room:
                continue
            if branch.ids:
                found.append(np.array(branch.ids))
            if not branch.leaf:
                node = reading.node
                for letter in (*before, '"'):
                    node = node.push(letter)
                self._below(branch, Reading(node), found)

    def _inside(self, branch: Branch, local: Local, begun: str, rival: str, quoted: bool) -> tuple[Ids, Exits]:
        """Those tokens whose text belongs to a stretch, and where others leave it."""
        key = branch, local, begun, rival, quoted
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        ids: set[int] = set()
        exits: Exits = {}

        def through(branch: Branch, reading: Reading) -> None:
            node = reading.node
            if not reading.begun and node.local.done:
                exits.setdefault(node.local.pending, (node.local, []))[1].append((branch, reading))
            if reading.begun and (done := reading.finish()) is not None:
                through(branch, done)
            first = branch.more.keys() if reading.begun else table_of(node.allowed).first & branch.more.keys()
            for character in first:
                child = branch.more[character]
                if (longer := reading.extend(character, last=child.leaf)) is not None:
                    ids.update(child.ids)
                    if not child.leaf:
                        through(child, longer)

        through(branch, Reading(Inside(local), begun, rival, quoted))
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = found = np.array(sorted(ids), np.int64), exits
        return found


class SubwordWalk:
    forbidden: Sequence[int] = ()

    def __init__(self, tokens: SubwordTokens, readings: list[Reading]) -> None:
        self.tokens = tokens
        self.readings = readings
        self.fits = self.ended = False

    @property
    def against(self) -> int:
        return min(reading.node.against for reading in self.readings)

    def choices(self) -> Ids:
        return np.array([self.tokens.end]) if self.ended else self.tokens.choices(self.readings)

    def line_end(self) -> None:
        return None

    def push(self, token: int) -> Sequence[str]:
        self.fits = False
        if token == self.tokens.end and any(END_OF_TEXT in r.node.allowed for r in self.readings if not r.begun):
            self.ended = True
        if self.ended:
            return ()
        spelling = self.tokens.spellings[token]
        readings = self.readings
        for character in spelling or "":
            readings = [r for reading in readings for r in step(reading, character)]
            self.fits = self.fits or any(not r.begun and isinstance(r.node, Fitted) for r in readings)
        if not spelling or not readings:
            raise ValueError(f"{spelling!r} may not stand here")
        self.readings = readings
        return (_lexemes(spelling),)

    def copy(self) -> SubwordWalk:
        return copy.copy(self)


def _lexemes(spelling: str) -> str:
    """Bytes beyond ASCII as lexemes spell them."""
    return "".join(c if c.isascii() else f"<0x{ord(c):02X}>" for c in spelling)
