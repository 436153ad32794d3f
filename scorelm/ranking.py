"""Which of several texts are the best: by how likely the model finds them, and by what a musician would count.

Each figure puts the texts in an order. A text's merit is half its place by likelihood, half its mean place by the
other figures: no weights are chosen, and a figure that is alike for all of them decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scorelm.analysis.summary import Counts
from scorelm.notation.model import Score

Places = list[float]


@dataclass(frozen=True)
class Figures:
    """Of one text; what cannot be counted in it is 0."""

    nats_a_note: float  # -log p of the whole text under the model; a quarter of more parts costs more
    parallels: float  # fifths and octaves, in 1000 pairs of voices that move together
    crossings: float  # in 1000 simultaneities
    out_of_range: float  # in 1000 notes
    key: bool  # whether the notes are in the key that the score declares
    cadence: bool  # whether it ends on the tonic, in root position

    def __str__(self) -> str:
        return (
            f"{self.nats_a_note:.2f} nats a note, parallels {self.parallels:.0f}, crossings "
            f"{self.crossings:.0f}, out of range {self.out_of_range:.0f} in 1000, key "
            f"{'kept' if self.key else 'left'}, {'' if self.cadence else 'no '}cadence"
        )


def figures(score: Score, nats: float) -> Figures:
    """nats: -log p of its text"""
    counts = Counts()
    counts.add(score)
    voices = counts.voices
    return Figures(
        nats_a_note=nats / max(1, counts.heads),
        parallels=_rate(voices["fifths"] + voices["octaves"], voices["moving_pairs"]),
        crossings=_rate(voices["crossings"], voices["simultaneities"]),
        out_of_range=_rate(voices["out_of_range"], voices["ranged"]),
        key=bool(counts.estimates[True]),
        cadence=bool(counts.last["tonic"]),
    )


def order(found: Sequence[Figures]) -> list[int]:
    """The texts from the best to the worst; equals as they came."""
    likelihood = places([f.nats_a_note for f in found])
    music = [
        places([f.parallels for f in found]),
        places([f.crossings for f in found]),
        places([f.out_of_range for f in found]),
        places([not f.key for f in found]),
        places([not f.cadence for f in found]),
    ]
    merit = [own + sum(column[at] for column in music) / len(music) for at, own in enumerate(likelihood)]
    return sorted(range(len(found)), key=lambda at: merit[at])


def places(values: Sequence[float]) -> Places:
    """The place of each value, the lowest first; equals share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _rate(part: int, whole: int) -> float:
    return 1000 * part / whole if whole else 0.0
