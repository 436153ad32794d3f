"""Hypothesis strategies: scores in normal form, sound texts, broken texts."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import strategies as st

from scorelm.notation.lexemes import END_OF_TEXT, LEXEMES, SIMPLE_TUPLETS
from scorelm.notation.marks import CLEF_OF
from scorelm.notation.model import (
    STEPS,
    Chord,
    Item,
    Key,
    Mark,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    TimedMark,
    Tuplet,
    Value,
    Voice,
)
from scorelm.notation.normal import normalise
from scorelm.notation.sound import Sound
from scorelm.notation.values import fill

ALTERS = st.sampled_from([0, 0, 0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-3, 2)])
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8)
MODES = st.sampled_from([None, "major", "minor", "dorian", "none"])
KEYS = st.one_of(
    st.builds(Key, st.integers(-7, 7), MODES),
    st.builds(Key, st.sampled_from([-9, 8, 12]), MODES),
    st.builds(lambda alters: Key(0, None, tuple(alters.items())), st.dictionaries(st.sampled_from(STEPS), ALTERS, min_size=1, max_size=3)),
)  # fmt: skip
TIMES = st.sampled_from(
    [
        Time((((4,), 4),), "common"), Time((((3,), 4),)), Time((((6,), 8),)), Time((((2,), 2),), "cut"),
        Time((((3, 2), 8),)), Time((((2,), 4), ((3,), 8))), Time(()), Time((((5,), 16),)),
    ]
)  # fmt: skip
CLEFS = st.sampled_from(sorted(CLEF_OF.values(), key=str))
TUPLETS = st.sampled_from([*SIMPLE_TUPLETS.values(), (11, 8), (13, 4)])
SYLLABLES = st.text(st.sampled_from('aé-\\"| h_=s'), min_size=1, max_size=5)
LYRICS = st.builds(
    lambda verse, text, syllabic, elided, extend: Mark("lyric", (verse, text, syllabic, *elided, *extend)),
    st.one_of(st.integers(1, 12).map(Fraction), st.sampled_from(["chorus", ""])),
    SYLLABLES,
    st.sampled_from(["single", "begin", "middle", "end"]),
    st.one_of(st.just(()), st.tuples(st.sampled_from(["‿", ""]), SYLLABLES)),
    st.sampled_from([(), (), ("extend",), ("extend-stop",)]),
)
EVENT_MARKS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                Mark("fermata"), Mark("inverted-fermata"), Mark("trill"), Mark("staccato"), Mark("slur("),
                Mark("slur)", (Fraction(2),)), Mark("beam("), Mark("beam(", (Fraction(2),)), Mark("arpeggio"),
                Mark("fingering", (Fraction(3),)), Mark("breath", ("comma",)), Mark("ornament-sharp", ("below",)),
            ]
        ),
        LYRICS,
    ),
    max_size=3,
    unique=True,
)  # fmt: skip
NOTE_MARKS = st.lists(
    st.sampled_from(
        [Mark("cautionary"), Mark("show-accidental"), Mark("cross"), Mark("fingering", (Fraction(1),)),
         Mark("slur)"), Mark("arpeggio"), Mark("instrument-id", (Fraction(2),))]
    ),
    max_size=2,
    unique=True,
)  # fmt: skip
TIMED_MARKS = st.sampled_from(
    [
        Mark("mf"), Mark("<("), Mark("<)", (Fraction(2),)), Mark("words", ("dolce",)), Mark("chord", ("C", "major")),
        Mark("metronome", ("q.", Fraction(80))), Mark("figured-bass", ("6", "flat 4 ", Fraction(1, 2))), Mark("staff-shown"),
    ]
)  # fmt: skip


@st.composite
def notes(draw: st.DrawFn) -> Note:
    step, octave = draw(st.sampled_from(STEPS)), draw(st.integers(0, 9))
    unpitched = draw(st.integers(0, 9)) == 0
    alter = 0 if unpitched else draw(ALTERS)
    marks = tuple(draw(NOTE_MARKS)) if draw(st.integers(0, 4)) == 0 else ()
    return Note(Pitch(step, octave, alter), draw(st.booleans()), marks, unpitched)


@st.composite
def events(draw: st.DrawFn, value: Value) -> Item:
    kind = draw(st.integers(0, 9))
    marks = tuple(draw(EVENT_MARKS)) if kind < 2 else ()
    if kind == 9:
        return Spacer(value)
    if kind >= 7:
        place = draw(st.one_of(st.none(), st.builds(Pitch, st.sampled_from(STEPS), st.integers(0, 9))))
        return Rest(value, draw(st.booleans()), draw(st.booleans()), place, marks)
    return Chord(tuple(draw(st.lists(notes(), min_size=1, max_size=3))), value, marks)


@st.composite
def graces(draw: st.DrawFn) -> list[Item]:
    kind = draw(st.sampled_from(["plain", "slash"]))
    count = draw(st.integers(1, 2))
    return [Chord((draw(notes()),), Value(draw(st.integers(5, 8))), (), kind) for _ in range(count)]


@st.composite
def items(draw: st.DrawFn, length: Fraction, depth: int = 0) -> list[Item]:
    """Items that last ``length`` quarters as written."""
    out: list[Item] = []
    left = length
    while left > 0:
        choice = draw(st.integers(0, 11))
        value = Value(draw(st.integers(3, 8)), draw(st.integers(0, 2)))
        actual, normal = draw(TUPLETS)
        unit = Value(draw(st.integers(5, 8)))
        if choice == 11 and depth == 0:
            out += draw(graces())
        if choice == 10 and depth < 2 and unit.written * normal <= left:
            inner = draw(items(unit.written * actual, depth + 1))
            out.append(Tuplet(actual, normal, tuple(inner), draw(st.booleans()), draw(st.booleans())))
            left -= unit.written * normal
        elif choice == 9 and depth == 0:
            exact = min(left, draw(st.sampled_from([Fraction(1, 3), Fraction(2, 7), Fraction(5, 4)])))
            out.append(draw(events(Value(value.kind, value.dots, exact))))
            left -= exact
        elif value.written <= left:
            out.append(draw(events(value)))
            left -= value.written
        else:
            for rest in fill(left):
                out.append(draw(events(rest)))
            left = Fraction(0)
    return out


@st.composite
def voices(draw: st.DrawFn, length: Fraction) -> Voice:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return ()
    if kind == 1:
        return (Rest(None, True, draw(st.booleans())),)
    return tuple(draw(items(length)))


@st.composite
def staves(draw: st.DrawFn, length: Fraction) -> Staff:
    sounding = tuple(draw(voices(length)) for _ in range(draw(st.integers(0, 2))))
    marks = []
    for _ in range(draw(st.integers(0, 2))):
        offset = draw(st.sampled_from([Fraction(0), length / 2, length]))
        marks.append(TimedMark(offset, draw(st.one_of(CLEFS, KEYS, TIMED_MARKS))))
    kinds = {(timed.offset, type(timed.mark)): timed for timed in marks}  # one of a kind at a moment
    return Staff(sounding, tuple(kinds.values()))


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Any score of a few measures, in normal form."""
    parts = tuple(Part(draw(NAMES), draw(st.integers(1, 2))) for _ in range(draw(st.integers(1, 3))))
    measures = []
    for number in range(draw(st.integers(1, 3))):
        length = draw(st.sampled_from([Fraction(4), Fraction(3), Fraction(1), Fraction(7, 2), Fraction(5, 3)]))
        measured: list[PartMeasure | None] = []
        for part in parts:
            if draw(st.integers(0, 7)) == 0:
                measured.append(None)
                continue
            own = draw(st.sampled_from([None, None, None, Fraction(2)]))
            own_staves = tuple(draw(staves(own or length)) for _ in range(part.staves))
            marks = (draw(KEYS),) if draw(st.integers(0, 4)) == 0 else ()
            measured.append(PartMeasure(own_staves, own, marks))
        head = [draw(kind) for kind in (KEYS, TIMES) if draw(st.integers(0, 2)) == 0]
        name = draw(st.sampled_from([str(number + 1), str(number + 1), "7", "X1", ""]))
        end = (Mark("repeat)"),) if draw(st.booleans()) else ()
        measures.append(Measure(tuple(measured), name, length, draw(st.booleans()), tuple(head), end))
    return normalise(Score(parts, tuple(measures)))


@st.composite
def sound_texts(draw: st.DrawFn) -> str:
    """A text that only ever took what the sound level allows."""
    choose = draw(st.randoms(use_true_random=False))
    sound = Sound(at_most=3, max_parts=2)
    out = ["|"]
    closing = ("}", '"', "]", ";", "/", "|", "!end!")
    for _ in itertools.count():
        allowed = sorted(sound.allowed)
        ends = [lexeme for lexeme in closing if lexeme in sound.allowed]
        lexeme = choose.choice(ends if ends and choose.random() < 0.4 else allowed)
        if lexeme == END_OF_TEXT:
            break
        sound.push(lexeme)
        out.append(lexeme)
        if not sound.allowed:
            break
    return "".join(out)


LEXEME_SOUP = st.lists(st.sampled_from(LEXEMES[2:]), max_size=80).map("".join)
LIKELY_SOUP = st.text('|;&/+-CDEFGABcdehqist.zyZ123[]{}HKT:4@#?$!"P \n', max_size=120)
ANY_TEXT = st.one_of(st.text(max_size=80), LEXEME_SOUP, LIKELY_SOUP)
