"""An ABC tune as parts of bars of items. Standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from scorelm.sources.abc_fields import Key, Voice


@dataclass
class Pitch:
    step: str
    octave: int
    alter: Any  # semitones
    shown: bool  # the accidental stands before the note
    tied: bool = False


@dataclass
class Item:
    """A note, chord or rest, or what stands at a moment: a field's value."""

    line: int
    kind: str  # note rest hidden; key time tempo clef words rehearsal
    length: Fraction = Fraction(0)  # quarters, before a tuplet's ratio
    pitches: list[Pitch] = field(default_factory=list)
    tuplet: tuple[int, int] | None = None
    tuplet_edge: str = ""  # start, stop, startStop; own: of a tuplet that the length alone makes
    grace: str = ""  # "grace", "slash"
    whole: bool = False  # a rest as long as its measure
    glued: bool = False  # no space before it: beamed to the one before
    marks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lyrics: list[tuple[int, str, str]] = field(default_factory=list)
    slurs: list[str] = field(default_factory=list)  # "start" and "stop" in order
    value: Any = None

    @property
    def quarters(self) -> Fraction:
        if self.grace:
            return Fraction(0)
        return self.length * Fraction(self.tuplet[1], self.tuplet[0]) if self.tuplet else self.length


@dataclass
class Bar:
    """A measure: layers one over the other. ``left``, ``right``: barlines; ``ending``: "1" where one begins here."""

    line: int
    layers: list[list[Item]] = field(default_factory=lambda: [[]])
    left: str = ""
    right: str = ""
    ending: str = ""

    @property
    def sounding(self) -> bool:
        return any(i.kind in ("note", "rest", "hidden") for layer in self.layers for i in layer)


@dataclass
class Part:
    """A voice and what is in force in it."""

    voice: Voice
    key: Key
    unit: Fraction  # quarters
    metre: Any
    bars: list[Bar] = field(default_factory=list)
    lift: int = 0  # octaves by which its clef moves the notes
    accidentals: dict[tuple[str, int], Any] = field(default_factory=dict)
    ratio: tuple[int, int] | None = None
    left_in_tuplet: int = 0
    fresh: bool = False  # the tuplet has no note yet
    depth: int = 0  # of slurs
    broken: Fraction | None = None  # the factor of the next note
    marks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    sung: list[Item] = field(default_factory=list)  # the notes of the last music line
    sung_bars: list[int] = field(default_factory=list)  # the number of each one's bar
    line_bar: int = 1  # the number of the bar where that line begins
    verse: int = 0
    glued: bool = False
    grace: str = ""

    def begin_line(self) -> None:
        """A new line of music, for lyrics of its own."""
        self.sung, self.sung_bars, self.line_bar, self.verse = [], [], len(self.bars), 0

    @property
    def bar(self) -> Bar:
        return self.bars[-1]

    @property
    def layer(self) -> list[Item]:
        return self.bar.layers[-1]


def last_item(part: Part, graces: bool = False) -> Item | None:
    for bar in reversed(part.bars):
        for item in reversed(bar.layers[-1]):
            if item.kind in ("note", "rest", "hidden") and (graces or not item.grace):
                return item
    return None


def bar_length(metre: Any) -> Fraction:
    return Fraction(4) if metre is None or metre.quarters is None else Fraction(metre.quarters)
