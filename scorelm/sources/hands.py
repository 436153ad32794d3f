"""A piano's notes on one track, split into two hands: standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from scorelm.sources.sounds import Sound

SPAN = 14  # semitones that a hand reaches with ease: an octave and a second
LOWEST, HIGHEST = 43, 76  # where the split may lie
MIDDLE = 60


def needs_two_hands(sounds: Sequence[Sound]) -> bool:
    """Whether one staff is too narrow: notes well below the treble's and above the bass's, and notes together."""
    pitches = sorted(s.pitch for s in sounds)
    low, high = pitches[len(pitches) // 20], pitches[-1 - len(pitches) // 20]
    return low < 55 and high > 65 and high - low > 17


def split_hands(sounds: Sequence[Sound]) -> tuple[list[Sound], list[Sound]]:
    """(right hand, left hand): at each onset the split that strains the hands least and moves least from the last.

    A path of least cost over all onsets: a hand's stretch beyond its span counts most, then a note taken across the
    middle, then how far the split moves; the split lies rather where the gap between the notes is wide.
    """
    if not sounds:
        return [], []
    slices: list[list[Sound]] = [
        list(g) for _, g in groupby(sorted(sounds, key=lambda s: s.start), key=lambda s: s.start)
    ]
    held: list[Sound] = []
    splits = range(LOWEST, HIGHEST + 1)  # a pitch from the split on is the right hand's
    cost = [0.0] * len(splits)
    back: list[list[int]] = []
    for own in slices:
        held = [s for s in held if s.end > own[0].start] + own
        reached, came = _moved(cost)
        back.append(came)
        pitches = sorted(s.pitch for s in held)
        cost = [c + _strain(pitches, split) for c, split in zip(reached, splits)]
    at = cost.index(min(cost))
    chosen = []
    for came in reversed(back):
        chosen.append(splits[at])
        at = came[at]
    right: list[Sound] = []
    left: list[Sound] = []
    for own, split in zip(slices, reversed(chosen)):
        for sound in own:
            (right if sound.pitch >= split else left).append(sound)
    return right, left


def _strain(pitches: Sequence[int], split: int) -> float:
    left = [p for p in pitches if p < split]
    right = [p for p in pitches if p >= split]
    out = abs(split - MIDDLE) * 0.05
    for hand in (left, right):
        if hand:
            out += 3.0 * max(0, hand[-1] - hand[0] - SPAN)
    if left and right:
        out -= 0.15 * min(12, right[0] - left[-1])
    return (
        out + sum(0.2 * (p - MIDDLE) for p in left if p > MIDDLE) + sum(0.2 * (MIDDLE - p) for p in right if p < MIDDLE)
    )


def _moved(cost: Sequence[float]) -> tuple[list[float], list[int]]:
    """The least cost to stand at each split, moving costs half a point a semitone; and from where."""
    best, came = list(cost), list(range(len(cost)))
    for i in range(1, len(best)):
        if best[i - 1] + 0.5 < best[i]:
            best[i], came[i] = best[i - 1] + 0.5, came[i - 1]
    for i in range(len(best) - 2, -1, -1):
        if best[i + 1] + 0.5 < best[i]:
            best[i], came[i] = best[i + 1] + 0.5, came[i + 1]
    return best, came
