"""Numbers of slurs, hairpins, brackets: a source's own become the smallest that are free."""

from __future__ import annotations

from fractions import Fraction

from scorelm.musicxml.values import whole
from scorelm.notation.model import Argument


class Spanners:
    """What is open in one part, by kind.

    A stop may stand before its start in the document (voices are written one after another): then the stop
    takes a number and the start finds it.
    """

    def __init__(self) -> None:
        self._open: dict[str, dict[str, tuple[int, bool]]] = {}  # kind -> source's number -> ours, opened by a start

    def number(self, kind: str, number: str | None, start: bool) -> tuple[Argument, ...]:
        """The arguments that tell this start or stop apart: none for number 1."""
        opened = self._open.setdefault(kind, {})
        key = number or "1"
        if key in opened and opened[key][1] != start:
            return _arguments(opened.pop(key)[0])
        taken = {own for k, (own, _) in opened.items() if k != key}
        own = next(n for n in range(1, len(taken) + 2) if n not in taken)
        opened[key] = (own, start)
        return _arguments(own)

    def current(self, kind: str, number: str | None) -> tuple[Argument, ...]:
        """The arguments of what goes on here; one that begins behind it, at the same note, has the number it is to have."""
        found = self._open.get(kind, {}).get(number or "1")
        return _arguments(max(1, whole(number, 1)) if found is None else found[0])


def _arguments(own: int) -> tuple[Argument, ...]:
    return () if own == 1 else (Fraction(own),)
