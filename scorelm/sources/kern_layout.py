"""The layout comments of Humdrum, as "!LO:TX:a:t=dolce": words are kept, of all else it is said that it is left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from scorelm.sources.abc import Notices
from scorelm.sources.kern import Cell

if TYPE_CHECKING:
    from music21 import stream

FONTS = {"i": "italic", "B": "bold", "Bi": "bolditalic"}


def add_layout(
    parts: Mapping[int, stream.Part],
    table: Sequence[Cell],
    lines: Sequence[str],
    moments: Mapping[int, Fraction],
    notices: Notices,
) -> None:
    """``parts``: by spine. ``moments``: in quarters from the start, by the line at which notes begin."""
    begun = sorted(moments)
    for cell in table:
        if cell.text.startswith("!LO:"):
            code, settings = _read(cell.text)
            following = bisect_right(begun, cell.line)
            if code == "TX" and settings.get("t") and cell.kind == "kern" and following < len(begun):
                _add_words(parts[cell.spine], moments[begun[following]], settings)
            else:
                notices.say(cell.line, f"spine {cell.spine + 1}: left out: the layout LO:{code}")
    for number, line in enumerate(lines, 1):
        if line.startswith("!!LO:"):
            notices.say(number, f"left out: the layout !!LO:{_read(line)[0]}")


def _read(text: str) -> tuple[str, dict[str, str]]:
    """ "!LO:TX:a:t=p dolce" -> ("TX", {"a": "", "t": "p dolce"})."""
    _, code, *settings = text.split(":")
    pairs = (setting.partition("=") for setting in settings)
    return code, {key: value.replace("&colon;", ":").replace("\\n", " ").strip() for key, _, value in pairs}


def _add_words(part: stream.Part, moment: Fraction, settings: Mapping[str, str]) -> None:
    from music21 import expressions, stream

    words = expressions.TextExpression(settings["t"])
    words.placement = "below" if "b" in settings else "above"
    for key, font in FONTS.items():
        if key in settings:
            words.style.fontStyle = font
    measures = [m for m in part.getElementsByClass(stream.Measure) if Fraction(m.offset) <= moment]
    measures[-1].insert(moment - Fraction(measures[-1].offset).limit_denominator(65536), words)
