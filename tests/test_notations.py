"""Each notation goes from MusicXML to text and back: what MusicXML says, the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import open_xml
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse
from scorelm.notation.writer import write

DOCUMENT = (Path(__file__).parent.parent / "FORMAT.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```score\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)

SCORE = (
    '<score-partwise version="4.0">{head}<part-list>{list}</part-list><part id="P1"><measure number="1"><attributes>'
    "<divisions>4</divisions><time><beats>2</beats><beat-type>4</beat-type></time>{attributes}</attributes>{music}"
    "</measure></part></score-partwise>"
)
PART = '<score-part id="P1"><part-name>A</part-name></score-part>'


def note(
    step: str, more: str = "", start: str = "", kind: str = "quarter", duration: str = "4", after: str = ""
) -> str:
    pitch = step if step.startswith("<") else f"<pitch><step>{step}</step><octave>4</octave></pitch>"
    notations = f"<notations>{more}</notations>" if more else ""
    return f"<note>{start}{pitch}<duration>{duration}</duration><type>{kind}</type>{after}{notations}</note>"


def direction(content: str, placement: str = "", sound: str = "") -> str:
    where = f' placement="{placement}"' if placement else ""
    return f"<direction{where}><direction-type>{content}</direction-type>{sound}</direction>"


def text_of(music: str, attributes: str = "", head: str = "", part_list: str = PART) -> str:
    """The text of a measure in 2/4; what is written as MusicXML must be read as the same score."""
    xml = SCORE.format(music=music, attributes=attributes, head=head, list=part_list)
    score = score_from_xml(open_xml(xml.encode(), "test"))
    again = write_musicxml(score)
    assert score_from_xml(open_xml(again, "again")) == score
    text = write(score)
    assert parse(text) == score
    return text.replace("|\nT2:4", "", 1).replace('P"A"', "", 1).strip().removesuffix("|")


C, D = note("C"), note("D")


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_standard_survives_musicxml(text: str) -> None:
    score = parse(text)
    assert score_from_xml(open_xml(write_musicxml(score), "example")) == score


@pytest.mark.parametrize(
    ("notations", "spelled"),
    [
        ("<articulations><staccato/><accent/></articulations>", ".>C"),
        ('<articulations><strong-accent type="up"/></articulations>', "VC"),
        ("<articulations><breath-mark>comma</breath-mark></articulations>", '!breath!"comma"C'),
        ("<ornaments><trill-mark/><accidental-mark>sharp</accidental-mark></ornaments>", "!trill!!ornament-sharp!C"),
        ('<ornaments><tremolo type="single">3</tremolo></ornaments>', "!tremolo3!C"),
        ("<technical><fingering>3</fingering><up-bow/></technical>", "!up-bow!!fingering!3C"),
        ("<technical><harmonic><natural/></harmonic></technical>", '!harmonic!"natural"C'),
        ("<technical><bend><bend-alter>2</bend-alter><release/></bend></technical>", "!bend!2!release!C"),
        ('<slur type="start" number="5"/>', "(C"),
        ('<slur type="start"/><slur type="start" number="2"/>', "((2C"),
        ('<slur type="start" line-type="dashed"/>', "!slur-dashed!(C"),
        ("<technical><fret/><string/></technical>", "!fret!!string!C"),
        ('<arpeggiate direction="up"/>', "!arpeggio-up!C"),
        ('<glissando type="start" line-type="wavy">gliss.</glissando>', '!gliss(!"gliss."!line-wavy!C'),
        ('<fermata type="inverted">angled</fermata>', '!inverted-fermata!"angled"C'),
        ("<dynamics><f/></dynamics>", "rC"),
        ('<tied type="let-ring"/>', "C!let-ring!"),
    ],
)
def test_what_stands_at_a_note(notations: str, spelled: str) -> None:
    assert text_of(note("C", notations) + D) == spelled + "D"


@pytest.mark.parametrize(
    ("after", "spelled"),
    [
        ("<lyric><syllabic>begin</syllabic><text>Hal</text></lyric>", 'l"Hal-"C'),
        ('<lyric number="2"><text>A</text><elision>‿</elision><text>men</text><extend/></lyric>', 'l2"A"!elision!"‿""men"=C'),
        ('<lyric name="x" number="chorus"><text>la</text></lyric>', 'l:"chorus""la"C'),
        ('<accidental parentheses="yes">natural</accidental>', "C!parentheses!"),
        ('<accidental cautionary="yes">natural</accidental>', "CU"),
        ("<accidental>slash-flat</accidental>", 'C!show-accidental!"slash-flat"'.replace("!show-accidental!", "*")),
        ("<notehead filled='no'>diamond</notehead>", "C!diamond!!head-open!"),
        ('<notehead parentheses="yes">normal</notehead>', "C!head-parentheses!"),
        ('<notehead filled="no">normal</notehead>', "C!head-open!"),
        ("<lyric><text>1.</text><elision>\xa0</elision><text>Tra</text></lyric>", 'l"1."!elision!"\xa0""Tra"C'),
        ("<stem>none</stem>", "!stem-none!C"),
    ],
)  # fmt: skip
def test_what_stands_beside_the_pitch(after: str, spelled: str) -> None:
    assert text_of(note("C", after=after) + D) == spelled + "D"


@pytest.mark.parametrize(
    ("element", "spelled"),
    [
        (direction("<dynamics><sfz/></dynamics>"), "!sfz!"),
        (direction("<dynamics><other-dynamics>più f</other-dynamics></dynamics>"), '!dynamic!"più f"'),
        (direction("<words>dolce</words>", "above"), '^"dolce"'),
        (direction("<rehearsal>A</rehearsal>"), '!rehearsal!"A"'),
        (
            direction("<metronome><beat-unit>quarter</beat-unit><per-minute>96</per-minute></metronome>", sound='<sound tempo="96"/>'),
            '!metronome!"q"96',
        ),
        (direction("<coda/>", sound='<sound tocoda="coda"/>'), '!coda!!to-coda!"coda"'),
        (direction('<octave-shift type="down" size="8"/>'), "!8va(!"),
        (direction('<octave-shift type="up" size="10"/>'), '!8vb(!"10"'),
        (direction('<pedal type="start" line="yes"/>'), '!ped(!"line"'),
        (direction('<pedal type="change"/>'), "!ped-change!"),
        (direction('<pedal type="change" line="yes"/>'), '!ped-change!"line"'),
        (
            direction("<accordion-registration><accordion-high/><accordion-middle>many</accordion-middle></accordion-registration>"),
            '!accordion!"high middle"',
        ),
        ("<harmony><root><root-step>C</root-step></root></harmony>", '!chord!"C"'),
        ("<figured-bass><duration>4</duration></figured-bass>", "!figured-bass!1"),
        (direction('<bracket type="start" line-end="down" number="3"/>'), '!bracket(!"down"'),
        (direction("<eyeglasses/>"), "!eyeglasses!"),
        (
            "<harmony><root><root-step>F</root-step><root-alter>1</root-alter></root><kind text='7'>dominant</kind>"
            "<bass><bass-step>A</bass-step></bass><degree><degree-value>9</degree-value><degree-alter>-1</degree-alter>"
            "<degree-type>add</degree-type></degree></harmony>",
            '!chord!"F#""dominant""A""7""add9b"',
        ),
        (
            "<figured-bass><figure><figure-number>6</figure-number></figure><figure><prefix>flat</prefix>"
            "<figure-number>4</figure-number></figure><duration>2</duration></figured-bass>",
            '!figured-bass!"6""flat 4 "1:2',
        ),
    ],
)  # fmt: skip
def test_what_stands_on_the_time_line(element: str, spelled: str) -> None:
    assert text_of(element + C + D) == spelled + "CD"


def test_a_hairpin_ends_between_two_notes() -> None:
    stop = direction('<wedge type="stop"/>').replace("</direction-type>", "</direction-type><offset>2</offset>")
    assert text_of(direction('<wedge type="crescendo"/>') + note("C", kind="half", duration="8") + "") == "<hC"
    assert text_of(direction('<wedge type="crescendo"/>') + stop + note("C", kind="half", duration="8")) == "<hC&iySq.y"


def test_slurs_that_overlap_are_told_apart_whatever_their_numbers() -> None:
    start, both, stop = (
        '<slur type="start" number="{}"/>',
        '<slur type="stop" number="4"/>',
        '<slur type="stop" number="6"/>',
    )
    music = note("C", start.format(4), kind="eighth", duration="2") + note(
        "D", start.format(6), kind="eighth", duration="2"
    )
    music += note("E", both, kind="eighth", duration="2") + note("F", stop, kind="eighth", duration="2")
    assert text_of(music) == "(iC(2D)E)2F"


def test_a_slur_that_begins_and_goes_on_at_one_note_keeps_its_number() -> None:
    both = '<slur type="start" number="2"/><slur type="continue" number="2"/>'
    assert text_of(note("C", '<slur type="start"/>') + note("D", both)) == "(C!slur-continue!2(2D"


def test_fingerings_belong_to_the_notes_of_a_chord_and_an_arpeggio_to_all() -> None:
    finger = "<technical><fingering>{}</fingering></technical><arpeggiate/>"
    chord = note("E", finger.format(2)) + note("C", finger.format(1), "<chord/>")
    assert text_of(chord + D) == "RC`!fingering!1+E`!fingering!2D"


def test_accidentals_and_beams_are_written_only_where_they_are_not_derived() -> None:
    sharp = "<pitch><step>F</step><alter>1</alter><octave>4</octave></pitch>"
    shown = note(sharp, after="<accidental>sharp</accidental>")
    assert text_of(shown + note(sharp)) == "^F^F"
    assert text_of(shown + note(sharp, after="<accidental>sharp</accidental>")) == "^F^F*"
    assert (
        text_of(note(sharp) + note("C", after='<accidental cautionary="yes">natural</accidental>')) == "^F!show-none!CU"
    )
    eighth = [note(s, kind="eighth", duration="2", after="<beam>{}</beam>") for s in "CDEF"]
    joined = [e.format(b) for e, b in zip(eighth, ("begin", "continue", "continue", "end"))]
    split = [e.format(b) for e, b in zip(eighth, ("begin", "end", "begin", "end"))]
    assert text_of("".join(joined)) == "iCDEF"
    assert text_of("".join(split)) == "iCDIEF"


def test_a_source_that_shows_no_accidental_at_all_leaves_them_to_be_derived() -> None:
    sharp = "<pitch><step>F</step><alter>1</alter><octave>4</octave></pitch>"
    assert text_of(note(sharp) + C) == "^FC"


def test_titles_creators_and_groups_stand_in_the_first_measure() -> None:
    head = (
        "<work><work-title>Air</work-title></work><identification><creator type='composer'>Anon.</creator>"
        "<creator type='editor'>X</creator><rights>CC0</rights></identification>"
        "<credit page='1'><credit-words>Air</credit-words></credit><credit page='1'><credit-words>for two</credit-words></credit>"
    )
    part_list = (
        "<part-group type='start' number='2'><group-symbol>brace</group-symbol></part-group>"
        "<score-part id='P1'><part-name>A</part-name><part-abbreviation>a.</part-abbreviation></score-part>"
        "<part-group type='stop' number='2'/>"
    )
    assert text_of(C + D, head=head, part_list=part_list) == (
        '|\n!title!"Air"!composer!"Anon."!creator!"X""editor"!rights!"CC0"!credit!"for two"T2:4'
        '!abbreviation!"a."!group!1"brace"!group-end!1CD'
    )


def test_staff_details_and_hidden_signs_stand_on_their_staff() -> None:
    attributes = (
        "<clef print-object='no'><sign>G</sign><line>2</line></clef>"
        "<staff-details print-object='no'><staff-lines>1</staff-lines></staff-details>"
    )
    assert text_of(C + D, attributes) == "!clef-G2!!staff-lines!1!staff-hidden!!clef-hidden!CD"


def test_instruments_of_a_drum_set_are_told_apart() -> None:
    part_list = (
        "<score-part id='P1'><part-name>A</part-name><score-instrument id='a'><instrument-name>Kick</instrument-name>"
        "</score-instrument><score-instrument id='b'><instrument-name>Snare</instrument-name></score-instrument>"
        "<midi-instrument id='b'><midi-unpitched>39</midi-unpitched></midi-instrument></score-part>"
    )
    head = "<unpitched><display-step>C</display-step><display-octave>5</display-octave></unpitched>"
    hit = note(head).replace("<type>", "<instrument id='b'/><type>")
    assert text_of(hit + hit, part_list=part_list) == (
        '!instrument-name!"Kick"0,0""!instrument-name!"Snare"0,39""nc!instrument-id!2nc!instrument-id!2'
    )


@pytest.mark.parametrize(
    ("second", "spelled"),
    [
        ("<notations><articulations><staccato/></articulations></notations>", "C`.+E"),
        ('<type size="cue">quarter</type>', "C`!small!+E"),
        ("<stem>none</stem>", "C`!stem-none!+E"),
    ],
)
def test_what_one_note_of_a_chord_bears_stays_its_own(second: str, spelled: str) -> None:
    low = f"<note><chord/><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration>{second}</note>"
    if "type" not in second:
        low = low.replace("</duration>", "</duration><type>quarter</type>")
    assert text_of(note("E") + low + D) == spelled + "D"


def test_what_all_notes_of_a_chord_bear_is_said_once() -> None:
    small = "<notehead>x</notehead><stem>none</stem>"
    assert text_of(note("C", after=small) + note("E", after=small, start="<chord/>") + D) == "!stem-none!C!x!+E!x!D"


@pytest.mark.parametrize(
    ("ending", "spelled"),
    [("number=''", '!ending!""'), ("number='1,2'", '!ending!"1,2"'), ("number='0, 1, 5'", '!ending!"1, 5""0, 1, 5"')],
)
def test_an_ending_keeps_the_numbers_that_it_has(ending: str, spelled: str) -> None:
    barline = f"<barline location='left'><ending {ending} type='start'/></barline>"
    xml = SCORE.format(music=barline + C + D, attributes="", head="", list=PART)
    score = score_from_xml(open_xml(xml.encode(), "test"))
    assert write(score) == f'|\n{spelled}T2:4P"A"CD|\n'
    assert score_from_xml(open_xml(write_musicxml(score), "again")) == score


def test_a_barline_said_twice_is_one() -> None:
    end = "<barline><bar-style>light-heavy</bar-style></barline>"
    assert text_of(C + D + end + end) == "CD!end!"


def test_a_sign_can_be_hidden_on_one_staff_alone() -> None:
    attributes = (
        "<staves>2</staves><time number='1'><beats>2</beats><beat-type>4</beat-type></time>"
        "<time number='2' print-object='no'><beats>2</beats><beat-type>4</beat-type></time>"
    )
    low = note("C", after="<staff>2</staff>", kind="half", duration="8")
    xml = SCORE.format(
        music=f"{C}{D}<backup><duration>8</duration></backup>{low}", attributes=attributes, head="", list=PART
    )
    score = score_from_xml(open_xml(xml.encode(), "test"))
    assert write(score) == '|\nT2:4P2"A"CD/!time-hidden!hC|\n'
    assert score_from_xml(open_xml(write_musicxml(score), "again")) == score


def test_a_mark_whose_text_is_no_element_is_left_out_of_musicxml() -> None:
    score = parse('|\nT2:4P"A"!percussion-picture!"no name"C!accordion!"<high> low"D|\n')
    root = etree.fromstring(write_musicxml(score))
    assert [e.tag for e in root.iter("percussion", "accordion-registration", "accordion-low")] == [
        "accordion-registration",
        "accordion-low",
    ]


def test_an_invalid_ending_number_is_shown_and_a_valid_one_written() -> None:
    barline = "<barline location='left'><ending number='0, 1, 5' type='start'/></barline>"
    xml = SCORE.format(music=barline + C + D, attributes="", head="", list=PART)
    root = etree.fromstring(write_musicxml(score_from_xml(open_xml(xml.encode(), "test"))))
    ending = root.find(".//ending")
    assert ending is not None
    assert (ending.get("number"), ending.text) == ("1, 5", "0, 1, 5")
