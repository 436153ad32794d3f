"""What is odd in a source is said, with its place, and kept as it stands."""

from __future__ import annotations

import pytest

from scorelm.musicxml.notices import notices
from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import open_xml

ATTRIBUTES = "<attributes><divisions>12</divisions><time><beats>2</beats><beat-type>4</beat-type></time></attributes>"


def note(duration: int = 12, kind: str = "quarter", more: str = "", alter: str = "0", octave: str = "4") -> str:
    return (
        f"<note><pitch><step>C</step><alter>{alter}</alter><octave>{octave}</octave></pitch><duration>{duration}</duration>"
        f"{more}<voice>1</voice><type>{kind}</type></note>"
    )


PLAIN = note() + note()


def said(*measures: str) -> list[str]:
    body = "".join(
        m if m.startswith("<measure") else f'<measure number="{i}">{m}</measure>' for i, m in enumerate(measures, 1)
    )
    xml = f'<score-partwise><part-list><score-part id="P1"><part-name>A</part-name></score-part></part-list><part id="P1">{body}</part></score-partwise>'
    root = open_xml(xml.encode(), "test")
    return [notice.removeprefix("part 1 (A), ") for notice in notices(root, score_from_xml(root))]


def test_a_clean_source_has_no_notices() -> None:
    assert said(ATTRIBUTES + PLAIN, PLAIN) == []


@pytest.mark.parametrize(
    ("measure", "notice"),
    [
        (PLAIN + note(), "measure 2: lasts 3 of 2 quarters, kept so"),
        (note(), "measure 2: lasts 1 of 2 quarters, kept so"),
        (note(16) + note(8), "measure 2, quarter 1: lasts 4/3 quarters, written as 1; both were kept"),
        (note(kind="crotchet") + note(), "measure 2, quarter 1: 'crotchet' is no note value; it was taken from the duration"),
        (note(alter="0.33") + note(), "measure 2, quarter 1: altered by 0.33 semitones, kept so"),
        (note(octave="11") + note(), "measure 2, quarter 1: octave 11 is beyond 0 to 9; it was moved there"),
        (note() + note(more='<tie type="start"/>') + "", "measure 2: a tie leads to no note, kept so"),
        ("<backup><duration>12</duration></backup>" + PLAIN, "measure 2: goes back before its start; it begins there"),
        ("<attributes><time><beats>x</beats><beat-type>4</beat-type></time></attributes>" + PLAIN, "measure 2: left out a time signature that is none"),
        (f'<measure number="1">{PLAIN}</measure>', "measure 1: its number stands there already"),
    ],
)  # fmt: skip
def test_an_oddity_is_said_with_its_place(measure: str, notice: str) -> None:
    rest = note().replace("<pitch><step>C</step><alter>0</alter><octave>4</octave></pitch>", "<rest/>")
    assert notice in said(ATTRIBUTES + PLAIN, measure, rest + rest)


def test_what_the_data_model_does_not_hold_is_counted() -> None:
    xml = ATTRIBUTES.replace("<time>", "<key><cancel>2</cancel><fifths>0</fifths></key><time>")
    assert said(xml + PLAIN) == ["left out: naturals that cancel a key (1 times <cancel>)"]
