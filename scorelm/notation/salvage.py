"""What can be read in one broken measure.

The measure is cut at its separators; in each voice all that the strict reader takes is taken, the rest
is left out and reported, and the voice is filled or trimmed to the measure's length.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scorelm.errors import FormatError
from scorelm.notation.lexemes import COMMON_PARTS, IDS, SIMPLE_TUPLETS
from scorelm.notation.marks import CLEF_OF
from scorelm.notation.model import (
    ONE,
    Attribute,
    Chord,
    Item,
    Mark,
    Measure,
    Part,
    PartMeasure,
    Rest,
    Spacer,
    Staff,
    TimedMark,
    Tuplet,
    Value,
    event_quarters,
)
from scorelm.notation.pitches import PITCH_OF
from scorelm.notation.reader import ACCIDENTALS, RESTS, VALUES, VoiceReader
from scorelm.notation.scanner import END, SCOPE_OF, Scanner
from scorelm.notation.state import State
from scorelm.notation.values import fill
from scorelm.notation.writer import MAX_PARTS, MAX_STAVES, MAX_TUPLET_DEPTH, MAX_VOICES

Report = Callable[[str, int], None]  # what was mended, and where in the measure's text
ENDLESS = Fraction(10**6)  # quarters that no voice lasts
LONGEST = 16  # units of a tuplet that is filled up, in quarters
MEASURE_REST = Rest(None, measure=True)
SHOWN = 16  # characters of what was left out
OPEN_NAME = re.compile(r'P[2-8]?"[^"!;]*(?=[!;])')  # a part's name that runs into what follows it
PART_OPENINGS = frozenset(("P", *COMMON_PARTS))
MUSIC = frozenset((*VALUES, *PITCH_OF, *ACCIDENTALS, *RESTS, *SIMPLE_TUPLETS, *"yn_${&/;", "[:", "!absent!", END))


@dataclass
class Voice:
    """What a voice holds, however long it is."""

    items: tuple[Item, ...]
    marks: list[TimedMark]
    quarters: Fraction
    measure_rest: bool  # it has one, so it can last as long as is wanted
    ends: list[tuple[Fraction, int]]  # behind each item: quarters from the start, the next lexeme
    start: int  # its first lexeme, as a place in the measure's text

    def place_at(self, quarters: Fraction) -> int | None:
        """The lexeme at which the voice has lasted so long, where it goes on behind it."""
        return next((i for end, i in self.ends[:-1] if end == quarters), None)


@dataclass
class Section:
    """One part's section: its scanner, and its head once it is read."""

    s: Scanner
    name: str = ""
    staves: int = 0  # declared
    marks: list[Attribute] = field(default_factory=list)


class Salvage:
    """One broken measure. Read ``head``, then ``align`` it to the parts, then ask for the ``measure``."""

    def __init__(self, text: str, report: Report) -> None:
        self.s = _scanned(text, report)
        self.report = report
        self.number: str | None = None
        self.implicit = False
        self.length: Fraction | None = None  # declared
        self.marks: list[Attribute] = []
        self.end: list[Mark] = []
        self.sections: list[Section] = []
        self.rest: int | None = None  # where in the text the next measure begins, its "|" being lost

    @property
    def holds_music(self) -> bool:
        return any(t in PITCH_OF or t in RESTS or t in PART_OPENINGS for t in self.s.tokens)

    def head(self, first: bool) -> None:
        """Read number, length and attributes, and cut the sections. ``first``: parts open behind them."""
        s = self.s
        left_out = LeftOut(s, self.report)
        to_opening = first and not PART_OPENINGS.isdisjoint(s.tokens)
        while s.tokens[s.i] not in PART_OPENINGS:
            start, token = s.i, s.tokens[s.i]
            scope = SCOPE_OF.get(token)
            begins_music = token in MUSIC or scope in ("time", "event", "end") or token in CLEF_OF
            if begins_music and not to_opening:
                break
            try:
                if s.take("#"):
                    self.number = s.string() if s.tokens[s.i].startswith('"') else str(s.digits())
                elif s.take("?"):
                    self.implicit = True
                elif s.take("@"):
                    self.length = s.length() or None
                elif scope == "measure":
                    self.marks.append(s.mark())
                elif attribute := s.key_or_time():
                    self.marks.append(attribute)
                else:
                    raise s.error("the head of a measure or a part")
            except FormatError as error:
                left_out.lexeme(start, error)
        left_out.flush()
        stop = self._read_end()
        at = [i for i in range(s.i, stop) if s.tokens[i] == ";"]
        self.sections = [Section(_slice(s, a, b)) for a, b in zip([s.i, *(i + 1 for i in at)], [*at, stop])]

    def _read_end(self) -> int:
        """Read the right barlines; returns the lexeme at which they begin."""
        tokens = self.s.tokens
        stop = i = len(tokens) - 1
        while i > self.s.i and (SCOPE_OF.get(tokens[i - 1]) == "end" or tokens[i - 1][:1] in tuple('"0123456789,-:')):
            i -= 1
            if SCOPE_OF.get(tokens[i]) == "end":
                stop = i
        end = _slice(self.s, stop, len(tokens) - 1)
        left_out = LeftOut(end, self.report)
        while end.tokens[end.i] != END:
            start = end.i
            try:
                if SCOPE_OF.get(end.tokens[start]) != "end":
                    raise end.error("the end of the measure")
                self.end.append(end.mark())
            except FormatError as error:
                left_out.lexeme(start, error)
        left_out.flush()
        return stop

    # -- sections to parts ----------------------------------------------------------------------

    def align(self, wanted: int | None, unit: Value, length: Fraction | None) -> None:
        """Make as many sections as there are parts. None: as many as open with "P"."""
        if wanted is None or len(self.sections) < wanted:
            self._cut_at_openings(wanted)
        if wanted is None:
            wanted = min(len(self.sections), MAX_PARTS)
        while length and len(self.sections) < wanted and self._cut_where_full(unit, length):
            pass
        if length and len(self.sections) == wanted + 1:
            self._join(unit, length)
        if length and len(self.sections) >= 2 * wanted - 1:
            self._cut_measure(wanted, unit, length)
        for section in self.sections[wanted:]:
            self.report(f"left out a section: there are {wanted} parts", section.s.places[0])
        del self.sections[wanted:]
        if len(self.sections) < wanted:
            self.report(f"{len(self.sections)} of {wanted} parts are here: the others rest", self.s.places[-1])
        while len(self.sections) < wanted:
            at = len(self.s.tokens) - 1
            self.sections.append(Section(_slice(self.s, at, at)))

    def _cut_at_openings(self, wanted: int | None) -> None:
        i = 0
        while i < len(self.sections) and (wanted is None or len(self.sections) < wanted):
            s = self.sections[i].s
            at = next((k for k in range(1, len(s.tokens)) if s.tokens[k] in PART_OPENINGS), None)
            if at is not None:
                self.report("a ';' is missing before this part", s.places[at])
                self._cut(i, at)
            i += 1

    def _cut_where_full(self, unit: Value, length: Fraction) -> bool:
        for i, section in enumerate(self.sections):
            at = _rough(section.s, unit)[-1].place_at(length)
            if at is not None:
                self.report("a ';' is missing before this", section.s.places[at])
                self._cut(i, at)
                return True
        return False

    def _cut(self, index: int, at: int) -> None:
        s = self.sections[index].s
        self.sections[index : index + 1] = [Section(_slice(s, 0, at)), Section(_slice(s, at, len(s.tokens) - 1))]

    def _join(self, unit: Value, length: Fraction) -> None:
        for i in range(len(self.sections) - 1):
            a, b = self.sections[i].s, self.sections[i + 1].s
            if _rough(a, unit)[-1].quarters + _rough(b, unit)[0].quarters == length:
                self.report("a ';' inside the part was left out", b.places[0])
                joined = _slice(a, 0, len(a.tokens) - 1)
                joined.tokens[-1:], joined.places[-1:] = b.tokens, b.places
                self.sections[i : i + 2] = [Section(joined)]
                return

    def _cut_measure(self, wanted: int, unit: Value, length: Fraction) -> None:
        """End the measure where its last part is full, if another one follows."""
        s = self.sections[wanted - 1].s
        voice = _rough(s, unit)[-1]
        at = voice.place_at(length)
        if at is None or (wanted == 1 and voice.quarters != 2 * length):
            return
        self.rest = s.places[at]
        self.sections[wanted - 1 :] = [Section(_slice(s, 0, at))]

    def declare(self, shape: Sequence[int]) -> list[Part]:
        """The parts of a first measure. ``shape``: the staves of each as other measures have them, or nothing."""
        parts = []
        for index, section in enumerate(self.sections):
            s = section.s
            if s.tokens[0] in COMMON_PARTS:
                section.name, section.staves = COMMON_PARTS[s.tokens[0]]
                s.i = 1
            elif s.take("P"):
                if s.tokens[s.i].isdigit():
                    section.staves = int(s.tokens[s.i])
                    s.i += 1
                if s.tokens[s.i].startswith('"'):
                    try:
                        section.name = s.string()
                    except FormatError as error:
                        self.report(error.message, error.position)
                        s.i += 1
            else:
                self.report("a part without a name begins here", s.places[0])
            staves = shape[index] if shape else max(1, section.staves, len(_split(s, "/")))
            parts.append(Part(section.name, min(staves, MAX_STAVES)))
        return parts

    # -- the music --------------------------------------------------------------------------------

    def measure(self, state: State, parts: Sequence[Part]) -> Measure:
        """The measure, full in every voice. ``state``: with the measure's keys and times in force; it moves on."""
        drafts: list[list[list[Voice]] | None] = []
        for index, section in enumerate(self.sections):
            if section.s.tokens == ["!absent!", END]:
                drafts.append(None)
                continue
            self._read_part_marks(section)
            state.enter_part(index, section.marks)
            drafts.append(self._read_staves(section, index, state))
        length = self._settled_length(drafts, state.nominal())
        number = str(state.number) if self.number is None else self.number
        state.count(number)
        measured: list[PartMeasure | None] = []
        for section, staves in zip(self.sections, drafts):
            if staves is None:
                measured.append(None)
                continue
            fitted = tuple(self._fitted_staff(voices, length) for voices in staves)
            measured.append(PartMeasure(fitted, None, tuple(section.marks)))
        return Measure(tuple(measured), number, length, self.implicit, tuple(self.marks), tuple(self.end))

    def _read_part_marks(self, section: Section) -> None:
        s = section.s
        left_out = LeftOut(s, self.report)
        s.take("P")
        while s.tokens[s.i] not in MUSIC:
            start, token = s.i, s.tokens[s.i]
            scope = SCOPE_OF.get(token)
            if scope in ("time", "event") or token in CLEF_OF:
                break
            try:
                if scope == "part":
                    section.marks.append(s.mark())
                elif attribute := s.key_or_time():
                    section.marks.append(attribute)
                else:
                    raise s.error("a part's attribute or its music")
            except FormatError as error:
                left_out.lexeme(start, error)
        left_out.flush()

    def _read_staves(self, section: Section, index: int, state: State) -> list[list[Voice]]:
        staves = _split(section.s, "/")
        wanted = state.staves[index]
        for s in staves[wanted:]:
            self.report(f"left out a staff: the part has {wanted}", s.places[0])
        out: list[list[Voice]] = []
        for number in range(wanted):
            if number >= len(staves):
                self.report(f"staff {number + 1} of {wanted} is missing: it rests", section.s.places[-1])
                out.append([])
                continue
            voices = [
                _LenientVoice(s, state.unit(index), LeftOut(s, self.report)).whole()
                for s in _split(staves[number], "&")
            ]
            out.append(voices[:MAX_VOICES])
        return out

    def _settled_length(self, drafts: list[list[list[Voice]] | None], nominal: Fraction | None) -> Fraction:
        """What most voices last, else what is declared or the metre says."""
        voices = [v for staves in drafts for staff in staves or () for v in staff if v.items and not v.measure_rest]
        lasting = Counter(v.quarters for v in voices)
        said = self.length or nominal
        if lasting:
            quarters, count = max(lasting.items(), key=lambda item: (item[1], item[0] == said, item[0]))
            if quarters and (said is None or (count >= 2 and 2 * count > len(voices))):
                if said is not None and quarters != said:
                    self.report(f"most voices last {quarters} quarters, not {said}: so does the measure", 0)
                return quarters
        return said or Fraction(4)

    def _fitted_staff(self, voices: list[Voice], length: Fraction) -> Staff:
        fitted = [self._fitted_voice(voice, number, length) for number, voice in enumerate(voices)]
        if not any(fitted):
            fitted[:1] = [(MEASURE_REST,)]
        marks = [t for voice in voices for t in voice.marks if t.offset <= length]
        return Staff(tuple(fitted), tuple(marks))

    def _fitted_voice(self, voice: Voice, number: int, length: Fraction) -> tuple[Item, ...]:
        """The voice filled or trimmed. What is filled up rests in a staff's first voice, is empty in another."""
        items = voice.items
        if voice.measure_rest and len(items) > 1:
            items = tuple(i for i in items if not isinstance(i, Rest) or i.value is not None)
            self.report("a measure rest beside something else was left out", voice.start)
        elif voice.measure_rest or not items:
            return items
        if voice.quarters == length:
            return items
        if voice.quarters > length:
            self.report(f"a voice lasts {voice.quarters} of {length} quarters: it was trimmed", voice.start)
        else:
            self.report(f"a voice lasts {voice.quarters} of {length} quarters: it was filled", voice.start)
        return fitted(items, length, number == 0)


class _LenientVoice(VoiceReader):
    """Reads a voice of any length and leaves out what it cannot read."""

    def __init__(self, scanner: Scanner, unit: Value, left_out: LeftOut) -> None:
        super().__init__(scanner, ENDLESS, unit)
        self.left_out = left_out
        self.ends: list[tuple[Fraction, int]] = []
        self.measure_rest = False

    def whole(self) -> Voice:
        start = self.s.places[self.s.i]
        items = self._items(ONE, 0)
        self.left_out.flush()
        if self.lines:
            self.left_out.report("left out syllables of a lyric line: it has more than there are notes", start)
        return Voice(items, self.marks, self.clock, self.measure_rest, self.ends, start)

    def _items(self, ratio: Fraction, depth: int, until: int = 0) -> tuple[Item, ...]:
        """``until``: the number of notes of a tuplet that nothing closes; it ends where it is complete."""
        s = self.s
        out: list[Item] = []
        while s.tokens[s.i] != END and not (depth and s.tokens[s.i] in ("]", "]+")):
            start, held, clock = s.i, self.held, self.clock
            try:
                if not self._item(out, ratio, depth):
                    raise s.error("a note or a rest")
            except FormatError as error:
                self.held, self.clock = held, clock
                self.left_out.lexeme(start, error)
            if self.clock >= ENDLESS:
                self.clock, self.measure_rest = clock, True
            if not depth:
                self.ends.append((self.clock, s.i))
            elif until and _missing(out, until) == 0:
                break
        return tuple(out)

    def _tuplet(self, ratio: Fraction, depth: int) -> Tuplet:
        s = self.s
        start = s.i
        if depth > MAX_TUPLET_DEPTH:
            raise s.error(f"tuplets at most {MAX_TUPLET_DEPTH} deep")
        actual, normal = self._ratio()
        from_previous = s.take("+:")
        marks = []
        while SCOPE_OF.get(s.tokens[s.i]) == "tuplet":
            marks.append(s.mark())
        closed = _closes(s.tokens, s.i)
        items = self._items(ratio * Fraction(normal, actual), depth, 0 if closed else actual)
        if not items:
            raise s.fault("a tuplet without a note", start)
        into_next = s.take("]+")
        if not into_next and not s.take("]"):
            self.left_out.report("']', the tuplet's end, is missing", s.places[s.i])
        return Tuplet(actual, normal, items, from_previous, into_next, tuple(marks))


class LeftOut:
    """Reports lexemes that stand together and are left out as one problem."""

    def __init__(self, scanner: Scanner, report: Report) -> None:
        self.s = scanner
        self.report = report
        self.first = self.last = -1
        self.why = ""

    def lexeme(self, i: int, error: FormatError) -> None:
        """Leave out the lexeme ``i`` and go on behind it."""
        if self.first < 0 or self.last != i - 1:
            self.flush()
            self.first, self.why = i, error.message
        self.last = i
        self.s.i = i + 1

    def flush(self) -> None:
        if self.first >= 0:
            text = "".join(self.s.tokens[self.first : self.last + 1])
            self.report(f"left out {_shown(text)}: {self.why}", self.s.places[self.first])
        self.first = -1


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _slice(s: Scanner, start: int, stop: int) -> Scanner:
    """Some of a scanner's lexemes as a scanner of their own."""
    out = Scanner("")
    out.text = s.text
    out.tokens = [*s.tokens[start:stop], END]
    out.places = s.places[start : stop + 1]
    return out


def _split(s: Scanner, separator: str) -> list[Scanner]:
    """What stands between the separators, from the cursor on; the slash of graces is none."""
    stop = len(s.tokens) - 1
    at = [i for i in range(s.i, stop) if s.tokens[i] == separator and not (i and s.tokens[i - 1] == "{")]
    return [_slice(s, a, b) for a, b in zip([s.i, *(i + 1 for i in at)], [*at, stop])]


def _scanned(text: str, report: Report) -> Scanner:
    """The lexemes of a measure, without characters that are none, and without strings that swallow music."""
    open_name = OPEN_NAME.search(text) if text.count('"') % 2 else None
    if open_name is not None:
        at = open_name.end()
        report("a name's closing quote is missing", at)
        s = Scanner(text[:at] + '"' + text[at:])
        s.places = [place - (place > at) for place in s.places]
    else:
        s = Scanner(text)
    i = 0
    while i < len(s.tokens) - 1:
        token, before = s.tokens[i], s.tokens[i - 1] if i else ""
        awaited = before in ("P", "#", ",", "_") or before in SCOPE_OF or before.isdigit() or before.startswith('"')
        if token.startswith('"') and len(token) > 1 and not (awaited and token.endswith('"')):
            inner = Scanner(token[1:].removesuffix('"'))
            places = [s.places[i] + 1 + place for place in inner.places]
            s.tokens[i : i + 1], s.places[i : i + 1] = ['"', *inner.tokens[:-1]], [s.places[i], *places[:-1]]
        i += 1
    unknown = [i for i, token in enumerate(s.tokens[:-1]) if len(token) == 1 and token not in IDS]
    for i in unknown:
        report(f"left out {_shown(s.tokens[i])}: it is no lexeme", s.places[i])
    for i in reversed(unknown):
        del s.tokens[i], s.places[i]
    return s


def _closes(tokens: list[str], i: int) -> bool:
    """Whether a tuplet that opened before ``i`` is closed."""
    depth = 1
    for token in tokens[i:]:
        if token in SIMPLE_TUPLETS or token == "[:":
            depth += 1
        elif token in ("]", "]+"):
            depth -= 1
            if not depth:
                return True
    return False


def _rough(s: Scanner, unit: Value) -> list[Voice]:
    """The first and the last voice of a section (one voice may be both), for their lengths alone."""
    copy = _slice(s, 0, len(s.tokens) - 1)
    while copy.tokens[copy.i] not in MUSIC:  # a part's head
        copy.i += 1
    voices = [voice for staff in _split(copy, "/") for voice in _split(staff, "&")]
    first, last = (
        _LenientVoice(v, unit, LeftOut(v, _silent)).whole()
        for v in (_slice(voices[0], 0, len(voices[0].tokens) - 1), voices[-1])
    )
    offset = len(s.tokens) - len(voices[-1].tokens)
    last.ends = [(end, i + offset) for end, i in last.ends]  # lexemes of the section, not of the voice
    return [first, last]


def fitted(items: Sequence[Item], length: Fraction, first: bool) -> tuple[Item, ...]:
    """A voice filled or trimmed to a length in quarters; with rests where it is the first of its staff."""
    out: list[Item] = []
    clock = Fraction(0)
    for item in map(_completed, items):
        quarters = _lasts(item, Fraction(1), length - clock)
        if clock + quarters > length:
            value = fill(length - clock)[:1]
            if value and value[0].exact is None and isinstance(item, (Chord, Rest)):
                out.append(replace(item, value=value[0]))
                clock += value[0].written
            break
        out.append(item)
        clock += quarters
    kind = Rest if first else Spacer
    return (*out, *(kind(value) for value in fill(length - clock)))


def _silent(message: str, place: int) -> None:
    """A report that nobody reads."""


def _lasts(item: Item, ratio: Fraction, left: Fraction) -> Fraction:
    """Quarters; ``left``: for a measure rest."""
    if isinstance(item, Tuplet):
        inner = ratio * Fraction(item.normal, item.actual)
        return sum((_lasts(i, inner, left) for i in item.items), Fraction(0))
    return event_quarters(item, ratio, left)


def _missing(items: Sequence[Item], actual: int) -> Fraction | None:
    """What a tuplet lacks, as written, to hold ``actual`` equal notes; None where it cannot."""
    filled = sum((_lasts(i, Fraction(1), Fraction(0)) for i in items), Fraction(0))
    unit = Fraction(1, 64)
    while unit * actual < filled:
        unit *= 2
    return unit * actual - filled if unit <= LONGEST else None


def _completed(item: Item) -> Item:
    """A tuplet that is not complete, and does not cross a barline, with rests at its end."""
    if not isinstance(item, Tuplet) or item.from_previous or item.into_next:
        return item
    items = tuple(map(_completed, item.items))
    rests = fill(_missing(items, item.actual) or Fraction(0))
    if any(value.exact for value in rests):
        rests = ()
    return replace(item, items=(*items, *map(Rest, rests)))
