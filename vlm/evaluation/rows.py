"""A record and what a reader made of it -> one row of figures. Nothing is left out: what fails counts as wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scorelm.errors import FormatError, ScorelmError, SourceError
from scorelm.notation.model import Mark, Score
from scorelm.notation.reader import parse
from vlm.data.answers import digest
from vlm.data.facts import View, fields_of, start_marks, tempo_of
from vlm.data.record import ALIGNMENT, EXTRACTION, Record
from vlm.evaluation.transcriptions import Edits, Musicdiff, canonical, edits, unopened
from vlm.evaluation.words import meteor, rouge_l
from vlm.reading.picture import Ink
from vlm.reading.staves import strips
from vlm.student.transcribe import Transcriber
from vlm.student.whole import Reading, read_score
from vlm.teacher.judge import Refused, json_object, judged, plain

NO_STAFF = "no staff was found"
NOT_READ = "a staff was not read"


@dataclass(frozen=True)
class Row:
    """What is known of a record. ``seconds``: from the picture to the answer"""

    source: str
    phase: str
    task: str
    engraver: str
    condition: str
    seconds: float


@dataclass(frozen=True)
class Transcribed(Row):
    """``staves``: whether as many were found as are there; ``fails``: why the text does not open, "" where it does"""

    read: str
    known: str
    symbols: Edits
    characters: Edits
    lines: Edits
    ned: Edits | None
    exact: bool
    staves: bool
    fails: str
    fields: Mapping[str, bool]  # of the picture's facts, whether the text says the same
    shown: Mapping[str, bool]  # of the picture's facts, whether there is one


@dataclass(frozen=True)
class Extracted(Row):
    """Of each field that was asked for, whether it is right: by the transcription, and in the reader's own words."""

    said: str
    known: str
    by_transcription: Mapping[str, bool] = field(default_factory=dict)
    by_words: Mapping[str, bool] = field(default_factory=dict)
    shown: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered(Row):
    """``wrong``: why the words do not hold what is known of the picture, "" where they do"""

    said: str
    known: str
    rouge_l: float
    meteor: float
    exact: bool
    wrong: str


class Examiner:
    """Gives records to a reader and judges what comes."""

    def __init__(self, reader: Transcriber, ned: bool = True) -> None:
        """ned: whether OMR-NED is computed, where musicdiff is installed"""
        self.reader = reader
        self._ned = Musicdiff() if ned else None
        self._texts: dict[str, Reading | None] = {}  # of pictures that were read

    def __call__(self, record: Record) -> Row:
        if record.phase == ALIGNMENT:
            return self.transcribed(record)
        wanted = json_object(record.answer) if record.phase == EXTRACTION else None
        return self.answered(record) if wanted is None else self.extracted(record, wanted)

    def transcribed(self, record: Record) -> Transcribed:
        try:
            known = canonical(record.answer)
        except FormatError as error:
            raise SourceError(f"{record.source}: its answer is no score text: {error}") from None
        start = time.perf_counter()
        systems = _systems(record)
        found = self._read(record, systems)
        seconds = time.perf_counter() - start
        text = found.text if found else ""
        score = parse(known)
        fails = NO_STAFF if found is None else NOT_READ if not found.whole else unopened(text)
        counts = edits(text, known)
        ours, facts = (
            _fields(text),
            {name: value for name, value in record.known.items() if name in fields_of(View(score))},
        )
        return Transcribed(
            *_about(record), seconds, text, known, counts["symbols"], counts["characters"], counts["lines"],
            self._ned(text, known) if self._ned else None, counts["symbols"].count == 0,
            _as_many(systems, sum(part.staves for part in score.parts), record.task == "page"), fails,
            {name: name in ours and plain(ours[name]) == plain(value) for name, value in facts.items()},
            {name: value is not None for name, value in facts.items()},
        )  # fmt: skip

    def extracted(self, record: Record, wanted: Mapping[str, Any]) -> Extracted:
        start = time.perf_counter()
        systems = _systems(record)
        said = self._say(record, systems)
        seconds = time.perf_counter() - start
        found = self._read(record, systems)
        ours, own = _fields(found.text if found else ""), json_object(said) or {}

        def right(given: Mapping[str, Any]) -> dict[str, bool]:
            return {name: name in given and plain(given[name]) == plain(value) for name, value in wanted.items()}

        return Extracted(
            *_about(record), seconds, said, record.answer, right(ours), right(own),
            {name: value is not None for name, value in wanted.items()},
        )  # fmt: skip

    def answered(self, record: Record) -> Answered:
        start = time.perf_counter()
        said = self._say(record, _systems(record))
        seconds = time.perf_counter() - start
        try:
            judged(record, said)
            wrong = ""
        except Refused as cause:
            wrong = str(cause)
        return Answered(
            *_about(record), seconds, said, record.answer, rouge_l(said, record.answer), meteor(said, record.answer),
            said == record.answer, wrong,
        )  # fmt: skip

    def _read(self, record: Record, systems: list[list[Ink]]) -> Reading | None:
        """The text of a picture, as vlm.read gives it; None where there is none."""
        name = digest(record.image)
        if name not in self._texts:
            try:
                self._texts[name] = read_score(self.reader, systems) if systems else None
            except ScorelmError:
                self._texts[name] = None
        return self._texts[name]

    def _say(self, record: Record, systems: list[list[Ink]]) -> str:
        every = [strip for system in systems for strip in system]
        return self.reader.answer(every, record.prompt) if every else ""


def _systems(record: Record) -> list[list[Ink]]:
    return strips(record.picture().convert("L"))


def _as_many(systems: list[list[Ink]], staves: int, several: bool) -> bool:
    """Whether there is a system, or some of them, of as many staves as there are."""
    return bool(systems) and (several or len(systems) == 1) and all(len(system) == staves for system in systems)


def _about(record: Record) -> tuple[str, str, str, str, str]:
    return record.source, record.phase, record.task, record.engraver, record.condition


def _fields(text: str) -> dict[str, Any]:
    """What a text says of its picture; nothing where it does not parse or has no measures."""
    try:
        score = parse(text)
    except FormatError:
        return {}
    if not score.measures:
        return {}
    number = score.measures[0].number
    return fields_of(
        View(
            score,
            _mark(score, "title"),
            _mark(score, "composer"),
            tempo_of(score, 0),
            "" if number in ("0", "1") else number,
        )
    )


def _mark(score: Score, name: str) -> str:
    found = [mark for mark in start_marks(score.measures[0]) if isinstance(mark, Mark) and mark.name == name]
    return str(found[0].args[0]) if found and found[0].args else ""
