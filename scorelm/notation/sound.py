"""The sound level of the grammar, walked lexeme by lexeme: what may come next.

Whoever pushes only allowed lexemes reaches a text that ``parse`` reads, in which every voice of every
part fills its measure, every tuplet is complete and closed, and every tie leads to a note. The walk is a
recursive-descent grammar, each of whose places says what it allows and where that leads. Its state is
bounded: the measure that is being written, and what is in force where it began.

Sound is narrower than readable: written durations only, no spacers in a first voice, tuplets with lexemes
of their own and complete in one measure, declared lengths in 16ths of a quarter, keys and times at the
start of a measure, the core profile's marks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from scorelm.errors import FormatError
from scorelm.notation import model
from scorelm.notation.lexemes import COMMON_PARTS, END_OF_TEXT, IDS, cut
from scorelm.notation.model import Chord, Mark, Measure, PartMeasure, Time, timeline
from scorelm.notation.reader import Reader, parse
from scorelm.notation.scanner import END, MODES, Scanner
from scorelm.notation.sound_voice import ORDERLY, UNIT, Level, Limits, Voice, opening
from scorelm.notation.state import State
from scorelm.notation.steps import Lexemes, Local, Node, Pitch, end, only, union, within

LONGEST_MEASURE = 32  # quarters
MOST_STAVES = 4  # of one part
MAX_STRING = 40
OPEN_AT_END = "the text ends while a tie or an ending is open"

DIGITS = frozenset("0123456789")
KEYS = frozenset(f"K{fifths}" for fifths in range(-7, 8))
MODE_LEXEMES = frozenset(MODES)
SYMBOLS = {(4, 4): only("!common!"), (2, 2): only("!cut!")}  # of other times some programs refuse them
UNITS = ("1", "2", "4", "8", "16", "32")
STRING_OR_QUOTE = frozenset(chr(c) for c in range(32, 127)) - frozenset("|\\<>")  # "]]>" and "</" upset MuseScore 3
PART_HEADS = frozenset((*COMMON_PARTS, "P"))
END_MARKS = ("!repeat)!", "!end!", "!double!", "!ending)!")
_HEAD = [["#"], ["?"], ["@"], ["!repeat(!"], ["!ending!"], sorted(KEYS), ["T"]]
# what may stand in a measure's head behind its number (1), "?" (2), length (3), ...; a time is the last
HEAD = [frozenset(x for stage in _HEAD[i:] for x in stage) for i in range(8)] + [frozenset()]
_MARKS = [["!instrument!"], ["!sound!"], ["!transpose!"], sorted(KEYS)]
PART_MARKS = [frozenset(x for stage in _MARKS[i:] for x in stage) for i in range(4)]
VOICE, STAFF, PART = only("&"), only("/"), only(";")
Place = tuple[int, int, int]  # part, staff, voice


class Piece(NamedTuple):
    """What is known of a text at some place in it. What it holds is never changed."""

    state: State
    parts: int  # declared
    ties: Mapping[Place, tuple[Pitch, ...]]  # pitches awaited
    measures: int = 0  # whole ones
    ended: bool = False
    ending: bool = False  # whether one was opened and not closed
    number: str = ""  # of the measure under way
    length: Fraction | None = None  # of it; None: as the metre says


class Fitted(Node):
    """A place behind something given."""


class Sound:
    """Says at each point of a text which lexemes may come: ``allowed``; ``push`` moves on.

    prompt: readable text; its whole measures are taken as they stand, what follows the last ``|`` must be sound
    measures: the text ends with exactly so many measures, those of the prompt counted; None: where it likes
    at_least, at_most: bounds of the number of measures where it is free
    excerpt: the text may end with ties and endings open, and without a final barline
    grammar: narrower rules, with bounds of their own
    orderly: measures behind the first are counted on, none is longer than its metre; in none is a note tied on and on
    limits: how much the voices of some parts, by their number, may hold

    Raises FormatError where the prompt breaks the format.
    """

    def __init__(
        self,
        prompt: str = "|",
        measures: int | None = None,
        at_least: int = 1,
        at_most: int = 10**6,
        max_parts: int = 16,
        grammar: Grammar | None = None,
        excerpt: bool = False,
        orderly: bool = False,
        limits: Mapping[int, Limits] = {},
    ) -> None:
        whole = prompt.rfind("|") + 1
        piece = begin(prompt[:whole] or "|")
        self.count = piece.measures  # whole measures
        grammar = grammar or Grammar(measures or at_least, measures or at_most, max_parts, excerpt, orderly, limits)
        self._node = grammar.text(piece)
        self.allowed: Lexemes = self._node.allowed
        self._push_prompt(prompt, whole)

    def push(self, lexeme: str) -> None:
        """Move on by a lexeme. ValueError where it is not allowed."""
        if lexeme not in self.allowed:
            raise ValueError(f"{lexeme!r} may not stand here")
        self.count += lexeme == "|"
        self._node = self._node.push(lexeme)
        self.allowed = self._node.allowed

    @property
    def node(self) -> Node:
        """The place where the walk stands."""
        return self._node

    @property
    def fits(self) -> bool:
        """Whether something given has just passed, which says how well all before it fits."""
        return isinstance(self._node, Fitted)

    def narrowed(self, rule: Callable[[Node], Node]) -> Sound:
        """A walk from here on, narrower by a rule."""
        out = self.copy()
        out._node = rule(self._node)
        out.allowed = out._node.allowed
        return out

    def peek(self, lexeme: str) -> Lexemes:
        """What may come behind an allowed lexeme."""
        return self._node.peek(lexeme)

    def copy(self) -> Sound:
        """A walk of its own from here on; costs next to nothing."""
        return copy.copy(self)

    def _push_prompt(self, prompt: str, whole: int) -> None:
        rest = prompt[whole:]
        lexemes = cut(rest)
        for number, lexeme in enumerate(lexemes):
            if lexeme not in self.allowed:
                place = (
                    whole + next(i for i in range(len(rest) + 1) if len(cut(rest[:i])) > number or i == len(rest)) - 1
                )
                shown = " ".join(sorted(self.allowed, key=lambda x: IDS[x])[:6])
                raise FormatError(
                    f"{lexeme!r} may not stand here in sound text, but {shown} ... may", prompt, max(place, 0)
                )
            self.push(lexeme)


def begin(prompt: str) -> Piece:
    """Take whole measures as the reader reads them."""
    scanner = Scanner(prompt)
    if not scanner.take("|"):
        raise scanner.error("'|', with which every text begins")
    reader = Reader(scanner)
    last: Measure | None = None
    count = 0
    ending = False
    while scanner.tokens[scanner.i] != END:
        last = reader.measure()
        ending = any(mark.name == "ending" for mark in last.marks if isinstance(mark, Mark)) or ending
        ending = ending and not any(mark.name in ("ending)", "ending-open") for mark in last.end)
        count += 1
        if not scanner.take("|"):
            raise scanner.error("'|' at the end of the measure")
    ties: dict[Place, tuple[Pitch, ...]] = {}
    for number, part in enumerate(last.parts if last else ()):
        ties.update(dangling(number, part, last.length))  # type: ignore[union-attr]
    ended = last is not None and any(mark.name == "end" for mark in last.end)
    return Piece(reader.state, len(reader.parts), ties, count, ended, ending)


def dangling(number: int, part: PartMeasure | None, length: Fraction) -> dict[Place, tuple[Pitch, ...]]:
    """The pitches that ties lead from at the end of a part's measure, in each voice that has such."""
    out = {}
    for s, staff in enumerate(part.staves if part else ()):
        for v, voice in enumerate(staff.voices):
            if tied := _tied(voice, (part and part.length) or length):
                out[number, s, v] = tied
    return out


def _tied(voice: model.Voice, length: Fraction) -> tuple[Pitch, ...]:
    """The pitches that ties lead from at the end of a voice."""
    events = timeline(voice, length)
    if not events or not isinstance(events[-1].event, Chord):
        return ()
    tied = [n.pitch for n in events[-1].event.notes if n.tie and not n.unpitched]
    return tuple((p.step, p.octave, p.alter) for p in tied)


@cache
def _string(written: int = -1) -> Local:
    """A quoted string of which so many characters are written, -1: not even its first quote."""
    if written == -1:
        return Local(only('"'), lambda _: _string(0))
    done = Local(only(), lambda _: _string(), done=True)
    allowed = STRING_OR_QUOTE if written < MAX_STRING else only('"')
    return Local(allowed, lambda lexeme: done if lexeme == '"' else _string(written + 1), room=MAX_STRING - written)


def _passes(written: str) -> Local:
    """Behind so much of an ending's string, which names its passes: "1", or "1,2", or "1, 2"."""
    if written[-1:].isdigit():
        done = Local(only(), lambda _: _string(), done=True)
        return Local(
            only('"', ",") if len(written) < 12 else only('"'), lambda x: done if x == '"' else _passes(written + x)
        )
    numbers = DIGITS - {"0"}
    return Local(numbers | only(" ") if written.endswith(",") else numbers, lambda x: _passes(written + x))


_ENDING = Local(only('"'), lambda _: _passes(""))


class Grammar:
    """The rules outside voices. Each takes what is known so far, and mostly ``follow``, what stands behind it."""

    def __init__(
        self,
        at_least: int,
        at_most: int,
        max_parts: int,
        excerpt: bool = False,
        orderly: bool = False,
        limits: Mapping[int, Limits] = {},
    ) -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.max_parts = max_parts
        self.excerpt = excerpt
        self.orderly = orderly
        self.limits = limits

    def text(self, piece: Piece) -> Node:
        """Before a measure or the end of the text."""
        closed_off = self.excerpt or not (piece.ties or piece.ending)
        may_end = piece.ended or (piece.measures >= self.at_least and closed_off)
        closed = Node(only(END_OF_TEXT), end)
        if piece.measures and may_end and (piece.ended or piece.measures >= self.at_most):
            return closed
        measure = self._head(piece._replace(number=str(piece.state.number), length=None), 0)
        if not (piece.measures and may_end):
            return measure
        allowed = union(measure.allowed, closed.allowed)
        return Node(allowed, lambda lexeme: (closed if lexeme == END_OF_TEXT else measure).push(lexeme))

    # -- the head of a measure -----------------------------------------------------------------

    def _head(self, piece: Piece, stage: int) -> Node:
        """What may stand in a measure's head from `stage` on, its parts too where its length is known."""
        state = piece.state
        length = state.nominal() if piece.length is None else piece.length
        if length is None or not 0 < length <= LONGEST_MEASURE or (length * 16).denominator != 1:
            # a length must come, by "@" or by a time signature
            begin = None
            allowed = HEAD[stage] if stage <= 3 else HEAD[stage] & union(HEAD[stage], only("T"))
        else:
            entered = copied(state)
            entered.count(piece.number)
            begin = self._parts(piece._replace(state=entered, length=length))
            allowed = union(HEAD[stage], begin.allowed)
        if piece.ending:
            allowed -= only("!ending!")
        if piece.measures and self.orderly:
            allowed -= only("#")

        def step(lexeme: str) -> Node:
            if lexeme == "#":
                return self._number(piece)
            if lexeme == "?":
                return self._head(piece, 2)
            if lexeme == "@":
                return self._length(piece, 0)
            if lexeme == "!repeat(!":
                return self._head(piece, 4)
            if lexeme == "!ending!":
                return within(_ENDING, lambda _: self._head(piece._replace(ending=True), 5))
            if lexeme in KEYS:
                return _key(self._head(piece, 6))
            if lexeme == "T":
                return self._time(piece, 0)
            return begin.push(lexeme)  # type: ignore[union-attr]

        return Node(allowed, step)

    def _time(self, piece: Piece, beats: int) -> Node:
        """The beats of a time signature, behind its T."""
        more = frozenset(d for d in DIGITS if 0 < 10 * beats + int(d) <= 24)
        colon = only(":") if beats else only()
        return Node(
            union(more, colon),
            lambda x: self._unit(piece, beats, "") if x == ":" else self._time(piece, 10 * beats + int(x)),
        )

    def _unit(self, piece: Piece, beats: int, unit: str) -> Node:
        """The unit of a time signature, of which so much is written."""
        units = [u for u in UNITS if 4 * beats <= LONGEST_MEASURE * int(u)]
        longer = frozenset(u[len(unit)] for u in units if u.startswith(unit) and len(u) > len(unit))
        if unit not in units:
            return Node(longer, lambda x: self._unit(piece, beats, unit + x))
        state = copied(piece.state)
        state.enter_score([Time((((beats,), int(unit)),))])
        follow = self._head(piece._replace(state=state), 8)
        symbols = SYMBOLS.get((beats, int(unit)), only())

        def step(lexeme: str) -> Node:
            if lexeme in longer:
                return self._unit(piece, beats, unit + lexeme)
            return follow if lexeme in symbols else follow.push(lexeme)

        return Node(union(longer, follow.allowed, symbols), step)

    def _number(self, piece: Piece) -> Node:
        """A measure's number: digits, or a string ("4a")."""

        def string(text: str) -> Node:
            def step(lexeme: str) -> Node:
                if lexeme == '"':
                    return self._head(piece._replace(number=text), 1)
                return string(text + lexeme)

            allowed = STRING_OR_QUOTE if len(text) < MAX_STRING else only('"')
            return Node(allowed, step, room=MAX_STRING - len(text))

        digits = _digits(0, 9999, lambda number: self._head(piece._replace(number=str(number)), 1))
        return Node(union(digits.allowed, only('"')), lambda x: string("") if x == '"' else digits.push(x))

    def _length(self, piece: Piece, top: int) -> Node:
        """A length in quarters: whole, or with the denominator 2, 4, 8 or 16."""
        most = self._longest(piece)
        digits = frozenset(d for d in DIGITS if _live(10 * top + int(d), most))
        follow = self._head(piece._replace(length=Fraction(top)), 3) if 0 < top <= most else None
        colon = only(":") if top % 2 else only()

        def step(lexeme: str) -> Node:
            if lexeme == ":":
                return self._denominator(piece, top, "")
            if lexeme in digits:
                return self._length(piece, 10 * top + int(lexeme))
            return follow.push(lexeme)  # type: ignore[union-attr]

        return Node(union(digits, colon, follow.allowed if follow else only()), step)

    def _denominator(self, piece: Piece, top: int, written: str) -> Node:
        most = self._longest(piece)
        bottoms = [b for b in ("2", "4", "8", "16") if top <= most * int(b)]
        if written in bottoms:
            return self._head(piece._replace(length=Fraction(top, int(written))), 3)
        longer = frozenset(b[len(written)] for b in bottoms if b.startswith(written))
        return Node(longer, lambda x: self._denominator(piece, top, written + x))

    def _longest(self, piece: Piece) -> Fraction:
        """Quarters that a measure may declare."""
        metre = piece.state.nominal() if self.orderly and piece.measures else None
        return Fraction(LONGEST_MEASURE) if metre is None else min(metre, Fraction(LONGEST_MEASURE))

    # -- parts ---------------------------------------------------------------------------------

    def _parts(self, piece: Piece) -> Node:
        return self._part(piece, 0) if piece.parts else self._part_head(piece, 0)

    def _part_head(self, piece: Piece, index: int) -> Node:
        """P, its staves and name."""

        def marks(staves: int) -> Node:
            state = copied(piece.state)
            state.add_part(staves)
            return self._part_marks(piece._replace(state=state), index, 0)

        def staves(lexeme: str) -> Node:
            count = 1 if lexeme == '"' else int(lexeme)
            string = within(_string(0 if lexeme == '"' else -1), lambda _: marks(count))
            return string

        def step(lexeme: str) -> Node:
            if lexeme in COMMON_PARTS:
                return marks(COMMON_PARTS[lexeme][1])
            return Node(union(only('"'), frozenset(str(n) for n in range(2, MOST_STAVES + 1))), staves)

        return Node(PART_HEADS, step)

    def _part_marks(self, piece: Piece, index: int, stage: int) -> Node:
        """The part's marks from `stage` on, and its music."""
        begin = self._part(piece, index)
        if stage > 3:
            return begin

        def step(lexeme: str) -> Node:
            if lexeme == "!instrument!":
                return _digits(1, 128, lambda _: self._part_marks(piece, index, 1))
            if lexeme == "!sound!":
                return _behind_string(lambda: self._part_marks(piece, index, 2))
            if lexeme == "!transpose!":
                return _transposition(self._part_marks(piece, index, 3))
            return _key(begin) if lexeme in KEYS else begin.push(lexeme)

        return Node(union(PART_MARKS[stage], begin.allowed), step)

    def _part(self, piece: Piece, index: int) -> Node:
        return self._voice(piece, (index, 0, 0))

    def _voice(self, piece: Piece, place: Place) -> Node:
        """A voice from its beginning."""
        voice = self._opened(piece, place)
        pending = voice.pending

        def leave(local: Local) -> Node:
            ties = piece.ties
            if pending or local.pending:
                ties = {p: pitches for p, pitches in ties.items() if p != place}
                if local.pending:
                    ties[place] = local.pending
            return self._behind_voice(piece._replace(ties=ties), place)

        return within(opening(voice), leave)

    def _opened(self, piece: Piece, place: Place) -> Voice:
        return Voice(
            held=piece.state.unit(place[0]).letter,
            pending=piece.ties.get(place, ()),
            first=place[2] == 0,
            over=frozenset() if piece.measures + 1 >= self.at_most else None,
            levels=(Level(int((piece.length or 4) * UNIT)),),
            limits=self._limits(place[0]),
        )

    def _limits(self, part: int) -> Limits:
        return self.limits.get(part, ORDERLY if self.orderly else Limits())

    def _behind_voice(self, piece: Piece, place: Place) -> Node:
        """Another voice, another staff, another part, or the measure's end."""
        part, staff, number = place
        if any(key[:2] == place[:2] and key[2] > number for key in piece.ties):
            return Node(VOICE, lambda _: self._voice(piece, (part, staff, number + 1)))
        if staff + 1 < piece.state.staves[part]:
            behind = Node(STAFF, lambda _: self._voice(piece, (part, staff + 1, 0)))
        else:
            behind = self._behind_part(piece, part)
        if number + 1 >= self._limits(part).voices:
            return behind

        def step(lexeme: str) -> Node:
            return self._voice(piece, (part, staff, number + 1)) if lexeme == "&" else behind.push(lexeme)

        return Node(union(behind.allowed, VOICE), step)

    def _behind_part(self, piece: Piece, part: int) -> Node:
        """Another part, or the measure's end."""
        first = not piece.parts
        more, none = self._may_come(piece, part + 1)

        def step(lexeme: str) -> Node:
            if lexeme == ";":
                return self._part_head(piece, part + 1) if first else self._part(piece, part + 1)
            return self._end(piece._replace(parts=part + 1), lexeme)

        return Node(union(PART if more else only(), self._end_marks(piece, 0) if none else only()), step)

    def _may_come(self, piece: Piece, part: int) -> tuple[bool, bool]:
        """Whether such a part may come, and whether none may."""
        if piece.parts:
            return part < piece.parts, part == piece.parts
        return part < self.max_parts, True

    def _end_marks(self, piece: Piece, stage: int) -> Lexemes:
        """Right barlines in their order, and the measure's end."""
        if piece.ended and piece.ending and not self.excerpt:
            return only("!ending)!")
        out = set(END_MARKS[stage:])
        if not piece.ending:
            out.discard("!ending)!")
        last = piece.measures + 1 >= self.at_most
        if piece.ties or piece.measures + 1 < self.at_least:
            out.discard("!end!")
        if last:
            out.discard("!double!")
        if last and not self.excerpt and not piece.ties and stage <= END_MARKS.index("!end!"):
            return frozenset(out - {"!ending)!"})
        return frozenset(out | {"|"})

    def _end(self, piece: Piece, lexeme: str) -> Node:
        """Behind a right barline, or the "|"."""
        if lexeme == "|":
            return self.text(piece._replace(measures=piece.measures + 1))
        ended = piece._replace(
            ended=piece.ended or lexeme == "!end!", ending=piece.ending and lexeme != "!ending)!"
        )  # fmt: skip
        stage = END_MARKS.index(lexeme) + (2 if lexeme == "!end!" else 1)
        return Node(self._end_marks(ended, stage), lambda x: self._end(ended, x))


def copied(state: State) -> State:
    return replace(state, staves=list(state.staves), part_times=list(state.part_times))


def _key(follow: Node) -> Node:
    """The mode of a key, where it is said."""
    return Node(union(follow.allowed, MODE_LEXEMES), lambda x: follow if x in MODE_LEXEMES else follow.push(x))


def _digits(least: int, most: int, then: Callable[[int], Node]) -> Node:
    """A whole number from `least` to `most`."""

    def behind(number: int) -> Node:
        more = frozenset(d for d in DIGITS if number and 10 * number + int(d) <= most)
        follow = then(number)
        return Node(
            union(more, follow.allowed),
            lambda x: behind(10 * number + int(x)) if x in more else follow.push(x),
        )

    return Node(DIGITS if least == 0 else DIGITS - {"0"}, lambda x: behind(int(x)))


def _behind_string(then: Callable[[], Node]) -> Node:
    """A quoted string, and what stands behind it."""
    return within(_string(), lambda _: then())


def _transposition(follow: Node) -> Node:
    """Semitones, and diatonic steps where they are said."""

    def number(after: Node) -> Node:
        def behind(value: int) -> Node:
            more = frozenset(d for d in DIGITS if value and 10 * value + int(d) <= 36)
            return Node(
                union(more, after.allowed), lambda x: behind(10 * value + int(x)) if x in more else after.push(x)
            )

        unsigned = Node(DIGITS, lambda x: behind(int(x)))
        signed = Node(DIGITS - {"0"}, unsigned.push)
        return Node(union(DIGITS, only("-")), lambda x: signed if x == "-" else unsigned.push(x))

    steps = number(follow)
    return number(Node(union(only(","), follow.allowed), lambda x: steps if x == "," else follow.push(x)))


@cache
def _live(top: int, most: Fraction) -> bool:
    """Whether a numerator can still become a length of ``most`` quarters or less."""
    if top == 0 or top > 16 * most:
        return False
    return top <= most or top % 2 == 1 or 10 * top + 1 <= 16 * most


def sound_problems(text: str) -> list[str]:
    """Why a text is not sound, [] where it is. Raises FormatError where it is not even readable."""
    parse(text)
    walk = Sound()
    for number, lexeme in enumerate(cut(text)[1:], 1):
        if lexeme not in walk.allowed:
            measure = cut(text)[:number].count("|")
            return [f"measure {measure}: {lexeme!r} may not stand here"]
        walk.push(lexeme)
    if END_OF_TEXT not in walk.allowed and walk.count:
        return [OPEN_AT_END]
    return []
