"""What notation leaves to its reader: which accidentals are shown, which notes are beamed.

The writer shows what is derived here, except where a mark says otherwise; the reader keeps of a source only
such exceptions (``drop_derived``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from scorelm.musicxml.names import ACCIDENTAL_MANNERS, ACCIDENTALS, SHOWN_BY_ALTER
from scorelm.notation.model import (
    Chord,
    Event,
    Item,
    Key,
    Mark,
    Measure,
    Note,
    PartMeasure,
    Pitch,
    Score,
    Staff,
    Time,
    Timed,
    Tuplet,
    key_alters,
    timeline,
)

BEAMS = "source's beams"  # a mark of the reader's own: the states of an event's beams, which drop_derived takes away
_SHOWING = frozenset((*ACCIDENTALS.values(), "show-accidental"))
_JOINED = ("continue", "end")


@dataclass
class Line:
    """One voice of a part's measure, its events in order. ``staff`` and ``voice`` count from 0."""

    staff: int
    voice: int
    events: list[Timed]


def part_lines(score: Score, index: int) -> list[list[Line]]:
    """For each measure the voices of one part."""
    return [measure_lines(measure, index) for measure in score.measures]


def measure_lines(measure: Measure, index: int) -> list[Line]:
    """The voices of one part in a measure."""
    part = measure.parts[index]
    if part is None:
        return []
    length = measure.length if part.length is None else part.length
    return [
        Line(s, v, timeline(voice, length))
        for s, staff in enumerate(part.staves)
        for v, voice in enumerate(staff.voices)
        if voice
    ]


def tie_ends(score: Score, lines: list[list[Line]]) -> set[tuple[Fraction, Pitch]]:
    """(moment, pitch) where a tie ends, moments counted from the start of the part."""
    ends = set()
    at = Fraction(0)
    for measure, voices in zip(score.measures, lines):
        for line in voices:
            for timed in line.events:
                if isinstance(timed.event, Chord):
                    for note in timed.event.notes:
                        if note.tie:
                            ends.add((at + timed.offset + timed.quarters, note.pitch))
        at += measure.length
    return ends


class Metre:
    """Keys and time of one part as its measures pass."""

    def __init__(self, staves: int) -> None:
        self.keys: list[Key | None] = [None] * staves
        self.time: Time | None = None

    def enter(self, marks: object, part: PartMeasure) -> list[list[tuple[Fraction, Key]]]:
        """A measure begins; returns for each staff the keys that come within it."""
        for mark in (*marks, *part.marks):  # type: ignore[misc]
            if isinstance(mark, Key):
                self.keys = [mark] * len(self.keys)
            elif isinstance(mark, Time):
                self.time = mark
        later: list[list[tuple[Fraction, Key]]] = []
        for s, staff in enumerate(part.staves):
            later.append([])
            for timed in staff.marks:
                if isinstance(timed.mark, Time):
                    self.time = timed.mark
                elif isinstance(timed.mark, Key) and timed.offset == 0:
                    self.keys[s] = timed.mark
                elif isinstance(timed.mark, Key):
                    later[s].append((timed.offset, timed.mark))
        return later

    def accidentals(
        self,
        lines: list[Line],
        later: list[list[tuple[Fraction, Key]]],
        tied: set[tuple[Fraction, Pitch]],
        at: Fraction,
    ) -> dict[int, list[str | None]]:
        """id of a chord -> the accidental that each of its notes must show; in the order of time, staff by staff."""
        out: dict[int, list[str | None]] = {}
        force = [_Force(key) for key in self.keys]
        moments = [
            (timed.offset, n, i, staff_of(timed.event.marks, line.staff, len(force)), timed.event)
            for n, line in enumerate(lines)
            for i, timed in enumerate(line.events)
            if isinstance(timed.event, Chord)
        ]
        moments.sort(key=lambda m: m[:3])
        for offset, _, _, staff, chord in moments:
            names: list[str | None] = []
            for note in chord.notes:
                own = staff_of(note.marks, staff, len(force))
                while later[own] and later[own][0][0] <= offset:
                    self.keys[own] = later[own].pop(0)[1]
                    force[own] = _Force(self.keys[own])
                stops = chord.grace is None and (at + offset, note.pitch) in tied
                names.append(None if note.unpitched else force[own].name(note.pitch, stops))
            out[id(chord)] = names
        for staff, keys in enumerate(later):
            if keys:
                self.keys[staff] = keys[-1][1]
        return out


class _Force:
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
        return SHOWN_BY_ALTER.get(pitch.alter)


def staff_of(marks: tuple[Mark, ...], staff: int, staves: int) -> int:
    """Where what bears these marks stands: on a staff that they name, else on its own."""
    for mark in marks:
        if mark.name == "on-staff":
            return min(max(1, int(mark.args[0])), staves) - 1
    return staff


# -- beams -------------------------------------------------------------------------------------


def beams(events: list[Timed], time: Time | None) -> list[list[str]]:
    """For each event the names of its beams, level by level ("" where it has none at a level)."""
    out: list[list[str]] = [[] for _ in events]
    group: list[int] = []
    for i, joined in _joints(events, time):
        breaks = _break_level(events[i].event)
        if group and not (joined if breaks is None else breaks != 1):
            _close(group, events, out)
            group = []
        group.append(i)
    _close(group, events, out)
    return out


def _joints(events: list[Timed], time: Time | None) -> list[tuple[int, bool]]:
    """(index, whether its beam joins the one before) of each event that can bear beams."""
    out: list[tuple[int, bool]] = []
    for graces in (False, True):
        previous = -1
        adjacent = False
        for i, timed in enumerate(events):
            if (isinstance(timed.event, Chord) and timed.event.grace is not None) != graces:
                adjacent = adjacent and not graces
                continue
            if not _flags(timed):
                adjacent = False
                continue
            joined = adjacent and (graces or _together(events[previous], timed, events, time))
            out.append((i, joined))
            previous, adjacent = i, True
    return out


def _break_level(event: Event) -> int | None:
    """1: a mark begins a new beam here; 2 and more: at this level alone; 0: it goes on; None: as derived."""
    for mark in event.marks if isinstance(event, Chord) else ():
        if mark.name == "beam-continue":
            return 0
        if mark.name == "beam(":
            return int(mark.args[0]) if mark.args and isinstance(mark.args[0], Fraction) else 1
    return None


def _flags(timed: Timed) -> int:
    """How many beams an event may bear: an eighth one, a 16th two; rests none."""
    event = timed.event
    if not isinstance(event, Chord):
        return 0
    return max(0, event.value.kind - 5)


def _together(before: Timed, timed: Timed, events: list[Timed], time: Time | None) -> bool:
    """Whether two neighbours lie in one group: a beat, or the half measure where that holds eighths alone."""
    beat = _beats(time)
    if beat is None:
        return _additive(before.offset, time) == _additive(timed.offset, time)
    if before.offset // beat == timed.offset // beat:
        return True
    wide = _wide(time)
    if wide is None or before.offset // wide != timed.offset // wide:
        return False
    start = wide * (timed.offset // wide)
    return all(
        _flags(t) == 1 and t.quarters >= Fraction(1, 2) and not t.tuplets
        for t in events
        if start <= t.offset < start + wide and not (isinstance(t.event, Chord) and t.event.grace)
    )


def _beats(time: Time | None) -> Fraction | None:
    """The length of a beat in quarters; None where the time signature's own terms are the groups."""
    if time is None or not time.terms:
        return Fraction(1)
    if len(time.terms) > 1 or len(time.terms[0][0]) > 1:
        return None
    (count,), unit = time.terms[0]
    compound = unit >= 8 and count % 3 == 0
    return Fraction(12, unit) if compound else max(Fraction(1), Fraction(4, unit))


def _wide(time: Time | None) -> Fraction | None:
    """Where eighths alone are joined beyond the beat: half of 4/4, all of 3/4 and 2/4."""
    if time is None or len(time.terms) != 1 or len(time.terms[0][0]) > 1 or time.terms[0][1] != 4:
        return None
    return {2: Fraction(2), 3: Fraction(3), 4: Fraction(2)}.get(time.terms[0][0][0])


def _additive(offset: Fraction, time: Time | None) -> int:
    end = Fraction(0)
    for group, (count, unit) in enumerate((b, u) for beats, u in (time.terms if time else ()) for b in beats):
        end += Fraction(4 * count, unit)
        if offset < end:
            return group
    return -1


def _close(group: list[int], events: list[Timed], out: list[list[str]]) -> None:
    if len(group) < 2:
        return
    flags = [_flags(events[i]) for i in group]
    breaks = [_break_level(events[i].event) or 99 for i in group]
    for level in range(1, max(flags) + 1):
        for position, i in enumerate(group):
            if flags[position] < level:
                continue
            left = position > 0 and flags[position - 1] >= level and not 1 < breaks[position] <= level
            right = position + 1 < len(group) and flags[position + 1] >= level and not 1 < breaks[position + 1] <= level
            if left or right:
                name = "continue" if left and right else "end" if left else "begin"
            else:
                name = "forward hook" if position == 0 else "backward hook"
            out[i].extend([""] * (level - 1 - len(out[i])))
            out[i].append(name)


# -- what a source says beyond what is derived ---------------------------------------------------


def drop_derived(score: Score) -> Score:
    """A score whose notes bear every accidental (``show-...``) and beam (``BEAMS``) of its source -> exceptions alone.

    A source that shows no accidental or no beam at all leaves them to be derived.
    """
    lines = [part_lines(score, index) for index in range(len(score.parts))]
    events = [t.event for part in lines for measure in part for line in measure for t in line.events]
    chords = [event for event in events if isinstance(event, Chord)]
    has_accidentals = any(mark.name in _SHOWING for chord in chords for note in chord.notes for mark in note.marks)
    has_beams = any(mark.name == BEAMS for chord in chords for mark in chord.marks)
    if not has_accidentals and not has_beams:
        return score
    new: dict[int, Chord] = {}
    for index, part in enumerate(score.parts):
        metre = Metre(part.staves)
        tied = tie_ends(score, lines[index])
        at = Fraction(0)
        for measure, voices in zip(score.measures, lines[index]):
            own = measure.parts[index]
            if own is not None:
                later = metre.enter(measure.marks, own)
                derived = metre.accidentals(voices, later, tied, at)
                for line in voices:
                    marks = _beam_exceptions(line.events, metre.time) if has_beams else {}
                    for timed in line.events:
                        if isinstance(timed.event, Chord):
                            shown = derived[id(timed.event)] if has_accidentals else None
                            changed = _exceptions(timed.event, shown, marks.get(id(timed.event)))
                            if changed is not timed.event:
                                new[id(timed.event)] = changed
            at += measure.length
    return _replace_events(score, new)


def _exceptions(chord: Chord, derived: list[str | None] | None, beam: Mark | None) -> Chord:
    marks = tuple(m for m in chord.marks if m.name != BEAMS)
    if beam is not None:
        marks = (*marks, beam)
    notes = chord.notes
    if derived is not None:
        changed = [_accidental_exception(note, name) for note, name in zip(notes, derived)]
        if any(a is not b for a, b in zip(changed, notes)):
            notes = tuple(changed)
    if notes is chord.notes and marks == chord.marks:
        return chord
    return replace(chord, notes=notes, marks=marks)


def _accidental_exception(note: Note, derived: str | None) -> Note:
    shown = next((m for m in note.marks if m.name in _SHOWING), None)
    if note.unpitched or (shown is None and derived is None):
        return note
    others = tuple(m for m in note.marks if m is not shown)
    if shown is None:
        return replace(note, marks=(*others, Mark("show-none")))
    name = shown.name.removeprefix("show-") if not shown.args else str(shown.args[0])
    if name == derived:
        return replace(note, marks=others)
    if name == SHOWN_BY_ALTER.get(note.pitch.alter):
        said = any(m.name in ACCIDENTAL_MANNERS for m in others)  # which says already that it is shown
        return replace(note, marks=others if said else (*others, Mark("show-accidental")))
    return note


def _beam_exceptions(events: list[Timed], time: Time | None) -> dict[int, Mark]:
    out: dict[int, Mark] = {}
    previous: dict[bool, int] = {}
    for i, joined in _joints(events, time):
        event = events[i].event
        states = _states(event)
        grace = isinstance(event, Chord) and event.grace is not None
        before = previous.get(grace)
        previous[grace] = i
        source = bool(states) and states[0] in _JOINED
        if source and before is not None:
            shared = min(_flags(events[i]), _flags(events[before]))
            broken = [n for n in range(2, shared + 1) if len(states) < n or states[n - 1] not in _JOINED]
            if broken:
                out[id(event)] = Mark("beam(", (Fraction(broken[0]),))
            elif not joined:
                out[id(event)] = Mark("beam-continue")
        elif joined:
            out[id(event)] = Mark("beam(")
    return out


def _states(event: Event) -> tuple[str, ...]:
    for mark in event.marks if isinstance(event, Chord) else ():
        if mark.name == BEAMS:
            return tuple(str(a) for a in mark.args)
    return ()


def _replace_events(score: Score, new: dict[int, Chord]) -> Score:
    def item(old: Item) -> Item:
        if isinstance(old, Tuplet):
            return replace(old, items=tuple(map(item, old.items)))
        return new.get(id(old), old)

    def staff(old: Staff) -> Staff:
        return replace(old, voices=tuple(tuple(map(item, voice)) for voice in old.voices))

    return replace(
        score,
        measures=tuple(
            replace(m, parts=tuple(p and replace(p, staves=tuple(map(staff, p.staves))) for p in m.parts))
            for m in score.measures
        ),
    )
