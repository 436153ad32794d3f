"""Music that goes on holds what the given music held, and a little more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import scorelm.underway as underway
from scorelm.generation import Student
from scorelm.notation.lexemes import END_OF_TEXT, cut
from scorelm.notation.limits import limits_of
from scorelm.notation.model import Chord, chords
from scorelm.notation.reader import parse
from scorelm.notation.sound import Sound, sound_problems
from scorelm.notation.sound_voice import UNIT, Limits
from scorelm.notation.transform import extract

GIVEN = '|\nT3:4P"Voice"Z;P2"Piano"' + "iC+E-sE+GGqCC/C,D,E,&h.G,,|\n" + "Z;h.C+E/h.C,|\n" * 4


def walked(prompt: str, seed: int, limits: dict[int, Limits], measures: int) -> str:
    chance = random.Random(seed)
    walk = Sound(prompt, measures, orderly=True, limits=limits)
    out = cut(prompt)
    while END_OF_TEXT not in walk.allowed:
        dense = sorted(walk.allowed & {"-", "+", "&", "[3", "u", "t", "s"})  # what a model that goes astray loves
        lexeme = chance.choice(dense if dense and chance.random() < 0.5 else sorted(walk.allowed))
        walk.push(lexeme)
        out.append(lexeme)
    return "".join(out)


def test_a_part_of_which_enough_is_known_has_limits() -> None:
    found = limits_of(parse(GIVEN))
    assert found == {1: Limits(notes=3, ties=1, heads=2, voices=3, shortest=UNIT // 8)}
    assert limits_of(extract(parse(GIVEN), measures=(1, 3))) == {}, "of three measures nothing follows"


@pytest.mark.parametrize("seed", range(30))
def test_what_goes_on_keeps_to_them(seed: int) -> None:
    limits = limits_of(parse(GIVEN))
    text = walked(GIVEN, seed, limits, 8)
    assert sound_problems(text) == []
    new = extract(parse(text), measures=(6, 8), parts=["Piano"])
    for chord in chords(new):
        if chord.grace is None:
            assert len(chord.notes) <= 3 and sum(note.tie for note in chord.notes) <= 1
            assert chord.value.written >= 1 / 8
    assert max(len(staff.voices) for m in new.measures for part in m.parts if part for staff in part.staves) <= 3


def test_without_them_it_holds_what_it_likes() -> None:
    texts = [walked(GIVEN, seed, {}, 8) for seed in range(10)]
    found = [chord for text in texts for chord in chords(extract(parse(text), measures=(6, 8), parts=["Piano"]))]
    assert any(isinstance(chord, Chord) and len(chord.notes) > 3 for chord in found)
    assert any(chord.value.written < 1 / 8 for chord in found if chord.grace is None)


def test_a_shorter_value_fills_what_no_other_can() -> None:
    walk = Sound('|\nT7:16P"A"', limits={0: Limits(shortest=UNIT)})
    assert "i" in walk.allowed and "t" not in walk.allowed


def test_no_note_is_tied_on_and_on() -> None:
    begun = '|\nT4:4P"A"hC-C-|C'
    for orderly in (False, True):
        assert "-" in Sound(begun, orderly=orderly).allowed, "a barline lies between"
        assert ("-" in Sound(begun + "-C", orderly=orderly).allowed) is not orderly


def test_a_measure_far_longer_than_any_given_one_is_begun_anew(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Student(tiny_model)
    prompt = '|\nT4:4P"A"' + "wC|\n" * 5
    monkeypatch.setattr(underway, "MOST_LOST", 1e9)
    monkeypatch.setattr(underway, "SHORT", 0)

    def lexemes(again: int) -> int:
        texts = ["".join(student.measures(prompt, seed=seed, measures=8, again=again)) for seed in range(4)]
        return sum(len(cut(measure)) for text in texts for measure in text.split("|")[6:-1])

    assert lexemes(20) < 0.7 * lexemes(0)
