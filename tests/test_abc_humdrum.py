"""ABC and Humdrum: what the files say is in the score, what is left out is named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scorelm
from scorelm import music21_bridge
from scorelm.errors import SourceError
from scorelm.sources import abc, humdrum

HEAD = "X:1\nT:Air\nM:4/4\nL:1/4\nK:C\n"


def of_abc(text: str, profile: str = "core") -> tuple[str, list[str]]:
    ((score, said),) = abc.read(text.encode(), "x")
    return scorelm.encode(score, profile), said


def music(body: str, profile: str = "core", head: str = HEAD) -> str:
    """The text of a part, behind its clef."""
    return of_abc(head + body + "\n", profile)[0].split("!clef-G2!", 1)[1].replace("\n", "")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[CEG]2 C2|", "hC+E+GC|"),
        ("[CE-]2 [CE]2-|[CE]4|]", "hC+E-C-+E-|wC+E!end!|"),
        ("{d}C {/d}C2 C|", "{q"),
        ("(3CDE FG A|", "[3C"),
        ("C>D E<<F|", "q.CiD"),
        ("C-C ^C C|", "C-C^C^C|"),
        ("C & E|", "C&E"),
        ("x2 z2|", "hxz|"),
        ("C4|Z2|C4|", "wC|Z|Z|wC|"),
        ("[K:G] F [M:2/4] G|", "$"),
        ("|:C4|1D4:|2E4|]", "!ending!"),
        ("C5/2 D3/2|", "hC-iCq.D|"),
        ('"8"C ">"D2 E|', "ChDqE|"),
        ("C D \\\nE F|", "CDEF|"),
        ("HC D % a comment\nE F|", "HCDEF|"),
    ],
)
def test_a_feature_of_abc_is_in_the_score(body: str, text: str) -> None:
    found = music(body)
    assert text in found, found


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("C D E F|\nw:Hal-le-lu-jah", '_"Hal-le-lu-jah"CDEF'),
        ("C D E F|\nw:a * b~c _", r'_"a _ b\sc="CDEF'),
        ("(C D) !p!!trill!E .F|", "p!trill!"),
        ('"Am7"C "Bb/d"D2 E|', "!chord!"),
        ("!<(!C D!<)! E2|", "<"),
        ("[P:A]C4|", '!rehearsal!"A"'),
        ('"^dolce"C4|', '^"dolce"wC'),
    ],
)
def test_notation_of_abc_is_in_the_full_score(body: str, text: str) -> None:
    found = of_abc(HEAD + body + "\n", "full")[0].split("\n", 1)[1].replace("\n", "")
    plain = found.replace('l"', '"') if text.startswith('"') else found
    assert text in plain, found


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("Ador", "K1!dorian!"),
        ("Bb", "K-2!major!"),
        ("F#m", "K3!minor!"),
        ("EMix", "K3!mixolydian!"),
        ("D exp _b ^f", "^F"),
        ("none", 'T4:4P""!clef-G2!wF'),
    ],
)
def test_a_key_of_abc_has_its_mode(key: str, text: str) -> None:
    written = of_abc(f"X:1\nM:4/4\nL:1/4\nK:{key}\nF4|\n")[0]
    assert text in written, written


@pytest.mark.parametrize(
    ("body", "notice"),
    [
        ("!wobble!C4|", "line 6: left out: the decoration 'wobble'"),
        ("R:reel\nC4|", "line 6: left out: field R"),
        ("%%vskip 2\nC4|", "line 6: left out: %%vskip"),
        ("C4|\nW:words", "line 7: left out: field W"),
        ("C4)|", "line 6: left out: a ')' that closes nothing"),
        ("(C4|", "line 6: left out: a slur that nothing closes"),
        ("~C4|", "line 6: a roll (~) is written as a turn"),
        ('"4"C4|', "line 6: '4' is no chord symbol; kept as words"),
        ("C2 D2|\nw:a b c", "line 7: left out: syllables beyond the last note, from 'c'"),
        ("C4|\n\nsome remark", "line 8: left out: text behind the tune's end"),
        ("[M:x]C4|", "line 6: left out: M:x, which is no metre"),
    ],
)
def test_what_abc_has_and_a_score_has_not_is_named_by_line(body: str, notice: str) -> None:
    assert notice in of_abc(HEAD + body + "\n")[1]


def test_a_clean_tune_has_no_notices_and_letters_beyond_ascii() -> None:
    ((score, said),) = abc.read(b"X:1\nT:\\'Etude &amp; \\\"Ubung\nM:4/4\nL:1/4\nK:C\nCDEF|]\n", "x")
    assert said == []
    assert score.metadata.title == "Étude & Übung"


def test_voices_are_parts_with_clefs_and_a_book_is_many_scores() -> None:
    text = of_abc('X:1\nM:2/4\nL:1/4\nV:1 name="Oboe"\nV:2 clef=bass\nK:C\n[V:1]cd|\n[V:2]C,D,|\n')[0]
    assert 'P"Oboe"' in text
    assert "!clef-F4!" in text
    book = abc.read((HEAD + "C4|\n\n" + HEAD.replace("X:1", "X:2") + "D4|\n").encode(), "x")
    assert len(book) == 2


def test_latin_1_is_read_and_said() -> None:
    ((score, said),) = abc.read(HEAD.replace("Air", "Lied für").encode("latin-1") + b"C4|\n", "x")
    assert score.metadata.title == "Lied für"
    assert said == ["line 2: no UTF-8; read as Latin-1"]


def test_a_tune_with_a_duration_of_several_notes_is_read() -> None:
    assert scorelm.encode("ryansMammoth/WinnicksFavoriteJig.abc").startswith("|\n")


KERN = """!!!OTL: Air
**kern\t**kern\t**text\t**dynam
*I"Bass\t*I"Alto\t*\t*
*clefF4\t*clefG2\t*\t*
*M4/4\t*M4/4\t*\t*
*met(c)\t*met(c)\t*\t*
=1\t=1\t=1\t=1
1C\t(4g\tHal-\tp <
.\t4a)\t-le-\t[
*\t*^\t*\t*
.\t2cc\t2e:\t-lu\tf
*\t*v\t*v\t*\t*
=2\t=2\t=2\t=2
1C 1G:\t8qb\t.\t.
.\t3%2a\t.\t.
.\t6g;\t_\t.
.\t6g\t.\t.
*>B\t*\t*\t*
==\t==\t==\t==
*-\t*-\t*-\t*-
"""


def test_humdrum_keeps_what_music21_drops() -> None:
    ((score, said),) = humdrum.read(KERN.encode(), "x")
    text = scorelm.encode(score, "full")
    for word in ('P"Alto"', 'P"Bass"', "!common!", '_"Hal-le-lu"', "<p", "Sr", "RwC,+G,", "!end!", '!title!"Air"'):
        assert word in text, (word, text)
    assert len(score.recurse().getElementsByClass("Slur")) == 1
    assert "line 18: left out: *>B, a section or an order of sections" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\n", "no Humdrum"),
        ("**text\nla\n*-\n", "no spine '**kern'"),
        ("**kern\t**kern\n4c\n*-\t*-\n", "line 2: 1 columns for 2 spines"),
    ],
)
def test_broken_humdrum_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=r"^x: ") as raised:
        humdrum.read(text.encode(), "x")
    assert words in str(raised.value)


def test_a_note_that_music21_cannot_read_is_named() -> None:
    ((_, said),) = humdrum.read(b"**kern\n*M2/4\n=1\n4c\n4?\n==\n*-\n", "x")
    assert any("line 5" in n and "'4?'" in n for n in said)


@pytest.mark.parametrize("text", ["", "hello", "X:1\nT:no key\nCDE|\n"])
def test_what_is_no_abc_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match=r"^x: no ABC tune with music"):
        abc.read(text.encode(), "x")


def test_check_says_what_the_reader_left_out(tmp_path: Path) -> None:
    from scorelm.check import check

    (tmp_path / "a.abc").write_text(HEAD + "R:reel\nC4|D4|]\n")
    (found,) = check(tmp_path / "a.abc")
    assert found.changed == []
    assert found.odd == ["line 6: left out: field R"]


def test_the_corpus_is_read_by_these_readers() -> None:
    (score,) = music21_bridge.read_streams("ryansMammoth/WinnicksFavoriteJig.abc")
    assert music21_bridge.notices(score)


def test_a_dataset_names_what_was_guessed(tmp_path: Any) -> None:
    from scorelm import dataset

    (tmp_path / "a.abc").write_text(HEAD + "R:reel\nC4|D4|]\n")
    dataset.make([dataset.Work(tmp_path / "a.abc", "a.abc")], tmp_path / "out")
    assert "left out: field R" in (tmp_path / "out" / "notices.jsonl").read_text()
    assert "notices" not in (tmp_path / "out" / "train.jsonl").read_text()


@pytest.mark.parametrize("said", ["clef=G8", "clef=treble8", "clef=treble-8", "clef=G2-8"])
def test_a_treble_clef_an_octave_lower_is_said_in_several_ways(said: str) -> None:
    from scorelm.sources.abc_fields import read_clef

    assert read_clef(said)[0] == ("G", 2, -1)
