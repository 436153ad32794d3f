"""Pieces -> records: one engraving of a piece gives pages, systems, single staves, and questions about them.

What an engraving is follows from the seed, the epoch and the piece's name alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from scorelm.errors import ScorelmError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import Mark, Part, PartMeasure, Score
from scorelm.notation.normal import normalise
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract, transpose
from scorelm.notation.writer import write
from scorelm.training.corpus import intervals_of
from vlm.data import engravers, prompts, verovio_pages
from vlm.data.config import DataConfig
from vlm.data.facts import FIELDS, View, as_json, fields_of, tempo_of
from vlm.data.look import Look, any_look
from vlm.data.pieces import Piece
from vlm.data.questions import ask, hear
from vlm.data.raster import png, trim
from vlm.data.record import ALIGNMENT, ANALYSIS, CLEAN, EXTRACTION, WORN, Record
from vlm.data.variety import varied
from vlm.data.visible import Shown, described, prepare, visible
from vlm.data.wear import wear

T = TypeVar("T")
LONGEST_EXCERPT = 4  # measures
_UNDRAWN = ("metronome", "metric-modulation", "abbreviation")  # Verovio's signs for notes are in no text font
_TITLES = (
    "Chorale,Hymn,Song,Aria,Prelude,Minuet,Fantasia,March,Carol,Psalm,Air,Canzona,Ricercar,Motet".split(","),
    ",of the Morning,for the Evening,of Spring,to the Moon,on a Ground,for Friends,of Winter,in Memory,from the North".split(","),
    ",No. 1,No. 2,No. 3,No. 7,No. 12,No. 24,op. 5,op. 18".split(","),
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A clean picture and what it shows. ``first``, ``last``: measures of the piece, from 0; ``part``: of a staff"""

    image: Image.Image
    task: str
    view: View
    first: int
    last: int
    part: int | None = None


def engraving(piece: Piece, config: DataConfig, epoch: int = 0) -> list[Record]:
    """The records of one engraving of a piece. ScorelmError where it cannot be engraved or shown."""
    rng = np.random.default_rng([config.seed, epoch, zlib.crc32(piece.source.encode())])
    score = parse(piece.text)
    if config.transpose and piece.split == "train" and score.measures:
        intervals = intervals_of(score)
        score = transpose(score, intervals[int(rng.integers(len(intervals)))])
    if config.varied and piece.split == "train" and rng.random() < config.varied:
        score = varied(score, rng)
    if not score.measures:
        raise ScorelmError("there is no music in it")
    shares = {name: share for name, share in config.shares().items() if engravers.installed(name)} or {"verovio": 1.0}
    chosen = float(rng.random()) * sum(shares.values())
    engraver = next(name for name, end in zip(shares, np.cumsum(list(shares.values()))) if chosen <= end)
    staff_px = config.staff_px * (1 + config.staff_px_spread * float(rng.uniform(-1, 1)))
    maker = _Engraving(piece, score, config, rng, staff_px, f"{piece.source}#e{epoch}", engraver)
    drawn = maker.by_verovio() if engraver == "verovio" else maker.by_other(engraver)
    return list(maker.records(drawn))


class _Engraving:
    def __init__(
        self, piece: Piece, score: Score, config: DataConfig, rng: np.random.Generator, staff_px: float, name: str,
        engraver: str,
    ) -> None:  # fmt: skip
        self.piece, self.score, self.config, self.rng = piece, score, config, rng
        self.staff_px, self.name, self.engraver = staff_px, f"{name}.{engraver}", engraver
        self.prepared = prepare(score, config.profile)

    def by_verovio(self) -> list[Drawn]:
        """Pages, their systems, and staves of one part alone."""
        look = any_look(self.rng)
        title = self.piece.title or (invented(self.rng) if self.rng.random() < 0.5 else "")
        score = _dressed(self.score, title, self.piece.composer, look)
        out = self._pages(score, look)
        several = sum(part.staves for part in score.parts) > 1
        single = [number for number, part in enumerate(score.parts) if part.staves == 1]
        if single and several and self.config.staves:
            part = single[int(self.rng.integers(len(single)))]
            out += self._staves(extract(score, parts=[part + 1]), replace(look, titled=False), part)
        return out

    def _pages(self, score: Score, look: Look) -> list[Drawn]:
        title, composer = (_printed(score, "title") or _printed(score, "movement"), _printed(score, "composer"))
        pages = verovio_pages.engrave(write_musicxml(score), look, len(score.measures), len(score.parts))
        wanted = set(self._some([(p, s) for p, page in enumerate(pages) for s in range(len(page.systems))], "systems"))
        whole = set(self._some(list(range(len(pages))), "pages"))
        out = []
        for number, page in enumerate(pages):
            pictures = {
                s: verovio_pages.system_picture(page, s, self.staff_px)
                for s in range(len(page.systems))
                if number in whole or (number, s) in wanted
            }
            for s, picture in pictures.items():
                if (number, s) in wanted:
                    out.append(self._system(picture, page.systems[s], "system"))
            if number in whole:
                first, last = page.systems[0], page.systems[-1]
                names = next((system.names for system in page.systems if system.names), ())
                shown = Shown(first.first, last.last, names, {s.first: s.number for s in page.systems if s.number})
                headed = look.titled and number == 0
                view = View(
                    visible(self.prepared, shown), title if headed else "", composer if headed else "",
                    tempo_of(self.score, first.first), first.number,
                )  # fmt: skip
                image = verovio_pages.page_picture(page, list(pictures.values()), self.staff_px)
                out.append(Drawn(image, "page", view, first.first, last.last))
        return out

    def _staves(self, score: Score, look: Look, part: int) -> list[Drawn]:
        pages = verovio_pages.engrave(write_musicxml(score), look, len(score.measures), 1)
        places = [(page, s) for page in pages for s in range(len(page.systems))]
        out = []
        for number in self._some(list(range(len(places))), "staves"):
            page, s = places[number]
            picture = verovio_pages.system_picture(page, s, self.staff_px)
            out.append(self._system(picture, page.systems[s], "staff", part))
        return out

    def _system(self, picture: Image.Image, system: verovio_pages.System, task: str, part: int | None = None) -> Drawn:
        prepared = self.prepared if part is None else extract(self.prepared, parts=[part + 1])
        numbers = {system.first: system.number} if system.number else {}
        shown = Shown(system.first, system.last, system.names, numbers)
        view = View(
            visible(prepared, shown), tempo=tempo_of(self.score, system.first) if not part else "", number=system.number
        )
        return Drawn(self._trimmed(picture), task, view, system.first, system.last, part)

    def by_other(self, engraver: str) -> list[Drawn]:
        """Excerpts and single staves, each engraved as a piece of its own."""
        several = sum(part.staves for part in self.prepared.parts) > 1
        single = [number for number, part in enumerate(self.prepared.parts) if part.staves == 1]
        places: list[tuple[str, int, int, int | None]] = []
        for task, count in (("excerpt", self.config.systems), ("staff", self.config.staves)):
            if task == "staff" and not (single and several):
                continue
            for _ in range(count):
                first = int(self.rng.integers(len(self.prepared.measures)))
                last = min(first + int(self.rng.integers(LONGEST_EXCERPT)), len(self.prepared.measures) - 1)
                part = single[int(self.rng.integers(len(single)))] if task == "staff" else None
                places.append((task, first, last, part))
        found = []
        for place in dict.fromkeys(places):
            _, first, last, part = place
            prepared = self.prepared if part is None else extract(self.prepared, parts=[part + 1])
            names = tuple(p.name for p in prepared.parts) if engraver != "lilypond" else ()
            view = View(visible(prepared, Shown(first, last, names, alone=True)))
            if engravers.draws(engraver, view.score):
                found.append((place, view))
        if not found:
            return []
        images = engravers.draw(engraver, [view.score for _, view in found], self.staff_px, self.rng)
        return [
            Drawn(self._trimmed(image), task, view, first, last, part)
            for ((task, first, last, part), view), image in zip(found, images, strict=True)
        ]

    def records(self, drawn: Sequence[Drawn]) -> Iterator[Record]:
        """Transcriptions of all pictures, then questions for fields and on the music of some."""
        for number, one in enumerate(drawn):
            yield self._record(one, f"{one.task}{number}", ALIGNMENT, one.task, prompts.transcribe(one.task, self.rng))
        larger = [number for number, one in enumerate(drawn) if one.task != "staff"] or list(range(len(drawn)))
        for number in self._some(larger, "fields"):
            one = drawn[number]
            known = fields_of(one.view)
            names = [FIELDS[i] for i in self.rng.permutation(len(FIELDS))[: int(self.rng.integers(1, 6))]]
            prompt = prompts.extract_fields(names, self.rng)
            yield self._record(one, f"{one.task}{number}.fields", EXTRACTION, "fields", prompt, as_json(known, names))
        for number in self._some(larger, "questions"):
            one = drawn[number]
            heard = hear(one.view, self._engraved(one), self.score)
            for question in ask(heard, self.rng, 1):
                yield self._record(
                    one, f"{one.task}{number}.{question.topic}", ANALYSIS, question.topic, question.prompt,
                    question.answer, question.facts,
                )  # fmt: skip

    def _record(
        self, one: Drawn, place: str, phase: str, task: str, prompt: str, answer: str | None = None,
        facts: dict[str, object] | None = None,
    ) -> Record:  # fmt: skip
        text = write(one.view.score)
        image, condition = one.image, CLEAN
        if self.rng.random() < self.config.worn:
            condition = WORN
            image = wear(image, self.rng, self.config.wear)
        return Record(
            png(image), prompt, text if answer is None else answer, phase, task, f"{self.name}.{place}",
            self.piece.split, self.piece.licence, text,
            json.dumps({**fields_of(one.view), **(facts or {})}, ensure_ascii=False),
            self.engraver, condition,
        )  # fmt: skip

    def _engraved(self, one: Drawn) -> Score:
        """The measures of a picture with all marks that are drawn there; other engravers draw the answer alone."""
        if one.task == "excerpt":
            return one.view.score
        return extract(self.score, (one.first + 1, one.last + 1), None if one.part is None else [one.part + 1])

    def _some(self, among: list[T], setting: str) -> list[T]:
        """As many of them as a setting says, at most, in order."""
        count = min(len(among), int(getattr(self.config, setting)))
        return [among[i] for i in sorted(self.rng.permutation(len(among))[:count])]

    def _trimmed(self, picture: Image.Image) -> Image.Image:
        left, above, right, below = (int(n) for n in self.rng.integers(2, max(3, round(self.staff_px)), 4))
        return trim(picture, (left, above, right, below))


def invented(rng: np.random.Generator) -> str:
    """A title for a piece without one, so that titles can be learnt of any piece."""
    kind, of, key = (words[int(rng.integers(len(words)))] for words in _TITLES)
    return " ".join(word for word in (kind, of, key) if word)


def _dressed(score: Score, title: str, composer: str, look: Look) -> Score:
    """The score as it is to be engraved: with titles, with names and abbreviations of its parts or without."""
    if look.titled:
        marks: tuple[Mark, ...] = (Mark("title", (title,)),) if title else ()
        marks += (Mark("composer", (composer,)),) if composer else ()
        score = described(score, marks)
    named = look.names and all(part.name for part in score.parts)
    measures = []
    for index, measure in enumerate(score.measures):
        parts: list[PartMeasure | None] = []
        for number, part in enumerate(measure.parts):
            if part is None:
                parts.append(None)
                continue
            marks_of_part = tuple(
                _ungrouped(m) if isinstance(m, Mark) else m
                for m in part.marks
                if not (isinstance(m, Mark) and m.name in _UNDRAWN)
            )
            if index == 0 and named and look.abbreviations:
                marks_of_part += (Mark("abbreviation", (_short(score.parts[number].name),)),)
            staves = tuple(
                replace(
                    s, marks=tuple(t for t in s.marks if not (isinstance(t.mark, Mark) and t.mark.name in _UNDRAWN))
                )
                for s in part.staves
            )
            parts.append(replace(part, staves=staves, marks=marks_of_part))
        kept = tuple(m for m in measure.marks if not (isinstance(m, Mark) and m.name in _UNDRAWN))
        measures.append(replace(measure, parts=tuple(parts), marks=kept))
    names = tuple(part if named else Part("", part.staves) for part in score.parts)
    return normalise(Score(names, tuple(measures)))


def _ungrouped(mark: Mark) -> Mark:
    """A group of parts without its name."""
    return Mark("group", mark.args[:3]) if mark.name == "group" else mark


def _short(name: str) -> str:
    """ "Violin 2" -> "V. 2", "Corno III" -> "C. III" """
    numbered = [word.isdigit() or not word.strip("IVX.") for word in name.split()]
    return " ".join(word if number or len(word) < 3 else f"{word[0]}." for word, number in zip(name.split(), numbered))


def _printed(score: Score, name: str) -> str:
    for mark in score.measures[0].marks:
        if isinstance(mark, Mark) and mark.name == name and mark.args:
            return str(mark.args[0])
    return ""
