"""Lyric lines: several syllables of a verse in one string."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LYRICS, SYLLABLES

from scorelm.errors import FormatError
from scorelm.notation.model import (
    Chord,
    Item,
    Mark,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Staff,
    Tuplet,
    Value,
    chords,
    timeline,
)
from scorelm.notation.normal import normalise
from scorelm.notation.reader import parse
from scorelm.notation.repair import repair
from scorelm.notation.writer import write

PLAIN = st.builds(
    lambda verse, text, syllabic, extend: Mark("lyric", (verse, text, syllabic, *extend)),
    st.sampled_from([Fraction(1), Fraction(1), Fraction(2), "chorus"]),
    SYLLABLES,
    st.sampled_from(["single", "begin", "middle", "end"]),
    st.sampled_from([(), (), ("extend",)]),
)
SUNG = st.lists(st.one_of(PLAIN, PLAIN, LYRICS), max_size=3)


@st.composite
def sung_events(draw: st.DrawFn) -> Item:
    kind = draw(st.integers(0, 9))
    marks = tuple(draw(SUNG)) if kind < 7 else ()
    if kind == 9:
        return Rest(Value(5), marks=marks)
    note = Note(Pitch("C", 4), draw(st.integers(0, 4)) == 0)
    chord = Chord((note,), Value(5), marks, "plain" if kind == 8 else None)
    return Tuplet(3, 2, (chord, chord, chord)) if kind == 7 else chord


@given(st.lists(sung_events(), min_size=1, max_size=40))
def test_lyrics_survive_being_written_in_lines(events: list[Item]) -> None:
    length = sum((timed.quarters for timed in timeline(tuple(events), Fraction(0))), Fraction(0))
    measure = Measure((PartMeasure((Staff((tuple(events),)),)),), "1", length)
    score = normalise(Score((Part("A"),), (measure,)))
    text = write(score)
    assert parse(text) == score
    assert write(parse(text)) == text


def sung(text: str) -> list[list[tuple[object, ...]]]:
    return [[mark.args for mark in chord.marks if mark.name == "lyric"] for chord in chords(parse(text))]


def test_a_line_gives_each_chord_its_syllable_and_passes_over_ties_graces_and_rests() -> None:
    text = '|\nT6:4P"A"_"Hal-le= _ jah"C-C{C}DzEF|\n'
    assert sung(text) == [[(1, "Hal", "begin")], [], [], [(1, "le", "end", "extend")], [], [(1, "jah", "single")]]
    assert write(parse(text)) == text


def test_each_verse_has_its_own_line() -> None:
    text = '|\nT2:4P"A"_"a b"_2"c-d"CD|\n'
    assert sung(text) == [[(1, "a", "single"), (2, "c", "begin")], [(1, "b", "single"), (2, "d", "end")]]
    assert write(parse(text)) == text


def test_one_syllable_stands_by_itself() -> None:
    assert write(parse('|\nT2:4P"A"z_"a"C|\n')) == '|\nT2:4P"A"z"a"C|\n'
    assert write(parse('|\nT2:4P"A"l"a"C"b"D|\n')) == '|\nT2:4P"A"_"a b"CD|\n'


def test_long_gaps_end_a_line_and_syllables_of_its_own_signs_are_escaped() -> None:
    text = '|\nT6:4P"A"l"a"CCCCC"b"D|\n'
    assert write(parse(text)) == text
    text = '|\nT3:4P"A"_"a--b \\u\\s\\e -\\hc-"CDE|\n'
    assert sung(text) == [[(1, "a-b", "single")], [(1, "_ =", "single")], [(1, "-c", "middle")]]
    assert write(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('_"a b c"CD', "expected a note for each syllable of a lyric line"),
        ('_"a b"C_"c"D', "the line before has syllables for notes that are still to come"),
        ('_"a  b"CD', "expected a closed quote of syllables"),
        ('{_"a b"c}CD', "expected a note or a rest"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        parse(f'|\nT2:4P"A"{text}|\n')


def test_repair_says_which_syllables_have_no_note() -> None:
    mended, problems = repair('|\nT2:4P"A"_"a b c"CD|\n')
    assert mended == '|\nT2:4P"A"_"a b"CD|\n'
    assert any("syllables of a lyric line" in str(problem) for problem in problems)
