"""What the composer gives is kept, and what is asked for comes."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
import wave
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import scorelm
from scorelm import audio, underway
from scorelm.asked import key_of, parts_of, range_of, time_of
from scorelm.compose import AT_LEAST, Wish, ranked
from scorelm.errors import ConfigError, ScoreError, ScorelmError
from scorelm.generation import SHIPPED, Student
from scorelm.given import CHOIR
from scorelm.notation.lexemes import LEXEMES
from scorelm.notation.model import Chord, Key, Measure, Part, PartMeasure, Rest, Time, chords
from scorelm.notation.plan import Plan
from scorelm.notation.planned import walk_of
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write
from scorelm.ranking import Figures, order, places
from scorelm.ways import successors

ROOT = Path(__file__).resolve().parents[1]
TUNE = '|\nK-2!major!T3:4P"Melody"!clef-G2!_Bcd|\n[3i_edc]h_B-|\n_B"la"Hq.ciz!end!|\n'
PAIR = '|\nT2:4P"Soprano"!clef-G2!GA;P"Bass"!clef-F4!hG,|\nhB;D-D|\nB-B;hG,|\nhG;hG,!end!|\n'
# what no sound text holds: a tuplet over the barline, of a ratio without a lexeme, an over-full length, voices of
# spacers first, a length of its own, lyrics, slurs
ODD = (
    '|\nT4:4P"Flute"!clef-G2!p_"Hal-le-lu-jah"(C)DEF;P"Cello"!clef-F4!C,D,E,F,|\n'
    "[:11:8tCDEFGABcdef]h.c;hy[3hC,qD,]+|\n[3+:D,hE,]hy&wy;[3+:hC,qD,]q@1:3C,C,C,q@1C,|\n"
    "P@3h.c;wC,|\nwzoB;$K1hC,!clef-C4!hC|\n!absent!;Z!end!|\n"
)


@pytest.fixture(scope="module")
def untrained(tiny_model: Path) -> Student:
    return Student(tiny_model)


@pytest.fixture(scope="module")
def shipped() -> Student:
    return Student(SHIPPED)


def part_of(text: str, name: str) -> list[PartMeasure | None]:
    score = parse(text)
    at = [part.name for part in score.parts].index(name)
    return [measure.parts[at] for measure in score.measures]


def heads(measures: Iterable[Measure]) -> list[Measure]:
    return [dataclasses.replace(measure, parts=()) for measure in measures]


def keys_and_times(measure: Measure) -> list[Key | Time]:
    marks = [*measure.marks]
    for part in measure.parts:
        if part:
            marks += [*part.marks, *(timed.mark for staff in part.staves for timed in staff.marks)]
    return [mark for mark in marks if isinstance(mark, (Key, Time))]


# -- what is asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "fifths", "mode"),
    [
        ("D", 2, "major"), ("b", 2, "minor"), ("B minor", 2, "minor"), ("Bb", -2, "major"), ("bb", -5, "minor"),
        ("f#", 3, "minor"), ("F# minor", 3, "minor"), ("Ebm", -6, "minor"), ("c minor", -3, "minor"), ("C", 0, "major"),
        ("g-minor", -2, "minor"), ("c major", 0, "major"), ("C♯", 7, "major"),
        ("B-", -2, "major"), ("e- minor", -6, "minor"), ("B-minor", 2, "minor"), ("A-flat", -4, "major"),
        ("F sharp minor", 3, "minor"),
    ],
)  # fmt: skip
def test_a_key_is_read_as_musicians_write_it(asked: str, fifths: int, mode: str) -> None:
    assert key_of(asked) == Key(fifths, mode)


@pytest.mark.parametrize("wrong", ["H", "", "D sharp", "D dorian", "G#", "db", "K2"])
def test_a_key_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"key"):
        key_of(wrong)


def test_times_parts_and_measures_are_read_or_refused() -> None:
    assert time_of("3/4") == Time((((3,), 4),))
    assert time_of("3+2/8") == Time((((3, 2), 8),))
    assert time_of("C|") == Time((((2,), 2),), "cut")
    assert parts_of("Voice, Piano:2") == (Part("Voice"), Part("Piano", 2))
    assert range_of("5-8") == (5, 8) and range_of("5") == (5, 5)
    for wrong in ("3", "3/5", "0/4", "99/1", "3+0/8", "3+/8", "99+99/8", "x"):
        with pytest.raises(ConfigError, match="no time signature"):
            time_of(wrong)
    for wrong in ("", "A,,B", "Piano:9"):
        with pytest.raises(ConfigError, match="is no part"):
            parts_of(wrong)
    for wrong in ("", "8-5", "0-3", "a-b"):
        with pytest.raises(ConfigError, match="are no measures"):
            range_of(wrong)


@pytest.mark.parametrize("seed", range(6))
def test_a_new_piece_is_what_was_asked_for(untrained: Student, seed: int) -> None:
    key, time, names = [("b", "3/4", CHOIR), ("Eb", "6/8", ("Vióla d'amore", "Bass")), ("C", "C|", ("Voice",))][
        seed % 3
    ]
    text = scorelm.generate(model=untrained, key=key, time=time, parts=names, measures=3, seed=seed)[0]
    score = parse(text)
    assert seed % 3 == 1 or sound_problems(text) == []  # a name of ASCII alone is sound
    assert write(score) == text
    assert [part.name for part in score.parts] == list(names)
    assert len(score.measures) == 3
    found = [mark for measure in score.measures for mark in keys_and_times(measure)]
    assert [mark for mark in found if isinstance(mark, Key)] == [key_of(key)]
    assert [mark.terms for mark in found if isinstance(mark, Time)] == [time_of(time).terms]


def test_what_is_given_far_behind_is_taken_unread(
    untrained: Student, chorales: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = max(chorales, key=len)
    found, steps = [], []
    for far in (2, 1000):
        monkeypatch.setattr(underway, "FITS", far)
        counted = Mock(wraps=untrained.reader.step)
        monkeypatch.setattr(untrained.reader, "step", counted)
        found.append(scorelm.generate(piece, untrained, rewrite="2-3", seed=1, tries=1)[0])
        steps.append(counted.call_count)
        monkeypatch.undo()
    assert found[0] == found[1] and steps[0] < steps[1] / 2


def test_no_part_sings_on_behind_the_end_of_a_given_melody(untrained: Student) -> None:
    melody = '|\nT4:4P"Soprano"!clef-G2!cccc|\nhcqcx!end!|\n'  # the hidden rest is music21's
    (text,) = scorelm.generate(model=untrained, given=melody, seed=1)
    last = parse(text).measures[-1]
    assert last.length == 3 and "x" not in text.splitlines()[2]
    seen = melody.replace("x", "z")
    assert parse(scorelm.generate(model=untrained, given=seen, seed=1)[0]).measures[-1].length == 4


def test_each_wish_stands_alone(untrained: Student) -> None:
    for seed in range(3):
        in_key = parse(scorelm.generate(model=untrained, key="A", measures=2, seed=seed)[0])
        assert [m for measure in in_key.measures for m in keys_and_times(measure) if isinstance(m, Key)] == [
            key_of("A")
        ]
        in_time = parse(scorelm.generate(model=untrained, time="5/4", measures=2, seed=seed)[0])
        assert [m for x in in_time.measures for m in keys_and_times(x) if isinstance(m, Time)] == [time_of("5/4")]
        for_two = parse(scorelm.generate(model=untrained, parts="Piano:2,A", measures=2, seed=seed)[0])
        assert for_two.parts == (Part("Piano", 2), Part("A"))


# -- given parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_melody_becomes_the_soprano_of_a_choir_and_stays_as_it_was(untrained: Student, seed: int) -> None:
    text = scorelm.generate(model=untrained, given=TUNE, seed=seed)[0]
    assert [part.name for part in parse(text).parts] == list(CHOIR)
    assert part_of(text, "Soprano") == part_of(TUNE, "Melody")  # with its lyrics
    assert heads(parse(text).measures) == heads(parse(TUNE).measures)
    assert write(parse(text)) == text
    assert sound_problems(write(strip(parse(text)))) == []


@pytest.mark.parametrize("given", [("Bass",), ("Alto", "Tenor"), ("Soprano", "Bass")])
def test_any_parts_may_be_given(untrained: Student, chorales: list[str], given: tuple[str, ...]) -> None:
    chorale = scorelm.extract(chorales[3], (1, 5))
    text = scorelm.generate(model=untrained, given=chorale, given_parts=given, seed=1, tries=2)[0]
    assert scorelm.extract(text, parts=given) == scorelm.extract(chorale, parts=given)
    assert [part.name for part in parse(text).parts] == list(CHOIR)


def test_a_given_part_is_found_by_its_name_else_by_its_order(untrained: Student) -> None:
    text = scorelm.generate(model=untrained, given=PAIR.replace("Bass", "bass (low)"), seed=0)[0]
    assert part_of(text, "Bass") == part_of(PAIR, "Bass")
    text = scorelm.generate(model=untrained, given=PAIR, parts="Descant,Soprano,Cello", seed=0)[0]
    assert part_of(text, "Soprano") == part_of(PAIR, "Soprano")
    assert part_of(text, "Descant") == part_of(PAIR, "Bass")


@pytest.mark.parametrize("seed", range(2))
def test_what_no_sound_text_holds_is_kept_too(untrained: Student, seed: int) -> None:
    text = scorelm.generate(model=untrained, given=ODD, parts="Flute,Viola,Cello,Piano:2", seed=seed)[0]
    assert part_of(text, "Flute") == part_of(ODD, "Flute")
    assert part_of(text, "Cello") == part_of(ODD, "Cello")
    assert all(measure.parts[1] and measure.parts[1].staves[0].voices for measure in parse(text).measures)


def test_a_clarinet_stays_as_it_is_written_and_the_others_sound_with_it(untrained: Student) -> None:
    tune = '|\nK2!major!T2:4P"Clarinet"!transpose!-2,-1!clef-G2!de|\nK4hd|\n'
    score = parse(scorelm.generate(model=untrained, given=tune, parts="Clarinet,Bass", seed=1)[0])
    own = [[mark for mark in part.marks if isinstance(mark, Key)] for m in score.measures for part in m.parts if part]
    assert own == [[Key(2, "major")], [Key(0, "major")], [Key(4)], [Key(2)]]


def test_a_measure_into_which_nothing_can_be_written_is_named(untrained: Student) -> None:
    long = '|\nT4:4P"A"wC|\n@40WCWCWCWCWC|\n'
    with pytest.raises(ScoreError, match=r"measure 2, part 'Alto': .* 40 quarters"):
        scorelm.generate(model=untrained, given=long)


def test_a_key_may_be_asked_for_where_the_given_score_has_none(untrained: Student) -> None:
    text = scorelm.generate(model=untrained, given=PAIR, key="G", seed=1)[0]
    assert keys_and_times(parse(text).measures[0])[0] == Key(1, "major")
    with pytest.raises(ConfigError, match="says its key itself"):
        scorelm.generate(model=untrained, given=TUNE, key="G", seed=1)


@pytest.mark.parametrize("ending", [".musicxml", ".mid", ".sclm"])
def test_scores_of_any_kind_are_given(untrained: Student, tmp_path: Path, ending: str) -> None:
    path = scorelm.save(PAIR, tmp_path / f"pair{ending}")
    text = scorelm.generate(model=untrained, given=path, parts="One,Two,Three", seed=2)[0]
    found = extract(parse(text), parts=[1, 2])
    expected = scorelm.api.load(path)
    assert [chord.notes for chord in chords(found)] == [chord.notes for chord in chords(expected)]
    assert len(list(chords(expected))) == (9 if ending == ".mid" else 11)  # MIDI knows no ties


# -- measures anew, and on from a measure --------------------------------------------------------------


@pytest.mark.parametrize("parts", [(), ("Alto",), ("Tenor", "Bass")])
def test_all_around_rewritten_measures_stays(untrained: Student, chorales: list[str], parts: tuple[str, ...]) -> None:
    chorale = scorelm.extract(chorales[2], (1, 6))
    before = parse(chorale)
    text = scorelm.generate(chorale, untrained, rewrite="3-4", part=parts or None, seed=1, tries=3)[0]
    after = parse(text)
    assert heads(after.measures) == heads(before.measures)
    for number, (old, new) in enumerate(zip(before.measures, after.measures, strict=True), 1):
        for name, was, now in zip((part.name for part in before.parts), old.parts, new.parts, strict=True):
            if number not in (3, 4) or (parts and name not in parts):
                assert was == now
    assert write(extract(after, (3, 4))) != write(extract(before, (3, 4)))
    assert sound_problems(text) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_tie_leads_into_a_kept_measure_or_is_not_written(untrained: Student, seed: int) -> None:
    text = scorelm.generate(PAIR, untrained, rewrite="2-2", seed=seed)[0]
    assert sound_problems(text) == []
    assert parse(text).measures[2:] == parse(PAIR).measures[2:]


def test_the_first_measure_is_rewritten_in_its_own_head(untrained: Student, chorales: list[str]) -> None:
    chorale = scorelm.extract(chorales[0], (1, 4))
    before, after = parse(chorale), parse(scorelm.generate(chorale, untrained, rewrite="1-2", seed=1)[0])
    assert before.parts == after.parts
    assert before.measures[2:] == after.measures[2:]
    for old, new in zip(before.measures[0].parts, after.measures[0].parts, strict=True):
        assert old and new and old.marks == new.marks
        assert [staff.marks for staff in old.staves] == [staff.marks for staff in new.staves]


def test_a_clef_that_was_rewritten_away_is_said_again(untrained: Student) -> None:
    text = '|\nT2:4P"A"!clef-G2!cc|\nc!clef-F4!C,|\nC,D,|\nC,C,|\n'
    after = parse(scorelm.generate(text, untrained, rewrite="2", seed=1)[0])
    assert write(extract(after, (3, 4))) == write(extract(parse(text), (3, 4)))
    assert after.measures[0] == parse(text).measures[0]


def test_a_score_goes_on_from_a_measure(untrained: Student, tmp_path: Path) -> None:
    path = scorelm.save(TUNE, tmp_path / "tune.musicxml")
    for prompt in (TUNE, path):
        text = scorelm.generate(prompt, untrained, from_measure=3, measures=5, seed=1)[0]
        score = parse(text)
        assert len(score.measures) == 5
        assert part_of(text, "Melody")[:2] == part_of(TUNE, "Melody")[:2]
    whole = scorelm.generate(path, untrained, measures=4, seed=1)[0]
    assert part_of(whole, "Melody")[:3] == part_of(TUNE, "Melody")  # lyrics too; the final barline is gone
    assert parse(whole).measures[2].end == ()


# -- ways, seeds, ranking ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_score_goes_on_for_more_than_a_closing_chord(untrained: Student, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "pair.musicxml"
    scorelm.save(PAIR, path)
    for wish, kept in ({}, 4), ({"from_measure": 3}, 2):
        text = scorelm.generate(path, untrained, seed=seed, **wish)[0]
        assert len(parse(text).measures) >= kept + AT_LEAST
    (text,) = scorelm.generate(PAIR.replace("!end!", ""), untrained, seed=seed)
    assert len(parse(text).measures) >= 4 + AT_LEAST, "a text does as its file"


def test_a_seed_repeats_in_every_mode_and_in_batches(untrained: Student) -> None:
    for wish in (
        {"key": "D", "measures": 2},
        {"given": PAIR, "tries": 3},
        {"prompt": PAIR, "rewrite": "2-3", "tries": 2},
        {"prompt": PAIR, "from_measure": 3, "measures": 4},
    ):
        both = scorelm.generate(model=untrained, seed=5, n=2, **wish)
        assert both == scorelm.generate(model=untrained, seed=5, n=2, **wish)
        assert both[0] != both[1]
        assert scorelm.generate(model=untrained, seed=6, **wish) == [both[1]]


def test_measures_come_one_by_one_and_are_the_text(untrained: Student) -> None:
    for wish in ({"given": PAIR, "tries": 3}, {"prompt": PAIR, "from_measure": 3, "measures": 5}):
        pieces = list(scorelm.generate_measures(model=untrained, seed=3, **wish))
        assert all(piece.endswith("|\n") for piece in pieces)
        assert "".join(pieces) == scorelm.generate(model=untrained, seed=3, **wish)[0]
        assert len(pieces) > 3


def test_ways_go_on_by_their_weights() -> None:
    chance = np.random.default_rng(0)
    assert successors([0.0, 0.1, -0.1], chance) == [0, 1, 2]
    assert successors([-50.0, 0.0, -50.0], chance) == [1, 1, 1]
    assert successors([-4.0, 0.0], chance) == [1, 1] and successors([-0.5, 0.0], chance) == [0, 1]
    drawn = np.mean([successors([np.log(6), -9, -9, np.log(2)], chance).count(0) for _ in range(400)])
    assert drawn == pytest.approx(3, abs=0.1)
    for weights in ([-60, 0, 0, -60, -60, -60], [0, -70, 0, 0, -70, -70, -70, -70]):
        for way, successor in enumerate(successors(weights, chance)):
            assert weights[successor] == 0
            assert weights[way] < 0 or way == successor


def test_of_several_ways_the_likelier_is_kept(shipped: Student, chorales: list[str]) -> None:
    """A given bass is seen only after the voices above it: ways that lead to it are likelier."""
    bass = scorelm.extract(chorales[3], (1, 3), ["Bass"])
    found = {}
    for tries in (1, 8):
        texts = scorelm.generate(model=shipped, given=bass, n=4, seed=1, tries=tries)
        assert all(scorelm.extract(text, parts=["Bass"]) == bass for text in texts)
        found[tries] = sum(sum(shipped.losses(text)) for text in texts)
    assert found[8] < found[1]


def test_losses_are_those_of_the_judge(tiny_model: Path, untrained: Student, chorales: list[str]) -> None:
    from scorelm.evaluate import load

    judge = load(str(tiny_model), 1024)
    untold = dataclasses.replace(judge, tokens=dataclasses.replace(judge.tokens, recalled_from=None))
    assert untrained.losses(chorales[0]) == pytest.approx(untold.losses(chorales[0]), abs=1e-3)
    assert untrained.losses(chorales[0]) != pytest.approx(judge.losses(chorales[0]), abs=1e-3), "who writes is not told"


def test_the_best_are_likely_and_well_led(untrained: Student, chorales: list[str]) -> None:
    assert places([3.0, 1.0, 1.0]) == [2.0, 0.5, 0.5]
    good = Figures(1.0, 0, 0, 0, True, True)
    unlikely = dataclasses.replace(good, nats_a_note=2.0)
    worse = dataclasses.replace(unlikely, parallels=9.0, cadence=False)
    assert order([worse, good, unlikely]) == [1, 2, 0]
    (first, figures), (second, others) = ranked(untrained, [chorales[1].replace("C", "^C"), chorales[1]])
    assert {first, second} == {0, 1}
    assert figures.nats_a_note == pytest.approx(others.nats_a_note, rel=0.2)
    texts = scorelm.generate(model=untrained, n=3, best=2, measures=2, seed=1)
    assert len(texts) == 2 and set(texts) < set(scorelm.generate(model=untrained, n=3, measures=2, seed=1))


# -- what cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"n": 2, "best": 3}, "--best 3"),
        ({"tries": 0}, "--tries is 1 or more"),
        ({"prompt": PAIR, "given": TUNE}, "not both"),
        ({"given": TUNE, "measures": 8}, "--given goes without --measures"),
        ({"given": PAIR, "parts": "Soprano,Bass"}, "all parts are given"),
        ({"given": PAIR, "parts": "Bass"}, "2 parts are given"),
        ({"given": "|"}, "no measures"),
        ({"given": "nowhere.musicxml"}, "nowhere.musicxml: no such file"),
        ({"given": PAIR, "given_parts": "Oboe"}, "no part is named 'Oboe'"),
        ({"given_parts": "Oboe"}, "--given-parts"),
        ({"prompt": PAIR, "rewrite": "3-9"}, "has 4 measures"),
        ({"prompt": PAIR, "rewrite": "2", "part": "Alto"}, "no part is named 'Alto'"),
        ({"prompt": PAIR, "part": "Alto"}, "--part says"),
        ({"prompt": PAIR, "rewrite": "2", "key": "D"}, "--rewrite goes without --key"),
        ({"prompt": PAIR, "key": "D"}, "the prompt says its own"),
        ({"prompt": PAIR, "from_measure": 6}, "--from-measure is 2 to 5"),
        ({"from_measure": 3}, "there are no measures yet"),
        ({"prompt": PAIR, "from_measure": 3, "measures": 2}, "has 2 measures already"),
        ({"tempo": 3}, "unknown: tempo"),
    ],
)
def test_what_cannot_be_is_refused(untrained: Student, wish: dict[str, object], said: str) -> None:
    with pytest.raises(ScorelmError, match=said):
        scorelm.generate(model=untrained, **wish)


def test_what_is_given_is_learnt_first_and_stays(tiny_model: Path, untrained: Student) -> None:
    asked = {"model": tiny_model, "from_measure": 4, "measures": 6, "seed": 3}
    (text,) = scorelm.generate(PAIR, adapt=True, **asked)
    assert parse(text).measures[:3] == parse(PAIR).measures[:3] and len(parse(text).measures) == 6
    assert sound_problems(text) == []
    assert [text] == scorelm.generate(PAIR, adapt=True, **asked)
    assert [text] != scorelm.generate(PAIR, **asked)
    for wish in ({"given": TUNE}, {"key": "D"}, {"prompt": PAIR, "rewrite": "1-2"}):
        with pytest.raises(ScorelmError, match="there are none"):
            scorelm.generate(model=tiny_model, adapt=True, **wish)
    with pytest.raises(ScorelmError, match="named by its folder"):
        scorelm.generate(PAIR, model=untrained, adapt=True)


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "infer.py", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--key", "H"), "'H' is no key"),
        (("--given", "a.mxl"), "a.mxl: no such file"),
        (("--wav",), "-o DIR"),
        (("-n", "2", "--best", "4"), "--best 4"),
    ],
)
def test_infer_ends_with_2_and_says_why(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = run(*words, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr and "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_infer_learns_and_says_so_on_stderr_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pair.sclm").write_text(PAIR)
    words = ("pair.sclm", "--from-measure", "3", "--measures", "5", "--adapt", "--seed", "4", "-m", tiny_model)
    ended = run(*words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "learns 2 measures" in ended.stderr
    assert len(parse(ended.stdout).measures) == 5
    assert run("--adapt", cwd=tmp_path).returncode == 2


def test_infer_keeps_the_best_and_says_the_figures(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "pair.sclm").write_text(PAIR)
    ended = run("--given", "pair.sclm", "-n", "3", "--best", "1", "--seed", "4", "-m", tiny_model, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("nats a note, parallels") == 3
    assert ended.stderr.count("kept: seed") == 1
    assert part_of(ended.stdout, "Bass") == part_of(PAIR, "Bass")


# -- sound ---------------------------------------------------------------------------------------------


def test_a_score_is_heard(tmp_path: Path) -> None:
    try:
        audio.ready()
    except ScorelmError as error:
        pytest.skip(str(error))
    path = scorelm.save(PAIR, tmp_path / "pair.wav")
    with wave.open(str(path)) as file:
        assert file.getnframes() / file.getframerate() > 3
        assert any(file.readframes(file.getnframes()))


def test_a_soundfont_that_is_missing_or_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELM_SOUNDFONT", str(tmp_path / "no.sf2"))
    with pytest.raises(ScorelmError, match="No such file"):
        audio.soundfont()
    (tmp_path / "bad.sf2").write_bytes(b"no soundfont")
    monkeypatch.setenv("SCORELM_SOUNDFONT", str(tmp_path / "bad.sf2"))
    with pytest.raises(ScorelmError, match="is no soundfont"):
        scorelm.save(PAIR, tmp_path / "pair.wav")
    assert not (tmp_path / "pair.wav").exists()
    monkeypatch.delenv("SCORELM_SOUNDFONT")
    monkeypatch.setattr(audio, "FOLDERS", ())
    with pytest.raises(ScorelmError, match="needs a soundfont"):
        audio.soundfont()


# -- the walk ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_a_walk_by_chance_keeps_to_its_plan_and_can_be_copied(seed: int) -> None:
    chance = random.Random(seed)
    plan = Wish(given=TUNE).plan()
    assert isinstance(plan, Plan)
    walks, texts = [walk_of(plan)], ["|"]
    while any(walk.allowed for walk in walks):
        for number, walk in enumerate(walks):
            if not walk.allowed:
                continue
            lexeme = chance.choice(sorted(walk.allowed & set(LEXEMES[1:])) or [""])
            if not lexeme:
                walk.allowed = frozenset()
                continue
            walk.push(lexeme)
            texts[number] += lexeme
            if lexeme == "|" and len(walks) < 2:
                walks.append(walk.copy())
                texts.append(texts[number])
    assert len(walks) == 2 and texts[0] != texts[1]
    for text in texts:
        core = write(strip(parse(TUNE)))
        assert part_of(text, "Soprano") == part_of(core, "Melody")
        assert len(parse(text).measures) == 3


def test_rewritten_first_measures_bring_no_transposition_of_what_is_kept(untrained: Student) -> None:
    piece = '|\nT4:4P"A"!clef-G2!CDEF;P"B"!clef-F4!CDEF|\nGABc;GABc|\n'
    for seed in range(12):
        (text,) = scorelm.generate(piece, rewrite="1-1", seed=seed, temperature=1.3, model=untrained)
        assert extract(parse(text), (2, 2)) == extract(parse(piece), (2, 2))


def test_no_extender_is_drawn_on_under_new_measures(tmp_path: Path, untrained: Student) -> None:
    path = tmp_path / "song.sclm"
    path.write_text('|\nT4:4P"Voice"_"la= la _ la="GABc;P"Alto"_"oh ah="EEEE|\n_"la="cBcz;EEEE|\n', encoding="utf-8")
    text = scorelm.generate(path, untrained, measures=3, seed=1)[0]
    assert text.splitlines()[1:3] == ['T4:4P"Voice"_"la= la _ la="GABc;P"Alto"_"oh ah"EEEE|', '"la"cBcz;EEEE|']


def test_a_part_without_pitches_rests_where_it_would_be_written(tmp_path: Path, untrained: Student) -> None:
    path = tmp_path / "band.sclm"
    path.write_text('|\nT4:4P"Voice"!clef-G2!GABc;P"Drums"!clef-percussion!nCnGnCnG|\nhGB;nCnGhnC|\n', encoding="utf-8")
    gone_on = (scorelm.generate(path, untrained, measures=4, seed=seed)[0] for seed in range(3))
    for text in (*gone_on, scorelm.generate(path, untrained, rewrite="2", seed=1)[0]):
        first, *others = (measure.parts[1] for measure in parse(text).measures)
        assert first and any(isinstance(event, Chord) for event in first.staves[0].voices[0])
        new = others[1:] or others  # measure 2 was written anew, or kept
        for part in new:
            assert part and [type(event) for voice in part.staves[0].voices for event in voice] == [Rest]
