"""MusicXML <-> data model: what a score says in one it says in the other."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from lxml import etree

from scorelm.errors import SourceError
from scorelm.musicxml.reader import read_score, score_from_xml
from scorelm.musicxml.source import open_xml
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import Chord, Key, Mark, Rest, Score, Time, chords
from scorelm.notation.reader import parse
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

SCORES = Path(os.environ.get("SCORELM_SCORES", "scores"))  # a folder of MusicXML files; without it those tests skip
HEAD = (
    '<score-partwise version="4.0"><part-list><score-part id="P1"><part-name>A</part-name></score-part></part-list>'
    '<part id="P1">{}</part></score-partwise>'
)
FIRST = (
    '<measure number="1"><attributes><divisions>12</divisions><time><beats>4</beats><beat-type>4</beat-type></time>'
    "</attributes>{}</measure>"
)


def note(step: str = "C", duration: int = 12, kind: str = "quarter", more: str = "", before: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><octave>4</octave></pitch>" if step != "R" else "<rest/>"
    length = f"<duration>{duration}</duration>" if duration else ""
    return f"<note>{before}{pitch}{length}<voice>1</voice><type>{kind}</type>{more}</note>"


def read(*measures: str) -> Score:
    return score_from_xml(open_xml(HEAD.format("".join(measures)).encode(), "test"))


def again(score: Score) -> Score:
    return score_from_xml(open_xml(write_musicxml(score), "test"))


def text_of(*measures: str) -> str:
    """The text of measures, without head; reading what is written must give the same score."""
    score = read(*measures)
    assert again(score) == score
    return write(score).replace('|\nT4:4P"A"', "").strip()


def test_four_quarters_are_four_letters() -> None:
    assert text_of(FIRST.format("".join(note(s) for s in "CDEF"))) == "CDEF|"


def test_a_pickup_declares_its_length_and_is_not_counted() -> None:
    pickup = FIRST.format(note("G")).replace('number="1"', 'number="0" implicit="yes"')
    full = f'<measure number="1">{note("C", 48, "whole")}</measure>'
    score = read(pickup, full)
    assert again(score) == score
    assert write(score) == '|\n#0?@1T4:4P"A"G|\nwC|\n'


def test_an_over_full_measure_declares_what_it_holds() -> None:
    assert write(read(FIRST.format(note("C") * 5))) == '|\n@5T4:4P"A"CCCCC|\n'


def test_empty_time_behind_the_last_note_is_told_in_full_and_not_in_core() -> None:
    score = read(FIRST.format(note() * 3 + "<forward><duration>12</duration></forward>"))
    assert again(score) == score
    assert write(score) == '|\n@3T4:4P"A"CCC!empty-time!1|\n'
    assert write(strip(score)) == '|\n@3T4:4P"A"CCC|\n'


def test_a_second_time_signature_beside_the_first_is_kept() -> None:
    second = (
        '<interchangeable symbol="common"><time-relation>slash</time-relation><beats>6</beats><beat-type>8</beat-type>'
        "</interchangeable></time>"
    )
    score = read(FIRST.format(note() * 4).replace("</time>", second))
    assert again(score) == score
    assert write(score) == '|\nT4:4P"A"!second-time!"6:8""slash""common"CCCC|\n'
    (found,) = open_xml(write_musicxml(score), "test").iter("interchangeable")
    assert etree.tostring(found).decode().replace("\n", "").replace(" " * 2, "").startswith(second.split("</inter")[0])


def test_two_voices_and_a_gap_become_a_spacer() -> None:
    second = note("E", 24, "half").replace("<voice>1", "<voice>2")
    text = text_of(FIRST.format(note("c".upper(), 48, "whole") + "<backup><duration>36</duration></backup>" + second))
    assert text == "wC&yhEqy|"


def test_triplets_nest_and_unmarked_ratios_are_kept() -> None:
    ratio = "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
    marked = [
        note("C", 4, "eighth", ratio + '<notations><tuplet type="start"/></notations>'),
        note("D", 4, "eighth", ratio),
        note("E", 4, "eighth", ratio + '<notations><tuplet type="stop"/></notations>'),
    ]
    unmarked = [note(s, 4, "eighth", ratio) for s in "FGA"]
    assert text_of(FIRST.format("".join(marked + unmarked) + note("B", 24, "half"))) == (
        "[3iCDE][3!tuplet-none!FGA]hB|"
    )


def test_a_tuplet_that_crosses_the_barline_is_marked_on_both_sides() -> None:
    ratio = "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
    first = note("C", 36, "half", "<dot/>") + note(
        "D", 8, "quarter", ratio + '<notations><tuplet type="start"/></notations>'
    )
    second = note("E", 8, "quarter", ratio) + note(
        "F", 8, "quarter", ratio + '<notations><tuplet type="stop"/></notations>'
    )
    text = text_of(FIRST.format(first), f'<measure number="2">{second}</measure>')
    assert "[3qD]+" in text
    assert "[3+:EF]" in text


def test_a_duration_that_is_not_the_written_one_is_kept_exactly() -> None:
    assert text_of(FIRST.format(note("C", 11) + note("D", 37, "half"))) == "q@11:12Ch@37:12D|"


def test_a_note_without_a_duration_lasts_what_the_cursor_moves_behind_it() -> None:
    forward = "<forward><duration>48</duration></forward>"
    rest = "<note><rest/><duration>0</duration><voice>1</voice><type>whole</type></note>"
    assert text_of(FIRST.format(rest + forward)) == "wz|"


def test_a_note_of_a_chord_without_a_voice_is_of_the_voice_before_it() -> None:
    chord = note("C") + note("E", before="<chord/>") + "<backup><duration>12</duration></backup>"
    low = note("D").replace("<voice>1", "<voice>5") + note("F", before="<chord/>").replace("<voice>1</voice>", "")
    assert text_of(FIRST.format(chord + low)).endswith("C+E&D+F|")


def test_ties_are_read_from_their_starts_and_written_with_their_ends() -> None:
    tied = note("C", 24, "half").replace("<voice>", '<tie type="start"/><voice>')
    score = read(FIRST.format(tied + note("C", 24, "half")))
    assert write(score).endswith("hC-C|\n")
    assert write_musicxml(score).count(b'<tie type="stop"/>') == 1


def test_keys_and_times_shared_by_all_parts_stand_once() -> None:
    score = parse('|\nK2T3:4P"A"h.d;P2"B"h.d/h.D|\n')
    assert again(score) == score
    assert Key(2) in score.measures[0].marks
    assert Time((((3,), 4),)) in score.measures[0].marks


def test_a_measure_rest_needs_no_value() -> None:
    score = read(FIRST.format('<note><rest measure="yes"/><duration>48</duration></note>'))
    part = score.measures[0].parts[0]
    assert part is not None
    assert part.staves[0].voices == ((Rest(None, measure=True),),)


@pytest.mark.parametrize(
    "text",
    [
        '|\n!repeat(!T2:4P"A"hC|\n!ending!"1"hD!repeat)!!ending)!|\n!ending!"2"hE!end!!ending-open)!|\n',
        '|\nT4:4P"A"!clef-G2!C{/D}E{sFG}FG|\n',
        '|\nK-3!minor!T4:4!cut!P"A"!transpose!-2,-1!clef-G2-8!CHDzHz|\n',
        '|\nT4:4P2"A"!clef-G2!C!clef-F4!D,E,F,/!clef-F4!hC,qG,O1C+E|\n',
        '|\nK!_B^F:T3+2:8P"A"qCiB,+F%1:2Az|\n',
        '|\n@3TxP"A"h.C|\n@7:2CCCiD|\n',
        '|\nT4:4P"A"C$K3CF$K0F|\n',
        '|\nT2:4P"A"[3{sd}icd{te}f{tg}]qc|\n',
        '|\nT4:4P"A"CD!mid-bar!"light-heavy""backward"E!mid-bar!"""forward"F|\nC!segno!!mid-bar!"""backward"3CCC|\n',
    ],
)
def test_what_the_text_says_survives_musicxml(text: str) -> None:
    score = parse(text)
    assert write(score) == text
    assert write(again(score)) == text


def test_a_compressed_file_is_read_by_its_container(tmp_path: Path) -> None:
    path = tmp_path / "a&b.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        container = '<container><rootfiles><rootfile full-path="x/s.xml"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("other.xml", "<nonsense/>")
        archive.writestr("x/s.xml", HEAD.format(FIRST.format(note() * 4)))
    assert len(list(chords(read_score(path)))) == 4


def test_what_a_mac_puts_beside_a_score_is_no_score() -> None:
    data = _archive(**{"__MACOSX/._s.xml": b"\0\5\26\7", "s.xml": HEAD.format(FIRST.format(note() * 4)).encode()})
    assert len(list(chords(score_from_xml(open_xml(data, "test"))))) == 4


def test_voices_of_two_staves_with_one_name_stay_on_their_staves() -> None:
    back, staff = "<backup><duration>48</duration></backup>", "<staff>{}</staff>"
    head = FIRST.replace("</divisions>", "</divisions><staves>2</staves>")
    upper = (
        note("D", more=staff.format(1)) + "<forward><duration>24</duration></forward>" + note("E", more=staff.format(1))
    )
    lower = note("C", 48, "whole", more=staff.format(2))
    assert write(read(head.format(upper + back + lower))) == '|\nT4:4P2"A"DhyqE/wC|\n'


def test_voices_may_have_any_names_and_modes_any_case() -> None:
    odd = note("D", 48, "whole").replace("<voice>1<", "<voice>²<")
    key = "</divisions><key><fifths>0</fifths><mode>Minor</mode></key>"
    found = read(
        FIRST.replace("</divisions>", key).format(note() * 4 + "<backup><duration>48</duration></backup>" + odd)
    )
    assert write(found) == '|\nK0!minor!T4:4P"A"CCCC&wD|\n'


def test_utf_16_is_read() -> None:
    xml = '<?xml version="1.0" encoding="UTF-16"?>' + HEAD.format(FIRST.format(note() * 4))
    assert len(list(chords(score_from_xml(open_xml(xml.encode("utf-16"), "test"))))) == 4


def _archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no XML"),
        (b"nonsense", "no "),
        (b"<html/>", "is no MusicXML score"),
        (b'<!DOCTYPE x [<!ENTITY a "aa">]><score-partwise/>', "entities"),
        (b"PK\x03\x04 but no archive", "no readable .mxl"),
        (_archive(**{"../up.xml": b"<score-partwise/>"}), "outside itself"),
        (_archive(**{"a.txt": b"x"}), "holds no MusicXML file"),
        (_archive(**{"a.xml": b" " * (260 * 2**20)}), "unpacks to more"),
        (b"<score-partwise/>", "holds no part"),
    ],
)
def test_a_hostile_or_broken_file_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        score_from_xml(open_xml(data, "some file"), "some file")
    assert str(caught.value).startswith("some file: ")


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    from scorelm.musicxml.source import read_bytes

    path = tmp_path / "large.xml"
    path.write_bytes(b"x" * 1000)
    with pytest.raises(SourceError, match="more than the limit"):
        read_bytes(path, max_bytes=999)


def _counts(root: etree._Element) -> Counter[str]:
    return Counter(
        e.tag for e in root.iter("note", "rest", "tie", "grace", "chord", "dot", "clef") if e.get("type") != "stop"
    )


@pytest.mark.skipif(not SCORES.is_dir(), reason=f"no folder {SCORES} of real scores")
@pytest.mark.parametrize("kind", ["lieder", "string_quartets", "musicxml_suite"])
def test_real_scores_keep_their_notes_and_come_back_the_same(kind: str) -> None:
    for path in sorted((SCORES / kind).iterdir())[::6]:
        full = read_score(path)
        assert again(full) == full, path
        score = strip(full)
        text = write(score)
        assert parse(text) == score, path
        assert again(score) == score, path
        if kind != "musicxml_suite":
            source = _counts(open_xml(path.read_bytes(), path.name))
            written = _counts(open_xml(write_musicxml(score), path.name))
            for tag in ("grace", "tie"):
                assert written[tag] == source[tag], (path, tag)


def test_exact_times_are_whole_divisions() -> None:
    score = parse('|\nT4:4P"A"[:11:8tCDEFGABcdef][7sCDEFGAB]hC|\n')
    xml = open_xml(write_musicxml(score), "test")
    assert Fraction(xml.findtext(".//divisions") or "0") % 77 == 0
    assert again(score) == score
    assert isinstance(next(chords(score)), Chord)
    assert Mark("tuplet-none") not in next(iter(score.measures)).marks
