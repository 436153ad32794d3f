"""What a composer gives -> a plan: a score that goes on, given parts with others to them, measures written anew.

Measures are counted from 1 as they stand in the text, a pickup too. ConfigError where what is asked for cannot be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import takewhile

from scorelm.errors import ConfigError, ScoreError
from scorelm.notation.model import (
    Attribute,
    Clef,
    Key,
    Mark,
    Measure,
    Part,
    PartMeasure,
    Rest,
    Score,
    Staff,
    Time,
    Timed,
    TimedMark,
    Voice,
    timeline,
)  # fmt: skip
from scorelm.notation.normal import normalise
from scorelm.notation.plan import Plan
from scorelm.notation.transform import map_score, part_index

OPEN = ("extend", "extend-start")  # what an extender is drawn on by, where no syllable follows
CHOIR = ("Soprano", "Alto", "Tenor", "Bass")


def continued(score: Score, from_measure: int | None = None) -> Plan:
    """The measures before ``from_measure`` are kept (None: all), and the text goes on behind them."""
    if not score.measures and from_measure is not None:
        raise ConfigError(f"--from-measure {from_measure}: there are no measures yet")
    if not score.measures:
        return Plan()
    count = len(score.measures)
    if from_measure is not None and not 2 <= from_measure <= count + 1:
        raise ConfigError(
            f"--from-measure is 2 to {count + 1} here, not {from_measure}: the score has {count} measures"
        )
    kept = list(score.measures[: count if from_measure is None else from_measure - 1])
    kept[-1] = replace(kept[-1], end=tuple(mark for mark in kept[-1].end if mark.name != "end"))
    return Plan(_without_open_extenders(normalise(Score(score.parts, tuple(kept)))))


def _without_open_extenders(score: Score) -> Score:
    """A score whose last syllables have no extender: it would be drawn on under all music that has no words."""
    last: dict[tuple[object, ...], Mark] = {}
    of_each: Counter[int] = Counter()  # a mark may stand in several places, for it is one value
    for measure in score.measures:
        for number, part in enumerate(measure.parts):
            for place, staff in enumerate(part.staves if part else ()):
                for layer, voice in enumerate(staff.voices):
                    for timed in timeline(voice, (part and part.length) or measure.length):
                        for mark in getattr(timed.event, "marks", ()):
                            if mark.name == "lyric":
                                last[number, place, layer, mark.args[0]] = mark
                                of_each[id(mark)] += 1
    drawn_on = {id(m) for m in last.values() if m.args[1] and m.args[-1] in OPEN and of_each[id(m)] == 1}

    def closed(marks: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
        return tuple(replace(m, args=m.args[:-1]) if isinstance(m, Mark) and id(m) in drawn_on else m for m in marks)

    return map_score(score, closed) if drawn_on else score


def harmonised(score: Score, parts: Sequence[Part] = (), key: Key | None = None) -> Plan:
    """All parts of a score stay as they are, others are written to them.

    parts: those of the result, in their order; default: a choir. A given part is the one of its name, else the next
    key: of the result, where the score says none
    """
    if not score.measures:
        raise ConfigError("the given score has no measures")
    score = _without_hidden_end(score)
    names = tuple(parts) or tuple(map(Part, CHOIR))
    places = _matched(score.parts, names)
    free = [number for number in range(len(names)) if number not in places]
    if not free:
        raise ConfigError("all parts are given, there is none to write; --parts says which parts the result has")
    result = list(names)
    for number, place in enumerate(places):
        result[place] = replace(score.parts[number], name=names[place].name)
    measures = []
    shifts = [_fifths_up(score, number) for number in range(len(score.parts))]
    for measure in score.measures:
        measure = _with_own_keys(measure) if any(shifts) else measure
        leader = measure.parts[0]
        heads = [m for m in leader.marks if isinstance(m, (Key, Time))] if leader else []
        marks = tuple(replace(m, fifths=m.fifths + shifts[0]) if isinstance(m, Key) else m for m in heads)
        out: list[PartMeasure | None] = [PartMeasure((Staff(),) * part.staves, None, marks) for part in result]
        for number, place in enumerate(places):
            out[place] = measure.parts[number]
        measures.append(replace(measure, parts=tuple(out)))
    if key:
        if any(isinstance(mark, Key) for mark in _marks(score.measures[0])):
            raise ConfigError("the given score says its key itself: leave --key out")
        measures[0] = replace(measures[0], marks=(*measures[0].marks, key))
    cells = frozenset((m, p) for m, measure in enumerate(measures) for p in free if measure.length)
    return Plan(normalise(Score(tuple(result), tuple(measures))), cells, closed=True)


def _without_hidden_end(score: Score) -> Score:
    """A score whose last measure ends with its last note: music21 fills it up with hidden rests, and the other parts
    would sing on over them."""
    last = score.measures[-1]
    voices = [voice for part in last.parts if part for staff in part.staves for voice in staff.voices]
    hidden = {sum((timed.quarters for timed in _hidden_end(voice, last.length)), Fraction(0)) for voice in voices}
    if len(hidden) != 1 or not 0 < (left_out := hidden.pop()) < last.length:
        return score
    parts = tuple(
        part
        and replace(
            part,
            length=None,
            staves=tuple(
                replace(staff, voices=tuple(v[: len(v) - len(_hidden_end(v, last.length))] for v in staff.voices))
                for staff in part.staves
            ),
        )
        for part in last.parts
    )
    shorter = replace(last, parts=parts, length=last.length - left_out)
    return replace(score, measures=(*score.measures[:-1], shorter))


def _hidden_end(voice: Voice, length: Fraction) -> list[Timed]:
    """The hidden rests behind a voice's last event that is seen."""
    hidden = takewhile(
        lambda timed: isinstance(timed.event, Rest) and timed.event.hidden, reversed(timeline(voice, length))
    )
    return [timed for timed in hidden if not timed.tuplets]


def rewritten(score: Score, measures: tuple[int, int], parts: Sequence[int | str] = ()) -> Plan:
    """Some measures are written anew, all parts of them or those named; all around them stays note for note."""
    first, last = measures
    if last > len(score.measures):
        raise ConfigError(f"--rewrite {first}-{last}: the score has {len(score.measures)} measures")
    try:
        chosen = [number for number in range(len(score.parts)) if _is_named(score, number, parts)]
    except ScoreError as error:
        raise ConfigError(str(error)) from None
    free = frozenset(
        (m, p)
        for m in range(first - 1, last)
        for p in chosen
        if score.measures[m].parts[p] is not None and score.measures[m].length
    )
    if not free:
        raise ConfigError(f"--rewrite {first}-{last}: these parts have no music there")
    out = list(score.measures)
    for m, p in free:
        part = out[m].parts[p]
        assert part is not None
        starts = (tuple(t for t in staff.marks if isinstance(t.mark, Clef) and not t.offset) for staff in part.staves)
        emptied = replace(part, staves=tuple(Staff((), marks) for marks in starts))
        out[m] = replace(out[m], parts=(*out[m].parts[:p], emptied, *out[m].parts[p + 1 :]))
    plan = Plan(Score(score.parts, tuple(out)), free, closed=True)
    return replace(plan, score=normalise(_in_force_again(score, plan.score, last, chosen)))


def _is_named(score: Score, number: int, parts: Sequence[int | str]) -> bool:
    return not parts or number in [part_index(score, part) for part in parts]


def _marks(measure: Measure) -> list[Attribute]:
    staves = [staff for part in measure.parts if part for staff in part.staves]
    return [
        *measure.marks,
        *(mark for part in measure.parts if part for mark in part.marks),
        *(timed.mark for staff in staves for timed in staff.marks),
    ]


def _matched(given: Sequence[Part], names: Sequence[Part]) -> list[int]:
    """Which part of the result each given part is."""
    if len(given) > len(names):
        raise ConfigError(
            f"{len(given)} parts are given ({', '.join(part.name or 'no name' for part in given)}), the result has "
            f"{len(names)}; say with --parts which it has, or with --given-parts which are given"
        )
    places: list[int | None] = [None] * len(given)
    for words in (None, 1):  # the same name, then the same first word
        for number, part in enumerate(given):
            for place, name in enumerate(names):
                found = (
                    place not in places and part.name.casefold().split()[:words] == name.name.casefold().split()[:words]
                )
                if places[number] is None and part.name.strip() and found:
                    places[number] = place
    left = iter([place for place in range(len(names)) if place not in places])
    return [next(left) if place is None else place for place in places]


def _fifths_up(score: Score, number: int) -> int:
    """How many fifths a part's sounding key lies above its written one."""
    for measure in score.measures:
        part = measure.parts[number]
        for mark in part.marks if part else ():
            if isinstance(mark, Mark) and mark.name == "transpose":
                semitones, steps = ([int(x) for x in mark.args if isinstance(x, Fraction)] + [0, 0])[:2]
                return 7 * semitones - 12 * steps
    return 0


def _with_own_keys(measure: Measure) -> Measure:
    """Keys of all parts become each part's own."""
    keys = tuple(mark for mark in measure.marks if isinstance(mark, Key))
    parts = tuple(p and replace(p, marks=(*p.marks, *keys)) for p in measure.parts)
    return replace(measure, parts=parts, marks=tuple(mark for mark in measure.marks if mark not in keys))


def _in_force_again(before: Score, after: Score, at: int, parts: Iterable[int]) -> Score:
    """Clefs and keys in force at a measure, from 0, said there again where those that said it were taken away."""
    if at >= len(before.measures):
        return after
    cells = list(after.measures[at].parts)
    for number in parts:
        cell = cells[number]
        was, now = _in_force(before, at, number), _in_force(after, at, number)
        if cell is None:
            continue
        staves = []
        for place, staff in enumerate(cell.staves):
            own = {type(t.mark) for t in staff.marks if not t.offset}
            lost = [m for kind, m in was[place].items() if now[place].get(kind) != m and kind not in own]
            staves.append(replace(staff, marks=(*(TimedMark(Fraction(0), m) for m in lost), *staff.marks)))
        cells[number] = replace(cell, staves=tuple(staves))
    measures = list(after.measures)
    measures[at] = replace(measures[at], parts=tuple(cells))
    return replace(after, measures=tuple(measures))


def _in_force(score: Score, at: int, number: int) -> list[dict[type, Attribute]]:
    """The clef and the key of each staff of a part where a measure begins."""
    out: list[dict[type, Attribute]] = [{} for _ in range(score.parts[number].staves)]
    for measure in (*score.measures[:at], replace(score.measures[at], parts=())):
        part = measure.parts[number] if measure.parts else None
        shared = (*measure.marks, *(part.marks if part else ()))
        for place, force in enumerate(out):
            own = tuple(t.mark for t in part.staves[place].marks) if part else ()
            force.update((type(mark), mark) for mark in (*shared, *own) if isinstance(mark, (Clef, Key)))
    return out
