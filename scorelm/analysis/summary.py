"""The musical figures of some pieces together, as plain numbers.

Rates are of all pieces' counts together, so that a long piece weighs more than a short one; medians are of pieces.
A share or a rate is None where nothing could be counted.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from scorelm.analysis import distributions, tonality
from scorelm.analysis.copies import Index, Run
from scorelm.analysis.lines import lines, moments
from scorelm.analysis.voice_leading import voice_leading
from scorelm.errors import FormatError
from scorelm.notation.model import Score, chords
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems

LONG_RUN = 4  # measures


@dataclass
class Counts:
    """What is counted over pieces."""

    pieces: int = 0
    parsed: int = 0
    sound: int = 0
    measures: list[int] = field(default_factory=list)
    densities: list[float] = field(default_factory=list)  # notes a quarter of each piece
    heads: int = 0
    quarters: Fraction = Fraction(0)
    voices: Counter[str] = field(default_factory=Counter)  # as voice_leading counts
    choirs: Counter[str] = field(
        default_factory=Counter
    )  # the same of the pieces in which two or more sing, and "pieces"
    modes: Counter[bool] = field(default_factory=Counter)  # declared: major or not
    estimates: Counter[bool] = field(default_factory=Counter)  # of declared keys: whether the notes say the same
    last: Counter[str] = field(default_factory=Counter)
    fermatas: int = 0
    degrees: Counter[int] = field(default_factory=Counter)
    pitch_classes: Counter[int] = field(default_factory=Counter)
    durations: Counter[Fraction] = field(default_factory=Counter)
    intervals: Counter[int] = field(default_factory=Counter)
    runs: list[tuple[str, Run]] = field(default_factory=list)

    def add(self, score: Score) -> None:
        """Count a score's music."""
        self.parsed += 1
        self.measures.append(len(score.measures))
        heads = sum(len(chord.notes) for chord in chords(score))
        self.heads += heads
        self.quarters += score.quarters
        if score.quarters:
            self.densities.append(float(heads / score.quarters))
        found = lines(score)
        if not found:
            return
        chain = moments(found)
        voices = voice_leading(found)
        self.voices += voices
        if sum(bool(line.role) for line in found) > 1:
            self.choirs += voices + Counter(pieces=1)
        self.durations += distributions.durations(found)
        self.intervals += distributions.melodic_intervals(found)
        held = tonality.fermata_moments(found, chain)
        self.fermatas += len(held)
        self.last["triad"] += tonality.root_position_triad(chain[-1])
        self.last["all"] += 1
        tonic = tonality.declared(score)
        if tonic is None:
            return
        self.modes[tonic.major] += 1
        self.estimates[tonality.estimated(found) == (tonic.pitch_class, tonic.major)] += 1
        self.last["tonic"] += tonality.ends_on_tonic(chain, tonic)
        self.last["declared"] += 1
        self.degrees += tonality.bass_degrees(held, tonic)
        self.pitch_classes += distributions.pitch_classes(found, tonic)


def count(
    pieces: Iterable[tuple[str, str]],
    index: Index | None = None,
    but_itself: bool = False,
    sound: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Counts:
    """Count (name, text) pieces.

    index: where copies are looked for; but_itself: not in the piece of the same name
    sound: whether to walk each text through the grammar of sound text, which takes longest
    """
    out = Counts()
    for name, text in pieces:
        out.pieces += 1
        try:
            score = parse(text)
        except FormatError as error:
            say(f"{name}: {error}")
            continue
        if sound:
            out.sound += not sound_problems(text)
        out.add(score)
        if index:
            out.runs.append((name, index.longest(score, name if but_itself else None)))
    return out


def figures(found: Counts, reference: Counts) -> dict[str, Any]:
    """The figures; distances are to the histograms of ``reference``."""
    voices, choirs = found.voices, found.choirs
    return {
        "pieces": found.pieces,
        "parse": _share(found.parsed, found.pieces),
        "sound": _share(found.sound, found.pieces),
        "measures_median": statistics.median(found.measures) if found.measures else None,
        "notes_per_quarter": _share(found.heads, found.quarters),
        "notes_per_quarter_median": statistics.median(found.densities) if found.densities else None,
        "simultaneities": voices["simultaneities"],
        "crossings_per_1000_simultaneities": _rate(voices["crossings"], voices["simultaneities"]),
        "out_of_range_per_1000_notes": _rate(voices["out_of_range"], voices["ranged"]),
        "pairs_moving_together": voices["moving_pairs"],
        "parallel_fifths_per_1000": _rate(voices["fifths"], voices["moving_pairs"]),
        "parallel_fifths_contrary_per_1000": _rate(voices["fifths_contrary"], voices["moving_pairs"]),
        "parallel_octaves_per_1000": _rate(voices["octaves"], voices["moving_pairs"]),
        "parallel_octaves_contrary_per_1000": _rate(voices["octaves_contrary"], voices["moving_pairs"]),
        "pieces_for_singers": choirs["pieces"],
        "parallel_fifths_of_singers_per_1000": _rate(choirs["fifths"], choirs["moving_pairs"]),
        "parallel_octaves_of_singers_per_1000": _rate(choirs["octaves"], choirs["moving_pairs"]),
        "key_declared": _share(sum(found.modes.values()), found.parsed),
        "major": _share(found.modes[True], sum(found.modes.values())),
        "key_agrees": _share(found.estimates[True], sum(found.estimates.values())),
        "last_chord_tonic_root_position": _share(found.last["tonic"], found.last["declared"]),
        "last_chord_triad_root_position": _share(found.last["triad"], found.last["all"]),
        "fermatas_per_100_quarters": _rate(found.fermatas, found.quarters, 100),
        "fermata_bass_degrees": _shares(found.degrees, range(1, 8)),
        "fermata_bass_degree_distance": distributions.jensen_shannon(found.degrees, reference.degrees),
        "pitch_class_distance": distributions.jensen_shannon(found.pitch_classes, reference.pitch_classes),
        "duration_distance": distributions.jensen_shannon(found.durations, reference.durations),
        "melodic_interval_distance": distributions.jensen_shannon(found.intervals, reference.intervals),
        "copied": copied(found.runs),
    }


def copied(runs: Sequence[tuple[str, Run]]) -> dict[str, Any] | None:
    """How long the longest runs of measures are that stand in the index too, one for each piece."""
    if not runs:
        return None
    lengths = sorted(run.measures for _, run in runs)
    order = sorted(runs, key=lambda entry: -entry[1].measures)
    return {
        "max_measures": lengths[-1],
        "median_measures": statistics.median(lengths),
        "pieces_above_4_measures": sum(length > LONG_RUN for length in lengths),
        "pieces_by_measures": {str(length): number for length, number in sorted(Counter(lengths).items())},
        "cadences_alone": sum(run.cadence for _, run in runs),
        "longest": [
            {"piece": name, **asdict(run), "semitones": int(run.semitones)} for name, run in order[:5] if run.measures
        ],
    }


def _share(part: int | Fraction, whole: int | Fraction) -> float | None:
    return float(part / whole) if whole else None


def _rate(part: int, whole: int | Fraction, unit: int = 1000) -> float | None:
    return float(unit * part / whole) if whole else None


def _shares(found: Counter[int], keys: Iterable[int]) -> dict[str, float | None]:
    whole = sum(found.values())
    return {str(key): _share(found[key], whole) for key in keys}
