"""What is odd in a MusicXML document: kept as it stands, mended, or beyond what the data model holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from lxml import etree

from scorelm.musicxml.attributes import read_attributes
from scorelm.musicxml.derive import part_lines
from scorelm.musicxml.names import KIND_OF
from scorelm.musicxml.values import clean, number, whole
from scorelm.notation.model import Chord, Score, Time

# elements that the reader does not take up, by what they are to a musician
NOT_HELD = {
    "key-octave": "the octaves of a key signature",
    "cancel": "naturals that cancel a key", "part-name-display": "a name shown otherwise than it is",
    "grouping": "an analysis", "line-detail": "single staff lines", "part-symbol": "the brace of a part",
    "play": "how a note is played", "sound-change": "another instrument's sound", "notehead-text": "text in a head",
    "footnote": "a footnote", "level": "editorial levels", "assess": "assessment", "listen": "listening",
}  # fmt: skip


def notices(root: etree._Element, score: Score) -> Iterator[str]:
    """A sentence for each oddity, with part and measure. ``score``: what was read from the document."""
    for index, part in enumerate(root.findall("part")):
        if not score.measures:  # then there are no parts
            break
        name = score.parts[index].name
        yield from (f"part {index + 1} ({name}), {said}" for said in _part_notices(part))
        yield from (f"part {index + 1} ({name}), {said}" for said in _ties(score, index))
    found = Counter(e.tag for e in root.iter(*NOT_HELD))
    for tag, count in sorted(found.items()):
        yield f"left out: {NOT_HELD[tag]} ({count} times <{tag}>)"


def _part_notices(part: etree._Element) -> Iterator[str]:
    divisions = Fraction(1)
    time: Time | None = None
    seen: set[str] = set()
    measures = part.findall("measure")
    for position, measure in enumerate(measures):
        shown = measure.get("number") or ""
        place = f"measure {shown or position + 1}"
        if shown in seen and measure.get("implicit") != "yes":
            yield f"{place}: its number stands there already"
        seen.add(shown)
        clock = end = Fraction(0)
        for child in measure:
            if child.tag == "attributes":
                divisions = number(child.findtext("divisions"), Fraction(0)) or divisions
                time = next((m for _, m in read_attributes(child) if isinstance(m, Time)), time)
                if child.find("time/beats") is not None and not any(
                    isinstance(m, Time) for _, m in read_attributes(child)
                ):
                    yield f"{place}: left out a time signature that is none"
            length = number(child.findtext("duration"), Fraction(0)) / divisions
            if child.tag == "backup":
                if length > clock:
                    yield f"{place}: goes back before its start; it begins there"
                clock = max(clock - length, Fraction(0))
            elif child.tag == "forward":
                clock += length
            elif child.tag == "note":
                if child.find("chord") is None:
                    clock += length
                    end = max(end, clock)
                for said in _note_notices(child, length):
                    yield f"{place}, {_moment(clock - length)}: {said}"
        metre = None if time is None else time.quarters
        if (metre is not None and end > metre) or (
            metre is not None
            and 0 < end < metre
            and 0 < position < len(measures) - 1
            and measure.get("implicit") != "yes"
        ):
            yield f"{place}: lasts {end} of {metre} quarters, kept so"


def _moment(quarters: Fraction) -> str:
    return f"quarter {quarters + 1}"


def _note_notices(note: etree._Element, quarters: Fraction) -> Iterator[str]:
    kind = clean(note.findtext("type"))
    if kind and kind not in KIND_OF:
        yield f"{kind!r} is no note value; it was taken from the duration"
    if len(note.findall("dot")) > 4:
        yield "more than four dots; four were kept"
    if quarters <= 0 and note.find("grace") is None:
        yield "has no duration; it lasts as it is written"
    elif kind in KIND_OF and note.find("grace") is None:
        dots = min(4, len(note.findall("dot")))
        written = Fraction(2) ** (5 - KIND_OF[kind]) * (2 - Fraction(1, 2**dots))
        ratio = note.find("time-modification")
        if ratio is not None:
            written *= Fraction(
                whole(ratio.findtext("normal-notes"), 1) or 1, whole(ratio.findtext("actual-notes"), 1) or 1
            )
        if written != quarters:
            yield f"lasts {quarters} quarters, written as {written}; both were kept"
    octave = note.findtext("pitch/octave")
    if octave is not None and not 0 <= whole(octave, 4) <= 9:
        yield f"octave {octave.strip()} is beyond 0 to 9; it was moved there"
    alter = number(note.findtext("pitch/alter"), Fraction(0))
    if (alter * 2).denominator != 1:
        yield f"altered by {float(alter):g} semitones, kept so"


def _ties(score: Score, index: int) -> Iterator[str]:
    """Ties that lead to no note, which text and score keep as they are."""
    starts: dict[tuple[Fraction, object], str] = {}
    begins: set[tuple[Fraction, object]] = set()
    at = Fraction(0)
    for measure, lines in zip(score.measures, part_lines(score, index)):
        for line in lines:
            for timed in line.events:
                for note in timed.event.notes if isinstance(timed.event, Chord) else ():
                    begins.add((at + timed.offset, note.pitch))
                    if note.tie:
                        starts[at + timed.offset + timed.quarters, note.pitch] = measure.number
        at += measure.length
    for place, shown in starts.items():
        if place not in begins:
            yield f"measure {shown}: a tie leads to no note, kept so"
