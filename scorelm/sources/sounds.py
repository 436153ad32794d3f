"""Notes as they sound, in quarters, and the voices that they make: standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise


@dataclass(frozen=True)
class Sound:
    """A note as it is heard: from ``start`` to ``end``, quarters from the beginning; ``pitch``: MIDI's number."""

    start: Fraction
    end: Fraction
    pitch: int


@dataclass(frozen=True)
class Event:
    """Notes that begin and end together, or a piece of them within a measure, which ``goes_back`` to one before."""

    start: Fraction
    end: Fraction
    pitches: tuple[int, ...]
    goes_back: bool = False
    began: Fraction | None = None

    @property
    def onset(self) -> Fraction:
        return self.start if self.began is None else self.began


def close_gaps(sounds: Sequence[Sound], step: Fraction) -> tuple[list[Sound], int]:
    """Silences and overlaps below ``step`` between a note and the next onset go, and a pitch that sounds is struck anew.

    Returns the notes, and how many were changed.
    """
    onsets = sorted({s.start for s in sounds})
    following = dict(pairwise(onsets))
    next_of_pitch: dict[int, Fraction] = {}
    out: list[Sound] = []
    changed = 0
    for sound in reversed(sounds):
        end = sound.end
        again = next_of_pitch.get(sound.pitch)
        if again is not None and end > again:
            end = again
        after = following.get(sound.start)
        if after is not None and end != after and abs(end - after) < step:
            end = after
        changed += end != sound.end
        next_of_pitch[sound.pitch] = sound.start
        out.append(Sound(sound.start, end, sound.pitch))
    return sorted(out, key=lambda s: (s.start, s.pitch)), changed


def chords(sounds: Sequence[Sound]) -> list[Event]:
    """Notes that begin and end together, by onset, high before low."""
    out = []
    for (start, end), own in groupby(
        sorted(sounds, key=lambda s: (s.start, s.end, s.pitch)), key=lambda s: (s.start, s.end)
    ):
        out.append(Event(start, end, tuple(s.pitch for s in own)))
    return sorted(out, key=lambda e: (e.start, -max(e.pitches)))


def voices(sounds: Sequence[Sound]) -> list[list[Event]]:
    """The fewest voices in which nothing overlaps; the first takes what it can, the nearest in pitch goes on."""
    out: list[list[Event]] = []
    for _, together in groupby(chords(sounds), key=lambda e: e.start):
        group = list(together)
        free = [v for v in out if v[-1].end <= group[0].start]
        if len(free) == len(out) and len(group) == 1:
            (out[0] if out else _new(out)).append(group[0])
            continue
        for event in group:  # from high to low: a higher voice has the lower number
            if free:
                best = min(free, key=lambda v: abs(sum(v[-1].pitches) / len(v[-1].pitches) - max(event.pitches)))
                if len(free) > len(group) or len(group) == 1:
                    free.remove(best)
                else:
                    best = free.pop(0)
                best.append(event)
            else:
                _new(out).append(event)
    return out


def _new(out: list[list[Event]]) -> list[Event]:
    out.append([])
    return out[-1]
