"""A metre and a pickup for notes that come without: standard library alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from scorelm.sources.sounds import Sound

CLEARLY = 1.35  # how much better than the start another place must be to be taken for the downbeat
NEARLY = 0.6  # of the best place: the earliest so good is taken, as half measures sound much alike


def best_metre(sounds: Sequence[Sound]) -> tuple[int, int]:
    """4/4, or 3/4 where long and many notes begin clearly more often every third quarter."""
    weight: dict[Fraction, Fraction] = defaultdict(Fraction)
    for sound in sounds:
        weight[sound.start] += min(sound.end - sound.start, Fraction(4))
    total = sum(weight.values()) or Fraction(1)

    def share(length: int) -> float:
        """How much more begins on the strongest quarter of a measure than chance would have it."""
        by_place: dict[Fraction, Fraction] = defaultdict(Fraction)
        for start, held in weight.items():
            by_place[start % length] += held
        return float(max(by_place.values()) / total * length)

    return (3, 4) if share(3) > 1.2 * max(share(4), share(2)) else (4, 4)


def best_pickup(sounds: Sequence[Sound], length: Fraction) -> Fraction:
    """Quarters before the first downbeat: where notes begin, long ones more so, and none is held across.

    0 where the start is as good a place, and where the music begins with silence.
    """
    if min(s.start for s in sounds) > 0:
        return Fraction(0)
    step = Fraction(1) if length.denominator == 1 else Fraction(1, 2)
    places = [step * n for n in range(int(length / step))]
    worth = {}
    for place in places:
        begins = sum(min(s.end - s.start, Fraction(2)) for s in sounds if (s.start - place) % length == 0)
        across = sum(1 for s in sounds if 0 < (place - s.start) % length < s.end - s.start)
        worth[place] = begins - 2 * across
    least, most = min(worth.values()), max(worth.values())
    if most - least <= (worth[Fraction(0)] - least) * Fraction(CLEARLY):
        return Fraction(0)
    return min(p for p in places if p and worth[p] - least >= (most - least) * Fraction(NEARLY))
