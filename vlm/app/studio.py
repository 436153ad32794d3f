"""What the page does, without the page: pictures are read, texts engraved, sounded and saved, music is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scorelm
from scorelm.errors import ConfigError, ScorelmError, SourceError
from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from vlm.app.answers import computed
from vlm.app.limits import Limits
from vlm.app.marked import marked
from vlm.app.workshop import Workshop
from vlm.student.whole import Look, Reading, System, answer, read_systems, spoken

if TYPE_CHECKING:
    from PIL import Image

    from scorelm.generation import Student
    from vlm.student.transcribe import Transcriber

NEW, CONTINUE, HARMONISE = "a new piece", "go on with my score", "parts to my score's melody"
SCORES = (".musicxml", ".mxl", ".xml", ".mid", ".midi", ".abc", ".krn", ".sclm")  # that may be uploaded
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pdf")
SAVED = {"MusicXML": ".musicxml", "MIDI": ".mid", "ABC": ".abc", "PDF": ".pdf"}
SHOWN_LINES = 20  # of doubts


@dataclass(frozen=True)
class Seen:
    """A score as the page knows it. ``systems``: of the first picture, which questions are about"""

    reading: Reading = field(default_factory=Reading)
    systems: tuple[System, ...] = ()


class Studio:
    """The reader and the writer, each loaded when it is first needed."""

    def __init__(self, reader: str | Path, writer: str | Path | None, limits: Limits) -> None:
        """reader, writer: folders; None for the writer is infer.py's choice"""
        self.folder, self.writer_folder, self.limits = Path(reader), writer, limits
        self.workshop = Workshop(limits.timeout_s)

    @property
    def can_read(self) -> bool:
        return (self.folder / "reader.json").is_file()

    @cached_property
    def reader(self) -> Transcriber:
        from vlm.student.transcribe import Transcriber

        return Transcriber(self.folder)

    @cached_property
    def writer(self) -> Student:
        from scorelm.generation import Student, find_model

        return Student(find_model(None if self.writer_folder is None else str(self.writer_folder)))

    def pictures(self, path: str | Path) -> list[Image.Image]:
        """The pages of an upload. SourceError where it is no picture, or more than the limits allow."""
        from vlm.reading.picture import open_pictures

        _ending(path, PICTURES)
        return open_pictures(path, round(self.limits.megapixels * 1e6), self.limits.pages)

    def read(self, pictures: list[Image.Image]) -> Iterator[tuple[Seen, str]]:
        """What was read so far, after each system, and a word about it. SourceError where no staff is found."""
        from vlm.reading.staves import strips

        started = time.monotonic()
        pages = []
        for picture in pictures:
            pages.append(strips(picture))
            if time.monotonic() - started > self.limits.timeout_s:
                break
        systems = [system for page in pages for system in page]
        if not systems:
            raise SourceError("no staff was found on this picture")
        for number, reading in enumerate(read_systems(self.reader, systems), 1):
            seconds = time.monotonic() - started
            measures = len(parse(reading.text).measures)
            said = f"{number} of {len(systems)} systems, {measures} measures, {seconds:.1f} s"
            late = seconds > self.limits.timeout_s and (number < len(systems) or len(pages) < len(pictures))
            yield (
                Seen(reading, tuple(pages[0])),
                f"{said}. Stopped: {self.limits.timeout_s:.0f} s are over." if late else said,
            )
            if late:
                return

    def ask(self, seen: Seen, text: str, question: str) -> tuple[str, str]:
        """The reader's own words on the first picture, and what is computed from the text."""
        if not seen.systems:
            raise ConfigError("read a picture first; then ask about it")
        return answer(self.reader, seen.systems, question), computed(text, question)

    def write(
        self, what: str, path: str | Path | None, measures: int, key: str = "", metre: str = "", parts: str = "",
        **sampling: Any,
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """The text so far, measure by measure, and a word about it. ScorelmError where the wish cannot be.

        what: NEW, CONTINUE or HARMONISE; path: the score for the last two; measures: that are new; key, metre: of a
        new piece; parts: of all but what goes on; sampling: see scorelm.compose.Wish
        """
        from scorelm.compose import generate_measures

        wish = dict(sampling)
        if what == NEW:
            wish |= {"key": key or None, "time": metre or None, "parts": parts or None, "measures": measures}
        elif what == CONTINUE:
            wish |= {"prompt": str(path), "measures": len(self._given(path).measures) + measures}
        else:
            wish |= {"given": scorelm.extract(write(self._given(path)), parts=[1]), "parts": parts or None}
        started, text = time.monotonic(), ""
        for piece in generate_measures(model=self.writer_folder if wish.get("adapt") else self.writer, **wish):
            text += piece
            seconds = time.monotonic() - started
            said = f"{len(parse(text).measures)} measures, {seconds:.1f} s"
            late = seconds > self.limits.timeout_s
            yield text, f"{said}. Stopped: {self.limits.timeout_s:.0f} s are over." if late else said
            if late:
                return

    def _given(self, path: str | Path | None) -> Any:
        from scorelm.api import load

        if path is None:
            raise ConfigError("drop the score first")
        _ending(path, SCORES)
        score = load(path)
        if len(score.measures) > self.limits.given_measures:
            raise SourceError(
                f"the score has {len(score.measures)} measures; {self.limits.given_measures} are the most here"
            )
        return score

    def check(self, text: str) -> None:
        """FormatError with measure, line and column where a text is broken, SourceError where it is too long."""
        parse(self._short(text))

    def engrave(self, text: str, looks: tuple[Look, ...] = ()) -> str:
        """The SVG of a text, or nothing of an empty one. Raises as ``check``, and where Verovio refuses it."""
        from scorelm.musicxml.writer import write_musicxml
        from scorelm.render import engrave_tall_svg

        score = parse(self._short(text))
        if not score.measures:
            return ""
        return marked(self.workshop.do(engrave_tall_svg, write_musicxml(score)), looks)

    def save(self, text: str, folder: str | Path) -> tuple[dict[str, Path], list[str]]:
        """The files of a text by the names of SAVED, and why others could not be written."""
        found, problems = {}, []
        try:
            self.check(text)
        except ScorelmError as error:
            return {}, [str(error)]
        for name, ending in SAVED.items():
            try:
                found[name] = self.workshop.do(scorelm.save, text, Path(folder, "score" + ending))
            except ScorelmError as error:
                problems.append(f"{name}: {error}")
        return found, problems

    def sound(self, text: str, folder: str | Path) -> Path:
        """A .wav of a text. ScorelmError where there is no synthesiser, or it lasts too long."""
        quarters = sum(measure.length for measure in parse(self._short(text)).measures)
        if quarters > 120 * self.limits.minutes:
            raise SourceError(f"this music lasts longer than {self.limits.minutes:.0f} minutes")
        return Path(self.workshop.do(scorelm.save, text, Path(folder, "score.wav")))

    def _short(self, text: str) -> str:
        if len(text) > self.limits.characters:
            raise SourceError(f"a text has at most {self.limits.characters} characters here, not {len(text)}")
        return text


def edited(seen: Seen, text: str) -> Seen:
    """A score whose text was changed: what was doubtful still is where a measure is as it was."""
    old, new = seen.reading.text.splitlines(), text.splitlines()
    moved: dict[int, int] = {}
    for a, b, size in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        moved |= {a + i: b + i for i in range(size)}  # line 0 is before the first measure
    looks = tuple(replace(look, measure=moved[look.measure]) for look in seen.reading.looks if look.measure in moved)
    return replace(seen, reading=Reading(text, looks))


def notes(said: str, looks: tuple[Look, ...]) -> str:
    """Lines for a reader of the page."""
    lines = spoken(looks)
    more = [f"... and {len(lines) - SHOWN_LINES} more"] if len(lines) > SHOWN_LINES else []
    return "\n".join([said, *lines[:SHOWN_LINES], *more])


def sound_problem() -> str:
    """Why nothing can be played here, or nothing."""
    from scorelm.audio import ready

    try:
        ready()
    except ScorelmError as error:
        return str(error)
    return ""


def _ending(path: str | Path, known: tuple[str, ...]) -> None:
    if Path(path).suffix.lower() not in known:
        raise SourceError(f"{Path(path).name}: a file here ends in {', '.join(known)}")
