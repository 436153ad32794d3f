"""Keys and cadences: what a score declares, what its notes say, and where its phrases end.

The estimate is Krumhansl's: the duration of each pitch class against the profiles of Krumhansl and Kessler (1982), the
best correlation of the 24 keys.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scorelm.analysis.lines import Line, Moment, Sounding
from scorelm.notation.model import STEPS, Key, Score

MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
MODES = {"major": 0, "ionian": 0, "dorian": 1, "phrygian": 2, "lydian": 3, "mixolydian": 4, "minor": 5, "aeolian": 5}
_SCALE = (0, 2, 4, 5, 7, 9, 11)
_TRIADS = ({0, 4, 7}, {0, 3, 7})


@dataclass(frozen=True, slots=True)
class Tonic:
    """``step`` as in STEPS, ``pitch_class`` in semitones above C."""

    step: int
    pitch_class: int
    major: bool  # whether its third is a major one


def declared(score: Score) -> Tonic | None:
    """What the first key signature with a mode says; None where there is none."""
    for measure in score.measures[:1]:
        marks = [*measure.marks]
        for part in measure.parts:
            if part:
                marks += [*part.marks, *(timed.mark for staff in part.staves for timed in staff.marks)]
        for mark in marks:
            if isinstance(mark, Key) and mark.mode in MODES and not mark.alters:
                degree = MODES[mark.mode]
                step = (4 * mark.fifths + degree) % 7
                pitch_class = (7 * mark.fifths + _SCALE[degree]) % 12
                return Tonic(step, pitch_class, mark.mode in ("major", "ionian", "lydian", "mixolydian"))
    return None


def weights(found: Sequence[Line]) -> list[float]:
    """Quarters that each of the twelve pitch classes sounds."""
    out = [0.0] * 12
    for line in found:
        for note in line.notes:
            out[int(note.midi) % 12] += float(note.quarters)
    return out


def estimated(found: Sequence[Line]) -> tuple[int, bool] | None:
    """The pitch class of the tonic and whether the key is major, by correlation with the profiles."""
    durations = weights(found)
    if not any(durations):
        return None
    best = (-math.inf, 0, True)
    for tonic in range(12):
        turned = durations[tonic:] + durations[:tonic]
        for profile, major in ((MAJOR, True), (MINOR, False)):
            best = max(best, (_correlation(turned, profile), tonic, major))
    return best[1], best[2]


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    a, b = sum(one) / len(one), sum(other) / len(other)
    spread = math.sqrt(sum((x - a) ** 2 for x in one) * sum((y - b) ** 2 for y in other))
    return sum((x - a) * (y - b) for x, y in zip(one, other)) / spread if spread else 0.0


def root_position_triad(moment: Moment) -> bool:
    """Whether all that sounds is a major or minor triad, whole, over its root."""
    root = moment.bass.midi
    return {int((note.midi - root) % 12) for note in moment.sounding if note} in _TRIADS


def ends_on_tonic(chain: Sequence[Moment], tonic: Tonic) -> bool:
    """Whether the last chord is the tonic's triad (major or minor) in root position."""
    last = chain[-1]
    return root_position_triad(last) and int(last.bass.midi) % 12 == tonic.pitch_class


def fermata_moments(found: Sequence[Line], chain: Sequence[Moment]) -> list[Moment]:
    """The chords held: fermatas that overlap in time are one, taken where the last of its notes begins."""
    held: list[list[Sounding]] = []
    for note in sorted((n for line in found for n in line.notes if n.fermata), key=lambda n: n.onset):
        if held and note.onset < max(n.end for n in held[-1]):
            held[-1].append(note)
        else:
            held.append([note])
    at = {moment.onset: moment for moment in chain}
    return [at[max(note.onset for note in group)] for group in held]


def bass_degrees(held: Sequence[Moment], tonic: Tonic) -> Counter[int]:
    """How often each degree of the scale (1 to 7, by its letter) is in the bass."""
    return Counter((STEPS.index(moment.bass.pitch.step) - tonic.step) % 7 + 1 for moment in held)
