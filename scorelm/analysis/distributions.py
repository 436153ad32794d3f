"""Histograms of notes, and how far two of them are apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from scorelm.analysis.lines import Line
from scorelm.analysis.tonality import Tonic

WIDEST = 13  # semitones; whatever is wider counts as this


def pitch_classes(found: Sequence[Line], tonic: Tonic | None) -> Counter[int]:
    """Notes by semitones above the tonic; nothing where no tonic is declared."""
    if tonic is None:
        return Counter()
    return Counter(int(note.midi - tonic.pitch_class) % 12 for line in found for note in line.notes)


def durations(found: Sequence[Line]) -> Counter[Fraction]:
    """Notes by the quarters that they sound, tied heads together."""
    return Counter(note.quarters for line in found for note in line.notes)


def melodic_intervals(found: Sequence[Line]) -> Counter[int]:
    """Semitones from each note to the one that follows it without a rest in the same line."""
    out: Counter[int] = Counter()
    for line in found:
        for one, other in pairwise(line.notes):
            if one.end == other.onset:
                out[max(-WIDEST, min(WIDEST, int(other.midi - one.midi)))] += 1
    return out


def jensen_shannon(one: Mapping[Any, int], other: Mapping[Any, int]) -> float | None:
    """The Jensen-Shannon distance: 0 for equal shares, 1 for nothing in common; None where one is empty."""
    totals = sum(one.values()), sum(other.values())
    if not all(totals):
        return None
    divergence = 0.0
    for key in dict.fromkeys((*one, *other)):
        p, q = one.get(key, 0) / totals[0], other.get(key, 0) / totals[1]
        for share in (p, q):
            if share:
                divergence += share * math.log2(2 * share / (p + q)) / 2
    return math.sqrt(max(0.0, divergence))
