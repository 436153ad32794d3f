"""Humdrum: spines that split and join anywhere, barlines, layout comments, and files that break off."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from music21 import meter, note, stream

import scorelm
from scorelm.errors import SourceError
from scorelm.sources import humdrum
from scorelm.sources.kern import cells

HEAD = "**kern\n*clefG2\n*M4/4\n=1\n"
END = "\n=2\n1c\n==\n*-\n"
CLEF = "!clef-G2!"


def read(text: str, profile: str = "full") -> tuple[str, list[str]]:
    ((score, said),) = humdrum.read(text.encode(), "x")
    return scorelm.encode(score, profile), said


def first_measure(body: str) -> str:
    """The notes of the first measure of a part, where nothing was left out."""
    text, said = read(HEAD + body + END)
    assert said == []
    assert text.endswith("|\nwC!end!|\n"), text
    return text.split(CLEF, 1)[1].split("|")[0]


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("4c\n*^\n4d\t4g\n*v\t*v\n2e", "CDhE&yGhy"),
        ("4c\n*^\n4d\t4g\n2e\t2f\n*v\t*v", "CDhE&yGhF"),
        ("*^\n4d\t4g\n*v\t*v\n4e\n2f", "DEhF&Gh.y"),
        ("*^\n4d\t4g\n*v\t*v\n4e\n*^\n2f\t4a\n.\t4b\n*v\t*v", "DEhF&GyAB"),
        ("*^\n2c\t4e\n.\t4f\n*x\t*x\n2d\t4g\n.\t4a\n*v\t*v", "hCqGA&EFhD"),
    ],
)
def test_voices_begin_and_end_within_a_measure(body: str, notes: str) -> None:
    assert first_measure(body) == notes


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("*^\n*^\t*\n2c\t2e\t4g\n.\t.\t4a\n2d\t2f\t2b\n*v\t*v\t*\n*v\t*v", "hCD&hEF&GAhB"),
        ("*^\n*\t*^\n2c\t2e\t4g\n.\t.\t4a\n2d\t2f\t2b\n*v\t*v\t*v", "hCD&hEF&GAhB"),
        ("*^\n*^\t*^\n1c\t1e\t1g\t1b\n*v\t*v\t*v\t*v", "wC&wE&wG&wB"),
        ("*^\n2c\t2e\n*^\t*\n2d\t2g\t2f\n*v\t*v\t*v", "hCD&hEF&hyG"),
        ("*^\n2c\t4e\n*\t*^\n.\t4f\t4g\n*\t*v\t*v\n*v\t*v\n2d", "hCD&EFhy&yGhy"),
        ("2c\n*^\n*^\t*\n(8dL\t2e\t4g\n8f)J\t.\t.\n4b\t.\t4a\n*v\t*v\t*\n*v\t*v", "hC(iD)FqB&hyE&hyqGA"),
    ],
)
def test_more_than_two_voices_keep_all_of_their_notes(body: str, notes: str) -> None:
    found = first_measure(body)
    assert found == notes, found


def test_a_voice_that_starts_beside_a_held_note_takes_its_moment_from_another_spine() -> None:
    text, said = read(
        "**kern\t**kern\n*clefF4\t*clefG2\n*M2/4\t*M2/4\n=1\t=1\n4C\t2c\n*\t*^\n4D\t.\t4g\n*\t*v\t*v\n*-\t*-\n"
    )
    assert said == []
    assert "!hC&yG;" in text


def test_a_clef_of_a_further_voice_stands_where_it_stood() -> None:
    text, _ = read("**kern\n*clefG2\n*M2/4\n=1\n*^\n2c\t4e\n*\t*clefF4\n.\t4f\n*v\t*v\n*-\n")
    assert "hC&E!clef-F4!F" in text, text


@pytest.mark.parametrize("split", [False, True])
def test_grace_notes_and_metres_in_measures_without_numbers_are_kept(split: bool) -> None:
    body = "*^\n8qe\t.\n4f\t4.a\n8g\t.\n*v\t*v" if split else "8qe\n4f\n8g"
    text, said = read(f"**kern\n*clefG2\n*M2/4\n=\n4c\n4d\n=\n*M3/8\n{body}\n=\n4.a\n*-\n")
    assert said == []
    assert ("CD|\n#0T3:8{/E}qFiG&q.A|\n" if split else "CD|\n#0T3:8{/E}qFiG|\n") in text, text


def test_measures_in_which_a_first_voice_is_silent_stay_apart() -> None:
    text, _ = read("**kern\n*clefG2\n*M2/4\n*^\n=1\t=1\n.\t4e\n.\t4f\n=2\t=2\n.\t4c\n.\t4d\n*v\t*v\n*-\n")
    assert text.endswith("EF|\nCD|\n"), text


def test_a_spine_may_begin_within_a_piece() -> None:
    text, said = read(
        "**kern\n*clefG2\n*M2/4\n=1\n2c\n=2\n4d\n*+\n*\t**kern\n*\t*clefF4\n4e\t4E\n=3\t=3\n2f\t2F\n*-\t*-\n"
    )
    assert said == []
    assert text.split("|\n")[2:4] == ["@2y!clef-F4!E,;DE", "@2hF,;hF"], text


def test_harmony_beside_the_notes_is_named_and_makes_no_chords() -> None:
    text, said = read(
        "**kern\t**harm\n*staff1\t*staff1\n*clefG2\t*\n*M2/4\t*\n*C:\t*C:\n=1\t=1\n4c\tI\n4d\tV\n*-\t*-\n"
    )
    assert said == ["line 1: left out: spine 2 (**harm), 2 entries"]
    assert text.endswith("!clef-G2!CD|\n"), text


def test_syllables_and_dynamics_find_their_notes_in_spines_that_split() -> None:
    text, said = read(
        "**kern\t**text\t**dynam\n*clefG2\t*\t*\n*M2/4\t*\t*\n=1\t=1\t=1\n4c\tla\tp\n*^\t*\t*\n4d\t4g\tli\tf\n"
        "*v\t*v\t*\t*\n==\t==\t==\n*-\t*-\t*-\n"
    )
    assert said == []
    assert 'p_"la li"CrD&yG!end!' in text, text


def kern(seed: int) -> tuple[str, Counter[tuple[int, int, Fraction, int, Fraction]]]:
    """A file whose spines split, join and exchange at random, and its notes: spine, measure, moment, pitch, length."""
    chance = random.Random(seed)
    truth: Counter[tuple[int, int, Fraction, int, Fraction]] = Counter()
    columns = [[0, 0], [1, 0]]  # the spine, and the eighth at which its note ends
    lines = ["**kern\t**kern", "*clefF4\t*clefG2", "*M4/4\t*M4/4"]

    def path(texts: list[str]) -> None:
        lines.append("\t".join(texts))

    for measure in range(1, 5):
        path([f"={measure}"] * len(columns))
        for column in columns:
            column[1] = 0
        for now in range(8):
            if all(end > now for _, end in columns):
                continue
            for _ in range(chance.randrange(3)):
                ended = [i for i, (_, end) in enumerate(columns) if end <= now]
                i = chance.choice(ended)
                pair = i + 1 in ended and columns[i + 1][0] == columns[i][0]
                texts = ["*"] * len(columns)
                if pair and chance.random() < 0.6:
                    texts[i] = texts[i + 1] = chance.choice(["*v", "*x"])
                    if texts[i] == "*v":
                        del columns[i + 1]
                    path(texts)
                elif sum(spine == columns[i][0] for spine, _ in columns) < 5:
                    texts[i] = "*^"
                    columns.insert(i + 1, list(columns[i]))
                    path(texts)
            tokens = []
            for column in columns:
                if column[1] > now:
                    tokens.append(".")
                    continue
                length, value = chance.choice(
                    [(n, v) for n, v in ((1, "8"), (2, "4"), (3, "4."), (4, "2")) if n <= 8 - now]
                )
                step, octave = chance.randrange(7), chance.randrange(3)
                name = "cdefgab"[step] * (octave + 1)
                column[1] = now + length
                truth[
                    column[0],
                    measure,
                    Fraction(now, 2),
                    60 + 12 * octave + (0, 2, 4, 5, 7, 9, 11)[step],
                    Fraction(length, 2),
                ] += 1
                tokens.append(value + name)
            path(tokens)
    path(["=="] * len(columns))
    path(["*-"] * len(columns))
    return "\n".join(lines), truth


@pytest.mark.parametrize("seed", range(8))
def test_no_note_is_lost_or_moved_however_spines_split_and_join(seed: int) -> None:
    text, truth = kern(seed)
    written, said = read(text, "core")
    assert said == []
    found: Counter[tuple[int, int, Fraction, int, Fraction]] = Counter()
    parts = list(scorelm.decode(written).parts)
    for spine, part in enumerate(reversed(parts)):
        for measure in part.getElementsByClass(stream.Measure):
            for element in measure.recurse().notes:
                moment = Fraction(element.getOffsetInHierarchy(measure))
                for pitch in element.pitches:
                    found[spine, measure.number, moment, pitch.midi, Fraction(element.quarterLength)] += 1
    assert found == truth


def test_a_voice_keeps_its_number_through_splits_and_joins() -> None:
    table, unended = cells(
        "**kern\n*^\n*^\t*\n4c\t4e\t4g\n*v\t*v\t*\n4d\t4a\n*x\t*x\n4b\t4f\n*-\t*\n4c\n*-".split("\n"), "x"
    )
    assert unended == 0
    assert [(c.voice, c.text) for c in table if c.is_data] == [
        (0, "4c"), (2, "4e"), (1, "4g"), (0, "4d"), (1, "4a"), (1, "4b"), (0, "4f"), (0, "4c"),
    ]  # fmt: skip


def measured(*elements: tuple[float, Any]) -> stream.Score:
    measure = stream.Measure(1)
    measure.insert(0, meter.TimeSignature("4/4"))
    for offset, element in elements:
        measure.insert(offset, element)
    return stream.Score([stream.Part([measure])])


def quarters(names: str) -> list[note.Note]:
    return [note.Note(name) for name in names.split()]


@pytest.mark.parametrize(
    ("elements", "notes"),
    [
        ([(0, "C4"), (1, ["D4", "E4"]), (1, ["G4", "A4"]), (3, "F4")], "CDEF&yGAy"),
        ([(0, ["D4", "E4"]), (0, ["G4", "A4"]), (2, "C4"), (3, "F4")], "DECF&GAhy"),
        ([(2, ["D4", "E4"]), (2, ["G4", "A4"])], "hyqDE&hyqGA"),
        ([(0, "C4"), (1, "B4"), (1, ["D4", "E4"]), (1, ["G4", "A4"])], "yDE&yGA&CBy"),
        ([(0, ["D4", "E4", "C4", "D4"]), (0, "F4"), (2, ["A4"])], "DECD&FyAy"),
    ],
)
def test_a_voice_of_music21_stands_where_it_begins(elements: list[tuple[float, Any]], notes: str) -> None:
    def made(element: Any) -> Any:
        return note.Note(element) if isinstance(element, str) else stream.Voice(quarters(" ".join(element)))

    score = measured(*((offset, made(element)) for offset, element in elements))
    before = [(e.offset, e) for e in score.recurse()]
    text = scorelm.encode(score)
    assert notes + "|" in text, text
    assert [(e.offset, e) for e in score.recurse()] == before


def test_a_repeat_at_the_end_makes_no_measure() -> None:
    text, _ = read("**kern\n*clefG2\n*M2/4\n=1\n2c\n=2\n2d\n==:|!\n*-\n")
    assert text == f'|\nT2:4P""{CLEF}hC|\nhD!repeat)!|\n'


def test_a_repeats_end_without_a_number_begins_no_repeat() -> None:
    text, _ = read("**kern\n*clefG2\n*M2/4\n=1\n4c\n=:|!\n4d\n=2\n2e\n*-\n")
    assert "!repeat)!" in text
    assert "!repeat(!" not in text


LAYOUT = "**kern\t**dynam\n*clefG2\t*\n*M4/4\t*\n!LO:TX:a:t=Allegro&colon; vivo\t!\n=1\t=1\n4c\t.\n!LO:DY:b\t!LO:HP:a\n4d\tp\n!LO:TX:b:i:t=dolce\t!\n2e\t.\n!!LO:TX:t=all\n!LO:N:vis=4\t!\n=2\t=2\n1c\t.\n*-\t*-\n"


def test_words_of_the_layout_are_kept_and_all_else_of_it_is_named() -> None:
    text, said = read(LAYOUT)
    assert '^"Allegro: vivo"CpD' in text, text
    assert '~"dolce"hE' in text, text
    assert said == [
        "line 7: spine 1: left out: the layout LO:DY",
        "line 7: spine 2: left out: the layout LO:HP",
        "line 12: spine 1: left out: the layout LO:N",
        "line 11: left out: the layout !!LO:TX",
    ]


@pytest.mark.parametrize("tail", ["", "\n", "\n\n"])
def test_a_file_without_its_end_is_read_and_this_is_said(tail: str) -> None:
    text, said = read(
        "**kern\t**kern\n*clefG2\t*clefG2\n*M4/4\t*M4/4\n=1\t=1\n1c\t1e\n*\t*^\n=2\t=2\t=2\n1d\t1f\t1a" + tail
    )
    assert text == f'|\nT4:4P""{CLEF}wE;P""{CLEF}wC|\nwF&wA;wD|\n'
    (notice,) = said
    assert notice.endswith("the file ends without '*-'; read as if it were there")


def test_columns_that_no_tab_separates_are_refused() -> None:
    with pytest.raises(SourceError, match=r"^x: no spine '\*\*kern': columns are separated by tabs"):
        humdrum.read(b"**kern **kern\n4c 4d\n*- *-\n", "x")


def test_a_spine_that_splits_in_a_file_of_several_scores_is_named() -> None:
    section = "**kern\n*M2/4\n=1\n*^\n2c\t2e\n*v\t*v\n*-\n"
    scores = humdrum.read((section * 2).encode(), "x")
    assert len(scores) == 2
    assert "line 5: a spine splits in a file of several scores: its notes may be moved or left out" in scores[0][1]
