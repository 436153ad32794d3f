"""MIDI -> a music21 score. A MIDI file knows no notation: grid, spelling, metre, voices and hands are guessed, and said.

file = tracks of events in ticks -> Sound (quarters) -> grid -> parts -> staves -> voices -> measures
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from scorelm.errors import SourceError
from scorelm.sources.grid import GRIDS, beat_grids, exact_grid, nearest, snapped
from scorelm.sources.midi_build import build
from scorelm.sources.midi_events import DRUMS, Channel, Heard, hear
from scorelm.sources.sounds import Sound, close_gaps

if TYPE_CHECKING:
    from music21 import stream

LEGATO = Fraction(3, 8)  # quarters of silence before the next onset that a player means as none


def read(data: bytes, name: str) -> tuple[stream.Score, list[str]]:
    """The score of a MIDI file, and what was guessed or left out. Raises SourceError where it is none."""
    heard = hear(data, name)
    if not heard.channels:
        raise SourceError(f"{name}: this MIDI file holds no notes")
    _quantise(heard)
    return build(heard), heard.notices


def _quantise(heard: Heard) -> None:
    """Everything onto the grid: one for the whole file where it stands on one, else each beat's own."""
    sounds = [s for c in heard.channels for s in c.sounds]
    divisors = exact_grid((s.start for s in sounds), (s.end for s in sounds))
    if divisors is not None:
        grid = GRIDS[divisors]
        step = Fraction(1, max(divisors))
        shown = "grid of " + " and ".join(f"1/{d}" for d in divisors) + " of a quarter, on which all onsets stand"

        def place(moment: Fraction) -> Fraction:
            return nearest(moment, grid)

        end_place = place
    else:
        beats = beat_grids([s.start for s in sounds])
        step = Fraction(1, max(beats.values()))
        counts = Counter(beats.values())
        shown = "each beat on the grid of least error: " + ", ".join(
            f"1/{divisor} in {count} beats" for divisor, count in sorted(counts.items())
        )

        def place(moment: Fraction) -> Fraction:
            return snapped(moment, beats)

        def end_place(moment: Fraction) -> Fraction:
            return snapped(moment, beats, least=2)

    moved: list[Fraction] = []
    ends: list[Fraction] = []
    for number, own in enumerate(heard.channels, 1):
        kept: dict[tuple[Fraction, int], Sound] = {}
        name = f"part {number} ({own.name})"
        _take_graces(own, place, name, heard.notices)
        for sound in own.sounds:
            start, end = place(sound.start), end_place(sound.end)
            moved.append(abs(start - sound.start))
            ends.append(abs(end - sound.end))
            if end <= start:
                end = start + step
            twin = kept.get((start, sound.pitch))
            kept[start, sound.pitch] = Sound(start, max(end, twin.end) if twin else end, sound.pitch)
        if len(kept) < len(own.sounds):
            heard.notices.append(
                f"{name}: {len(own.sounds) - len(kept)} notes begin with another of their pitch; made one"
            )
        gap = step if divisors is not None else LEGATO
        own.sounds, closed = close_gaps(sorted(kept.values(), key=lambda s: (s.start, s.pitch)), gap)
        if closed:
            heard.notices.append(f"{name}: {closed} gaps and overlaps below {gap} quarter closed")
        own.lyrics = {place(at): text for at, text in own.lyrics.items()}
    heard.notices.append(f"{shown}: {_moves(moved, 'onsets')}, {_moves(ends, 'ends')}")
    for marks in ("times", "keys", "tempos"):
        setattr(heard, marks, {place(at): value for at, value in sorted(getattr(heard, marks).items())})
    heard.words = [(place(at), text) for at, text in heard.words]


def _take_graces(own: Channel, place: Callable[[Fraction], Fraction], name: str, notices: list[str]) -> None:
    """Notes without length become grace notes of what begins then, or next."""
    lasting = [s for s in own.sounds if s.end > s.start]
    short = [s for s in own.sounds if s.end == s.start]
    if not short or not lasting or own.number == DRUMS:
        return
    onsets = sorted({place(s.start) for s in lasting})
    for sound in short:
        index = bisect_left(onsets, place(sound.start))
        if index == len(onsets):
            lasting.append(sound)  # nothing follows: it becomes as short as the grid allows
        else:
            own.graces.setdefault(onsets[index], []).append(sound.pitch)
    count = sum(map(len, own.graces.values()))
    if count:
        notices.append(f"{name}: {count} notes without length are grace notes")
    own.sounds = sorted(lasting, key=lambda s: (s.start, s.pitch))


def _moves(errors: Sequence[Fraction], what: str) -> str:
    far = [e for e in errors if e]
    if not far:
        return f"no {what} moved"
    return f"{len(far)} of {len(errors)} {what} moved, by {float(max(far)):.3f} quarters at most"
