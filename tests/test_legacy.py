"""The text of the first ScoreLM is read: its measures, triplets and ties stay, guesses are said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorelm.notation.legacy import is_legacy, read_legacy
from scorelm.notation.reader import parse
from scorelm.notation.writer import write


def test_chords_measures_ties_and_flats_are_read() -> None:
    score, guesses, problems = read_legacy("|n(0.5, G2 B-3 D4), n(0.5, T.C#4), n(1.0, C#4)|_|n(2.0, E4 F--4)|")
    assert write(score) == '|\nT2:4P""iG,,+_B,+D^C-q^C|\nhE+__F|\n'
    assert guesses == ("the time signature is a guess: most measures last 2 quarters",)
    assert problems == ()


def test_thirds_become_triplets_and_what_no_note_can_show_is_tied() -> None:
    score, _, _ = read_legacy("|n(1/3, C4), n(1/3, D4), n(1/3, E4), n(2/3, F4), n(1/3, G4), n(2.5, A4)|")
    assert write(score) == '|\nT9:8P""[3CDE][3qFiG]hA-iA|\n'


def test_names_of_values_and_measures_of_other_lengths_are_read() -> None:
    score, _, _ = read_legacy("|n(quarter, C4)|_|n(half, D4), n(half, E4)|_|n(whole, F4)|_||")
    assert write(score) == '|\n@1T4:4P""C|\nhDE|\nwF|\nZ|\n'


def test_what_cannot_be_read_is_left_out_and_said() -> None:
    score, _, problems = read_legacy("|n(1.0, H4 C4 C-6.1), n(x, D4), what, n(1.0, )|")
    assert write(score) == '|\nT2:4P""Cz|\n'
    assert [p.message.split(" ")[0:3] for p in problems] == [
        ["left", "out", "'H4',"], ["left", "out", "'C-6.1',"], ["left", "out", "a"], ["left", "out", "'what'"],
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["|", '|\nT4:4P"A"CDEF|', "", "n(1, C4)"])
def test_other_text_is_not_taken_for_it(text: str) -> None:
    assert not is_legacy(text)


@given(st.text("|_n(0.5/13, CG#-24T)", max_size=60).map(lambda t: "|n(" + t))
def test_any_text_of_its_kind_becomes_a_score(text: str) -> None:
    score, _, _ = read_legacy(text)
    assert parse(write(score)) == score
