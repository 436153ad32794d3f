"""The public functions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import scorelm
from scorelm.notation.reader import parse

TEXT = '|\nK1!major!T2:4P"Soprano"!clef-G2!GA;P"Bass"!clef-F4!hG,|\nhB;DG,|\nhB;G,D|\nhG;hG,!end!|\n'
MAGIC = {
    ".musicxml": b"<?xml", ".mxl": b"PK", ".mid": b"MThd", ".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF",
    ".sclm": b"|\nK1",
}  # fmt: skip


@pytest.mark.parametrize("ending", sorted(MAGIC))
def test_a_text_is_saved_as_its_name_says(ending: str, tmp_path: Path) -> None:
    path = scorelm.save(TEXT, tmp_path / f"new{ending}")
    assert path.read_bytes().lstrip().startswith(MAGIC[ending])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".musicxml", ".mxl", ".sclm"])
def test_what_is_saved_is_read_as_the_same_text(ending: str, tmp_path: Path) -> None:
    assert scorelm.encode(scorelm.save(TEXT, tmp_path / f"a & b{ending}")) == TEXT


def test_a_music21_score_goes_both_ways(tmp_path: Path) -> None:
    score = scorelm.decode(TEXT)
    assert [len(part.getElementsByClass("Measure")) for part in score.parts] == [4, 4]
    assert [note.nameWithOctave for note in score.parts[0].flatten().notes] == ["G4", "A4", "B4", "B4", "G4"]
    assert scorelm.encode(score) == TEXT
    assert scorelm.encode(scorelm.save(score, tmp_path / "new.musicxml")) == TEXT


def test_a_work_of_the_corpus_is_encoded_by_its_name() -> None:
    assert scorelm.encode("bach/bwv66.6").startswith('|\n#0?@1K3!minor!T4:4!common!P"Soprano"')


def test_an_excerpt_says_again_what_is_in_force() -> None:
    assert scorelm.extract(TEXT, (3, 4), ["Bass"]) == '|\n#3K1!major!T2:4P"Bass"!clef-F4!G,D|\nhG,!end!|\n'
    assert scorelm.extract(TEXT, parts=[2, "Soprano"]).startswith('|\nK1!major!T2:4P"Bass"!clef-F4!hG,;P"Soprano"')
    assert scorelm.extract(TEXT) == TEXT


@pytest.mark.parametrize("wrong", [{"measures": (5, 6)}, {"measures": (0, 1)}, {"measures": (3, 2)}, {"parts": ["Alto"]}, {"parts": [3]}, {"parts": []}])  # fmt: skip
def test_an_excerpt_that_is_not_there_is_refused(wrong: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(scorelm.ScorelmError):
        scorelm.extract(TEXT, **wrong)


def test_a_transposition_moves_pitches_and_keys() -> None:
    up = scorelm.transpose(TEXT, "M2")
    assert up.startswith('|\nK3!major!T2:4P"Soprano"!clef-G2!AB;P"Bass"!clef-F4!hA,|')
    assert scorelm.transpose(up, "-M2") == TEXT
    with pytest.raises(scorelm.ScorelmError, match="no interval"):
        scorelm.transpose(TEXT, "M5")


def test_a_profile_keeps_what_it_names() -> None:
    with pytest.raises(scorelm.ScorelmError, match="unknown profile 'cor'"):
        scorelm.encode("bach/bwv66.6", "cor")


def test_broken_text_is_refused_with_its_place_and_repaired() -> None:
    broken = TEXT.replace("hB;DG,", "hB;D")
    with pytest.raises(scorelm.FormatError, match="lasts 1 quarters, its measure 2") as caught:
        scorelm.decode(broken)
    assert (caught.value.measure, caught.value.line, caught.value.column) == (2, 3, 4)
    text, problems = scorelm.repair(broken)
    assert text == TEXT.replace("hB;DG,", "hB;Dz")
    assert [problem.measure for problem in problems] == [2]


@pytest.mark.parametrize("name", ["new.txt", "new", "new.doc"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(scorelm.ScorelmError, match="ends in"):
        scorelm.save(TEXT, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_of_a_broken_text(tmp_path: Path) -> None:
    with pytest.raises(scorelm.FormatError):
        scorelm.save("|nonsense|", tmp_path / "new.musicxml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["nowhere.mxl", "nobody/nothing", 3, None])
def test_a_source_that_is_none_is_refused(source: object) -> None:
    with pytest.raises(scorelm.ScorelmError):
        scorelm.encode(source)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content"), [("a.mid", b"no"), ("a.krn", b"\xff\xfe"), ("a.abc", b""), ("a.mxl", b"PK")]
)
def test_a_file_that_is_no_score_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(scorelm.ScorelmError, match=name):
        scorelm.encode(tmp_path / name)


def test_the_empty_text_is_the_empty_score() -> None:
    assert parse("|").measures == ()
    assert scorelm.encode(scorelm.decode("|")) == "|\n"


def test_a_score_is_written_as_abc_that_music21_reads_with_the_same_notes(tmp_path: Path) -> None:
    text = scorelm.encode("bach/bwv66.6")
    path = scorelm.save(text, tmp_path / "chorale.abc")
    assert path.read_text(encoding="utf-8").startswith("X:1\n")
    again = scorelm.decode(scorelm.encode(path))
    sounding = [sorted(p.nameWithOctave for p in s.pitches) for s in (scorelm.decode(text), again)]
    assert sounding[0] == sounding[1]


def test_abc_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "converter21.abc.xml2abc", None)
    with pytest.raises(scorelm.ScorelmError, match=r"pip install .scorelm\[abc\]"):
        scorelm.save("|", tmp_path / "a.abc")
    assert not (tmp_path / "a.abc").exists()
