"""ABC as the standard 2.1 reads it: bars, lyrics, clefs, tempos, lengths and decorations, one law a test."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scorelm
from scorelm.notation.reader import parse
from scorelm.sources import abc
from scorelm.sources.abc_lengths import pieces, single

HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"


def read(text: str) -> tuple[str, list[str]]:
    """The full text of one tune in a line, and what its reader said."""
    ((score, said),) = abc.read(text.encode(), "x")
    return scorelm.encode(score, "full").replace("\n", ""), said


def music(body: str) -> str:
    """The text of a part, behind its clef."""
    return read(HEAD + body + "\n")[0].split("!clef-G2!", 1)[1]


# barlines


@pytest.mark.parametrize("bar", ["::", ":|:", ":||:", ":|]|:", ":| |:"])
def test_a_double_repeat_ends_one_and_begins_another_each_played_twice(bar: str) -> None:
    text, said = read(HEAD + f"|:CDEF{bar}GABc:|\n")
    assert "CDEF!repeat)!|!repeat(!GABc!repeat)!|" in text
    assert said == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("|::CDEF::|GABc|", "CDEF!repeat)!3|GABc|"),
        ("|:::CDEF:::|GABc|", "CDEF!repeat)!4|GABc|"),
        ("|:CDEF::|:GABc:|", "CDEF!repeat)!3|!repeat(!GABc!repeat)!|"),
        ("|:CDEF::::GABc:|", "CDEF!repeat)!3|!repeat(!GABc!repeat)!|"),
        ("|:CDEF| ::|GABc|", "CDEF!repeat)!3|GABc|"),
        ("CDEF:|GABc|]", "CDEF!repeat)!|GABc!end!|"),
    ],
)
def test_colons_on_one_side_of_a_barline_count_how_often_it_sends_back(body: str, text: str) -> None:
    assert music(body).endswith(text)


# lyrics


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Hal-le-lu-jah|A-men|one two three four", '_"Hal-le-lu-jah"CDEF|_"A-men"hGA|_"one two three four"Bcde|'),
        ("one two|A-men|one two", '_"one two"CDEF|_"A-men"hGA|_"one two"Bcde|'),
        ("|A-men|one two", 'CDEF|_"A-men"hGA|_"one two"Bcde|'),
        ("one two||one two", '_"one two"CDEF|hGA|_"one two"Bcde|'),
        ("a b c d e|one two", '_"a b c d"CDEF|"e"hGA|_"one two"Bcde|'),
    ],
)
def test_a_bar_in_a_line_of_lyrics_goes_to_the_next_measure(words: str, text: str) -> None:
    assert music(f"CDEF|G2A2|Bcde|\nw:{words}").replace('l"', '"') == text


def test_a_bar_in_a_line_of_lyrics_counts_measures_of_rests() -> None:
    assert music("C4|z4|D4|\nw:a||b").count('"b"') == 1
    assert music("z4|C4|\nw:|b").count('"b"') == 1


def test_a_line_holds_a_syllable() -> None:
    text, said = read(HEAD + "CDEF|\nw:glo__ri\n")
    assert '_"glo= _ _ ri"' in text
    assert said == []
    text, said = read(HEAD + "CDEF|\nw:_a\n")
    assert '"a"' in text and said == ["line 6: left out: a '_' that holds no syllable"]


# clefs


@pytest.mark.parametrize(
    ("clef", "text"),
    [
        ("treble-8", "!clef-G2-8!CDEF"),
        ("treble+8", "!clef-G2+8!c'd'e'f'"),
        ("bass-8", "!clef-F4-8!CDEF"),
        ("treble-8 octave=1", "!clef-G2-8!cdef"),
        ("treble_8", "!clef-G2-8!cdef"),
        ("treble", "!clef-G2!cdef"),
    ],
)
@pytest.mark.parametrize("field", ["V:1 clef={}\nK:C\n", "K:C clef={}\n", "K:C\nV:1 clef={}\n"])
def test_notes_under_a_clef_with_an_8_sound_an_octave_away(clef: str, text: str, field: str) -> None:
    head = "X:1\nM:4/4\nL:1/4\n" + field.format(clef)
    assert text in read(head + "cdef|\n")[0]


def test_a_clef_moves_the_notes_until_the_next_clef_and_in_its_own_voice() -> None:
    assert music("c4|[K:treble-8]c4|[K:G]c4|[K:clef=treble]c4|").replace("K1!major!", "").split("|")[:4] == [
        "wc",
        "K0!major!!clef-G2-8!wC",
        "wC",
        "!clef-G2!wc",
    ]
    voices = "X:1\nM:4/4\nL:1/4\nV:A clef=treble\nV:B\nK:C treble-8\n[V:A]c4|\n[V:B]c4|\n"
    text = read(voices)[0]
    assert "!clef-G2!wc;" in text
    assert "!clef-G2-8!wC|" in text


# tempos and lengths: one that no note shows costs neither the tune nor itself


@pytest.mark.parametrize(
    ("tempo", "text", "said"),
    [
        ("1/4 3/8 1/4 3/8=40", '!metronome!"q"200', "no one note lasts 5 quarters; written as 1/4=200"),
        ("5/8=40", '!metronome!"q"100', "no one note lasts 5/2 quarters; written as 1/4=100"),
        ("C5=60", '!metronome!"q"300', "no one note lasts 5 quarters; written as 1/4=300"),
    ],
)
def test_a_beat_that_no_note_lasts_is_counted_in_quarters(tempo: str, text: str, said: str) -> None:
    found, notices = read(f"X:1\nM:4/4\nL:1/4\nQ:{tempo}\nK:C\nCDEF|\n")
    assert text in found
    assert notices == [f"line 4: Q:{tempo}: {said}"]


@pytest.mark.parametrize("tempo", ["1/4=0", "0/4=60", "1/4=" + 400 * "9"])
def test_a_tempo_that_is_none_is_named(tempo: str) -> None:
    assert read(f"X:1\nM:4/4\nL:1/4\nQ:{tempo}\nK:C\nCDEF|\n")[1] == [f"line 4: left out: Q:{tempo}, which is no tempo"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("C2/3D2/3E2/3F2|", "[3CDE]hF|"),
        ("C1/3D1/3E1/3F3|", "[3iCDE]h.F|"),
        ("C4/3D2/3F2|", "[3hCqD]hF|"),
        ("C1/5D1/5E1/5F1/5G1/5ABc|", "[5sCDEFG]qABc|"),
        ("C2/3D2/3E2/3C1/3D1/3E1/3F|", "[3CDE][3iCDE]qF|"),
        ("C5/3D1/3F2|", "[3hC-iCD]hF|"),
    ],
)
def test_lengths_that_are_thirds_or_fifths_make_tuplets(body: str, text: str) -> None:
    assert music(body) == text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("C4|C5/17DEF|", "tune 1, measure 2: no note lasts 5/17 quarters; written as 1/4"),
        ("C/1024DEF|", "tune 1, measure 1: no note lasts 1/1024 quarters; written as 1/256"),
        ("(3C2/3DE F2|", "tune 1, measure 1: no note lasts 2/3 quarters; written as 3/4"),
        ("{C1/3}C4|", "tune 1, measure 1: no note lasts 1/3 quarters; written as 3/8"),
    ],
)
def test_a_length_that_no_tuplet_shows_is_rounded_and_named(body: str, said: str) -> None:
    assert f"line 5: {said}" in read(HEAD + body + "\n")[1]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=8), st.integers(1, 12))
def test_no_length_costs_the_tune(lengths: list[tuple[int, int]], unit: int) -> None:
    body = "".join(f"{'CDEF'[i % 4]}{above}/{below}" for i, (above, below) in enumerate(lengths))
    text, _ = read(f"X:1\nM:4/4\nL:1/{unit}\nK:C\n{body}|C4|\n")
    assert len(parse(text.replace("|", "|\n")).measures) == 2


@given(st.fractions(Fraction(1, 256), 200))
def test_the_values_of_a_length_are_as_long_as_it(length: Fraction) -> None:
    assert sum(pieces(length)) == length
    assert single(length) <= (len(pieces(length)) == 1)


# decorations and chord symbols


@pytest.mark.parametrize("marks", [1, 2, 3, 4])
def test_a_tremolo_has_as_many_marks_as_strokes_are_written(marks: int) -> None:
    text, said = read(HEAD + f"!{'/' * marks}!C4|\n")
    assert f"!tremolo{marks}!" in text
    assert said == []


def test_a_snap_pizzicato_is_named_as_left_out() -> None:
    assert read(HEAD + "!snap!C4|\n")[1] == [
        "line 5: left out: the decoration 'snap', which music21 has but does not write"
    ]


@pytest.mark.parametrize(("jump", "words"), [("D.C.", "Da Capo"), ("D.S.", "Dal Segno"), ("fine", "fine")])
def test_a_jump_keeps_its_words_and_is_named(jump: str, words: str) -> None:
    text, said = read(HEAD + f"C4|!{jump}!C4|\n")
    assert f'"{words}"' in text
    assert said == [f"line 5: the jump {jump!r} is kept as words or a sign, which a player does not follow"]
    assert read(HEAD + "!segno!C4|!coda!C4|\n")[1] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("F#m7b5", '"F#""half-diminished"'),
        ("Bmin7-5", '"B""half-diminished"'),
        ("A7#5", '"A""augmented-seventh"'),
        ("C-7", '"C""minor-seventh"'),
        ("Cm7", '"C""minor-seventh"'),
        ("Cmaj7", '"C""major-seventh"'),
    ],
)
def test_a_chord_symbol_has_its_kind(name: str, text: str) -> None:
    assert f"!chord!{text}C" in read(HEAD + f'"{name}"CDEF|\n')[0]
