"""MusicXML -> data model."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from lxml import etree

from scorelm.errors import ScoreError, SourceError
from scorelm.musicxml.source import open_xml, read_bytes
from scorelm.musicxml.voices import Raw, assemble
from scorelm.notation.lexemes import NAMES
from scorelm.notation.model import (
    Attribute,
    Clef,
    Key,
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

KIND_OF = {
    name: kind
    for kind, name in enumerate(
        "maxima long breve whole half quarter eighth 16th 32nd 64th 128th 256th 512th 1024th".split()
    )
}
MODES = frozenset("major minor dorian phrygian lydian mixolydian aeolian locrian ionian none".split())
SIGNS = {"G", "F", "C", "percussion", "TAB", "jianpu", "none"}
FERMATAS = {
    "angled": "fermata-angled", "square": "fermata-square", "double-angled": "fermata-double-angled",
    "double-square": "fermata-double-square", "double-dot": "fermata-double-dot", "half-curve": "fermata-half-curve",
    "curlew": "fermata-curlew",
}  # fmt: skip
RIGHT_STYLES = {
    "light-heavy": "end", "light-light": "double", "dashed": "dashed", "dotted": "dotted", "heavy": "heavy",
    "heavy-light": "heavy-light", "heavy-heavy": "heavy-heavy", "none": "none", "tick": "tick", "short": "short",
}  # fmt: skip


def read_score(path: str | Path) -> Score:
    """The score of a .musicxml, .xml or .mxl file, in normal form. SourceError where there is none."""
    return score_from_xml(open_xml(read_bytes(path), str(path)), str(path))


def read_titles(path: str | Path) -> tuple[str, str]:
    """(title, composer) of a MusicXML file, "" where it names none."""
    root = open_xml(read_bytes(path), str(path))
    title = _clean(root.findtext("movement-title")) or _clean(root.findtext("work/work-title"))
    creators = root.findall("identification/creator")
    composer = next((_clean(c.text) for c in creators if c.get("type") == "composer"), "")
    return " ".join(title.split()), " ".join(composer.split())


def score_from_xml(root: etree._Element, name: str = "the score") -> Score:
    """The score of a MusicXML document's root."""
    headers = {p.get("id"): p for p in root.iterfind("part-list/score-part")}
    parts = root.findall("part")
    if not parts:
        raise SourceError(f"{name}: holds no part")
    readers = [_PartReader(part, headers.get(part.get("id")), name) for part in parts]
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
    try:
        return normalise(Score(tuple(r.part for r in readers), tuple(out)))
    except ScoreError as error:
        raise ScoreError(f"{name}: {error}") from None


def _join(
    element: etree._Element, read: list[_Read | None], nominal: Fraction | None, readers: list[_PartReader]
) -> Measure:
    """The parts' measures as one; its length is the metre's if a part ends there, else the longest part's.

    Time behind the last note or rest of all parts is nothing that a score shows.
    """
    ends = [r.end for r in read if r is not None and r.end]
    length = nominal if nominal is not None and (not ends or nominal in ends) else max(ends, default=Fraction(4))
    parts = [r and r.finish(length, reader) for r, reader in zip(read, readers)]
    left: list[Attribute] = []
    right: list[Mark] = []
    for part in read:
        if part is not None:
            left += [m for m in part.left if m not in left]
            right += [m for m in part.right if m not in right]
    number = " ".join((element.get("number") or "").split())
    return Measure(tuple(parts), number, length, element.get("implicit") == "yes", tuple(left), tuple(right))


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

    def finish(self, length: Fraction, reader: _PartReader) -> PartMeasure:
        own = length if not self.end or self.end <= length <= self.cursor_end else max(self.end, self.cursor_end)
        staves = assemble(self.voices, own, len(self.marks), reader.open_tuplets)
        return PartMeasure(
            tuple(Staff(voices, tuple(marks)) for voices, marks in zip(staves, self.marks)),
            own,
            tuple(self.part_marks),
        )


class _PartReader:
    """Reads the measures of one part in order."""

    def __init__(self, part: etree._Element, header: etree._Element | None, name: str) -> None:
        self.name = name
        self.measures = part.findall("measure")
        staves = 1
        for element in part.iter("staff", "staves"):
            staves = max(staves, _whole(element.text, 1))
        title = "" if header is None else _clean(header.findtext("part-name"))
        self.part = Part(title, staves)
        self.header = header
        self.divisions = Fraction(1)
        self.time: Time | None = None
        self.open_tuplets: dict[str, list[tuple[int, int]]] = {}

    def measure(self, element: etree._Element, index: int) -> _Read:
        read = _Read(self.part.staves)
        if index == 0 and self.header is not None:
            read.part_marks += _instrument(self.header)
        clock = start = Fraction(0)
        for child in element:
            tag = child.tag
            if tag == "note":
                raw = self._note(child, clock, start)
                if raw.chord:
                    _add_chord_note(read.voices, raw)
                else:
                    start = clock
                    clock += raw.quarters
                    read.end = max(read.end, clock)
                    read.voices.setdefault(raw.voice, []).append(raw)
            elif tag == "backup":
                clock = max(clock - self._quarters(child), Fraction(0))
            elif tag == "forward":
                clock += self._quarters(child)
            elif tag == "attributes":
                self._attributes(child, clock, read)
            elif tag == "barline":
                _barline(child, read)
            read.cursor_end = max(read.cursor_end, clock)
        return read

    def _quarters(self, element: etree._Element) -> Fraction:
        return _number(element.findtext("duration"), Fraction(0)) / self.divisions

    def _note(self, element: etree._Element, clock: Fraction, start: Fraction) -> Raw:
        grace = element.find("grace")
        chord = element.find("chord") is not None
        quarters = Fraction(0) if grace is not None else self._quarters(element)
        rest = element.find("rest")
        kind = KIND_OF.get(_clean(element.findtext("type")))
        modification = element.find("time-modification")
        ratio = (1, 1)
        if modification is not None:
            ratio = (
                _whole(modification.findtext("actual-notes"), 1) or 1,
                _whole(modification.findtext("normal-notes"), 1) or 1,
            )
        raw = Raw(
            voice=_clean(element.findtext("voice")) or "1",
            staff=min(max(_whole(element.findtext("staff"), 1), 1), self.part.staves) - 1,
            start=start if chord else clock,
            quarters=quarters,
            chord=chord,
            grace=None if grace is None else ("slash" if grace.get("slash") == "yes" else "plain"),
            value=None if kind is None else Value(kind, min(len(element.findall("dot")), 4)),
            ratio=ratio,
            tuplets=[
                (t.get("type", ""), t.get("number") or "1", _tuplet_ratio(t))
                for t in element.iterfind("notations/tuplet")
            ],
            marks=[_fermata(f) for f in element.iterfind("notations/fermata")][:1],
        )
        if rest is not None:
            raw.rest = True
            raw.measure_rest = rest.get("measure") == "yes"
            raw.hidden = element.get("print-object") == "no"
            if rest.find("display-step") is not None:
                raw.position = _place(rest, "display-")
            return raw
        pitch = element.find("pitch")
        tie = any(t.get("type") == "start" for t in element.iterfind("tie"))
        marks: tuple[Mark, ...] = ()
        if not tie and any(t.get("type") == "start" for t in element.iterfind("notations/tied")):
            marks = (Mark("drawn-tie"),)
        if pitch is not None:
            alter = _number(pitch.findtext("alter"), Fraction(0))
            place = _place(pitch, "")
            raw.notes = [
                Note(Pitch(place.step, place.octave, int(alter) if alter.denominator == 1 else alter), tie, marks)
            ]
        else:
            unpitched = element.find("unpitched")
            shown = unpitched is not None and unpitched.find("display-step") is not None
            if not shown:
                marks += (Mark("unplaced"),)
            raw.notes = [Note(_place(unpitched, "display-") if shown else Pitch("B", 4), tie, marks, True)]
        return raw

    def _attributes(self, element: etree._Element, clock: Fraction, read: _Read) -> None:
        divisions = _number(element.findtext("divisions"), Fraction(0))
        if divisions > 0:
            self.divisions = divisions
        for key in element.iterfind("key"):
            self._put(read, key, clock, _key(key))
        for time in element.iterfind("time"):
            found = _time(time)
            if found is not None:
                self.time = found
                self._put(read, time, clock, found)
        for clef in element.iterfind("clef"):
            sign = _clean(clef.findtext("sign"))
            sign = sign if sign in SIGNS else {"percussion2": "percussion", "tab": "TAB"}.get(sign, "none")
            line = clef.findtext("line")
            number = _whole(clef.get("number"), 1)
            mark = Clef(
                sign,
                _whole(line, 0) or ({"G": 2, "F": 4, "C": 3}.get(sign)),
                _whole(clef.findtext("clef-octave-change"), 0),
            )
            _timed(read.marks[min(max(number, 1), self.part.staves) - 1], clock, mark)
        for transpose in element.iterfind("transpose"):
            args = [_number(transpose.findtext("chromatic"), Fraction(0))]
            diatonic, octave = transpose.findtext("diatonic"), transpose.findtext("octave-change")
            if diatonic is not None or octave is not None:
                args.append(_number(diatonic, Fraction(0)))
            if octave is not None:
                args.append(_number(octave, Fraction(0)))
            read.part_marks.append(Mark("transpose", tuple(args)))

    def _put(self, read: _Read, element: etree._Element, clock: Fraction, mark: Attribute) -> None:
        number = element.get("number")
        staves = range(self.part.staves) if number is None else [min(_whole(number, 1), self.part.staves) - 1]
        for staff in staves:
            _timed(read.marks[staff], clock, mark)


def _timed(marks: list[TimedMark], clock: Fraction, mark: Attribute) -> None:
    """Put a key, time or clef on a time line; a second one at the same moment takes the first one's place."""
    marks[:] = [t for t in marks if t.offset != clock or type(t.mark) is not type(mark)]
    marks.append(TimedMark(clock, mark))


def _add_chord_note(voices: dict[str, list[Raw]], raw: Raw) -> None:
    """Join a <chord/> note to the note before it, or let it stand alone where it cannot be part of that chord."""
    voice = voices.setdefault(raw.voice, [])
    for other in reversed(voice):
        if other.grace != raw.grace or other.start != raw.start:
            break
        if other.notes and other.quarters == raw.quarters and other.staff == raw.staff and other.value == raw.value:
            other.notes += raw.notes
            other.marks += [m for m in raw.marks if m not in other.marks]
            return
    raw.chord = False
    voices.setdefault(f"{raw.voice} apart", []).append(raw)


def _instrument(header: etree._Element) -> list[Attribute]:
    marks: list[Attribute] = []
    program = header.findtext("midi-instrument/midi-program")
    if program is not None and 1 <= _whole(program, 0) <= 128:
        marks.append(Mark("instrument", (Fraction(_whole(program, 0)),)))
    sound = _clean(header.findtext("score-instrument/instrument-sound"))
    if sound:
        marks.append(Mark("sound", (sound,)))
    return marks


def _barline(element: etree._Element, read: _Read) -> None:
    left = element.get("location") == "left"
    style = _clean(element.findtext("bar-style"))
    repeat = element.find("repeat")
    ending = element.find("ending")
    if ending is not None and ending.get("type") == "start":
        read.left.append(Mark("ending", (_clean(ending.get("number")) or "1",)))
    elif ending is not None:
        read.right.append(Mark("ending-open)" if ending.get("type") == "discontinue" else "ending)"))
    if repeat is not None and repeat.get("direction") == "forward":
        read.left.append(Mark("repeat("))
    elif repeat is not None:
        times = _whole(repeat.get("times"), 0)
        read.right.append(Mark("repeat)", (Fraction(times),) if times else ()))
    if left:
        name = {"light-light": "left-double", "regular": ""}.get(style, f"left-{style}")
        if style and name in NAMES and not (repeat is not None and style == "heavy-light"):
            read.left.append(Mark(name))
    elif (
        element.get("location") != "middle"
        and style in RIGHT_STYLES
        and (repeat is None or style != "light-heavy")  # which a repeat has anyway
    ):
        read.right.append(Mark(RIGHT_STYLES[style]))


def _key(element: etree._Element) -> Key:
    steps = [_clean(s.text) for s in element.iterfind("key-step")]
    mode = _clean(element.findtext("mode")) or None
    if steps:
        alters = [_number(a.text, Fraction(0)) for a in element.iterfind("key-alter")]
        pairs = tuple((s, int(a) if a.denominator == 1 else a) for s, a in zip(steps, alters) if s in "CDEFGAB")
        if pairs:
            return Key(0, None, pairs)
    fifths = max(-14, min(14, _whole(element.findtext("fifths"), 0)))
    return Key(fifths, mode if mode in MODES else None)


def _time(element: etree._Element) -> Time | None:
    symbol = element.get("symbol")
    if element.find("senza-misura") is not None:
        return Time(())
    terms = []
    for beats, unit in zip(element.iterfind("beats"), element.iterfind("beat-type")):
        counts = tuple(_whole(b, 0) for b in (beats.text or "").split("+"))
        if min(counts) < 1 or _whole(unit.text, 0) not in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
            return None
        terms.append((counts, _whole(unit.text, 0)))
    return Time(tuple(terms), symbol if symbol in ("common", "cut", "single-number") else None) if terms else None


def _tuplet_ratio(element: etree._Element) -> tuple[int, int] | None:
    actual = _whole(element.findtext("tuplet-actual/tuplet-number"), 0)
    normal = _whole(element.findtext("tuplet-normal/tuplet-number"), 0)
    return (actual, normal) if actual and normal else None


def _fermata(element: etree._Element) -> Mark:
    if element.get("type") == "inverted":
        return Mark("inverted-fermata")
    return Mark(FERMATAS.get(_clean(element.text), "fermata"))


def _place(element: etree._Element, prefix: str) -> Pitch:
    step = _clean(element.findtext(prefix + "step"))
    octave = _whole(element.findtext(prefix + "octave"), 4)
    return Pitch(step if step in tuple("CDEFGAB") else "B", max(0, min(9, octave)))


def _clean(text: str | None) -> str:
    """Text without the white space around it and without control characters."""
    if not text:
        return ""
    return "".join(c if c >= " " and c != "\x7f" else "\n" if c in "\r\n" else " " for c in text).strip()


def _whole(text: str | None, default: int) -> int:
    try:
        return int((text or "").strip())
    except ValueError:
        return default


def _number(text: str | None, default: Fraction) -> Fraction:
    try:
        return Fraction((text or "").strip())
    except (ValueError, ZeroDivisionError):
        return default
