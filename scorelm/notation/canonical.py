"""Readable text -> canonical text, measure by measure, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from scorelm.notation.model import Measure, Part
from scorelm.notation.reader import Reader
from scorelm.notation.scanner import END, Scanner
from scorelm.notation.state import State
from scorelm.notation.writer import measure_text


class Canonical:
    """Takes one measure after another, as ``write(parse(text))`` would take all of them at once."""

    def __init__(self) -> None:
        self._read = State()
        self._written = State()
        self._parts: list[Part] = []

    def measure(self, text: str, change: Callable[[Measure], Measure] | None = None) -> str:
        """A measure with its "|" -> the same in canonical text. FormatError where it breaks the format.

        change: makes another measure of it, with the same parts
        """
        first = not self._parts
        reader = Reader(Scanner(text), self._read, self._parts)
        measure = reader.measure()
        if not reader.s.take("|") or reader.s.tokens[reader.s.i] != END:
            raise reader.s.error("'|' at the end of the measure")
        if change:
            measure = change(measure)
        if first:
            self._written.declare(self._parts)
        return measure_text(measure, self._parts, self._written, first) + "|\n"
