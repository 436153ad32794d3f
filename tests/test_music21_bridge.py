"""To music21 and back: the same text, and the same as the direct way gives."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from music21 import articulations, dynamics, tie

import scorelm
from scorelm import music21_bridge
from scorelm.api import load
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

TWO_WAYS = Path(__file__).parent.parent / "docs" / "two_ways.tsv"
CHORALES = ("bwv66.6", "bwv253", "bwv1.6", "bwv4.8", "bwv377")
# music21's import drops the MIDI program of an instrument that it has no class for
PROGRAM = re.compile(r"!instrument!\d+")
CASES = {
    "a pickup, two staves, voices, chords, tuplets, graces, clefs": '|\n#0?@1K-3!minor!T3:4P2"Piano"!clef-G2!icB&izG/!clef-F4!C|\nC+E+G-[3iABc]{/d}qB&yFz/hC,,qC,&iE,zqG,G,|\n',
    "a transposing part": '|\nT4:4P"Clarinet in Bb"!instrument!72!transpose!-2,-1K2!clef-G2!DEFG;P"Violin"!clef-G2!wC|\n',
    "a changed metre and key": '|\nK1T3:4P"A"!clef-G2!GAB|\nK-2T6:8CDEq.F|\n',
    "repeats and endings": '|\n!repeat(!T2:4P"A"!clef-G2!CD|\n!ending!"1"hE!repeat)!!ending)!|\n!ending!"2"hF!ending)!!end!|\n',
    "an over-full measure": '|\nT4:4P"A"!clef-G2!CDEF|\n@5CDEFG|\n',
    "a quintuplet in a triplet": '|\nT2:4P"A"!clef-G2![3C[5sDEFGA]qC]|\n',
    "a measure rest and rests": '|\nT4:4P"A"!clef-G2!Z|\nhzizq.C|\n',
}


def on_its_own(text: str) -> Any:
    """The decoded score without the one that it was made from, so that music21's objects alone are encoded."""
    score = scorelm.decode(text)
    del score.editorial[music21_bridge.ORIGIN]
    return score


@pytest.mark.parametrize("name", CHORALES)
def test_a_chorale_is_the_same_text_directly_and_through_music21(name: str) -> None:
    (stream,) = music21_bridge.read_streams(f"bach/{name}")
    assert scorelm.encode(stream) == PROGRAM.sub("", write(strip(load(f"bach/{name}"))))


@pytest.mark.parametrize("name", CHORALES)
def test_a_chorale_decoded_and_encoded_is_the_same_text(name: str) -> None:
    text = scorelm.encode(f"bach/{name}")
    assert scorelm.encode(on_its_own(text)) == text


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_a_notation_survives_music21(text: str) -> None:
    assert scorelm.encode(on_its_own(text)) == scorelm.repair(text)[0]


FULL = (
    '|\n!title!"Air"T2:4P"A"!clef-G2!!figured-bass!"6"!p!"Hal-"=C`!fingering!1+E!hidden!D|\n'
    '!words-below!"dolce"l"-le-"<.(C)S"-lu"D!end!|\n'
)


def test_a_decoded_score_that_nobody_changed_gives_back_all_of_its_text() -> None:
    text = scorelm.repair(FULL)[0]
    score = scorelm.decode(text)
    assert scorelm.encode(score, "full") == text
    assert scorelm.encode(copy.deepcopy(score), "full") == text


@pytest.mark.parametrize(
    "change",
    [
        lambda score: score.recurse().notes[1].addLyric("x", 2),
        lambda score: setattr(score.recurse().notes[2].pitch, "octave", 5),
        lambda score: score.recurse().notes[0].articulations.append(articulations.Accent()),
        lambda score: setattr(score.recurse().notes[2].duration, "quarterLength", 0.5),
        lambda score: setattr(score.metadata, "title", "Another"),
        lambda score: score.parts[0].measure(1).insert(1.0, dynamics.Dynamic("ff")),
        lambda score: setattr(score.recurse().notes[1], "tie", tie.Tie("start")),
    ],
)
def test_a_decoded_score_that_was_changed_is_encoded_as_it_is_now(change: Callable[[Any], object]) -> None:
    text = scorelm.repair(FULL)[0]
    score = scorelm.decode(text)
    change(score)
    assert scorelm.encode(score, "full") != text


@pytest.mark.parametrize(
    "name", ["monteverdi/madrigal.5.1.mxl", "bach/bwv120.8-a.mxl", "lusitano/allor_che_ignuda.mxl", "bach/bwv269.mxl"]
)
def test_both_ways_give_the_same_text_but_for_the_files_that_are_listed(name: str) -> None:
    listed = [line.split("\t")[0] for line in TWO_WAYS.read_text(encoding="utf-8").splitlines()[1:]]
    path = music21_bridge.corpus_root() / name
    (stream,) = music21_bridge.read_streams(path)
    direct, through = (PROGRAM.sub("", scorelm.encode(source)) for source in (path, stream))
    assert (direct != through) == (name in listed)


def test_a_name_of_the_corpus_is_taken_whole() -> None:
    assert str(music21_bridge.corpus_path("bach/bwv66.6")).endswith("bwv66.6.mxl")
    assert music21_bridge.corpus_path("bwv66.6.mxl") == music21_bridge.corpus_path("bach/bwv66.6")
    assert music21_bridge.corpus_path("bwv66") is None  # part of several names
    assert music21_bridge.corpus_path("bach") is None  # a composer


def test_a_score_built_in_music21_is_encoded() -> None:
    from music21 import converter, stream

    tiny = converter.parse("tinynotation: 4/4 c4 d8 e f2 g1")
    assert scorelm.encode(tiny).replace('P""', "P").startswith("|\nT4:4P")
    assert "CiDEhF|" in scorelm.encode(tiny)
    assert scorelm.encode(stream.Score()) == "|\n"


def test_midi_sounds_as_written() -> None:
    from music21 import converter

    data = music21_bridge.midi(load("bach/bwv66.6"))
    assert data.startswith(b"MThd")
    heard = converter.parseData(data, format="midi")
    assert len(heard.flatten().notes) >= 150


def test_a_folder_abc_and_humdrum_are_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.abc").write_text("X:1\nT:Air\nM:3/4\nL:1/4\nK:G\nGAB|c2d|]\n")
    assert "GAB|\nhcqd" in scorelm.encode(tmp_path / "a.abc")
    (tmp_path / "a.krn").write_text("**kern\n*M2/4\n=1\n4c\n4d\n=2\n2e\n==\n*-\n")
    assert "CD|\nhE" in scorelm.encode(tmp_path / "a.krn")
