"""How much the voices of a part may hold that goes on: what the music before held, and a little more.

A model that goes on with music that it hardly knows falls into ways that feed themselves: a chord is tied, so the next one
has to hold its notes and one more, and is tied again. Where twelve measures are given, 1.5 in a hundred later ones of a
part hold more than this in songs and quartets, 2.4 in chorales, .3 in vocal polyphony.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from scorelm.notation.model import Chord, PartMeasure, Score, Value, timeline
from scorelm.notation.sound_voice import MAX_CHORD, MAX_VOICES, ORDERLY, SMALLEST, UNIT, Limits

ENOUGH = 4  # measures in which a part is heard: of one that is heard in fewer no more is known


def limits_of(score: Score) -> dict[int, Limits]:
    """Of each part of which enough is known: a note more in a chord, a voice more in a staff, half of the shortest value; ties
    of as many notes at once."""
    return {number: found for number in range(len(score.parts)) if (found := _limits(score, number))}


def _limits(score: Score, number: int) -> Limits | None:
    cells = [(part, measure.length) for measure in score.measures if (part := measure.parts[number])]
    heard = [found for part, length in cells if (found := list(_struck(part, length)))]
    if len(heard) < ENOUGH:
        return None
    chords = [chord for measure in heard for chord in measure]
    voices = max(len(staff.voices) for part, _ in cells for staff in part.staves)
    shortest = min(_unit(chord.value) for chord in chords)
    return ORDERLY._replace(
        notes=min(max(len(chord.notes) for chord in chords) + 1, MAX_CHORD),
        ties=max(1, *(sum(note.tie for note in chord.notes) for chord in chords)),
        voices=min(voices + 1, MAX_VOICES),
        shortest=max(shortest // 2, SMALLEST),
    )


def _struck(part: PartMeasure, length: Fraction) -> Iterator[Chord]:
    """Its chords, graces left out."""
    for staff in part.staves:
        for voice in staff.voices:
            for timed in timeline(voice, part.length or length):
                if isinstance(timed.event, Chord) and timed.event.grace is None:
                    yield timed.event


def _unit(value: Value) -> int:
    """The longest undotted value of which some are as long, in ticks as written."""
    ticks = int(value.written * UNIT)
    return ticks & -ticks
