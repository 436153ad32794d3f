"""Score -> text: the inverse of reader.py.

text    = "|" *( measure "|" )
measure = [number] ["?"] ["@" length] *mark  part *( ";" part )  *end-mark
part    = "!absent!" / [ "P" [staves] [name] ["@" length] *mark ] staff *( "/" staff )
staff   = voice *( "&" voice )
voice   = *( ["$"] time-mark / graces / event / tuplet )
tuplet  = open ["+:"] *mark 1*( ... ) ( "]" / "]+" )
graces  = "{" ["/"] 1*event "}"
event   = *mark [ duration ["@" length] ] ( note *( "+" note ) / rest )
note    = ["n"] pitch ["-"] *( mark / "`" event-mark )
rest    = "z" / "x" / "y" / "Z" / "X"  [ "o" pitch ]
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import SIMPLE_TUPLETS
from scorelm.notation.lyrics import Slot, leads_on, lines_of, spell_line
from scorelm.notation.marks import (
    SCOPES,
    mark_name,
    spell_attribute,
    spell_lyric,
    spell_mark,
    spell_number,
    spell_string,
)
from scorelm.notation.model import (
    MAX_QUARTERS,
    ONE,
    Argument,
    Attribute,
    Chord,
    Event,
    Item,
    Key,
    Mark,
    Measure,
    Note,
    Part,
    PartMeasure,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    TimedMark,
    Tuplet,
    Value,
    Voice,
    event_quarters,
)
from scorelm.notation.pitches import spell_pitch
from scorelm.notation.state import EIGHTH, State, is_plain_number
from scorelm.notation.values import fill

MAX_PARTS = 64
MAX_STAVES = 8
MAX_VOICES = 8
MAX_TUPLET_DEPTH = 4
MAX_ZERO_TIME = 256  # lexemes that take no time between two that do

_TUPLET_LEXEMES = {ratio: lexeme for lexeme, ratio in SIMPLE_TUPLETS.items()}


def write(score: Score) -> str:
    """The canonical text of a normal score. ScoreError names the place of what the format cannot hold."""
    if not score.measures:
        return "|\n"
    if not 1 <= len(score.parts) <= MAX_PARTS:
        raise ScoreError(f"a score has 1 to {MAX_PARTS} parts, not {len(score.parts)}")
    state = State()
    state.declare(score.parts)
    out = ["|\n"]
    for index, measure in enumerate(score.measures):
        try:
            out.append(measure_text(measure, score.parts, state, index == 0))
        except ScoreError as error:
            raise ScoreError(f"measure {measure.number} ({index + 1} from the start): {error}") from None
        out.append("|\n")
    return "".join(out)


def measure_text(measure: Measure, parts: Sequence[Part], state: State, first: bool) -> str:
    """One measure without its delimiters; ``state`` moves on. ``first``: the parts are declared in it."""
    head, sections, end = measure_sections(measure, parts, state, first)
    return head + ";".join(sections) + end


def measure_sections(
    measure: Measure, parts: Sequence[Part], state: State, first: bool
) -> tuple[str, tuple[str, ...], str]:
    """The head of a measure, the section of each part, and the marks behind them; see ``measure_text``."""
    if len(measure.parts) != len(parts):
        raise ScoreError(f"the score has {len(parts)} parts, this measure {len(measure.parts)}")
    state.enter_score(measure.marks)
    out: list[str] = []
    if measure.number != str(state.number):
        out.append("#" + (measure.number if is_plain_number(measure.number) else spell_string(measure.number)))
    state.count(measure.number)
    if measure.implicit:
        out.append("?")
    if not 0 <= measure.length <= MAX_QUARTERS:
        raise ScoreError(f"a measure lasts 0 to {MAX_QUARTERS} quarters, not {measure.length}")
    if measure.length != state.nominal():
        out.append("@" + spell_number(measure.length))
    out.extend(spell_attribute(mark) for mark in measure.marks)
    sections: list[str] = []
    for index, part in enumerate(measure.parts):
        name = parts[index].name if first else None
        staves = parts[index].staves
        if not 1 <= staves <= MAX_STAVES:
            raise ScoreError(f"a part has 1 to {MAX_STAVES} staves, not {staves}")
        if part is None:
            head = "" if name is None else _part_head(name, staves, None, ())
            sections.append(head + mark_name("absent"))
            continue
        try:
            sections.append(_part(part, measure, state, index, name, index == 0 and bool(out)))
        except ScoreError as error:
            raise ScoreError(f"part {index + 1}: {error}") from None
    return "".join(out), tuple(sections), "".join(map(spell_mark, measure.end))


def _part_head(name: str | None, staves: int, length: Fraction | None, marks: Sequence[Attribute]) -> str:
    if name is None and length is None and not marks:
        return ""
    head = "P"
    if name is not None:
        head += (str(staves) if staves != 1 else "") + spell_string(name)
    if length is not None:
        head += "@" + spell_number(length)
    return head + "".join(spell_attribute(mark) for mark in marks)


def _part(part: PartMeasure, measure: Measure, state: State, index: int, name: str | None, behind_mark: bool) -> str:
    """``behind_mark``: attributes of the measure stand right before."""
    length = measure.length if part.length is None else part.length
    if not 0 <= length <= MAX_QUARTERS:
        raise ScoreError(f"a part's measure lasts 0 to {MAX_QUARTERS} quarters, not {length}")
    staves = state.staves[index]
    if len(part.staves) != staves:
        raise ScoreError(f"the part has {staves} staves, this measure {len(part.staves)}")
    head = _part_head(name, staves, part.length, part.marks)
    state.enter_part(index, part.marks)
    unit = state.unit(index)
    behind_mark = behind_mark or bool(head)
    texts: list[str] = [_staff(staff, length, unit, behind_mark and i == 0) for i, staff in enumerate(part.staves)]
    for staff in part.staves:
        for timed in staff.marks:
            if isinstance(timed.mark, Time):
                state.enter_time(index, timed.mark)
    return head + "/".join(texts)


def _staff(staff: Staff, length: Fraction, unit: Value, behind_mark: bool) -> str:
    if len(staff.voices) > MAX_VOICES:
        raise ScoreError(f"a staff has at most {MAX_VOICES} voices, not {len(staff.voices)}")
    marks = list(staff.marks)
    voices = list(staff.voices)
    if any(not 0 <= t.offset <= length for t in marks):
        raise ScoreError("a mark lies outside its measure")
    texts: list[str] = []
    for voice in voices or ([()] if marks else []):
        text, marks = _Voice(length, unit, marks, behind_mark and not texts).write(voice)
        texts.append(text)
    if marks:  # no voice has an event where these stand: a voice of spacers carries them
        carrier = tuple(_carrier(marks, length))
        text, marks = _Voice(length, unit, marks, False).write(carrier)
        texts = [text] if texts == [""] else [*texts, text]
    return "&".join(texts)


def _carrier(marks: Sequence[TimedMark], length: Fraction) -> list[Spacer]:
    moments = sorted({Fraction(0), length, *(t.offset for t in marks)})
    return [Spacer(v) for a, b in itertools.pairwise(moments) for v in fill(b - a)]


class _Voice:
    """Writes one voice, with those marks of its staff's time line for which it has a moment."""

    def __init__(self, length: Fraction, unit: Value, marks: list[TimedMark], behind_mark: bool) -> None:
        self.out: list[str] = []
        self.length = length
        self.held = unit
        self.marks = marks
        self.left: list[TimedMark] = []  # for another voice
        self.clock = Fraction(0)
        self.depth = 0
        self.zero_time = 0
        self.behind_mark = behind_mark  # whether what was written last can be followed by digits or strings
        self.lines: dict[int, list[tuple[Argument, list[Slot]]]] = {}  # place of its first chord -> lyric lines
        self.in_lines: set[tuple[int, Argument]] = set()  # place and verse of each lyric that a line holds
        self.place = 0  # chords that lines can hold
        self.tied = False

    def write(self, voice: Voice) -> tuple[str, list[TimedMark]]:
        """-> the voice's text and the marks that it had no moment for."""
        self.lines = lines_of(voice)
        self.in_lines = {
            (start + i, verse)
            for start, lines in self.lines.items()
            for verse, slots in lines
            for i, slot in enumerate(slots)
            if slot is not None
        }
        self._items(voice, ONE)
        if voice and self.clock != self.length:
            raise ScoreError(f"a voice lasts {self.clock} quarters in a measure of {self.length}")
        self._place_marks()
        return "".join(self.out), self.left + self.marks

    def _place_marks(self) -> None:
        while self.marks and self.marks[0].offset <= self.clock:
            timed = self.marks.pop(0)
            if timed.offset < self.clock:
                self.left.append(timed)
                continue
            self._zero()
            scoped = "$" if isinstance(timed.mark, (Key, Time)) else ""
            self.out.append(scoped + spell_attribute(timed.mark))
            self.behind_mark = True

    def _zero(self) -> None:
        self.zero_time += 1
        if self.zero_time > MAX_ZERO_TIME:
            raise ScoreError(f"more than {MAX_ZERO_TIME} things at one moment")

    def _items(self, items: Sequence[Item], ratio: Fraction) -> None:
        i = 0
        while i < len(items):
            item = items[i]
            if self.marks:
                self._place_marks()
            if isinstance(item, Tuplet):
                self._tuplet(item, ratio)
            elif isinstance(item, Chord) and item.grace is not None:
                i = self._graces(items, i, item.grace)
                continue
            else:
                self._event(item, ratio)
            i += 1

    def _tuplet(self, tuplet: Tuplet, ratio: Fraction) -> None:
        self.depth += 1
        if self.depth > MAX_TUPLET_DEPTH:
            raise ScoreError(f"tuplets nest at most {MAX_TUPLET_DEPTH} deep")
        if not tuplet.items or min(tuplet.actual, tuplet.normal) < 1 or max(tuplet.actual, tuplet.normal) > 999:
            raise ScoreError(f"a tuplet {tuplet.actual}:{tuplet.normal} of {len(tuplet.items)} items")
        lexeme = _TUPLET_LEXEMES.get((tuplet.actual, tuplet.normal))
        self.out.append(lexeme or f"[:{tuplet.actual}:{tuplet.normal}")
        if tuplet.from_previous:
            self.out.append("+:")
        self.out.extend(spell_mark(mark) for mark in tuplet.marks)
        self.behind_mark = bool(tuplet.marks) or lexeme is None
        self._items(tuplet.items, ratio * Fraction(tuplet.normal, tuplet.actual))
        self.out.append("]+" if tuplet.into_next else "]")
        self.depth -= 1

    def _graces(self, items: Sequence[Item], i: int, kind: str) -> int:
        self.out.append("{" if kind == "plain" else "{/")
        held, self.held = self.held, EIGHTH
        while i < len(items):
            item = items[i]
            if not isinstance(item, Chord) or item.grace != kind:
                break
            self._zero()
            self._chord(item, item.marks)
            i += 1
        self.held = held
        self.out.append("}")
        return i

    def _event(self, event: Event, ratio: Fraction) -> None:
        quarters = event_quarters(event, ratio, self.length - self.clock)
        if quarters <= 0:
            raise ScoreError(f"an event lasts {quarters} quarters")
        if isinstance(event, Chord):
            self._chord(event, self._lyric_lines(event))
        elif isinstance(event, Spacer):
            self._duration(event.value)
            self.out.append("y")
        else:
            self._rest(event)
        if self.in_lines:
            self.tied = leads_on(event)
        self.clock += quarters
        self.zero_time = 0

    def _duration(self, value: Value) -> None:
        if value != self.held:
            self.held = value
            exact = "" if value.exact is None else "@" + spell_number(value.exact)
            self.out.append(value.letter + exact)

    def _rest(self, rest: Rest) -> None:
        self._event_marks(rest.marks)
        if rest.value is None:
            if not rest.measure:
                raise ScoreError("only a measure rest has no written value")
        elif rest.measure:  # a bare Z takes the measure, so a written value always stands before it
            self.held = replace(rest.value, kind=-1)
            self._duration(rest.value)
        else:
            self._duration(rest.value)
        self.out.append(("X" if rest.hidden else "Z") if rest.measure else ("x" if rest.hidden else "z"))
        if rest.position is not None:
            self.out.append("o" + spell_pitch(rest.position.step, rest.position.octave))

    def _event_marks(self, marks: Sequence[Mark]) -> None:
        """Lyrics first; one that stands behind a mark says so, for it could be taken for an argument."""
        for mark in marks:
            if mark.name == "lyric":
                self.out.append(spell_lyric(mark, self.behind_mark))
                self.behind_mark = False
            else:
                self.out.append(spell_mark(mark))
                self.behind_mark = True
        self.behind_mark = False

    def _lyric_lines(self, chord: Chord) -> Sequence[Mark]:
        """Write the lines that begin at this chord; -> its marks without the lyrics that lines hold."""
        if not self.in_lines or self.tied:
            return chord.marks
        for verse, slots in self.lines.get(self.place, ()):
            self.out.append(spell_line(verse, slots))
            self.behind_mark = False
        place = self.place
        self.place += 1
        return [m for m in chord.marks if m.name != "lyric" or (place, *m.args[:1]) not in self.in_lines]

    def _chord(self, chord: Chord, marks: Sequence[Mark]) -> None:
        if not chord.notes:
            raise ScoreError("a chord without notes")
        self._event_marks(marks)
        self._duration(chord.value)
        self.out.append("+".join([self._note(note) for note in chord.notes]))
        self.behind_mark = bool(chord.notes[-1].marks)

    def _note(self, note: Note) -> str:
        pitch = note.pitch
        if note.unpitched:
            text = "n" + spell_pitch(pitch.step, pitch.octave)
        else:
            text = spell_pitch(pitch.step, pitch.octave, pitch.alter)
        if note.tie:
            text += "-"
        if note.marks:
            text += "".join(("`" if SCOPES[mark.name] == "event" else "") + spell_mark(mark) for mark in note.marks)
        return text
