"""The stuff of which a walk through the grammar is made: what may come, and where each of it leads.

Nothing here ever changes, so a walk can be kept, gone on from twice, and left again. A ``Local`` knows only its own
stretch of text (the inside of a voice, a string) and not what stands behind it; the same few thousand of them come
again in each measure of each text, and where their lexemes lead is remembered. A ``Node`` knows all of the text ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

Lexemes = frozenset[str]
Pitch = tuple[str, int, Fraction | int]  # step, octave, alteration


def only(*lexemes: str) -> Lexemes:
    return frozenset(lexemes)


@lru_cache(maxsize=65536)
def union(*sets: Lexemes) -> Lexemes:
    """The same object for the same sets, so that a mask can be kept for it."""
    return frozenset().union(*sets)


class Local:
    """A place within a stretch. allowed: what may come and belongs to it; done: whether the stretch may end here."""

    __slots__ = ("allowed", "done", "pending", "room", "step")

    def __init__(
        self,
        allowed: Lexemes,
        step: Callable[[str], Local],
        done: bool = False,
        pending: tuple[Pitch, ...] = (),
        room: int | None = None,
    ) -> None:
        self.allowed = allowed
        self.done = done
        self.pending = pending  # pitches that ties lead from at its end, low to high
        self.room = room  # how many characters may come, of any kind but the quote behind them; None: no free text
        self.step = step


@lru_cache(maxsize=1 << 17)
def ahead(local: Local, lexeme: str) -> Local:
    """Where an allowed lexeme leads within the stretch."""
    return local.step(lexeme)


class Node:
    """A place in a text. allowed: what may come; room: as of a Local; against: notes of this measure that break a rule,
    since it left no others; forbidden: what may come all the same, though a rule speaks against it."""

    __slots__ = ("_step", "allowed", "room")
    against = 0
    forbidden: Lexemes = only()

    def __init__(self, allowed: Lexemes, step: Callable[[str], Node], room: int | None = None) -> None:
        self.allowed = allowed
        self.room = room
        self._step = step

    def push(self, lexeme: str) -> Node:
        """Where an allowed lexeme leads."""
        return self._step(lexeme)

    def peek(self, lexeme: str) -> Lexemes:
        """What may come behind an allowed lexeme."""
        return self._step(lexeme).allowed


class Within(Node):
    """A place in a stretch, and what stands behind it."""

    __slots__ = ("behind", "leave", "local")

    def __init__(self, local: Local, leave: Callable[[Local], Node]) -> None:
        self.local = local
        self.leave = leave
        self.room = local.room
        self.behind = leave(local) if local.done else None
        self.allowed = union(local.allowed, self.behind.allowed) if self.behind else local.allowed

    def push(self, lexeme: str) -> Node:
        if self.behind and lexeme not in self.local.allowed:
            return self.behind.push(lexeme)
        return within(ahead(self.local, lexeme), self.leave)

    def peek(self, lexeme: str) -> Lexemes:
        if lexeme in self.local.allowed:
            local = ahead(self.local, lexeme)
            if not local.done:
                return local.allowed
        return self.push(lexeme).allowed


def within(local: Local, leave: Callable[[Local], Node]) -> Node:
    """A place in a stretch; ``leave`` says what stands behind it, once it is done, by the ties that lead out of it."""
    return Within(local, leave) if local.allowed else leave(local)


def end(_: str) -> Node:
    return Node(only(), end)
