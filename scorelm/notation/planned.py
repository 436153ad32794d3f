"""The walk through sound text that keeps to a plan: what is given is the only lexeme that may come.

Given measures may be more than sound, for they are forced lexeme by lexeme: whatever the format can write is kept.
What is written between them is sound, and leads into them: a tie goes over to a given note of its pitch or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scorelm.notation.lexemes import cut
from scorelm.notation.limits import limits_of
from scorelm.notation.marks import spell_attribute, spell_string
from scorelm.notation.model import Chord, Part, PartMeasure, Score, Time, timeline
from scorelm.notation.plan import Frame, Plan, frames
from scorelm.notation.sound import (
    HEAD,
    KEYS,
    SYMBOLS,
    VOICE,
    Fitted,
    Grammar,
    Piece,
    Place,
    Sound,
    copied,
    dangling,
)  # fmt: skip
from scorelm.notation.sound_voice import Voice
from scorelm.notation.steps import Node, Pitch, only, union
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write

EVER = 10**6  # measures
MAX_PARTS = 16
REST = only("Z")
BEFORE_KEY, BEFORE_TIME = 5, 7  # the last stages of a measure's head at which they may come


def walk_of(plan: Plan, measures: int | None = None, at_least: int = 1, at_most: int = EVER) -> Sound:
    """The walk of a plan, behind the measures at its start that are given whole. The bounds are those of ``Sound``.

    Raises ScoreError where nothing can be written into a measure of the plan.
    """
    at_least, at_most = measures or at_least, measures or at_most
    if plan.score.measures:
        return Sound(lead(plan), grammar=Given(plan, at_least, at_most))
    return Sound(grammar=Asked(plan, at_least, at_most))


def lead(plan: Plan) -> str:
    """The text of the measures at a plan's start that are given whole, in the core profile."""
    return write(strip(Score(plan.score.parts, plan.score.measures[: plan.lead])))


def tail(plan: Plan) -> str:
    """The text of the measures behind the last one in which something is written, where a plan gives such; else ""."""
    count = len(plan.score.measures)
    last = max((measure for measure, _ in plan.free), default=count)
    return write(extract(strip(plan.score), (last + 2, count))) if last + 1 < count else ""


def forced(lexemes: Sequence[str], then: Callable[[], Node]) -> Node:
    """Given lexemes, and what comes behind them."""

    def at(number: int) -> Node:
        return Node(only(lexemes[number]), lambda _: at(number + 1)) if number < len(lexemes) else then()

    return at(0)


class Given(Grammar):
    """Keeps to the given measures of a plan."""

    def __init__(self, plan: Plan, at_least: int, at_most: int) -> None:
        self.frames = frames(plan)
        self.unpitched = _unpitched(plan.score)
        count = len(self.frames)
        bounds = (count, count) if plan.closed else (max(at_least, count), at_most)
        super().__init__(*bounds, MAX_PARTS, orderly=True, limits=limits_of(plan.score))

    def text(self, piece: Piece) -> Node:
        if piece.measures > len(self.frames):
            return super().text(piece)
        # a final barline among given measures ends nothing, a tie out of them is followed where more is to be written
        ties = {place: pitches for place, pitches in piece.ties.items() if self._is_free(piece.measures, place[0])}
        piece = piece._replace(ended=False, ties=ties)
        if piece.measures == len(self.frames):
            return super().text(piece)
        frame = self.frames[piece.measures]
        state = copied(piece.state)
        if not piece.parts:
            state.declare(Part("", len(part.staves) if part else 1) for part in frame.measure.parts)
        state.enter_score(frame.measure.marks)
        state.count(frame.measure.number)
        return forced(frame.head, lambda: self._section(piece._replace(state=state), frame, 0))

    def _is_free(self, measure: int, part: int) -> bool:
        """Whether a part of a measure is to be written. Behind the given measures all are."""
        if measure >= len(self.frames):
            return measure < self.at_most
        return part in self.frames[measure].free

    def _section(self, piece: Piece, frame: Frame, index: int) -> Node:
        """A part of a given measure."""
        part = frame.measure.parts[index]
        length = frame.measure.length if part is None or part.length is None else part.length
        state = copied(piece.state)
        state.enter_part(index, part.marks if part else ())
        if index in frame.free:
            entered = piece._replace(state=state, length=length)
            # what is marked at the start holds for kept measures too
            new = all(index in one.free for one in self.frames)
            marks = new and not piece.parts and part is not None and not part.marks
            return forced(
                frame.sections[index],
                lambda: self._part_marks(entered, index, 0) if marks else self._part(entered, index),
            )
        for timed in (t for staff in (part.staves if part else ()) for t in staff.marks):
            if isinstance(timed.mark, Time):
                state.enter_time(index, timed.mark)
        ties = {place: pitches for place, pitches in piece.ties.items() if place[0] != index}
        left = piece._replace(state=state, ties=ties | dangling(index, part, frame.measure.length))
        return forced(frame.sections[index], lambda: self._behind_part(left, index))

    def _behind_part(self, piece: Piece, part: int) -> Node:
        if piece.measures >= len(self.frames):
            return super()._behind_part(piece, part)
        frame = self.frames[piece.measures]

        def then() -> Node:
            if part + 1 < len(frame.sections):
                node = self._section(piece, frame, part + 1)
            else:
                whole = piece._replace(parts=part + 1, measures=piece.measures + 1)
                node = forced(frame.end[1:], lambda: self.text(whole))
            return node if part in frame.free else Fitted(node.allowed, node.push)

        return forced([";" if part + 1 < len(frame.sections) else frame.end[0]], then)

    def _part_marks(self, piece: Piece, index: int, stage: int) -> Node:
        node = super()._part_marks(piece, index, stage)
        return Node(node.allowed - KEYS, node.push)  # keys are given

    def _voice(self, piece: Piece, place: Place) -> Node:
        node = super()._voice(piece, place)
        frame = self.frames[piece.measures] if piece.measures < len(self.frames) else None
        clef = frame.clefs.get(place[:2]) if frame and place[2] == 0 else None
        if place[0] in self.unpitched:  # no unpitched note is sound, and others would be none of its own: it rests
            node = (
                Node(REST, node.push) if clef is None else Node(node.allowed, lambda x: Node(REST, node.push(x).push))
            )
        return Node(only(clef), node.push) if clef else node

    def _behind_voice(self, piece: Piece, place: Place) -> Node:
        node = super()._behind_voice(piece, place)
        return Node(node.allowed - VOICE, node.push) if place[0] in self.unpitched else node

    def _opened(self, piece: Piece, place: Place) -> Voice:
        voice = super()._opened(piece, place)
        if piece.measures >= len(self.frames):
            return voice
        if any(place[0] not in frame.free for frame in self.frames):
            voice = voice._replace(clefs=only())  # a new clef would hold for given measures behind it too
        if piece.measures + 1 < len(self.frames) and not self._is_free(piece.measures + 1, place[0]):
            voice = voice._replace(over=_first_pitches(self.frames[piece.measures + 1], place))
        return voice


def _unpitched(score: Score) -> frozenset[int]:
    """The parts whose notes are all unpitched, as a drum's are."""
    kinds: dict[int, set[bool]] = {}
    for measure in score.measures:
        for number, part in enumerate(measure.parts):
            for voice in (voice for staff in (part.staves if part else ()) for voice in staff.voices):
                events = (timed.event for timed in timeline(voice, (part and part.length) or measure.length))
                found = (note.unpitched for event in events if isinstance(event, Chord) for note in event.notes)
                kinds.setdefault(number, set()).update(found)
    return frozenset(number for number, found in kinds.items() if found == {True})


def _first_pitches(frame: Frame, place: Place) -> frozenset[Pitch]:
    """The pitches of the first event of a given voice."""
    part: PartMeasure | None = frame.measure.parts[place[0]]
    voices = part.staves[place[1]].voices if part else ()
    if not part or place[2] >= len(voices):
        return frozenset()
    events = [timed.event for timed in timeline(voices[place[2]], part.length or frame.measure.length)]
    first = next((event for event in events if not (isinstance(event, Chord) and event.grace)), None)
    notes = first.notes if isinstance(first, Chord) else ()
    return frozenset((n.pitch.step, n.pitch.octave, n.pitch.alter) for n in notes if not n.unpitched)


class Asked(Grammar):
    """A new piece in the key, time and parts that were asked for, each where it was."""

    def __init__(self, plan: Plan, at_least: int, at_most: int) -> None:
        self.plan = plan
        super().__init__(at_least, at_most, max(MAX_PARTS, len(plan.parts)), orderly=True)

    def _head(self, piece: Piece, stage: int) -> Node:
        node = super()._head(piece, stage)
        key, time = self.plan.key, self.plan.time
        if piece.measures:
            later = (KEYS if key else only()) | (only("T") if time else only())
            return Node(node.allowed - later, node.push)
        if key and stage <= BEFORE_KEY:
            allowed = (node.allowed & HEAD[0]) - KEYS - only("T") | only(f"K{key.fifths}")
        elif time and stage <= BEFORE_TIME:
            allowed = node.allowed & HEAD[0] | only("T")
        else:
            return node

        def step(lexeme: str) -> Node:
            if key and lexeme in KEYS:
                return forced([f"!{key.mode}!"], lambda: self._head(piece, BEFORE_KEY + 1))
            if time and lexeme == "T":
                return forced(cut(spell_attribute(time))[1:], lambda: self._behind_time(piece, time))
            return node.push(lexeme)

        return Node(allowed, step)

    def _behind_time(self, piece: Piece, time: Time) -> Node:
        state = copied(piece.state)
        state.enter_score([time])
        follow = self._head(piece._replace(state=state), BEFORE_TIME + 1)
        if time.symbol:
            return follow
        ((beats, unit),) = time.terms if len(time.terms) == 1 else (((), 0),)
        symbols = SYMBOLS.get((beats[0], unit), only()) if len(beats) == 1 else only()
        return Node(union(follow.allowed, symbols), lambda x: follow if x in symbols else follow.push(x))

    def _part_head(self, piece: Piece, index: int) -> Node:
        if not self.plan.parts:
            return super()._part_head(piece, index)
        part = self.plan.parts[index]
        state = copied(piece.state)
        state.add_part(part.staves)
        head = cut("P" + (str(part.staves) if part.staves > 1 else "") + spell_string(part.name))
        return forced(head, lambda: self._part_marks(piece._replace(state=state), index, 0))

    def _part_marks(self, piece: Piece, index: int, stage: int) -> Node:
        node = super()._part_marks(piece, index, stage)
        return Node(node.allowed - KEYS, node.push) if self.plan.key else node

    def _may_come(self, piece: Piece, part: int) -> tuple[bool, bool]:
        if self.plan.parts and not piece.parts:
            return part < len(self.plan.parts), part == len(self.plan.parts)
        return super()._may_come(piece, part)
