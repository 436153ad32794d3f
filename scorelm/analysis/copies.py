"""What a score has in common with others: the longest run of whole measures, in any transposition.

A measure is copied where every voice of every part has the same rhythm, rests, ties and pitches, all moved by the same
interval; a run where this interval stays. Keys, fermatas, names and spelling do not count. A passage that stands
elsewhere between its barlines is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from scorelm.analysis.lines import is_fermata, measured, midi
from scorelm.notation.model import Chord, Measure, Score, Spacer

CADENCE_MEASURES = 2
Semitones = Fraction | int
Heads = tuple[tuple[Semitones, bool], ...]  # pitch, whether a tie starts
Voice = tuple[tuple[Fraction, Fraction, Heads], ...]  # offset, quarters; a rest has no heads
Content = tuple[Voice, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Measures of a score that stand in another one too. Measures are counted from 1, as in the text."""

    measures: int = 0
    at: int = 0  # where it begins here
    source: str = ""  # where else it stands, and from which measure on
    source_at: int = 0
    semitones: Semitones = 0  # from there to here
    cadence: bool = False  # no more than the two measures that lead to a fermata


def content(measure: Measure) -> tuple[Content, Semitones | None]:
    """A measure without its transposition, and its lowest pitch; None where nothing sounds."""
    voices: list[Voice] = []
    for _, events in measured(measure):
        voice = []
        for timed in events:
            event = timed.event
            if isinstance(event, Spacer) or (isinstance(event, Chord) and event.grace is not None):
                continue
            heads: Heads = ()
            if isinstance(event, Chord):
                heads = tuple((midi(note.pitch), note.tie) for note in event.notes if not note.unpitched)
            voice.append((timed.offset, timed.quarters, heads))
        voices.append(tuple(voice))
    low = min((pitch for voice in voices for _, _, heads in voice for pitch, _ in heads), default=None)
    if low is None:
        return tuple(voices), None
    moved = (
        tuple((at, quarters, tuple((pitch - low, tie) for pitch, tie in heads)) for at, quarters, heads in voice)
        for voice in voices
    )
    return tuple(moved), low


class Index:
    """Scores to be found again."""

    def __init__(self, scores: Iterable[tuple[str, Score]]) -> None:
        self.sources: list[str] = []
        self._where: dict[Content, list[tuple[int, int, Semitones | None]]] = {}
        for number, (source, score) in enumerate(scores):
            self.sources.append(source)
            for at, measure in enumerate(score.measures):
                what, low = content(measure)
                self._where.setdefault(what, []).append((number, at, low))

    def longest(self, score: Score, but: str | None = None) -> Run:
        """The longest run of a score's measures that stands in one of the scores, those named ``but`` left out."""
        best = Run()
        running: dict[tuple[int, int], dict[Semitones | None, int]] = {}  # (score, its measure): shift: length
        for at, measure in enumerate(score.measures):
            what, low = content(measure)
            now: dict[tuple[int, int], dict[Semitones | None, int]] = {}
            for number, there, other in self._where.get(what, ()):
                if self.sources[number] == but:
                    continue
                before = running.get((number, there - 1), {})
                shift = None if low is None or other is None else low - other
                if shift is None:
                    lengths = {None: 1, **{known: length + 1 for known, length in before.items()}}
                else:
                    lengths = {shift: 1 + max(before.get(shift, 0), before.get(None, 0))}
                now[number, there] = lengths
                for known, length in lengths.items():
                    if length > best.measures and known is not None:
                        source = self.sources[number]
                        best = Run(length, at - length + 2, source, there - length + 2, known)
            running = now
        last = score.measures[best.at + best.measures - 2] if best.measures else None
        cadence = last is not None and best.measures <= CADENCE_MEASURES and has_fermata(last)
        return Run(best.measures, best.at, best.source, best.source_at, best.semitones, cadence)


def has_fermata(measure: Measure) -> bool:
    return any(
        isinstance(timed.event, Chord) and any(map(is_fermata, timed.event.marks))
        for _, events in measured(measure)
        for timed in events
    )
