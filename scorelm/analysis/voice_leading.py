"""How voices move: crossings, ranges, parallel fifths and octaves.

Definitions
    voice pairs that move together: two voices of consecutive simultaneities that both sound in both, whose first notes
        last until the second simultaneity, where both begin another pitch (in whatever direction)
    parallel fifths: such a pair is a perfect fifth apart (or a compound one: 4 steps and 7 semitones, octaves taken
        away) before and after; parallel octaves: unisons and octaves likewise. By contrary motion they count too, and
        are given apart as well.
    voice crossing: a simultaneity in which some voice lies below one that stands under it in the score
With N voices all N (N - 1) / 2 pairs count. What the literature gives for Bach's chorales (1.37 fifths and 1.06 octaves
in 1000) is counted in its own way: compare with the split's pieces, counted here, instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

from scorelm.analysis.lines import Line, Moment, Sounding, moments, vocal

# MIDI numbers that a choir's voices keep to, in Bach's writing too but for a few notes
RANGES = {"soprano": (60, 81), "alto": (53, 74), "tenor": (48, 69), "bass": (40, 62)}
FIFTH = (4, 7)  # steps, semitones
OCTAVE = (0, 0)


def interval_class(one: Sounding, other: Sounding) -> tuple[int, int]:
    """Steps and semitones between two notes, octaves taken away."""
    low, high = sorted((one, other), key=lambda note: (note.midi, note.position))
    return (high.position - low.position) % 7, int((high.midi - low.midi) % 12)


def voice_leading(found: Sequence[Line]) -> Counter[str]:
    """Counts over one score's voices: simultaneities, crossings, moving_pairs, fifths, octaves, contrary, notes,
    out_of_range, ranged (notes whose voice has a range)."""
    voices = vocal(found)
    chain = moments(voices)
    out: Counter[str] = Counter(simultaneities=len(chain), notes=sum(len(voice.notes) for voice in voices))
    out["crossings"] = sum(_crossed(moment) for moment in chain)
    for before, after in pairwise(chain):
        for i, j in combinations(range(len(voices)), 2):
            out.update(_pair(before, after, i, j))
    for voice, role in zip(voices, _roles(voices)):
        if role:
            low, high = RANGES[role]
            out["ranged"] += len(voice.notes)
            out["out_of_range"] += sum(not low <= note.midi <= high for note in voice.notes)
    return out


def _pair(before: Moment, after: Moment, i: int, j: int) -> Counter[str]:
    out: Counter[str] = Counter()
    first, second = (before.sounding[i], before.sounding[j]), (after.sounding[i], after.sounding[j])
    if not (first[0] and first[1] and second[0] and second[1]):
        return out
    steps = []
    for old, new in ((first[0], second[0]), (first[1], second[1])):
        if new.onset != after.onset or old.end != after.onset or old.midi == new.midi:
            return out
        steps.append(new.midi - old.midi)
    out["moving_pairs"] = 1
    was, now = interval_class(first[0], first[1]), interval_class(second[0], second[1])
    for name, perfect in (("fifths", FIFTH), ("octaves", OCTAVE)):
        if was == now == perfect:
            out[name] = 1
            out[f"{name}_contrary"] = int((steps[0] > 0) != (steps[1] > 0))
    return out


def _crossed(moment: Moment) -> bool:
    sounding = [note for note in moment.sounding if note]
    return any(upper.midi < lower.midi for upper, lower in pairwise(sounding))


def _roles(voices: Sequence[Line]) -> list[str]:
    if any(voice.role for voice in voices):
        return [voice.role for voice in voices]
    return list(RANGES) if len(voices) == len(RANGES) else [""] * len(voices)
