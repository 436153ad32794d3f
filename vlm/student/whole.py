"""The systems of some pictures, one behind the other -> one score, and where in it one should look again.

Systems are given as their strips, from vlm.reading.staves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scorelm.errors import ConfigError
from scorelm.notation.model import Score
from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from vlm.reading.picture import Ink
from vlm.reading.staff_texts import behind, together

if TYPE_CHECKING:
    from vlm.student.transcribe import Transcriber

System = Sequence[Ink]


@dataclass(frozen=True)
class Look:
    """Where one should look again. ``measure``: of the whole text; ``staff``: of its system; all from 1"""

    measure: int
    system: int
    staff: int
    why: str


@dataclass(frozen=True)
class Reading:
    """A score as it was read."""

    text: str = "|"
    looks: tuple[Look, ...] = ()
    whole: bool = True  # whether something was read on each staff


def read_systems(reader: Transcriber, systems: Iterable[System]) -> Iterator[Reading]:
    """What was read after each system, from the first one on."""
    scores: list[Score] = []
    looks: list[Look] = []
    before = 0  # measures
    whole = True
    for number, system in enumerate(systems, 1):
        found = reader.system(system)
        score, doubts = together([parse(one.text) for one in found])
        length = len(score.measures)
        looks += [Look(before + doubt.measure, number, doubt.staff, doubt.why) for doubt in doubts]
        for staff, one in enumerate(found, 1):
            if not one.whole:
                looks.append(
                    Look(before + max(1, min(length, len(one.sure))), number, staff, "nothing was read on this staff")
                )
            looks += [
                Look(before + measure, number, staff, "a sign in it is uncertain")
                for measure in one.doubtful
                if measure <= length
            ]
        whole = whole and all(one.whole for one in found)
        scores.append(score)
        before += length
        yield Reading(write(behind(scores)), tuple(looks), whole)


def read_score(reader: Transcriber, systems: Iterable[System]) -> Reading:
    """What was read on all of them."""
    return [Reading(), *read_systems(reader, systems)][-1]


def spoken(looks: Iterable[Look]) -> list[str]:
    """A line for each staff and reason."""
    places: dict[tuple[int, int, str], list[int]] = {}
    for look in looks:
        places.setdefault((look.system, look.staff, look.why), []).append(look.measure)
    return [
        f"look at measure {', '.join(map(str, measures))} (system {system}, staff {staff}): {why}"
        for (system, staff, why), measures in places.items()
    ]


def answer(reader: Transcriber, systems: Sequence[System], question: str) -> str:
    """Words on a picture. ConfigError where nothing is asked."""
    if not question.strip():
        raise ConfigError("nothing is asked")
    return reader.answer([strip for system in systems for strip in system], question)
