"""Which records of a split are judged."""

from __future__ import annotations

import heapq
from pathlib import Path

from vlm.data.answers import key
from vlm.data.record import PHASES, Record, read_split


def sample(folder: str | Path, split: str, count: int) -> list[Record]:
    """So many records of each phase of a split, 0: all. SourceError where there are none.

    What is drawn is a matter of the records alone: the same in every call, and no more than these are held in memory.
    """
    out: list[Record] = []
    for phase in PHASES:
        records = read_split(folder, split, phase)
        drawn = heapq.nsmallest(count, records, key=_place) if count else records
        out += drawn
    return out


def _place(record: Record) -> str:
    return key(record.source, record.prompt, record.answer)
