"""Score -> score: profiles, excerpts, transpositions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import END_MARKS, MEASURE_MARKS, NOTE_MARKS
from scorelm.notation.model import (
    STEPS,
    Attribute,
    Clef,
    Item,
    Key,
    Mark,
    Measure,
    Note,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    TimedMark,
    Tuplet,
)
from scorelm.notation.normal import normalise

_FERMATAS = ("fermata", "inverted-fermata", "fermata-angled", "fermata-square", "fermata-double-angled",
             "fermata-double-square", "fermata-double-dot", "fermata-half-curve", "fermata-curlew")  # fmt: skip
CORE = frozenset(
    (
        *_FERMATAS,
        "on-staff",
        "drawn-tie",
        "unplaced",
        "instrument",
        "sound",
        "transpose",
        "tuplet-none",
        "untyped",
        "times",
        *END_MARKS,
        *tuple(m for m in MEASURE_MARKS if m not in ("new-system", "new-page")),
    )
)
KEEP: dict[str, frozenset[str]] = {
    "lyrics": frozenset(("lyric", "elision", "extend-start", "extend-stop", "extend-continue", "lyric-name")),
    "slurs": frozenset(("slur(", "slur)", "slur-continue")),
    "articulations": frozenset(
        "staccato accent tenuto strong-accent detached-legato staccatissimo spiccato scoop plop doit falloff breath "
        "caesura stress unstress soft-accent".split()
    ),
    "dynamics": frozenset(
        "pppppp ppppp pppp ppp pp p mp mf f ff fff ffff fffff ffffff sf sfp sfpp fp rf rfz sfz sffz fz n pf sfzp "
        "dynamic <( <) >( >) niente".split()
    ),
    "beams": frozenset(("beam-none", "beam(", "beam-continue", "beam)", "beam-hook", "beam-back-hook")),
    "accidentals": frozenset(
        m for m in NOTE_MARKS if m.startswith("show-") or m in ("cautionary", "editorial", "parentheses", "bracket")
    ),
}  # kept beside the core by name: profile "core+lyrics+slurs"


def strip(score: Score, profile: str = "core") -> Score:
    """The score in a profile: ``full``, ``core``, or the core with more by name (``core+lyrics``, see KEEP)."""
    base, *more = profile.split("+")
    if base == "full" and not more:
        return score
    unknown = [name for name in more if name not in KEEP]
    if base != "core" or unknown:
        raise ScoreError(
            f"unknown profile {profile!r}: it is 'full' or 'core', which can be followed by +" + ", +".join(KEEP)
        )
    kept = CORE.union(*(KEEP[name] for name in more))

    def keep(marks: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
        return tuple(m for m in marks if not isinstance(m, Mark) or m.name in kept)

    return normalise(map_score(score, marks=keep))


def extract(score: Score, measures: tuple[int, int] | None = None, parts: Sequence[int | str] | None = None) -> Score:
    """A part of a score as a score of its own, with what is in force at its start said again.

    measures: the first and the last, both counted from 1 as they stand in the text
    parts: names, or numbers from 1, in the order wanted
    """
    if not score.measures:
        return score
    chosen = [part_index(score, p) for p in parts] if parts is not None else list(range(len(score.parts)))
    if not chosen:
        raise ScoreError("no part was asked for")
    first, last = measures or (1, len(score.measures))
    if not 1 <= first <= last:
        raise ScoreError(f"measures {first}-{last}: the first is 1, and the last not before the first")
    if first > len(score.measures):
        raise ScoreError(f"measure {first} was asked for, the score has {len(score.measures)}")
    window = [replace(m, parts=tuple(m.parts[i] for i in chosen)) for m in score.measures[first - 1 : last]]
    if first > 1:
        window[0] = _restate(score, first - 1, chosen, window[0])
    return normalise(Score(tuple(score.parts[i] for i in chosen), tuple(window)))


def part_index(score: Score, part: int | str) -> int:
    """Where a part stands, from 0. part: its name, or its number from 1. ScoreError where there is none such."""
    names = [p.name for p in score.parts]
    if isinstance(part, str) and part in names:
        return names.index(part)
    if isinstance(part, str) and not part.isdecimal():
        raise ScoreError(f"no part is named {part!r}; there are {', '.join(map(repr, names))}")
    if not 1 <= int(part) <= len(names):
        raise ScoreError(f"no part {part}; there are {len(names)}")
    return int(part) - 1


def _restate(score: Score, at: int, chosen: Sequence[int], opening: Measure) -> Measure:
    """The opening measure of an excerpt with the keys, times, clefs and part marks in force."""
    parts: list[PartMeasure | None] = []
    for new, old in enumerate(chosen):
        part = opening.parts[new]
        count = score.parts[old].staves
        if part is None:  # its keys and clefs cannot stand in an absent measure
            parts.append(None)
            continue
        force: list[dict[type, Attribute]] = [{} for _ in range(count)]
        marks: dict[str, Attribute] = {}
        for measure in score.measures[: at + 1]:
            before = measure.parts[old]
            if measure is score.measures[at]:
                own = part.marks if before else ()
                _enter(force, [m for m in (*measure.marks, *own) if isinstance(m, (Key, Time))])
                break
            _enter(force, measure.marks)
            if before is None:
                continue
            _enter(force, before.marks)
            marks.update((m.name, m) for m in before.marks if isinstance(m, Mark))
            for staff, staff_force in zip(before.staves, force):
                staff_force.update((type(t.mark), t.mark) for t in staff.marks if not isinstance(t.mark, Mark))
        marks.update((m.name, m) for m in part.marks if isinstance(m, Mark))
        staves = []
        for staff, staff_force in zip(part.staves, force):
            own_kinds = {type(t.mark) for t in staff.marks if t.offset == 0}
            said = tuple(TimedMark(Fraction(0), m) for kind, m in staff_force.items() if kind not in own_kinds)
            staves.append(replace(staff, marks=said + staff.marks))
        parts.append(replace(part, staves=tuple(staves), marks=tuple(marks.values())))
    own_marks = tuple(m for m in opening.marks if isinstance(m, Mark))
    return replace(opening, parts=tuple(parts), marks=own_marks)


def _enter(force: list[dict[type, Attribute]], marks: Iterable[Attribute]) -> None:
    for mark in marks:
        if isinstance(mark, (Key, Time, Clef)):
            for staff in force:
                staff[type(mark)] = mark


_INTERVAL = re.compile(r"([+-]?)(P|M|m|A{1,2}|d{1,2})([1-9]\d?)$")
_NATURAL = dict(zip(STEPS, (0, 2, 4, 5, 7, 9, 11)))


def interval_size(interval: str) -> tuple[int, int]:
    """``"M2"`` -> (1, 2), ``"-P4"`` -> (-3, -5): diatonic steps and semitones. ScoreError where there is none such."""
    match = _INTERVAL.match(interval)
    if not match:
        raise ScoreError(f"{interval!r} is no interval; write for example M2, m3, -P4, A1 or -d5")
    sign, quality, size = match.groups()
    steps = int(size) - 1
    perfect = steps % 7 in (0, 3, 4)
    semitones = 12 * (steps // 7) + (0, 2, 4, 5, 7, 9, 11)[steps % 7]
    if (quality == "P") != perfect and quality in ("P", "M", "m"):
        raise ScoreError(f"{interval!r} is no interval: a {size} is {'perfect' if perfect else 'major or minor'}")
    semitones += {"P": 0, "M": 0, "m": -1}.get(quality, 0)
    if quality[0] == "A":
        semitones += len(quality)
    elif quality[0] == "d":
        semitones -= len(quality) + (0 if perfect else 1)
    return (-steps, -semitones) if sign == "-" else (steps, semitones)


def moved_pitch(pitch: Pitch, steps: int, semitones: int) -> Pitch:
    """A pitch so many diatonic steps and semitones higher."""
    octave, index = divmod(7 * pitch.octave + STEPS.index(pitch.step) + steps, 7)
    sounding = 12 * (pitch.octave - octave) + _NATURAL[pitch.step] + pitch.alter + semitones
    return Pitch(STEPS[index], octave, sounding - _NATURAL[STEPS[index]])


def transpose(score: Score, interval: str) -> Score:
    """Every pitch and key by an interval ("M2", "-m3", "P8"), spelled as the interval says."""
    steps, semitones = interval_size(interval)
    fifths = 7 * semitones - 12 * steps  # of the interval: M2 is two fifths up

    def pitch(p: Pitch) -> Pitch:
        return moved_pitch(p, steps, semitones)

    def attribute(mark: Attribute) -> Attribute:
        if not isinstance(mark, Key):
            return mark
        if mark.alters:
            moved = (pitch(Pitch(step, 4, alter)) for step, alter in mark.alters)
            return replace(mark, alters=tuple((p.step, p.alter) for p in moved))
        return replace(mark, fifths=mark.fifths + fifths)

    return normalise(map_score(score, marks=lambda marks: tuple(map(attribute, marks)), pitch=pitch, steps=steps))


def _same(marks: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return marks


def map_score(
    score: Score,
    marks: Callable[[tuple[Attribute, ...]], tuple[Attribute, ...]] = _same,
    pitch: Callable[[Pitch], Pitch] | None = None,
    steps: int = 0,
) -> Score:
    """A score with its marks and pitches replaced; rests' places move by ``steps``. It is not made canonical."""

    def plain(found: tuple[Mark, ...]) -> tuple[Mark, ...]:
        return tuple(m for m in marks(found) if isinstance(m, Mark)) if found else found

    def note(n: Note) -> Note:
        if pitch is None or n.unpitched:
            return replace(n, marks=plain(n.marks)) if n.marks else n
        return replace(n, pitch=pitch(n.pitch), marks=plain(n.marks))

    def item(i: Item) -> Item:
        if isinstance(i, Tuplet):
            return replace(i, items=tuple(map(item, i.items)), marks=plain(i.marks))
        if isinstance(i, Spacer):
            return i
        if isinstance(i, Rest):
            place = i.position
            if place is not None and steps:
                octave, index = divmod(7 * place.octave + STEPS.index(place.step) + steps, 7)
                place = Pitch(STEPS[index], octave)
            return replace(i, marks=plain(i.marks), position=place) if i.marks or i.position else i
        return replace(i, notes=tuple(map(note, i.notes)), marks=plain(i.marks))

    def staff(s: Staff) -> Staff:
        timed = []
        for t in s.marks:
            timed += [replace(t, mark=m) for m in marks((t.mark,))]
        return Staff(tuple(tuple(map(item, v)) for v in s.voices), tuple(timed))

    def part(p: PartMeasure | None) -> PartMeasure | None:
        return p and replace(p, staves=tuple(map(staff, p.staves)), marks=marks(p.marks))

    return Score(
        score.parts,
        tuple(
            replace(m, parts=tuple(map(part, m.parts)), marks=marks(m.marks), end=plain(m.end)) for m in score.measures
        ),
    )
