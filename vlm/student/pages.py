"""Systems that were found on pictures -> the score of all of them, and what of it should be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from vlm.reading.picture import Ink
from vlm.reading.staff_texts import behind, together
from vlm.student.transcribe import Transcriber


@dataclass(frozen=True)
class Read:
    """``text`` is score text; ``whole``: whether no staff was cut off; ``remarks``: what is doubtful, a line each."""

    text: str
    whole: bool
    remarks: tuple[str, ...] = ()


def read_systems(reader: Transcriber, systems: Sequence[Sequence[Ink]]) -> Read:
    """The score of systems that stand one behind the other, each given as the strips of its staves."""
    found, remarks, whole = [], [], True
    for number, system in enumerate(systems, 1):
        read = reader.staves(system)
        score, doubts = together([parse(one.text) for one in read])
        for doubt in doubts:
            remarks.append(f"system {number}, measure {doubt.measure}, staff {doubt.staff}: {doubt.why}")
        for staff, one in enumerate(read, 1):
            if not one.whole:
                remarks.append(f"system {number}, staff {staff}: cut off after {len(one.sure)} measures")
                whole = False
            if one.doubtful:
                remarks.append(f"system {number}, staff {staff}: look at measure {', '.join(map(str, one.doubtful))}")
        found.append(score)
    return Read(write(behind(found)), whole, tuple(remarks))
