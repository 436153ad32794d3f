"""Data model -> MusicXML 4.0, partwise. What the text leaves to be derived is derived here."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from math import lcm, prod

from lxml import etree

from scorelm.errors import ScoreError
from scorelm.musicxml.attributes import Placed, is_attribute, write_attributes
from scorelm.musicxml.barlines import write_left, write_middle, write_right
from scorelm.musicxml.derive import Line, Metre, beams, part_lines, staff_of, tie_ends
from scorelm.musicxml.directions import write_mark
from scorelm.musicxml.harmony import add_frame
from scorelm.musicxml.header import write_part_header, write_titles
from scorelm.musicxml.names import KIND_OF, SHOWN_BY_ALTER
from scorelm.musicxml.notations import (
    OWN,
    SHARED,
    shown_accidental,
    write_lyric,
    write_notations,
    write_notehead,
)
from scorelm.musicxml.values import ZERO, decimal
from scorelm.notation.marks import SCOPES
from scorelm.notation.model import (
    Chord,
    Mark,
    Measure,
    Note,
    PartMeasure,
    Rest,
    Score,
    Spacer,
    Timed,
    TimedMark,
)

TYPES = {kind: name for name, kind in KIND_OF.items()}
MAX_DIVISIONS = 2**31 - 1
_DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)

Sub = etree.SubElement


def write_musicxml(score: Score, title: str = "") -> bytes:
    """The MusicXML document of a score, the same bytes for the same score. ``title``: where it has none."""
    root = etree.Element("score-partwise", version="4.0")
    head = [m for m in score.measures[0].marks if isinstance(m, Mark)] if score.measures else []
    write_titles(root, head, title)
    part_list = Sub(root, "part-list")
    for index, part in enumerate(score.parts):
        identity = f"P{index + 1}"
        first = score.measures[0].parts[index]
        write_part_header(part_list, identity, part.name, first.marks if first else ())
        _Part(score, index).write(Sub(root, "part", id=identity))
    if not score.parts:  # MusicXML has no empty score
        write_part_header(part_list, "P1", "", ())
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


class _Part:
    """Writes one part."""

    def __init__(self, score: Score, index: int) -> None:
        self.score = score
        self.index = index
        self.staves = score.parts[index].staves
        self.lines = part_lines(score, index)
        self.divisions = self._divisions()
        self.tied = tie_ends(score, self.lines)
        self.metre = Metre(self.staves)
        self.ending = "1"
        self.ottavas: dict[str, int] = {}

    def _divisions(self) -> int:
        out = 1
        for measure, lines in zip(self.score.measures, self.lines):
            part = measure.parts[self.index]
            out = lcm(out, (part.length or measure.length if part else measure.length).denominator)
            out = lcm(out, *(a.denominator for m in measure.end for a in m.args if not isinstance(a, str)))
            for line in lines:
                for timed in line.events:
                    out = lcm(out, timed.offset.denominator, timed.quarters.denominator)
            for staff in part.staves if part else ():
                for mark in staff.marks:
                    out = lcm(out, mark.offset.denominator)
                    if isinstance(mark.mark, Mark) and mark.mark.name == "figured-bass":
                        out = lcm(out, *(a.denominator for a in mark.mark.args if not isinstance(a, str)))
        if out > MAX_DIVISIONS:
            raise ScoreError(f"part {self.index + 1}: its durations need {out} divisions of a quarter")
        return out

    def write(self, element: etree._Element) -> None:
        at = Fraction(0)
        for number, (measure, lines) in enumerate(zip(self.score.measures, self.lines)):
            part = measure.parts[self.index]
            if part is not None:
                self._measure(Sub(element, "measure", number=measure.number), measure, part, lines, number == 0, at)
            at += measure.length

    def _measure(
        self, out: etree._Element, measure: Measure, part: PartMeasure, lines: list[Line], first: bool, at: Fraction
    ) -> None:
        if measure.implicit:
            out.set("implicit", "yes")
        left = write_left(measure.marks)
        if left is not None:
            out.append(left)
        for mark in measure.marks:
            if isinstance(mark, Mark) and mark.name == "ending":
                self.ending = str(mark.args[0]) if mark.args else "1"
        opening: list[Placed] = [(None, m) for m in (*measure.marks, *part.marks) if is_attribute(m)]
        waiting = []
        for number, staff in enumerate(part.staves, 1):
            opening += [(number, t.mark) for t in staff.marks if t.offset == 0 and is_attribute(t.mark)]
            waiting.append([t for t in staff.marks if t.offset > 0 or not is_attribute(t.mark)])
        attributes = write_attributes(opening, self.staves, self.divisions if first else None)
        if attributes is not None:
            out.append(attributes)
        shown = self.metre.accidentals(lines, self.metre.enter(measure.marks, part), self.tied, at)
        clock = Fraction(0)
        for i, line in enumerate(lines):
            self._move(out, clock, Fraction(0))
            clock = Fraction(0)
            events = line.events
            while events and isinstance(events[-1].event, Spacer) and i:
                events = events[:-1]  # a later voice may end early
            names = beams(events, self.metre.time)
            voice = 4 * line.staff + line.voice + 1 if self.staves > 1 else line.voice + 1
            for timed, beam_names in zip(events, names):
                self._marks(out, waiting[line.staff], clock, line.staff)
                if isinstance(timed.event, Spacer):
                    self._duration(Sub(out, "forward"), timed.quarters)
                else:
                    self._event(out, timed, voice, line.staff, shown.get(id(timed.event)), beam_names, at)
                clock = timed.offset + timed.quarters
        for number, marks in enumerate(waiting):
            while marks:
                self._move(out, clock, marks[0].offset)
                clock = marks[0].offset
                self._marks(out, marks, clock, number)
        length = measure.length if part.length is None else part.length
        empty = sum((a for m in measure.end if m.name == "empty-time" for a in m.args if not isinstance(a, str)), ZERO)
        usual = self.metre.time is not None and length == self.metre.time.quarters
        if lines or clock or empty or not usual:  # a measure without anything lasts as its metre says
            self._move(out, clock, length + empty)
        right = write_right(measure.end, self.ending)
        if right is not None:
            out.append(right)

    def _marks(self, out: etree._Element, waiting: list[TimedMark], clock: Fraction, staff: int) -> None:
        """Write the marks of a staff that stand at this moment; those of a moment that is over wait for another voice."""
        here = [t.mark for t in waiting if t.offset == clock]
        if not here:
            return
        waiting[:] = [t for t in waiting if t.offset != clock]
        attributes = write_attributes([(staff + 1, m) for m in here if is_attribute(m)], self.staves, None)
        if attributes is not None:
            out.append(attributes)
        harmonies = []
        frames = []
        for mark in here:
            if not isinstance(mark, Mark) or is_attribute(mark):
                continue
            if mark.name == "mid-bar":
                out.append(write_middle(mark))
            elif mark.name == "frame":
                frames.append(mark)
            else:
                element = write_mark(mark, staff + 1 if self.staves > 1 else None, self.divisions, self.ottavas)
                if element is not None:
                    out.append(element)
                    if mark.name == "chord":
                        harmonies.append(element)
        for harmony, frame in zip(harmonies, frames):
            add_frame(harmony, frame)

    def _move(self, out: etree._Element, here: Fraction, there: Fraction) -> None:
        if there != here:
            self._duration(Sub(out, "backup" if there < here else "forward"), abs(there - here))

    def _duration(self, element: etree._Element, quarters: Fraction) -> None:
        Sub(element, "duration").text = str(int(quarters * self.divisions))

    def _event(
        self,
        out: etree._Element,
        timed: Timed,
        voice: int,
        staff: int,
        shown: list[str | None] | None,
        beam_names: list[str],
        at: Fraction,
    ) -> None:
        event = timed.event
        assert not isinstance(event, Spacer)
        marks = {m.name for m in event.marks}
        staff = staff_of(event.marks, staff, self.staves)
        notes: list[tuple[Note | None, str | None]] = [(None, None)]
        if isinstance(event, Chord):  # the first one bears the chord's marks
            notes = sorted(zip(event.notes, shown or [None] * len(event.notes)), key=lambda n: _place(n[0]))
        for i, (note, accidental) in enumerate(notes):
            element = Sub(out, "note")
            grace = isinstance(event, Chord) and event.grace is not None
            names = marks if note is None else marks | {m.name for m in note.marks}
            if (isinstance(event, Rest) and event.hidden) or (note is not None and Mark("hidden") in note.marks):
                element.set("print-object", "no")
            if grace and isinstance(event, Chord):
                Sub(element, "grace", {"slash": "yes"} if event.grace == "slash" else {})
            if "cue" in names:
                Sub(element, "cue")
            if i:
                Sub(element, "chord")
            stops = note is not None and not grace and (at + timed.offset, note.pitch) in self.tied
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
            for mark in note.marks if note is not None else ():
                if mark.name == "instrument-id" and mark.args:
                    Sub(element, "instrument", id=f"P{self.index + 1}-I{mark.args[0]}")
            Sub(element, "voice").text = str(voice)
            if event.value is not None and "untyped" not in marks:
                size = next(
                    (s for m, s in (("small", "cue"), ("grace-cue", "grace-cue"), ("large", "large")) if m in names),
                    None,
                )
                Sub(element, "type", {"size": size} if size else {}).text = TYPES[event.value.kind]
                for _ in range(event.value.dots):
                    Sub(element, "dot")
            if note is not None and not note.unpitched:
                self._accidental(element, note, accidental)
            if timed.tuplets and (not grace or timed.first_of):  # graces seldom say the ratio that they stand in
                modification = Sub(element, "time-modification")
                Sub(modification, "actual-notes").text = str(prod(t.actual for t in timed.tuplets))
                Sub(modification, "normal-notes").text = str(prod(t.normal for t in timed.tuplets))
            for name in ("none", "double"):
                if f"stem-{name}" in names:
                    Sub(element, "stem").text = name
            if note is not None:
                write_notehead(element, note.marks)
            if self.staves > 1:
                own_staff = staff if note is None else staff_of(note.marks, staff, self.staves)
                Sub(element, "staff").text = str(own_staff + 1)
            if i == 0:
                for number, name in enumerate(beam_names):
                    if name and number < 8:
                        Sub(element, "beam", number=str(number + 1)).text = name
            self._notations(element, timed, note, stops, i == 0)
            for mark in (*(event.marks if i == 0 else ()), *(note.marks if note is not None else ())):
                if mark.name == "lyric":
                    write_lyric(element, mark)

    def _accidental(self, element: etree._Element, note: Note, derived: str | None) -> None:
        name, manners = shown_accidental(note.marks, derived, SHOWN_BY_ALTER.get(note.pitch.alter))
        if name:
            Sub(element, "accidental", dict.fromkeys(manners, "yes")).text = name

    def _notations(self, element: etree._Element, timed: Timed, note: Note | None, stops: bool, first: bool) -> None:
        event = timed.event
        assert not isinstance(event, Spacer)
        notations = etree.Element("notations")
        if stops:
            Sub(notations, "tied", type="stop")
        if note is not None:
            if note.tie or Mark("drawn-tie") in note.marks:
                Sub(notations, "tied", type="start")
            if Mark("let-ring") in note.marks:
                Sub(notations, "tied", type="let-ring")
        if first:
            _tuplets(notations, timed)
        marks = list(event.marks) if first else [m for m in event.marks if m.name in SHARED]
        own = [m for m in note.marks if SCOPES.get(m.name) == "event"] if note is not None else []
        write_notations(notations, [*marks, *own])
        if len(notations):
            element.append(notations)


def _place(note: Note) -> tuple[bool, bool]:
    """Of a chord's notes those on another staff, and those that bear what a chord can bear, follow behind."""
    own = any(SCOPES.get(mark.name) == "event" and mark.name not in OWN for mark in note.marks)
    return any(mark.name == "on-staff" for mark in note.marks), own


def _tuplets(notations: etree._Element, timed: Timed) -> None:
    depth = len(timed.tuplets)
    nested = depth > 1
    for level in range(depth - timed.first_of, depth):
        tuplet = timed.tuplets[level]
        if tuplet.from_previous or Mark("tuplet-none") in tuplet.marks:
            continue
        element = Sub(notations, "tuplet", type="start", number=str(level + 1))
        for mark in tuplet.marks:
            if mark.name.startswith("tuplet-number-"):
                element.set("show-number", mark.name.removeprefix("tuplet-number-"))
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
        Sub(pitch, "alter").text = decimal(note.pitch.alter)
    Sub(pitch, prefix + "octave").text = str(note.pitch.octave)
