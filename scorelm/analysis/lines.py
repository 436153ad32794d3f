"""Score -> lines of sounding notes -> simultaneities.

A line is one voice of one staff of one part. Tied heads are one note, graces take no time and are left out, a chord
inside one voice counts by its highest note. Parts that declare a transposition sound where it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from scorelm.notation.model import STEPS, Chord, Mark, Measure, Note, PartMeasure, Pitch, Score, Timed, timeline

Place = tuple[int, int, int]  # part, staff, voice, from 0
NATURAL = dict(zip(STEPS, (0, 2, 4, 5, 7, 9, 11)))
_VOCAL = re.compile(r"(soprano|alto|tenor|bass)\b", re.IGNORECASE)


def midi(pitch: Pitch) -> Fraction | int:
    """Semitones; C4 is 60."""
    return 12 * (pitch.octave + 1) + NATURAL[pitch.step] + pitch.alter


@dataclass(frozen=True, slots=True)
class Sounding:
    """A note as it sounds, its tied heads together. Times in quarters from the start of the score."""

    onset: Fraction
    end: Fraction
    pitch: Pitch  # as written
    midi: Fraction | int  # as it sounds
    fermata: bool = False

    @property
    def quarters(self) -> Fraction:
        return self.end - self.onset

    @property
    def position(self) -> int:
        """Of the written pitch on the staff: octaves of seven steps."""
        return 7 * self.pitch.octave + STEPS.index(self.pitch.step)


def role_of(name: str) -> str:
    """Which voice of a choir a part's name says: soprano, alto, tenor, bass, or nothing."""
    match = _VOCAL.match(name)
    return match.group(1).lower() if match else ""


@dataclass(frozen=True, slots=True)
class Line:
    """A voice of a part through the whole score. ``role``: soprano, alto, tenor, bass, or nothing."""

    place: Place
    name: str  # of the part
    notes: tuple[Sounding, ...]

    @property
    def role(self) -> str:
        return role_of(self.name)


@dataclass(frozen=True, slots=True)
class Moment:
    """A simultaneity: what sounds in each line where at least one note begins."""

    onset: Fraction
    sounding: tuple[Sounding | None, ...]

    @property
    def bass(self) -> Sounding:
        """The lowest note."""
        return min((note for note in self.sounding if note), key=lambda note: note.midi)


def lines(score: Score) -> list[Line]:
    """All lines of a score that have notes, in the order of the text."""
    found: dict[Place, list[Sounding]] = {}
    tied: dict[Place, bool] = {}
    shift: dict[int, Fraction | int] = {}
    start = Fraction(0)
    for measure in score.measures:
        for number, part in enumerate(measure.parts):
            if part:
                shift[number] = _transposition(part, shift.get(number, 0))
        for place, events in measured(measure):
            notes = found.setdefault(place, [])
            for timed in events:
                event = timed.event
                if not isinstance(event, Chord) or event.grace is not None:
                    continue
                head = _highest(event)
                if head is None:
                    continue
                onset = start + timed.offset
                sounds = midi(head.pitch) + shift[place[0]]
                fermata = any(map(is_fermata, event.marks))
                last = notes[-1] if notes else None
                if last and tied.get(place) and last.end == onset and last.midi == sounds:
                    notes[-1] = replace(last, end=onset + timed.quarters, fermata=last.fermata or fermata)
                else:
                    notes.append(Sounding(onset, onset + timed.quarters, head.pitch, sounds, fermata))
                tied[place] = head.tie
        start += measure.length
    return [Line(place, score.parts[place[0]].name, tuple(notes)) for place, notes in sorted(found.items()) if notes]


def measured(measure: Measure) -> Iterator[tuple[Place, list[Timed]]]:
    """The events of each voice of a measure."""
    for number, part in enumerate(measure.parts):
        if part:
            for staff_number, staff in enumerate(part.staves):
                for voice_number, voice in enumerate(staff.voices):
                    yield (number, staff_number, voice_number), timeline(voice, part.length or measure.length)


def vocal(found: Sequence[Line]) -> list[Line]:
    """The lines of parts named Soprano, Alto, Tenor or Bass where there are two or more; else all.

    Instruments that double the voices would drown every count of parallels.
    """
    sung = [line for line in found if line.role]
    return sung if len(sung) > 1 else list(found)


def moments(found: Sequence[Line]) -> list[Moment]:
    """The simultaneities of some lines: one for each onset in any of them."""
    onsets = sorted({note.onset for line in found for note in line.notes})
    places = [0] * len(found)
    out = []
    for onset in onsets:
        sounding: list[Sounding | None] = []
        for number, line in enumerate(found):
            while places[number] < len(line.notes) and line.notes[places[number]].end <= onset:
                places[number] += 1
            note = line.notes[places[number]] if places[number] < len(line.notes) else None
            sounding.append(note if note and note.onset <= onset else None)
        out.append(Moment(onset, tuple(sounding)))
    return out


def is_fermata(mark: Mark) -> bool:
    return mark.name in ("fermata", "inverted-fermata") or mark.name.startswith("fermata-")


def _highest(chord: Chord) -> Note | None:
    pitched = [note for note in chord.notes if not note.unpitched]
    return max(pitched, key=lambda note: midi(note.pitch)) if pitched else None


def _transposition(part: PartMeasure, before: Fraction | int) -> Fraction | int:
    for mark in part.marks:
        if isinstance(mark, Mark) and mark.name == "transpose" and mark.args:
            semitones = mark.args[0]
            return semitones if isinstance(semitones, Fraction) else before
    return before
