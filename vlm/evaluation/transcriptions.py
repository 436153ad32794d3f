"""Score text that was read beside the text that is there: edits of symbols, characters and lines, and what opens.

    SER   edits of lexemes / lexemes that are there     the letters of a part's name are lexemes, too
    CER   edits of characters / characters
    LER   edits of lines / lines                        a line is a measure of all parts

Edits are insertions, deletions and replacements (Levenshtein). Both texts are canonical, of the core profile; the
"|" with which every text begins is not counted. A text that does not parse has every symbol to be edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from scorelm import music21_bridge
from scorelm.errors import FormatError, ScorelmError
from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import open_xml
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.lexemes import cut
from scorelm.notation.reader import parse
from scorelm.notation.transform import strip
from scorelm.notation.writer import write
from scorelm.processes import Process

LONGEST_S = 60.0


@dataclass(frozen=True)
class Edits:
    """So many edits, where so many units are there."""

    count: int
    of: int


def canonical(text: str) -> str:
    """A text as it is compared. Raises FormatError where it does not parse."""
    return write(strip(parse(text)))


def edits(read: str | None, known: str) -> dict[str, Edits]:
    """Edits by unit: ``symbols``, ``characters``, ``lines``. read: None where nothing was. Raises as ``canonical``."""
    there = _units(canonical(known))
    try:
        found = _units(canonical(read or ""))
    except FormatError:
        found = {name: [] for name in there}
    from rapidfuzz.distance import Levenshtein

    return {name: Edits(Levenshtein.distance(found[name], units), len(units)) for name, units in there.items()}


def _units(text: str) -> dict[str, Sequence[str]]:
    lines = text.split("\n")[1:-1]
    return {"symbols": cut(text)[1:], "characters": "".join(lines), "lines": lines}


def unopened(text: str) -> str:
    """Why a text, saved as MusicXML and read again, is no score with every measure full; "" where it is one."""
    try:
        score = parse(text)
        if not score.measures:
            return "it has no measures"
        again = score_from_xml(open_xml(write_musicxml(score), "MusicXML"), "MusicXML")
        if len(again.measures) != len(score.measures):
            return "it has another number of measures in MusicXML"
    except ScorelmError as error:
        return str(error)
    for number, measure in enumerate(again.measures, 1):
        if measure.length != score.measures[number - 1].length:
            return f"measure {number} has another length in MusicXML"
        if any(part is not None and part.length not in (None, measure.length) for part in measure.parts):
            return f"measure {number}: a voice is not as long as the measure"
    return ""


def omr_ned(read: str | None, known: str) -> Edits | None:
    """OMR-NED: musicdiff's edits, of the symbols of both scores together. None where musicdiff is not installed.

    Notes, ties, signatures, clefs, barlines and names count; a text that does not parse has all symbols to be added.
    """
    if not find_spec("musicdiff"):
        return None
    from musicdiff.annotation import AnnScore
    from musicdiff.comparison import Comparison

    there = AnnScore(music21_bridge.to_music21(parse(known)))
    size: int = there.notation_size()
    try:
        found = AnnScore(music21_bridge.to_music21(parse(read or "")))
        _, count = Comparison.annotated_scores_diff(found, there)
    except Exception:  # noqa: BLE001  # of scores that are wrong musicdiff and music21 may raise anything
        return Edits(size, size)
    return Edits(int(count), size + found.notation_size())


class Musicdiff:
    """``omr_ned`` in a process of its own, as musicdiff may take hours for long scores that are unlike.

    What it has not compared in ``LONGEST_S`` has all symbols to be edited.
    """

    def __init__(self) -> None:
        self._process = Process(_compared)

    def __call__(self, read: str | None, known: str) -> Edits | None:
        found, problem = self._process.ask((read, known), LONGEST_S)
        return omr_ned("", known) if problem else found


def _compared(texts: tuple[str | None, str]) -> Edits | None:
    return omr_ned(*texts)
