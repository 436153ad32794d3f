"""What is in force while a text is written or read: metre and the number that comes next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scorelm.notation.model import Attribute, Part, Time, Value

_UNIT_KINDS = {1: 3, 2: 4, 4: 5, 8: 6, 16: 7, 32: 8, 64: 9, 128: 10, 256: 11, 512: 12, 1024: 13}
EIGHTH = Value(6)
QUARTER = Value(5)


@dataclass
class State:
    """In force at the start of a measure; ``enter`` brings it up to date with what the measure says."""

    staves: list[int] = field(default_factory=list)  # staves of each part
    time: Time | None = None  # the score's; None before the first and while parts differ
    part_times: list[Time | None] = field(default_factory=list)
    number: int = 1  # the measure number that needs no lexeme

    def declare(self, parts: Iterable[Part]) -> None:
        self.staves = [p.staves for p in parts]
        self.part_times = [None] * len(self.staves)

    def add_part(self, staves: int) -> None:
        """A part opens in a first measure."""
        self.staves.append(staves)
        self.part_times.append(self.time)

    def enter_score(self, marks: Iterable[Attribute]) -> None:
        """Times of the whole score from here on."""
        for mark in marks:
            if isinstance(mark, Time):
                self.time = mark
                self.part_times = [mark] * len(self.staves)

    def enter_part(self, part: int, marks: Iterable[Attribute]) -> None:
        """Times of one part from here on."""
        for mark in marks:
            if isinstance(mark, Time):
                self.enter_time(part, mark)

    def enter_time(self, part: int, time: Time) -> None:
        """A time of one part alone: from now on measures declare their length."""
        self.part_times[part] = time
        if time != self.time:
            self.time = None

    def nominal(self) -> Fraction | None:
        """The length of a measure that declares none; None where the metre gives none."""
        return None if self.time is None else self.time.quarters

    def copy(self) -> State:
        return replace(self, part_times=list(self.part_times))

    def unit(self, part: int) -> Value:
        """The value in force where a voice begins: the metre's beat unit."""
        time = self.part_times[part] if self.part_times else self.time
        if time is None or not time.terms:
            return QUARTER
        return Value(_UNIT_KINDS.get(time.terms[-1][1], 5))

    def count(self, number: str) -> None:
        """A measure of this number has passed."""
        if is_plain_number(number):
            self.number = int(number) + 1


def is_plain_number(number: str) -> bool:
    return number.isascii() and number.isdigit() and str(int(number)) == number and len(number) < 10
