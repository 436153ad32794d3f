"""Notes with their moments -> the voices of a measure, filled and with their tuplets nested."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scorelm.notation.model import Chord, Item, Mark, Note, Pitch, Rest, Spacer, Tuplet, Value, Voice
from scorelm.notation.normal import note_order
from scorelm.notation.values import fill, value_of

Ratio = tuple[int, int]


@dataclass
class Raw:
    """A note, chord or rest as the source tells it."""

    voice: str
    staff: int  # from 0
    start: Fraction  # quarters from the start of the measure
    quarters: Fraction
    chord: bool
    grace: str | None
    value: Value | None  # as written, without `exact`
    ratio: Ratio  # actual, normal: of all tuplets around it
    tuplets: list[tuple[str, str, Ratio | None, tuple[Mark, ...]]]  # "start" / "stop", number, ratio if said, marks
    marks: list[Mark]
    notes: list[Note] = field(default_factory=list)
    rest: bool = False
    measure_rest: bool = False
    hidden: bool = False
    position: Pitch | None = None


def assemble(
    voices: dict[str, list[Raw]],
    length: Fraction,
    staves: int,
    open_tuplets: dict[str, list[Ratio]],
) -> list[tuple[Voice, ...]]:
    """-> for each staff its voices, each ``length`` quarters long.

    open_tuplets: voice -> tuplets that go on from the measure before; brought up to date

    A voice that crosses staves belongs to the one that has most of its events in this measure.
    """
    out: list[list[Voice]] = [[] for _ in range(staves)]
    for name in sorted(voices, key=_voice_order):
        lines = [line for events in _by_staff(voices[name]) for line in _untangle(events)]
        for number, line in enumerate(lines):
            key = name if number == 0 else f"{name} {number}"
            staff = Counter(raw.staff for raw in line).most_common(1)[0][0]
            builder = _Builder(length, open_tuplets.pop(key, []), staff)
            items = builder.build(line)
            if builder.carried:
                open_tuplets[key] = builder.carried
            out[staff].append(items)
    return [tuple(v) for v in out]


def _voice_order(name: str) -> tuple[int, str]:
    digits = name.split(" ")[0]
    return (int(digits), name) if digits.isdecimal() and len(digits) < 9 else (10**9, name)


def _by_staff(events: list[Raw]) -> list[list[Raw]]:
    """The events of a voice; those of each staff, where some overlap others: programs give voices of two staves one name."""
    staves = {raw.staff for raw in events}
    if len(staves) < 2 or len(_untangle(events)) == 1:
        return [events]
    return [[raw for raw in events if raw.staff == staff] for staff in sorted(staves)]


def _untangle(events: list[Raw]) -> list[list[Raw]]:
    """Lines without overlaps: an event goes to the first line that is free at its start."""
    events = sorted(events, key=lambda raw: raw.start)
    lines: list[list[Raw]] = []
    ends: list[Fraction] = []
    for raw in events:
        for i, end in enumerate(ends):
            if raw.start >= end:
                lines[i].append(raw)
                ends[i] = raw.start + raw.quarters
                break
        else:
            lines.append([raw])
            ends.append(raw.start + raw.quarters)
    return lines


class _Level:
    """An open tuplet while its items are gathered."""

    def __init__(
        self, ratio: Ratio, number: str | None, from_previous: bool = False, marks: tuple[Mark, ...] = ()
    ) -> None:
        self.ratio = ratio
        self.number = number  # None: the source does not mark it
        self.from_previous = from_previous
        self.marks = marks
        self.items: list[Item] = []


class _Builder:
    def __init__(self, length: Fraction, carried: list[Ratio], staff: int) -> None:
        self.length = length
        self.staff = staff
        self.clock = Fraction(0)
        self.items: list[Item] = []
        self.stack: list[_Level] = []
        self.came_over = carried
        self.carried: list[Ratio] = []

    def build(self, line: list[Raw]) -> Voice:
        for raw in line:
            self._fit_tuplets(raw)
            if raw.start > self.clock:
                self._space(raw.start - self.clock)
            self._open_tuplets(raw)
            self._target().append(self._event(raw, alone=len(line) == 1))
            self.clock += raw.quarters
            self._close_stopped(raw)
        while self.stack:
            level = self.stack[-1]
            if level.number is not None:
                self.carried.insert(0, level.ratio)
            self._close(into_next=level.number is not None)
        if self.clock < self.length:
            self._space(self.length - self.clock)
        return tuple(self.items)

    def _target(self) -> list[Item]:
        return self.stack[-1].items if self.stack else self.items

    def _product(self) -> Fraction:
        product = Fraction(1)
        for level in self.stack:
            product *= Fraction(*level.ratio)
        return product

    def _space(self, quarters: Fraction) -> None:
        product = self._product()
        for value in fill(quarters * product):  # an exact length counts as it sounds, tuplets and all
            self._target().append(Spacer(value if value.exact is None else replace(value, exact=value.exact / product)))
        self.clock += quarters

    def _fit_tuplets(self, raw: Raw) -> None:
        """Close what this event does not belong to."""
        if raw.grace is not None and not self.stack:
            return
        wanted = Fraction(*raw.ratio)
        if raw.grace is not None and wanted == 1:
            return  # graces rarely say the ratio that they stand in
        starts = any(t[0] == "start" for t in raw.tuplets)
        while self.stack and (
            (starts and self.stack[-1].number is None)
            # one that starts now stands inside what is open only if it changes the ratio
            or (self._product() == wanted) == starts
        ):
            self._close()

    def _open_tuplets(self, raw: Raw) -> None:
        starts = sorted((t for t in raw.tuplets if t[0] == "start"), key=lambda t: t[1])
        if (raw.grace is not None and not starts) or raw.ratio == (1, 1):
            return
        wanted = Fraction(*raw.ratio)
        if self.came_over and not self.items and not self.stack and not starts:
            product = Fraction(1)
            for ratio in self.came_over:
                product *= Fraction(*ratio)
            if product == wanted:
                self.stack += [_Level(r, str(i + 1), True) for i, r in enumerate(self.came_over)]
        for i, (_, number, ratio, marks) in enumerate(starts):
            rest = wanted / self._product()
            last = i == len(starts) - 1
            if last and not self.stack:
                chosen = raw.ratio
            elif last or ratio is None:
                chosen = (rest.numerator, rest.denominator)
                if ratio is not None and Fraction(*ratio) == rest:
                    chosen = ratio
            else:
                chosen = ratio
            if chosen[0] == chosen[1]:
                continue
            self.stack.append(_Level(chosen, number, marks=marks))
        if self._product() != wanted:
            rest = wanted / self._product()
            chosen = raw.ratio if not self.stack else (rest.numerator, rest.denominator)
            self.stack.append(_Level(chosen, None))

    def _close_stopped(self, raw: Raw) -> None:
        stops = [t[1] for t in raw.tuplets if t[0] == "stop"]
        for number in sorted(stops, reverse=True):
            if any(level.number == number or level.from_previous for level in self.stack):
                while self.stack:
                    level = self.stack[-1]
                    self._close()
                    if level.number == number or level.from_previous:
                        break

    def _close(self, into_next: bool = False) -> None:
        level = self.stack.pop()
        if level.items:
            marks = (Mark("tuplet-none"),) if level.number is None else level.marks
            self._target().append(Tuplet(*level.ratio, tuple(level.items), level.from_previous, into_next, marks))

    def _event(self, raw: Raw, alone: bool) -> Item:
        marks = list(raw.marks)
        if raw.staff != self.staff:
            marks.append(Mark("on-staff", (Fraction(raw.staff + 1),)))
        if raw.grace is not None:
            if raw.value is None:
                marks.append(Mark("untyped"))
            return Chord(_notes(raw), raw.value or Value(6), tuple(marks), raw.grace)
        ratio = 1 / self._product()
        whole = alone and raw.start == 0 and raw.quarters == self.length
        if raw.rest and raw.measure_rest and raw.value is None and whole:
            return Rest(None, True, raw.hidden, raw.position, tuple(marks))
        value = raw.value or value_of(raw.quarters / ratio)
        if value.written * ratio != raw.quarters:
            value = replace(value, exact=raw.quarters)
        if raw.rest:
            return Rest(value, raw.measure_rest, raw.hidden, raw.position, tuple(marks))
        return Chord(_notes(raw), value, tuple(marks))


def _notes(raw: Raw) -> tuple[Note, ...]:
    return tuple(sorted(raw.notes, key=note_order)) if len(raw.notes) > 1 else tuple(raw.notes)
