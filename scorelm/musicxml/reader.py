"""MusicXML -> data model."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from lxml import etree

from scorelm.errors import ScoreError, SourceError
from scorelm.musicxml.attributes import read_attributes, read_transpose
from scorelm.musicxml.barlines import read_barline
from scorelm.musicxml.derive import BEAMS, drop_derived
from scorelm.musicxml.directions import read_direction, read_dynamics, read_sound
from scorelm.musicxml.harmony import read_figured_bass, read_harmony
from scorelm.musicxml.header import instrument_numbers, read_groups, read_instruments, read_titles_of
from scorelm.musicxml.names import KIND_OF
from scorelm.musicxml.notations import OWN, read_head, read_notations
from scorelm.musicxml.source import open_xml, read_bytes
from scorelm.musicxml.spanners import Spanners, renumber
from scorelm.musicxml.values import ZERO, clean, number, whole
from scorelm.musicxml.voices import Raw, assemble
from scorelm.notation.marks import SCOPES
from scorelm.notation.model import (
    MAX_QUARTERS,
    Attribute,
    Mark,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Score,
    Staff,
    Time,
    TimedMark,
    Value,
)
from scorelm.notation.normal import normalise
from scorelm.notation.writer import MAX_STAVES


def read_score(path: str | Path) -> Score:
    """The score of a .musicxml, .xml or .mxl file, in normal form. SourceError where there is none."""
    return score_from_xml(open_xml(read_bytes(path), str(path)), str(path))


def titles(root: etree._Element) -> tuple[str, str]:
    """(title, composer) of a MusicXML document, "" where it names none."""
    title = clean(root.findtext("movement-title")) or clean(root.findtext("work/work-title"))
    creators = root.findall("identification/creator")
    composer = next((clean(c.text) for c in creators if c.get("type") == "composer"), "")
    return " ".join(title.split()), " ".join(composer.split())


def score_from_xml(root: etree._Element, name: str = "the score") -> Score:
    """The score of a MusicXML document's root."""
    headers = {p.get("id"): p for p in root.iterfind("part-list/score-part")}
    parts = root.findall("part")
    if not parts:
        raise SourceError(f"{name}: holds no part")
    groups = read_groups(root)
    try:
        return _score(root, parts, headers, groups)
    except ScoreError as error:
        raise ScoreError(f"{name}: {error}") from None


def _score(
    root: etree._Element,
    parts: list[etree._Element],
    headers: dict[str | None, etree._Element],
    groups: dict[str | None, list[Mark]],
) -> Score:
    readers = [_PartReader(part, headers.get(part.get("id")), groups.get(part.get("id"), [])) for part in parts]
    count = max(len(r.measures) for r in readers)
    out: list[Measure] = []
    time: Time | None = None
    for index in range(count):
        present = [r.measures[index] if index < len(r.measures) else None for r in readers]
        element = next(m for m in present if m is not None)
        read = [None if m is None else r.measure(m, index) for r, m in zip(readers, present)]
        times = [r.time for r in readers]
        time = times[0] if all(t == times[0] for t in times) else None
        out.append(_join(element, read, None if time is None else time.quarters, readers))
    if out:
        out[0] = replace(out[0], marks=(*read_titles_of(root), *out[0].marks))
    return renumber(normalise(drop_derived(Score(tuple(r.part for r in readers), tuple(out)))))


def _join(
    element: etree._Element, read: list[_Read | None], nominal: Fraction | None, readers: list[_PartReader]
) -> Measure:
    """The parts' measures as one; its length is the metre's if a part ends there, else the longest part's.

    Time behind the last note or rest of all parts is nothing that a score shows: a mark says how much there is.
    """
    ends = [r.end for r in read if r is not None and r.end]
    length = nominal if nominal is not None and (not ends or nominal in ends) else max(ends, default=Fraction(4))
    longest = max([length, *(max(r.end, r.cursor_end) for r in read if r is not None)])
    if longest > MAX_QUARTERS:
        raise ScoreError(
            f"measure {element.get('number')}: lasts {longest} quarters, the format {MAX_QUARTERS} at most"
        )
    parts = [r and r.finish(length, reader) for r, reader in zip(read, readers)]
    left: list[Attribute] = []
    right: list[Mark] = []
    for part in read:
        if part is not None:
            left += dict.fromkeys(m for m in part.left if m not in left)
            right += dict.fromkeys(m for m in part.right if m not in right)
    cursors = {r.cursor_end for r in read if r is not None}
    if len(cursors) == 1 and longest > length and max(ends, default=ZERO) <= length:
        right.append(Mark("empty-time", (longest - length,)))
    shown = " ".join((element.get("number") or "").split())
    return Measure(tuple(parts), shown, length, element.get("implicit") == "yes", tuple(left), tuple(right))


class _Read:
    """What one part's measure holds before its voices are assembled."""

    def __init__(self, staves: int) -> None:
        self.voices: dict[str, list[Raw]] = {}
        self.marks: list[list[TimedMark]] = [[] for _ in range(staves)]
        self.part_marks: list[Attribute] = []
        self.left: list[Mark] = []
        self.right: list[Mark] = []
        self.end = Fraction(0)  # of its last note or rest
        self.cursor_end = Fraction(0)  # of the time that it moves through

    def put(self, staff: int | None, moment: Fraction, mark: Attribute) -> None:
        """A mark at a moment of a staff, from 1; None: of all staves. What lies before the measure is at its start.

        Of several keys, times or clefs at one moment the last holds.
        """
        chosen = self.marks if staff is None else [self.marks[min(max(staff, 1), len(self.marks)) - 1]]
        moment = max(moment, Fraction(0))
        for marks in chosen:
            if not isinstance(mark, Mark):
                marks[:] = [t for t in marks if t.offset != moment or type(t.mark) is not type(mark)]
            marks.append(TimedMark(moment, mark))

    def finish(self, length: Fraction, reader: _PartReader) -> PartMeasure:
        own = length if not self.end or self.end <= length <= self.cursor_end else max(self.end, self.cursor_end)
        last = max((t.offset for marks in self.marks for t in marks), default=own)
        staves = assemble(self.voices, own, len(self.marks), reader.open_tuplets)
        if last > own:  # a mark beyond the end cannot stand there
            self.marks = [[replace(t, offset=min(t.offset, own)) for t in marks] for marks in self.marks]
        return PartMeasure(
            tuple(Staff(voices, tuple(marks)) for voices, marks in zip(staves, self.marks)),
            own,
            tuple(self.part_marks),
        )


class _PartReader:
    """Reads the measures of one part in order."""

    def __init__(self, part: etree._Element, header: etree._Element | None, groups: list[Mark]) -> None:
        self.measures = part.findall("measure")
        staves = max((whole(e.text, 1) for e in part.iter("staff", "staves")), default=1)
        if staves > MAX_STAVES:
            raise ScoreError(f"a part has {staves} staves, the format {MAX_STAVES} at most")
        staves = max(staves, 1)
        self.part = Part("" if header is None else clean(header.findtext("part-name")), staves)
        self.head: list[Attribute] = [*groups, *(() if header is None else read_instruments(header))]
        self.instruments = instrument_numbers(header)
        self.divisions = Fraction(1)
        self.durations: dict[str | None, Fraction] = {}  # what was converted with these divisions
        self.time: Time | None = None
        self.voice = "1"  # of the note before
        self.spanners = Spanners()
        self.open_tuplets: dict[str, list[tuple[int, int]]] = {}

    def measure(self, element: etree._Element, index: int) -> _Read:
        read = _Read(self.part.staves)
        if index == 0:
            read.part_marks += self.head
        clock = start = owed = Fraction(0)
        for child in element:
            tag = child.tag
            if tag == "note":
                raw = self._note(child, clock, start)
                for dynamics in child.iterfind("notations/dynamics"):
                    for mark in read_dynamics(dynamics):
                        read.put(raw.staff + 1, raw.start, mark)
                if raw.chord and _joins_chord(read.voices, raw):
                    continue
                if not raw.chord:
                    start = clock
                    clock += raw.quarters
                    owed = raw.quarters if self._quarters(child.findtext("duration")) <= 0 else ZERO
                read.end = max(read.end, raw.start + raw.quarters)
                read.voices.setdefault(f"{raw.voice} apart" if raw.chord else raw.voice, []).append(raw)
            elif tag == "backup":
                clock = max(clock - self._moved(child), ZERO)
            elif tag == "forward":
                moved = self._moved(child)
                clock += moved if moved != owed else ZERO  # old programs gave a note no duration and moved on behind it
                owed = ZERO
            elif tag == "attributes":
                self._attributes(child, clock, read)
            elif tag == "direction":
                for mark in read_direction(child, self.spanners):
                    read.put(whole(child.findtext("staff"), 1), clock + self._offset(child), mark)
            elif tag == "sound":
                for mark in read_sound(child):
                    read.put(1, clock + self._offset(child), mark)
            elif tag == "harmony":
                for mark in read_harmony(child):
                    read.put(whole(child.findtext("staff"), 1), clock + self._offset(child), mark)
            elif tag == "figured-bass":
                read.put(1, clock, read_figured_bass(child, self.divisions))
            elif tag == "barline":
                where, marks = read_barline(child)
                if where == "middle":
                    for mark in marks:
                        read.put(1, clock, mark)
                else:  # each by its kind: sources put some at the wrong end
                    read.left += [m for m in marks if SCOPES[m.name] == "measure"]
                    read.right += [m for m in marks if SCOPES[m.name] == "end"]
            read.cursor_end = max(read.cursor_end, clock)
        return read

    def _quarters(self, duration: str | None) -> Fraction:
        """A <duration> in quarters; the same few come again and again."""
        found = self.durations.get(duration)
        if found is None:
            found = self.durations[duration] = number(duration) / self.divisions
        return found

    def _moved(self, element: etree._Element) -> Fraction:
        """By how much a <backup> or <forward> moves; a negative one moves nothing."""
        return max(self._quarters(element.findtext("duration")), ZERO)

    def _lasting(self, duration: str | None, kind: int | None, ratio: tuple[int, int]) -> Fraction:
        """How long a note lasts; one without a duration lasts as it is written, or a quarter."""
        quarters = self._quarters(duration)
        if quarters > 0:
            return quarters
        return Value(5 if kind is None else kind).written * Fraction(ratio[1], ratio[0])

    def _offset(self, element: etree._Element) -> Fraction:
        return self._quarters(element.findtext("offset"))

    def _note(self, element: etree._Element, clock: Fraction, start: Fraction) -> Raw:
        first = {child.tag: child for child in reversed(element)}  # of each tag the first element
        text = {tag: child.text for tag, child in first.items()}
        grace = first.get("grace")
        chord = "chord" in first
        kind = KIND_OF.get(clean(text.get("type")))
        modification = first.get("time-modification")
        ratio = (1, 1)
        if modification is not None:
            ratio = _ratio(modification)
        marks = read_notations(element, first, self.spanners)
        if "beam" in first:
            beams = sorted(element.iterfind("beam"), key=lambda b: whole(b.get("number"), 1))
            marks.append(Mark(BEAMS, tuple(clean(b.text) for b in beams)))
        self.voice = clean(text.get("voice")) or (self.voice if chord else "1")
        raw = Raw(
            voice=self.voice,
            staff=min(max(whole(text.get("staff"), 1), 1), self.part.staves) - 1,
            start=start if chord else clock,
            quarters=ZERO if grace is not None else self._lasting(text.get("duration"), kind, ratio),
            chord=chord,
            grace=None if grace is None else ("slash" if grace.get("slash") == "yes" else "plain"),
            value=None if kind is None else Value(kind, min(len(element.findall("dot")), 4) if "dot" in first else 0),
            ratio=ratio,
            tuplets=[_tuplet(t) for t in element.iterfind("notations/tuplet")] if "notations" in first else [],
            marks=marks,
        )
        rest = first.get("rest")
        if rest is not None:
            raw.rest = True
            raw.measure_rest = rest.get("measure") == "yes"
            raw.hidden = element.get("print-object") == "no"
            if rest.find("display-step") is not None:
                raw.position = _place(rest, "display-")
            raw.marks = [m for m in marks if m.name != BEAMS]
            return raw
        raw.notes = [self._head(element, first, [m for m in marks if m.name in OWN])]
        raw.marks = [m for m in marks if m.name not in OWN]
        return raw

    def _head(self, element: etree._Element, first: dict[str, etree._Element], own: list[Mark]) -> Note:
        """One note head with what it has for itself."""
        tie = "tie" in first and any(t.get("type") == "start" for t in element.iterfind("tie"))
        marks = own + read_head(element, first)
        if (
            not tie
            and "notations" in first
            and any(t.get("type") == "start" for t in element.iterfind("notations/tied"))
        ):
            marks.append(Mark("drawn-tie"))
        instrument = first.get("instrument")
        if instrument is not None and self.instruments.get(instrument.get("id"), 1) > 1:
            marks.append(Mark("instrument-id", (Fraction(self.instruments[instrument.get("id")]),)))
        pitch = first.get("pitch")
        if pitch is not None:
            return Note(
                _pitch(pitch.findtext("step"), pitch.findtext("octave"), pitch.findtext("alter")), tie, tuple(marks)
            )
        unpitched = first.get("unpitched")
        shown = unpitched is not None and unpitched.find("display-step") is not None
        if not shown:
            marks.append(Mark("unplaced"))
        return Note(_place(unpitched, "display-") if shown else Pitch("B", 4), tie, tuple(marks), True)

    def _attributes(self, element: etree._Element, clock: Fraction, read: _Read) -> None:
        divisions = number(element.findtext("divisions"))
        if divisions > 0:
            self.divisions = divisions
            self.durations = {}
        for staff, mark in read_attributes(element):
            if isinstance(mark, Time):
                self.time = mark
            read.put(staff, clock, mark)
        for transpose in element.iterfind("transpose"):
            if not transpose.get("number"):
                read.part_marks.append(Mark("transpose", read_transpose(transpose)))


def _joins_chord(voices: dict[str, list[Raw]], raw: Raw) -> bool:
    """Join a <chord/> note to the note before it; False where it cannot be part of that chord and stands alone."""
    for other in reversed(voices.get(raw.voice, [])):
        if other.grace != raw.grace or other.start != raw.start:
            return False
        if other.notes and other.quarters == raw.quarters and other.value == raw.value:
            own = tuple(m for m in raw.marks if m.name != BEAMS and not (m in other.marks and "fermata" in m.name))
            if other.staff != raw.staff:
                own += (Mark("on-staff", (Fraction(raw.staff + 1),)),)
            other.notes += [replace(note, marks=note.marks + own) for note in raw.notes]
            return True
    return False


def _ratio(element: etree._Element) -> tuple[int, int]:
    """actual and normal notes of a <time-modification>; 1:1 where they are none."""
    actual, normal = whole(element.findtext("actual-notes"), 1), whole(element.findtext("normal-notes"), 1)
    return (actual, normal) if 0 < actual < 1000 and 0 < normal < 1000 else (1, 1)


def _tuplet(element: etree._Element) -> tuple[str, str, tuple[int, int] | None, tuple[Mark, ...]]:
    """start or stop, its number, the ratio if it is said, how it is drawn."""
    actual = whole(element.findtext("tuplet-actual/tuplet-number"), 0)
    normal = whole(element.findtext("tuplet-normal/tuplet-number"), 0)
    shown = element.get("show-number")
    marks = (Mark(f"tuplet-number-{shown}"),) if shown in ("none", "both") else ()
    said = (actual, normal) if 0 < actual < 1000 and 0 < normal < 1000 else None
    return element.get("type", ""), element.get("number") or "1", said, marks


def _place(element: etree._Element, prefix: str) -> Pitch:
    return _pitch(element.findtext(prefix + "step"), element.findtext(prefix + "octave"), None)


@lru_cache(maxsize=4096)
def _pitch(step: str | None, octave: str | None, alter: str | None) -> Pitch:
    """The same pitch is the same object."""
    step = clean(step)
    semitones = number(alter).limit_denominator(10**6)
    return Pitch(
        step if step in tuple("CDEFGAB") else "B",
        max(0, min(9, whole(octave, 4))),
        int(semitones) if semitones.denominator == 1 else semitones,
    )
