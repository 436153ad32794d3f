"""Text -> score: the inverse of writer.py, where the grammar stands. Strict, with places in its errors."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from scorelm.notation.lexemes import COMMON_PARTS, DURATIONS, SIMPLE_TUPLETS
from scorelm.notation.lyrics import Slot, leads_on
from scorelm.notation.marks import CLEF_OF
from scorelm.notation.model import (
    ONE,
    Argument,
    Attribute,
    Chord,
    Item,
    Mark,
    Measure,
    Note,
    Part,
    PartMeasure,
    Pitch,
    Rest,
    Score,
    Spacer,
    Staff,
    Time,
    TimedMark,
    Tuplet,
    Value,
)
from scorelm.notation.normal import normal_measure
from scorelm.notation.pitches import ALTER_OF, PITCH_OF
from scorelm.notation.scanner import END, SCOPE_OF, Scanner
from scorelm.notation.state import EIGHTH, State
from scorelm.notation.writer import MAX_PARTS, MAX_STAVES, MAX_TUPLET_DEPTH, MAX_VOICES, MAX_ZERO_TIME

VALUES = {lexeme: Value(index // 5, index % 5) for index, lexeme in enumerate(DURATIONS)}  # "q." -> Value(5, 1)
ACCIDENTALS = frozenset((*ALTER_OF, "%"))
RESTS = frozenset("zxZX")
EVENT_STARTS = frozenset(
    (
        *VALUES,
        *PITCH_OF,
        *ACCIDENTALS,
        *RESTS,
        *"yn_",
        *(lexeme for lexeme, scope in SCOPE_OF.items() if scope == "event"),
    )
)
NOTES = {lexeme: Note(Pitch(*pitch)) for lexeme, pitch in PITCH_OF.items()}  # that bear nothing, as most
BURDENS = frozenset(("-", "`", *(lexeme for lexeme, scope in SCOPE_OF.items() if scope == "note")))
VOICE_ENDS = frozenset(("&", "/", ";", "|", END))


def parse(text: str) -> Score:
    """The score that a text holds.

    Raises FormatError (measure, line, column) where the text breaks the format.
    """
    scanner = Scanner(text)
    if not scanner.take("|"):
        raise scanner.error("'|', with which every text begins")
    reader = Reader(scanner)
    measures = []
    while scanner.tokens[scanner.i] != END:
        measures.append(reader.measure())
        if not scanner.take("|"):
            raise scanner.error("'|' at the end of the measure")
    return Score(tuple(reader.parts), tuple(measures)) if measures else Score()


class Reader:
    """Reads measure by measure; ``state`` is what is in force."""

    def __init__(self, scanner: Scanner, state: State | None = None, parts: list[Part] | None = None) -> None:
        self.s = scanner
        self.state = State() if state is None else state
        self.parts: list[Part] = [] if parts is None else parts

    def measure(self) -> Measure:
        """One measure, from after its "|" to before the next."""
        s, state = self.s, self.state
        number, implicit, length = str(state.number), False, None
        marks: list[Attribute] = []
        if s.take("#"):
            number = s.string() if s.tokens[s.i].startswith('"') else str(s.digits())
        if s.take("?"):
            implicit = True
        at = s.i
        if s.take("@"):
            length = s.length()
        while True:
            if SCOPE_OF.get(s.tokens[s.i]) == "measure":
                marks.append(s.mark())
            elif attribute := s.key_or_time():
                marks.append(attribute)
            else:
                break
        first = not self.parts
        state.enter_score(marks)
        if length is None:
            length = state.nominal()
            if length is None:
                raise s.fault("expected '@' and the measure's length: no time signature gives it", at)
        state.count(number)
        parts = self._parts(first, length, marks)
        end = []
        while SCOPE_OF.get(s.tokens[s.i]) == "end":
            end.append(s.mark())
        return normal_measure(Measure(tuple(parts), number, length, implicit, tuple(marks), tuple(end)))

    def _parts(self, first: bool, length: Fraction, marks: list[Attribute]) -> list[PartMeasure | None]:
        s = self.s
        out: list[PartMeasure | None] = []
        while True:
            index = len(out)
            if first:
                if index >= MAX_PARTS:
                    raise s.error(f"at most {MAX_PARTS} parts")
                self._declare(index, marks)
            out.append(self._part(index, length, first))
            if first and s.take(";"):
                continue
            if first or len(out) == len(self.parts):
                return out
            if not s.take(";"):
                raise s.error(f"';' and part {len(out) + 1} of {len(self.parts)}")

    def _declare(self, index: int, marks: list[Attribute]) -> None:
        """In the first measure each part opens with P, its staves and its name."""
        s = self.s
        at = s.i
        staves = 1
        if s.tokens[at] in COMMON_PARTS:
            name, staves = COMMON_PARTS[s.tokens[at]]
            s.i += 1
        elif s.take("P"):
            if not s.tokens[s.i].startswith('"'):
                staves = s.digits("the part's name in quotes")
                if not 1 < staves <= MAX_STAVES:
                    raise s.fault(f"a part has 2 to {MAX_STAVES} staves here, or says nothing", at)
            name = s.string("the part's name in quotes")
        else:
            raise s.error("'P' and the name of a part")
        self.parts.append(Part(name, staves))
        self.state.add_part(staves)

    def _part(self, index: int, length: Fraction, first: bool) -> PartMeasure | None:
        s, state = self.s, self.state
        own: Fraction | None = None
        marks: list[Attribute] = []
        at = s.i
        if first or s.take("P"):
            if s.take("@"):
                own = s.length()
            while True:
                if SCOPE_OF.get(s.tokens[s.i]) == "part":
                    marks.append(s.mark())
                elif attribute := s.key_or_time():
                    marks.append(attribute)
                else:
                    break
            if not first and own is None and not marks:
                raise s.fault("'P' says nothing here", at)
        if s.tokens[s.i] == "!absent!":
            if own is not None or marks:
                raise s.error("a measure: an absent one has no attributes")
            s.i += 1
            return None
        state.enter_part(index, marks)
        if own is not None:
            length = own
        unit = state.unit(index)
        staves = []
        for number in range(state.staves[index]):
            if number and not s.take("/"):
                raise s.error(f"'/' and staff {number + 1} of {state.staves[index]}")
            staves.append(self._staff(length, unit))
        for staff in staves:
            for timed in staff.marks:
                if isinstance(timed.mark, Time):
                    state.enter_time(index, timed.mark)
        return PartMeasure(tuple(staves), own, tuple(marks))

    def _staff(self, length: Fraction, unit: Value) -> Staff:
        voices: list[tuple[Item, ...]] = []
        marks: list[TimedMark] = []
        while True:
            reader = VoiceReader(self.s, length, unit)
            voices.append(reader.voice())
            marks += reader.marks
            if not self.s.take("&"):
                return Staff(tuple(voices), tuple(marks))
            if len(voices) == MAX_VOICES:
                raise self.s.error(f"at most {MAX_VOICES} voices")


class VoiceReader:
    """Reads one voice."""

    def __init__(self, scanner: Scanner, length: Fraction, unit: Value) -> None:
        self.s = scanner
        self.length = length
        self.held = unit
        self.clock = Fraction(0)
        self.marks: list[TimedMark] = []
        self.zero_time = 0
        self.lines: dict[Argument, list[Slot]] = {}  # verse -> what its lyric line has yet to give
        self.tied = False  # a tie leads on from the last event

    def voice(self) -> tuple[Item, ...]:
        start = self.s.i
        items = self._items(ONE, 0)
        if self.lines:
            raise self.s.error("a note for each syllable of a lyric line")
        if items and self.clock != self.length:
            token = self.s.tokens[self.s.i]
            if token not in VOICE_ENDS and SCOPE_OF.get(token) != "end":
                raise self.s.error("a note, a rest or the end of the voice")
            raise self.s.fault(
                f"the voice lasts {self.clock} quarters, its measure {self.length}", max(self.s.i - 1, start)
            )
        return items

    def _items(self, ratio: Fraction, depth: int) -> tuple[Item, ...]:
        out: list[Item] = []
        while self._item(out, ratio, depth):
            pass
        return tuple(out)

    def _item(self, out: list[Item], ratio: Fraction, depth: int) -> bool:
        """Read what stands here into ``out``; False where nothing of a voice does."""
        token = self.s.tokens[self.s.i]
        scope = SCOPE_OF.get(token)
        if scope == "time" or token == "$" or token in CLEF_OF:
            self._timed(token)
        elif token in EVENT_STARTS or token[:1] == '"' or "0" <= token[:1] <= "9":
            out.append(self._event(ratio))
        elif token == "{":
            out.extend(self._graces())
        elif token in SIMPLE_TUPLETS or token == "[:":
            out.append(self._tuplet(ratio, depth + 1))
        else:
            return False
        return True

    def _zero(self) -> None:
        self.zero_time += 1
        if self.zero_time > MAX_ZERO_TIME:
            raise self.s.error(f"at most {MAX_ZERO_TIME} things at one moment")

    def _timed(self, token: str) -> None:
        s = self.s
        self._zero()
        mark: Attribute
        if token == "$":
            s.i += 1
            found = s.key_or_time()
            if found is None:
                raise s.error("a key or a time after '$'")
            mark = found
        else:
            mark = s.clef() if token in CLEF_OF else s.mark()
        self.marks.append(TimedMark(self.clock, mark))

    def _tuplet(self, ratio: Fraction, depth: int) -> Tuplet:
        s = self.s
        if depth > MAX_TUPLET_DEPTH:
            raise s.error(f"tuplets at most {MAX_TUPLET_DEPTH} deep")
        actual, normal = self._ratio()
        from_previous = s.take("+:")
        marks = []
        while SCOPE_OF.get(s.tokens[s.i]) == "tuplet":
            marks.append(s.mark())
        items = self._items(ratio * Fraction(normal, actual), depth)
        if not items:
            raise s.error("a note in the tuplet")
        into_next = s.take("]+")
        if not into_next and not s.take("]"):
            raise s.error("']', the tuplet's end")
        return Tuplet(actual, normal, items, from_previous, into_next, tuple(marks))

    def _ratio(self) -> tuple[int, int]:
        """A tuplet's opening: actual and normal notes."""
        s = self.s
        start = s.i
        simple = SIMPLE_TUPLETS.get(s.tokens[s.i])
        s.i += 1
        if simple is not None:
            return simple
        actual = s.digits()
        if not s.take(":"):
            raise s.error("':' and the tuplet's normal notes")
        normal = s.digits()
        if not (0 < actual < 1000 and 0 < normal < 1000) or (actual, normal) in SIMPLE_TUPLETS.values():
            raise s.fault("no such tuplet, or one with a lexeme of its own", start)
        return actual, normal

    def _graces(self) -> list[Chord]:
        s = self.s
        s.i += 1
        kind = "slash" if s.take("/") else "plain"
        held, self.held = self.held, EIGHTH
        out: list[Chord] = []
        while not s.take("}"):
            self._zero()
            marks = self._event_marks(lines=False)
            self._duration()
            out.append(self._chord(marks, kind))
        if not out:
            raise s.error("a grace note", s.i - 1)
        self.held = held
        return out

    def _event_marks(self, lines: bool = True) -> tuple[Mark, ...]:
        """``lines``: lyric lines can begin here."""
        s = self.s
        marks = []
        while True:
            token = s.tokens[s.i]
            if SCOPE_OF.get(token) == "event":
                marks.append(s.mark())
            elif token[:1] == '"' or "0" <= token[:1] <= "9":
                marks.append(s.lyric())
            elif token == "_" and lines:
                self._lyric_line()
            else:
                return tuple(marks)

    def _lyric_line(self) -> None:
        start = self.s.i
        verse, slots = self.s.lyric_line()
        if verse in self.lines:
            raise self.s.fault("the line before has syllables for notes that are still to come", start)
        self.lines[verse] = slots

    def _syllables(self) -> tuple[Mark, ...]:
        """What the lines give to a chord."""
        out = []
        for verse, slots in list(self.lines.items()):
            slot = slots.pop(0)
            if slot is not None:
                out.append(slot)
            if not slots:
                del self.lines[verse]
        return tuple(out)

    def _duration(self) -> bool:
        """Read a duration if one stands here."""
        s = self.s
        value = VALUES.get(s.tokens[s.i])
        if value is None:
            return False
        s.i += 1
        if s.take("@"):
            at = s.i
            value = Value(value.kind, value.dots, s.length())
            if not value.exact:
                raise s.fault("a note that takes no time", at)
        self.held = value
        return True

    def _event(self, ratio: Fraction) -> Item:
        s = self.s
        start = s.i
        marks = self._event_marks()
        spelled = self._duration()
        token = s.tokens[s.i]
        value: Value | None = self.held
        event: Chord | Rest | Spacer
        if token in RESTS:
            s.i += 1
            if token in "ZX" and not spelled:
                value = None
                if ratio is not ONE:
                    raise s.fault("a measure rest inside a tuplet", start)
            event = Rest(value, token in "ZX", token in "xX", self._position(), marks)
        elif token == "y":
            s.i += 1
            if marks:
                raise s.fault("a spacer bears no marks", start)
            event = Spacer(self.held)
        else:
            event = self._chord(marks, None)
            if self.lines and not self.tied:
                event = replace(event, marks=(*event.marks, *self._syllables()))
        self.tied = leads_on(event)
        if value is None:
            quarters = self.length - self.clock
        else:
            quarters = (
                value.exact if value.exact is not None else value.written if ratio is ONE else value.written * ratio
            )
        self.clock += quarters
        if self.clock > self.length or quarters.numerator <= 0:
            raise s.fault(f"the measure is full: {self.length} quarters, this ends at {self.clock}", start)
        self.zero_time = 0
        return event

    def _position(self) -> Pitch | None:
        s = self.s
        if not s.take("o"):
            return None
        return Pitch(*s.place("the rest's place on the staff"))

    def _chord(self, marks: tuple[Mark, ...], grace: str | None) -> Chord:
        s = self.s
        notes = [self._note()]
        while s.tokens[s.i] == "+":
            s.i += 1
            notes.append(self._note())
        return Chord(tuple(notes), self.held, marks, grace)

    def _note(self) -> Note:
        s = self.s
        plain = NOTES.get(s.tokens[s.i])
        if plain is not None and s.tokens[s.i + 1] not in BURDENS:
            s.i += 1
            return plain
        unpitched = s.take("n")
        step, octave, alter = (*s.place("the note's place on the staff"), 0) if unpitched else s.pitch()
        tie = s.take("-")
        note_marks: list[Mark] = []
        while SCOPE_OF.get(s.tokens[s.i]) == "note" or s.tokens[s.i] == "`":
            if s.take("`") and SCOPE_OF.get(s.tokens[s.i]) != "event":
                raise s.error("a mark of events, for this note alone")
            note_marks.append(s.mark())
        return Note(Pitch(step, octave, alter), tie, tuple(note_marks), unpitched)
