"""Data model -> MusicXML 4.0, partwise. What the text leaves to be derived is derived here."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from lxml import etree

from scorelm.errors import ScoreError
from scorelm.musicxml.derive import Accidentals, beams
from scorelm.musicxml.reader import FERMATAS, KIND_OF, RIGHT_STYLES
from scorelm.notation.model import (
    Attribute,
    Chord,
    Clef,
    Key,
    Mark,
    Measure,
    Note,
    Pitch,
    Rest,
    Score,
    Spacer,
    Time,
    Timed,
    TimedMark,
    Tuplet,
    timeline,
)

TYPES = {kind: name for name, kind in KIND_OF.items()}
SHAPES = {mark: shape for shape, mark in FERMATAS.items()}
STYLES = {mark: style for style, mark in RIGHT_STYLES.items()}
MAX_DIVISIONS = 2**31 - 1
_DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)

Sub = etree.SubElement


def write_musicxml(score: Score, title: str = "") -> bytes:
    """The MusicXML document of a score, the same bytes for the same score."""
    root = etree.Element("score-partwise", version="4.0")
    if title:
        Sub(Sub(root, "work"), "work-title").text = title
    part_list = Sub(root, "part-list")
    for index, part in enumerate(score.parts):
        identity = f"P{index + 1}"
        first = score.measures[0].parts[index]
        _score_part(part_list, identity, part.name, first.marks if first else ())
        _Part(score, index).write(Sub(root, "part", id=identity))
    if not score.parts:  # MusicXML has no empty score
        _score_part(part_list, "P1", "", ())
        measure = Sub(Sub(root, "part", id="P1"), "measure", number="1")
        Sub(Sub(measure, "note"), "rest", measure="yes")
        Sub(measure[0], "duration").text = "1"
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", doctype=_DOCTYPE, pretty_print=True)


def compressed(xml: bytes, name: str) -> bytes:
    """A .mxl archive of a MusicXML document, the same bytes for the same document."""
    inner = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name) + ".musicxml"
    container = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles><rootfile '
        f'full-path="{inner}" media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>\n'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in (("META-INF/container.xml", container.encode()), (inner, xml)):
            info = zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def _score_part(part_list: etree._Element, identity: str, name: str, marks: tuple[Attribute, ...]) -> None:
    element = Sub(part_list, "score-part", id=identity)
    Sub(element, "part-name").text = name
    found = {m.name: m.args for m in marks if isinstance(m, Mark)}
    sound, program = found.get("sound"), found.get("instrument")
    if sound or program:
        instrument = Sub(element, "score-instrument", id=f"{identity}-I1")
        Sub(instrument, "instrument-name").text = name
        if sound:
            Sub(instrument, "instrument-sound").text = str(sound[0])
    if program and isinstance(program[0], Fraction):
        midi = Sub(element, "midi-instrument", id=f"{identity}-I1")
        Sub(midi, "midi-program").text = str(int(program[0]))


@dataclass
class _Slot:
    """One event of a voice with what its element needs to know."""

    timed: Timed
    voice: int
    staff: int


class _Part:
    """Writes one part."""

    def __init__(self, score: Score, index: int) -> None:
        self.score = score
        self.index = index
        self.staves = score.parts[index].staves
        self.lines = [self._lines(measure) for measure in score.measures]
        self.divisions = self._divisions()
        self.tie_ends = self._tie_ends()
        self.time: Time | None = None
        self.ending = "1"
        self.keys: list[Key | None] = [None] * self.staves

    def _lines(self, measure: Measure) -> list[tuple[int, int, list[Timed]]]:
        """(staff, voice, events) of each voice of a measure; voice numbers count through the part's staves."""
        part = measure.parts[self.index]
        if part is None:
            return []
        length = measure.length if part.length is None else part.length
        return [
            (s, 4 * s + v + 1 if self.staves > 1 else v + 1, timeline(voice, length))
            for s, staff in enumerate(part.staves)
            for v, voice in enumerate(staff.voices)
            if voice
        ]

    def _divisions(self) -> int:
        out = 1
        for measure, lines in zip(self.score.measures, self.lines):
            part = measure.parts[self.index]
            out = lcm(out, (part.length or measure.length if part else measure.length).denominator)
            for _, _, events in lines:
                for timed in events:
                    out = lcm(out, timed.offset.denominator, timed.quarters.denominator)
            for staff in part.staves if part else ():
                for mark in staff.marks:
                    out = lcm(out, mark.offset.denominator)
        if out > MAX_DIVISIONS:
            raise ScoreError(f"part {self.index + 1}: its durations need {out} divisions of a quarter")
        return out

    def _tie_ends(self) -> set[tuple[Fraction, Pitch]]:
        """(moment, pitch) where a tie ends, moments counted from the start of the part."""
        ends = set()
        at = Fraction(0)
        for measure, lines in zip(self.score.measures, self.lines):
            for _, _, events in lines:
                for timed in events:
                    if isinstance(timed.event, Chord):
                        for note in timed.event.notes:
                            if note.tie:
                                ends.add((at + timed.offset + timed.quarters, note.pitch))
            at += measure.length
        return ends

    def write(self, element: etree._Element) -> None:
        at = Fraction(0)
        for number, (measure, lines) in enumerate(zip(self.score.measures, self.lines)):
            if measure.parts[self.index] is not None:
                self._measure(Sub(element, "measure", number=measure.number), measure, lines, number == 0, at)
            at += measure.length

    def _measure(
        self,
        out: etree._Element,
        measure: Measure,
        lines: list[tuple[int, int, list[Timed]]],
        first: bool,
        at: Fraction,
    ) -> None:
        part = measure.parts[self.index]
        assert part is not None
        if measure.implicit:
            out.set("implicit", "yes")
        self._left(out, measure)
        opening: list[tuple[int | None, Attribute]] = [(None, m) for m in (*measure.marks, *part.marks)]
        later: list[list[TimedMark]] = []
        for staff, staff_measure in enumerate(part.staves):
            opening += [(staff, t.mark) for t in staff_measure.marks if t.offset == 0]
            later.append([t for t in staff_measure.marks if t.offset > 0])
        self._attributes(out, opening, first)
        shown = [Accidentals(key) for key in self.keys]
        clock = Fraction(0)
        for i, (staff, voice, events) in enumerate(lines):
            self._move(out, clock, Fraction(0))
            clock = Fraction(0)
            while events and isinstance(events[-1].event, Spacer) and i:
                events = events[:-1]  # a later voice may end early
            beam_names = beams(events, self.time)
            stack: list[Tuplet] = []
            for j, timed in enumerate(events):
                clock = self._later(out, later[staff], timed.offset, clock, staff, shown)
                if isinstance(timed.event, Spacer):
                    self._duration(Sub(out, "forward"), timed.quarters)
                else:
                    previous, following = stack, (events[j + 1].tuplets if j + 1 < len(events) else ())
                    self._event(out, timed, voice, staff, shown, beam_names[j], previous, following, at)
                    stack = list(timed.tuplets)
                clock = timed.offset + timed.quarters
        length = measure.length if part.length is None else part.length
        for staff, waiting in enumerate(later):
            while waiting:
                self._move(out, clock, waiting[0].offset)
                clock = waiting[0].offset
                self._later(out, waiting, clock, clock, staff, shown)
        if lines or later:
            self._move(out, clock, length)
        self._right(out, measure)

    def _later(
        self,
        out: etree._Element,
        waiting: list[TimedMark],
        moment: Fraction,
        clock: Fraction,
        staff: int,
        shown: list[Accidentals],
    ) -> Fraction:
        """Write the marks of a staff that fall on this moment, if the cursor stands there."""
        while waiting and waiting[0].offset <= moment:
            if waiting[0].offset != clock:
                break
            timed = waiting.pop(0)
            self._attributes(out, [(staff, timed.mark)], False)
            if isinstance(timed.mark, Key):
                shown[staff] = Accidentals(timed.mark)
        return clock

    def _move(self, out: etree._Element, here: Fraction, there: Fraction) -> None:
        if there != here:
            self._duration(Sub(out, "backup" if there < here else "forward"), abs(there - here))

    def _duration(self, element: etree._Element, quarters: Fraction) -> None:
        Sub(element, "duration").text = str(int(quarters * self.divisions))

    def _left(self, out: etree._Element, measure: Measure) -> None:
        marks = [m for m in measure.marks if isinstance(m, Mark)]
        if not marks:
            return
        style = next((m.name[5:] for m in marks if m.name.startswith("left-")), "")
        names = {m.name: m for m in marks}
        barline = etree.Element("barline", location="left")
        if style or "repeat(" in names:
            Sub(barline, "bar-style").text = {"double": "light-light"}.get(style, style) or "heavy-light"
        if "ending" in names:
            self.ending = str(names["ending"].args[0]) if names["ending"].args else "1"
            Sub(barline, "ending", number=self.ending, type="start")
        if "repeat(" in names:
            Sub(barline, "repeat", direction="forward")
        if len(barline):
            out.append(barline)

    def _right(self, out: etree._Element, measure: Measure) -> None:
        names = {m.name: m for m in measure.end}
        style = next((STYLES[name] for name in names if name in STYLES), "")
        barline = etree.Element("barline", location="right")
        if style or "repeat)" in names:
            Sub(barline, "bar-style").text = style or "light-heavy"
        for name, kind in (("ending)", "stop"), ("ending-open)", "discontinue")):
            if name in names:
                Sub(barline, "ending", number=self.ending, type=kind)
                break
        if "repeat)" in names:
            repeat = Sub(barline, "repeat", direction="backward")
            if names["repeat)"].args:
                repeat.set("times", str(names["repeat)"].args[0]))
        if len(barline):
            out.append(barline)

    def _attributes(self, out: etree._Element, marks: list[tuple[int | None, Attribute]], first: bool) -> None:
        element = etree.Element("attributes")
        if first:
            Sub(element, "divisions").text = str(self.divisions)
        for staff, mark in marks:
            if isinstance(mark, Key):
                _key(element, mark, staff if self.staves > 1 else None)
                for s in range(self.staves) if staff is None else [staff]:
                    self.keys[s] = mark
        for staff, mark in marks:
            if isinstance(mark, Time):
                self.time = mark
                _time(element, mark, staff if self.staves > 1 else None)
        if first and self.staves > 1:
            Sub(element, "staves").text = str(self.staves)
        for staff, mark in marks:
            if isinstance(mark, Clef):
                clef = Sub(element, "clef")
                if self.staves > 1:
                    clef.set("number", str((staff or 0) + 1))
                Sub(clef, "sign").text = mark.sign
                if mark.line is not None:
                    Sub(clef, "line").text = str(mark.line)
                if mark.octave:
                    Sub(clef, "clef-octave-change").text = str(mark.octave)
        for _, mark in marks:
            if isinstance(mark, Mark) and mark.name == "transpose":
                _transpose(element, mark)
        if len(element):
            out.append(element)

    def _event(
        self,
        out: etree._Element,
        timed: Timed,
        voice: int,
        staff: int,
        shown: list[Accidentals],
        beam_names: list[str],
        before: list[Tuplet],
        after: tuple[Tuplet, ...],
        at: Fraction,
    ) -> None:
        event = timed.event
        notes: tuple[Note | None, ...] = event.notes if isinstance(event, Chord) else (None,)
        marks = {m.name: m for m in event.marks} if not isinstance(event, Spacer) else {}
        if "on-staff" in marks:
            staff = min(int(marks["on-staff"].args[0]), self.staves) - 1
        for i, note in enumerate(notes):
            element = Sub(out, "note")
            grace = isinstance(event, Chord) and event.grace is not None
            if isinstance(event, Rest) and event.hidden:
                element.set("print-object", "no")
            if grace and isinstance(event, Chord):
                Sub(element, "grace", **({"slash": "yes"} if event.grace == "slash" else {}))
            if i:
                Sub(element, "chord")
            stops = note is not None and not grace and (at + timed.offset, note.pitch) in self.tie_ends
            if note is None:
                _rest(element, event)
            else:
                _pitch(element, note)
            if not grace:
                self._duration(element, timed.quarters)
            if stops:
                Sub(element, "tie", type="stop")
            if note is not None and note.tie:
                Sub(element, "tie", type="start")
            Sub(element, "voice").text = str(voice)
            if event.value is not None:
                Sub(element, "type").text = TYPES[event.value.kind]
                for _ in range(event.value.dots):
                    Sub(element, "dot")
            if note is not None and not note.unpitched:
                name = shown[staff].name(note.pitch, stops)
                if name:
                    Sub(element, "accidental").text = name
            ratio = Fraction(1)
            actual = normal = 1
            for tuplet in timed.tuplets:
                actual, normal = actual * tuplet.actual, normal * tuplet.normal
                ratio *= Fraction(tuplet.normal, tuplet.actual)
            if timed.tuplets:
                modification = Sub(element, "time-modification")
                Sub(modification, "actual-notes").text = str(actual)
                Sub(modification, "normal-notes").text = str(normal)
            if self.staves > 1:
                Sub(element, "staff").text = str(staff + 1)
            if i == 0:
                for number, name in enumerate(beam_names):
                    if name:
                        Sub(element, "beam", number=str(number + 1)).text = name
            self._notations(element, timed, note, stops, i == 0, marks, before, after)

    def _notations(
        self,
        element: etree._Element,
        timed: Timed,
        note: Note | None,
        stops: bool,
        first: bool,
        marks: dict[str, Mark],
        before: list[Tuplet],
        after: tuple[Tuplet, ...],
    ) -> None:
        notations = etree.Element("notations")
        if stops:
            Sub(notations, "tied", type="stop")
        if note is not None and (note.tie or Mark("drawn-tie") in note.marks):
            Sub(notations, "tied", type="start")
        if first and not (isinstance(timed.event, Chord) and timed.event.grace):
            _tuplets(notations, timed)
        if first:
            for name in marks:
                if name == "fermata" or name in SHAPES:
                    Sub(notations, "fermata", type="upright").text = SHAPES.get(name)
                elif name == "inverted-fermata":
                    Sub(notations, "fermata", type="inverted")
        if len(notations):
            element.append(notations)


def _tuplets(notations: etree._Element, timed: Timed) -> None:
    depth = len(timed.tuplets)
    nested = depth > 1
    for level in range(depth - timed.first_of, depth):
        tuplet = timed.tuplets[level]
        if tuplet.from_previous or Mark("tuplet-none") in tuplet.marks:
            continue
        element = Sub(notations, "tuplet", type="start", number=str(level + 1))
        if nested:
            for tag, count in (("tuplet-actual", tuplet.actual), ("tuplet-normal", tuplet.normal)):
                Sub(Sub(element, tag), "tuplet-number").text = str(count)
    for level in range(depth - 1, depth - timed.last_of - 1, -1):
        tuplet = timed.tuplets[level]
        if not tuplet.into_next and Mark("tuplet-none") not in tuplet.marks:
            Sub(notations, "tuplet", type="stop", number=str(level + 1))


def _rest(element: etree._Element, event: object) -> None:
    rest = Sub(element, "rest")
    if isinstance(event, Rest):
        if event.measure:
            rest.set("measure", "yes")
        if event.position is not None:
            Sub(rest, "display-step").text = event.position.step
            Sub(rest, "display-octave").text = str(event.position.octave)


def _pitch(element: etree._Element, note: Note) -> None:
    prefix = "display-" if note.unpitched else ""
    pitch = Sub(element, "unpitched" if note.unpitched else "pitch")
    if Mark("unplaced") in note.marks:
        return
    Sub(pitch, prefix + "step").text = note.pitch.step
    if note.pitch.alter and not note.unpitched:
        Sub(pitch, "alter").text = _decimal(note.pitch.alter)
    Sub(pitch, prefix + "octave").text = str(note.pitch.octave)


def _decimal(number: Fraction | int) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.6f}".rstrip("0")


def _key(element: etree._Element, key: Key, staff: int | None) -> None:
    out = Sub(element, "key")
    if staff is not None:
        out.set("number", str(staff + 1))
    if key.alters:
        for step, alter in key.alters:
            Sub(out, "key-step").text = step
            Sub(out, "key-alter").text = _decimal(alter)
        return
    Sub(out, "fifths").text = str(key.fifths)
    if key.mode:
        Sub(out, "mode").text = key.mode


def _time(element: etree._Element, time: Time, staff: int | None) -> None:
    out = Sub(element, "time")
    if staff is not None:
        out.set("number", str(staff + 1))
    if time.symbol in ("common", "cut", "single-number"):
        out.set("symbol", time.symbol)
    if not time.terms:
        Sub(out, "senza-misura")
    for beats, unit in time.terms:
        Sub(out, "beats").text = "+".join(map(str, beats))
        Sub(out, "beat-type").text = str(unit)


def _transpose(element: etree._Element, mark: Mark) -> None:
    out = Sub(element, "transpose")
    chromatic, *more = mark.args
    if more:
        Sub(out, "diatonic").text = str(more[0])
    Sub(out, "chromatic").text = str(chromatic)
    if len(more) > 1:
        Sub(out, "octave-change").text = str(more[1])
