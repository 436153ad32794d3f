"""What notation leaves to its reader: which accidentals are shown, which notes are beamed."""

from __future__ import annotations

from fractions import Fraction

from scorelm.notation.model import Chord, Key, Pitch, Time, Timed, key_alters

NAMES = {
    -2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp", -3: "triple-flat", 3: "triple-sharp",
    Fraction(1, 2): "quarter-sharp", Fraction(-1, 2): "quarter-flat",
    Fraction(3, 2): "three-quarters-sharp", Fraction(-3, 2): "three-quarters-flat",
}  # fmt: skip


class Accidentals:
    """The accidentals in force on one staff in one measure."""

    def __init__(self, key: Key | None) -> None:
        self.key = key_alters(key)
        self.said: dict[tuple[str, int], Fraction | int] = {}

    def name(self, pitch: Pitch, tied: bool) -> str | None:
        """The accidental that this note must show, None where it is in force; a tied note shows none."""
        place = pitch.step, pitch.octave
        if tied or self.said.get(place, self.key.get(pitch.step, 0)) == pitch.alter:
            return None
        self.said[place] = pitch.alter
        return NAMES.get(pitch.alter)


def beams(events: list[Timed], time: Time | None) -> list[list[str]]:
    """For each event the names of its beams, level by level ("" where it has none at a level)."""
    out: list[list[str]] = [[] for _ in events]
    group: list[int] = []
    for i, timed in enumerate(events):
        if isinstance(timed.event, Chord) and timed.event.grace is not None:
            continue
        flags = _flags(timed)
        if group and (not flags or _beat(timed.offset, time) != _beat(events[group[0]].offset, time)):
            _close(group, events, out)
            group = []
        if flags:
            group.append(i)
    _close(group, events, out)
    return out


def _flags(timed: Timed) -> int:
    """How many beams an event may bear: an eighth one, a 16th two; rests none."""
    event = timed.event
    if not isinstance(event, Chord) or event.value is None:
        return 0
    return max(0, event.value.kind - 5)


def _beat(offset: Fraction, time: Time | None) -> int:
    """The number of the beat group in which a moment lies."""
    if time is None or not time.terms:
        return int(offset)
    if len(time.terms) > 1 or len(time.terms[0][0]) > 1:  # additive: its terms are the groups
        end = Fraction(0)
        for group, (count, unit) in enumerate((b, u) for beats, u in time.terms for b in beats):
            end += Fraction(4 * count, unit)
            if offset < end:
                return group
        return -1
    (beats,), unit = time.terms[0]
    compound = unit >= 8 and beats % 3 == 0
    return int(offset / (Fraction(12, unit) if compound else max(Fraction(1), Fraction(4, unit))))


def _close(group: list[int], events: list[Timed], out: list[list[str]]) -> None:
    if len(group) < 2:
        return
    flags = [_flags(events[i]) for i in group]
    for level in range(1, max(flags) + 1):
        for position, i in enumerate(group):
            if flags[position] < level:
                continue
            left = position > 0 and flags[position - 1] >= level
            right = position + 1 < len(group) and flags[position + 1] >= level
            if left or right:
                name = "continue" if left and right else "end" if left else "begin"
            else:
                name = "forward hook" if position == 0 else "backward hook"
            out[i].extend([""] * (level - 1 - len(out[i])))
            out[i].append(name)
