"""What a composer gives of a text that is to be written: measures and parts as they stand, key, time and names.

Plan -> frames: one for each given measure: the lexemes that are given, and where others are to be written
Plan.whole: a written measure -> the same with all notation of what was given, also what no core text holds
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import cut
from scorelm.notation.marks import spell_attribute
from scorelm.notation.model import Clef, Key, Measure, Part, PartMeasure, Score, Time
from scorelm.notation.normal import normal_measure
from scorelm.notation.sound import LONGEST_MEASURE
from scorelm.notation.sound_voice import CLEFS
from scorelm.notation.state import State
from scorelm.notation.transform import strip
from scorelm.notation.writer import measure_sections

GRID = 16  # parts of a quarter in which sound text measures its lengths


@dataclass(frozen=True)
class Plan:
    """What is given. Without a score it is a new piece.

    score: its measures are given, in any profile, but for the cells of ``free``; what such a cell holds (marks, clefs
        at its start) is given too, the music behind it is written
    free: (measure, part), from 0
    closed: whether the text ends with the score's last measure; else it goes on behind it
    key, time, parts: of a new piece, where they are asked for
    """

    score: Score = field(default_factory=Score)
    free: frozenset[tuple[int, int]] = frozenset()
    closed: bool = False
    key: Key | None = None
    time: Time | None = None
    parts: tuple[Part, ...] = ()

    @property
    def lead(self) -> int:
        """How many measures at the start are given whole."""
        return min((measure for measure, _ in self.free), default=len(self.score.measures))

    def whole(self, index: int, written: Measure) -> Measure:
        """A written measure, by its index, with what is given as it was given."""
        if index >= len(self.score.measures):
            return written
        given = self.score.measures[index]
        parts = []
        for number, (mine, theirs) in enumerate(zip(written.parts, given.parts)):
            if (index, number) not in self.free or mine is None or theirs is None:
                mine = theirs
            elif theirs.marks:
                mine = replace(mine, marks=theirs.marks)
            parts.append(mine)
        return normal_measure(replace(given, parts=tuple(parts)))


@dataclass(frozen=True)
class Frame:
    """A given measure in lexemes."""

    measure: Measure
    head: tuple[str, ...]
    sections: tuple[tuple[str, ...], ...]  # of each part; of one that is to be written what it begins with
    end: tuple[str, ...]  # the "|" too
    free: frozenset[int]  # parts that are to be written
    clefs: dict[tuple[int, int], str]  # part, staff -> the clef that a part to be written begins with


def frames(plan: Plan) -> tuple[Frame, ...]:
    """The measures of a plan in the core profile. ScoreError where nothing can be written into one of them."""
    core = strip(plan.score)
    state = State()
    state.declare(core.parts)
    out = []
    for index, measure in enumerate(core.measures):
        free = frozenset(part for at, part in plan.free if at == index)
        shown, clefs = _without_clefs(measure, free)
        for part in free:
            _check(measure, core.parts[part], measure.parts[part], index)
        head, sections, end = measure_sections(shown, core.parts, state, index == 0)
        lexemes = [cut(section) for section in sections]
        for part in free:  # what stands between its staves is written with them
            del lexemes[part][len(lexemes[part]) - (core.parts[part].staves - 1) :]
        out.append(Frame(measure, tuple(cut(head)), tuple(map(tuple, lexemes)), (*cut(end), "|"), free, clefs))
    return tuple(out)


def _without_clefs(measure: Measure, free: frozenset[int]) -> tuple[Measure, dict[tuple[int, int], str]]:
    """A measure whose free parts have only what stands in their heads, and the clefs that they begin with."""
    parts = list(measure.parts)
    clefs = {}
    for number in free:
        part = parts[number]
        if part is None:
            continue
        for place, staff in enumerate(part.staves):
            for timed in staff.marks:
                if isinstance(timed.mark, Clef) and (lexeme := spell_attribute(timed.mark)) in CLEFS:
                    clefs[number, place] = lexeme
        parts[number] = replace(part, staves=tuple(replace(s, marks=()) for s in part.staves))
    return replace(measure, parts=tuple(parts)), clefs


def _check(measure: Measure, part: Part, cell: PartMeasure | None, index: int) -> None:
    length = (cell.length if cell else None) or measure.length
    if not 0 < length <= LONGEST_MEASURE or (length * GRID).denominator != 1:
        raise ScoreError(
            f"measure {index + 1}, part {part.name!r}: nothing can be written into a measure of {length} "
            f"quarters, only into whole 16ths of a quarter, {LONGEST_MEASURE} quarters at most"
        )
