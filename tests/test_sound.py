"""The sound level: what may come next, and what it promises."""

from __future__ import annotations

from fractions import Fraction

import pytest

from scorelm.errors import FormatError
from scorelm.notation.lexemes import END_OF_TEXT, cut
from scorelm.notation.reader import parse
from scorelm.notation.sound import OPEN_AT_END, Sound, sound_problems

HEAD = '|T4:4P"A"'


def after(text: str, **options: int) -> frozenset[str]:
    return Sound(text, **options).allowed


def test_a_measure_cannot_end_before_its_voices_are_full() -> None:
    assert "|" not in after(HEAD + "CDE")
    assert "|" in after(HEAD + "CDEF")


def test_a_value_that_does_not_fit_cannot_be_chosen() -> None:
    allowed = after(HEAD + "CDE")
    assert {"i", "s", "C", "z"} <= allowed
    assert not {"w", "h", "q."} & allowed


def test_a_tuplet_closes_complete() -> None:
    assert "]" not in after(HEAD + "[3iCD")
    assert "]" in after(HEAD + "[3iCDE")


def test_a_tie_leads_to_its_note() -> None:
    assert "^C" in after(HEAD + "^C-") and not {"C", "D", "z"} & after(HEAD + "^C-")
    assert "^F" in after(HEAD + "CDE^F-|") and not {"F", "D", "z"} & after(HEAD + "CDE^F-|")
    assert after(HEAD + "h.^^C-q") == {"^^"}
    assert after(HEAD + "h.^^C-q^^") == {"C"}


def test_the_last_measure_ties_nothing_over() -> None:
    assert "-" not in after(HEAD + "CDEF", measures=1)
    assert "-" in after(HEAD + "CDEF", measures=2)


def test_the_text_ends_where_it_must() -> None:
    assert END_OF_TEXT not in after(HEAD + "CDEF|", measures=2)
    assert after(HEAD + "CDEF|CDEF|", measures=2) == {END_OF_TEXT}
    assert after(HEAD + "CDEF!end!|") == {END_OF_TEXT}


def test_the_final_barline_waits_for_open_ties() -> None:
    assert "!end!" not in after(HEAD + "CDEF-") and "!end!" in after(HEAD + "CDEF")
    assert "!end!" in after(HEAD + "CDEF-|FGAB") and "!end!" not in after(HEAD + "CDEF-|FGAB-")


def test_a_walk_is_left_and_gone_on_from_twice() -> None:
    walk = Sound(HEAD + "CD")
    other = walk.copy()
    assert walk.peek("h") == Sound(HEAD + "CDh").allowed
    other.push("h")
    assert walk.allowed == after(HEAD + "CD") and other.allowed == after(HEAD + "CDh")


def test_every_part_comes_in_every_measure() -> None:
    two = '|T1:4P"A"C;P"B"C|'
    assert ";" in after(two + "D") and "|" not in after(two + "D")
    assert "|" in after(two + "D;D") and ";" not in after(two + "D;D")


def test_a_double_sharp_stands_before_a_natural() -> None:
    assert "F" in after(HEAD + "^^") and not {"^F", "^^", "q", "z"} & after(HEAD + "^^")
    assert "f" in after(HEAD + "F+__") and "E" not in after(HEAD + "F+__")


def test_chord_notes_rise() -> None:
    assert {"F", "c"} <= after(HEAD + "E+") and not {"E", "C"} & after(HEAD + "E+")


def test_what_is_not_allowed_cannot_be_pushed() -> None:
    with pytest.raises(ValueError, match="may not stand here"):
        Sound(HEAD).push("|")


def test_a_prompt_that_is_not_sound_is_refused_with_its_place() -> None:
    with pytest.raises(FormatError) as caught:
        Sound(HEAD + "CDEF|\nGABcd|\nq")
    assert (caught.value.measure, caught.value.line) == (2, 2)
    with pytest.raises(FormatError, match="may not stand here") as caught:
        Sound(HEAD + "CDEF|\nGh.AB")
    assert (caught.value.measure, caught.value.line, caught.value.column) == (2, 2, 5)


def test_nearly_every_chorale_is_sound(chorales: list[str]) -> None:
    assert [sound_problems(text) for text in chorales] == [[]] * len(chorales)


def test_the_number_of_choices_does_not_grow_with_the_text(chorales: list[str]) -> None:
    text = chorales[0]
    walk = Sound()
    sizes = []
    for lexeme in cut(text)[1:]:
        walk.push(lexeme)
        sizes.append(len(walk.allowed))
    assert max(sizes) < 300


def test_a_sound_text_has_no_problems_and_an_unsound_one_says_where() -> None:
    assert sound_problems(HEAD + "CDEF|") == []
    assert sound_problems(HEAD + "CDEF-|DEFG|") == ["measure 2: 'D' may not stand here"]
    assert sound_problems(HEAD + "CDEF-|") == [OPEN_AT_END]


@pytest.mark.parametrize(
    ("time", "symbols"), [("4:4", {"!common!"}), ("2:2", {"!cut!"}), ("2:4", set()), ("3:2", set()), ("12:8", set())]
)
def test_a_symbol_stands_for_its_own_time_alone(time: str, symbols: set[str]) -> None:
    walk = Sound()
    for lexeme in cut(f"K0T{time}"):
        walk.push(lexeme)
    assert walk.allowed & {"!common!", "!cut!"} == symbols


@pytest.mark.parametrize(
    "text",
    [
        """|T4:4P"A"wb''''|""",  # no pitch of MIDI
        """|T4:4P5"A"wC/wC/wC/wC/wC|""",
        """|!ending!"last"T4:4P"A"wC!repeat)!!ending)!|""",
        """|T4:4P"A"wC!ending)!|""",
        """|!ending!"1"T4:4P"A"wC|!ending!"2"wC!end!!ending)!|""",
    ],
)
def test_what_other_programs_do_not_open_is_read_and_not_sound(text: str) -> None:
    parse(text)
    assert sound_problems(text)


def test_endings_are_opened_and_closed() -> None:
    head = '|!ending!"1, 2"T4:4P"A"wC'
    assert sound_problems(head + '!repeat)!!ending)!|!ending!"3"wC!end!!ending)!|') == []
    assert sound_problems(head + "|") == [OPEN_AT_END]


def test_an_excerpt_may_end_with_what_goes_on() -> None:
    for excerpt in (False, True):
        walk = Sound('|!ending!"1"T4:4P"A"wC-|', excerpt=excerpt)
        assert (END_OF_TEXT in walk.allowed) is excerpt


def test_an_orderly_text_counts_on_and_keeps_its_metre() -> None:
    text = '|\n#7T3:8P"A"iCDE|\n'
    assert "#" in after(text) and "#" not in after(text, orderly=True) and "#" in after("|", orderly=True)
    assert max(lengths(Sound(text))) == 32 and max(lengths(Sound("|", orderly=True))) == 32
    shorter = lengths(Sound(text, orderly=True))
    assert max(shorter) == Fraction(3, 2) and {Fraction(1), Fraction(1, 2), Fraction(21, 16)} <= shorter


def lengths(walk: Sound) -> set[Fraction]:
    """All that a measure may declare."""
    out = set()

    def spell(walk: Sound, written: str) -> None:
        more = walk.allowed & frozenset("0123456789:")
        assert more or walk.allowed
        if walk.allowed - more:
            out.add(Fraction(written.replace(":", "/")))
        for lexeme in more if len(written) < 6 else ():
            longer = walk.copy()
            longer.push(lexeme)
            spell(longer, written + lexeme)

    walk.push("@")
    spell(walk, "")
    return out
