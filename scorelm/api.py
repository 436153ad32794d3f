"""The public functions. What they need (music21, lxml, Verovio) is imported when they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.errors import ScorelmError
from scorelm.files import read_text, write_atomically
from scorelm.notation import transform
from scorelm.notation.model import Score
from scorelm.notation.reader import parse
from scorelm.notation.writer import write

if TYPE_CHECKING:
    from music21 import stream

    from scorelm.notation.repair import Problem

MUSICXML_ENDINGS = (".musicxml", ".xml", ".mxl")
ENDINGS = (".musicxml", ".mxl", ".mid", ".svg", ".png", ".pdf", ".abc", ".wav", ".sclm")
ALIASES = {".xml": ".musicxml", ".midi": ".mid"}


def encode(
    source: stream.Stream | str | Path, profile: str = "core", report: Callable[[str], None] | None = None
) -> str:
    """The score text of a score.

    source: a music21 score, or the path of any file that music21 reads (MusicXML and MXL are read
        directly, .sclm is read as score text), or the name of a work of music21's corpus ("bach/bwv66.6")
    profile: "core", "full", or the core with more by name, "core+lyrics+slurs"
    report: takes a line for each guess and each loss where the source is MIDI, ABC or Humdrum

    Raises SourceError where the source is no score, ScoreError where it is beyond the format's bounds.

    >>> scorelm.encode("bach/bwv66.6")  # doctest: +SKIP
    """
    return write(transform.strip(load(source, report), profile))


def load(source: stream.Stream | str | Path, report: Callable[[str], None] | None = None) -> Score:
    """The data model of a score: see ``encode``."""
    if not isinstance(source, (str, Path)):
        from scorelm import music21_bridge

        if not music21_bridge.is_stream(source):
            raise ScorelmError(f"expected a music21 score or a path, not {type(source).__name__}")
        return music21_bridge.from_music21(source)
    scores = load_all(source, report)
    if len(scores) != 1:
        raise ScorelmError(f"{source}: holds {len(scores)} scores; scorelm.api.load_all gives each")
    return scores[0][0]


def load_all(source: str | Path, report: Callable[[str], None] | None = None) -> list[tuple[Score, str, str]]:
    """(score, title, composer) of each score in a file; a tune book holds many.

    report: takes a line for each guess and each loss of the reader of MIDI, ABC and Humdrum
    """
    path = Path(source)
    if path.suffix.lower() in MUSICXML_ENDINGS and path.is_file():
        from scorelm.musicxml.reader import score_from_xml, titles
        from scorelm.musicxml.source import open_xml, read_bytes

        root = open_xml(read_bytes(path), str(path))
        return [(score_from_xml(root, str(path)), *titles(root))]
    if path.suffix.lower() == ".sclm" and path.is_file():
        return [(parse(read_text(path)), "", "")]
    from scorelm import music21_bridge

    if not path.is_file():
        found = music21_bridge.corpus_path(str(source))
        if found is not None and found.suffix.lower() in MUSICXML_ENDINGS:
            return load_all(found, report)
    streams = music21_bridge.read_streams(source)
    for number, score in enumerate(streams, 1):
        for said in music21_bridge.notices(score) if report else ():
            report(said if len(streams) == 1 else f"#{number}: {said}")  # type: ignore[misc]
    return [(music21_bridge.from_music21(s), *music21_bridge.titles(s)) for s in streams]


def decode(text: str) -> stream.Score:
    """The music21 score of a text. Raises FormatError (measure, line, column) where the text breaks the format."""
    from scorelm import music21_bridge

    return music21_bridge.to_music21(parse(text))


def repair(text: str) -> tuple[str, tuple[Problem, ...]]:
    """Any string -> canonical text that ``decode`` takes, and what was mended, each with its place."""
    from scorelm.notation.repair import repair as mend

    return mend(text)


def save(source: str | stream.Score, path: str | Path, title: str = "") -> Path:
    """Write a score as the path's ending says: .musicxml .mxl .mid .svg .png .pdf .abc .wav .sclm.

    source: score text, or a music21 score

    Returns the path. The file is written whole or not at all. Raises FormatError for a broken text, ScorelmError for
    another ending and for a .wav where no synthesiser is there.
    """
    path = Path(path)
    ending = ALIASES.get(path.suffix.lower(), path.suffix.lower())
    if ending not in ENDINGS:
        raise ScorelmError(f"{path.name}: a score's name ends in {', '.join(ENDINGS)}")
    score = parse(source) if isinstance(source, str) else load(source)
    return write_atomically(path, _render(score, ending, title, path))


def _render(score: Score, ending: str, title: str, path: Path) -> bytes | str:
    if ending == ".sclm":
        return write(score)
    if ending in (".mid", ".wav"):
        from scorelm import music21_bridge

        midi = music21_bridge.midi(score)
        if ending == ".mid":
            return midi
        from scorelm.audio import wav

        return wav(midi)
    from scorelm.musicxml.writer import compressed, write_musicxml

    xml = write_musicxml(score, title)
    if ending == ".musicxml":
        return xml
    if ending == ".mxl":
        return compressed(xml, path.stem)
    if ending == ".abc":
        from scorelm.abc import write_abc

        return write_abc(xml)
    from scorelm import render

    draw: dict[str, Any] = {
        ".svg": render.engrave_tall_svg, ".png": render.engrave_png, ".pdf": render.engrave_pdf,
    }  # fmt: skip
    drawn: bytes | str = draw[ending](xml)
    return drawn


def extract(text: str, measures: tuple[int, int] | None = None, parts: str | Sequence[int | str] | None = None) -> str:
    """A part of a text as a text of its own; what is in force at its start is said again.

    measures: the first and the last, counted from 1 as they stand in the text
    parts: names, or numbers from 1, in the order wanted; or one name
    """
    parts = [parts] if isinstance(parts, str) else parts
    return write(transform.extract(parse(text), measures, parts))


def transpose(text: str, interval: str) -> str:
    """Every pitch and key of a text by an interval, spelled as it says: "M2", "-m3", "P8"."""
    return write(transform.transpose(parse(text), interval))
