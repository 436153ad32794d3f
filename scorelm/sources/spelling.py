"""Names for MIDI's pitches along the line of fifths: standard library alone.

... Bb F C G D A E B F# C# G# ...   C is 0, a fifth up is +1; 12 steps apart sound the same
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

from scorelm.sources.sounds import Sound

NEAR_QUARTERS = 4  # how far the notes around reach that a chromatic note is spelled by
KEY_WEIGHT = 2  # of the key's own middle, D in C major, against a note beside
SHARPWARD = 0.5  # fifths by which a leading tone is likelier than a flat
STEPS = "FCGDAEB"


def spell(sounds: Sequence[Sound], keys: Mapping[Fraction, tuple[int, str]]) -> dict[tuple[Fraction, int], str]:
    """(onset, pitch) -> music21's name with octave, "F#4" or "B-3".

    First each pitch is named within the key's window: its seven notes, then the flat seventh, and raised notes up to
    the leading tones of its chords. Then a chromatic note goes to the other side where the notes around it lie.
    """
    starts = sorted(keys) or [Fraction(0)]
    places: dict[tuple[Fraction, int], int] = {}
    centre: dict[tuple[Fraction, int], int] = {}
    for sound in sounds:
        when = starts[max(0, bisect_right(starts, sound.start) - 1)]
        sharps = keys[when][0] if when in keys else 0
        at = (sound.start, sound.pitch)
        centre[at] = sharps
        places[at] = _within(sound.pitch, sharps - 2)
    out = _by_neighbours(places, centre)
    return {at: _name(at[1], place) for at, place in out.items()}


def _within(pitch: int, lowest: int) -> int:
    """The place on the line of fifths of a pitch, from ``lowest`` to ``lowest`` + 11."""
    place = (pitch * 7) % 12  # C 0, G 1, D 2 ...
    return place + 12 * (-((place - lowest) // 12))


def _by_neighbours(
    places: Mapping[tuple[Fraction, int], int], centre: Mapping[tuple[Fraction, int], int]
) -> dict[tuple[Fraction, int], int]:
    """Chromatic notes moved to where the notes around lie: first those of the key and its flat seventh, then all."""
    order = sorted(places)
    times = [at for at, _ in order]
    out = dict(places)
    for certain in (True, False):
        held = [out[at] for at in order]
        counts = [not certain or -2 <= places[at] - centre[at] <= 5 for at in order]
        moved = dict(out)
        for at in order:
            if -1 <= places[at] - centre[at] <= 5:  # of the key
                continue
            near = range(bisect_left(times, at[0] - NEAR_QUARTERS), bisect_right(times, at[0] + NEAR_QUARTERS))
            others = [
                (held[i], 1 / (1 + 0.5 * float(abs(times[i] - at[0]))))
                for i in near
                if counts[i] and (order[i][1] - at[1]) % 12
            ]
            weight = sum(w for _, w in others) + KEY_WEIGHT
            middle = (sum(p * w for p, w in others) + KEY_WEIGHT * (centre[at] + 2)) / weight
            sides = [p for p in (places[at] - 12, places[at], places[at] + 12) if abs(p - centre[at]) <= 14]
            moved[at] = min(sides, key=lambda p: (abs(p - middle - SHARPWARD), p != out[at]))
        out = moved
    return out


def _name(pitch: int, place: int) -> str:
    step = STEPS[(place + 1) % 7]
    alter = (place + 1) // 7
    octave = max(0, (pitch - alter) // 12 - 1)  # a text goes no lower, and music21 would read "-1" as a flat
    return step + ("#" * alter if alter > 0 else "-" * -alter) + str(octave)
