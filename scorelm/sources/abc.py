"""ABC -> music21 scores, one a tune, with a notice of everything that is left out, by its line.

music21's own reader of ABC drops in silence lyrics, decorations, ties within chords, rests over measures, overlays,
key changes within a tune and notes under a text; so tunes are read here and built of music21's objects.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scorelm.errors import SourceError
from scorelm.sources.abc_build import build
from scorelm.sources.abc_tune import Tune

if TYPE_CHECKING:
    from music21 import stream

ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "c": "\u0327", "u": "\u0306", "v": "\u030c", "H": "\u030b"}  # fmt: skip
LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "/o": "ø", "/O": "Ø", "aa": "å", "AA": "Å", "/l": "ł",
}  # fmt: skip
FIELD = re.compile(r"\s?([A-Za-z+])\s*:(?:(?<=[ws]:)|(?![|:]))(.*)")  # "a:|" is music, "w:|" is not
MUSIC = re.compile(r"\|")
WORD = re.compile(r"[A-Za-z]{5,}")
MOST_LINES = 8  # that one notice names


def read(data: bytes, name: str) -> list[tuple[stream.Score, list[str]]]:
    """The score of each tune of a book, with its notices. Raises SourceError where there is none."""
    text, said = decode(data)
    out = []
    for number, lines in tunes(text):
        tune, notices = read_tune(lines, said)
        parts = tune.finish()
        if not parts:
            if len(lines) > 1 and number:
                out.append(
                    (build(tune, [], lambda line, what: None), [f"line {lines[0][0]}: this tune holds no music"])
                )
            continue
        score = build(tune, parts, notices.say)
        out.append((score, notices.lines()))
    if not any(score.parts for score, _ in out):
        raise SourceError(f"{name}: no ABC tune with music: it needs a field 'K:' and notes behind it")
    return out


def decode(data: bytes) -> tuple[str, str]:
    """The text, and a notice of how it was read where it is no UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), ""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        return data.decode("latin-1"), f"line {data[: error.start].count(bytes([10])) + 1}: no UTF-8; read as Latin-1"


class Notices:
    """What was said of lines; the same words of several lines become one notice."""

    def __init__(self, before: str = "") -> None:
        self.before = before
        self.places: dict[str, list[int]] = defaultdict(list)

    def say(self, line: int, what: str) -> None:
        if line not in self.places[what]:
            self.places[what].append(line)

    def lines(self) -> list[str]:
        out = [self.before] if self.before else []
        for what, places in self.places.items():
            shown = ", ".join(str(p) for p in places[:MOST_LINES])
            more = f" and {len(places) - MOST_LINES} more" if len(places) > MOST_LINES else ""
            out.append(f"line{'s' if len(places) > 1 else ''} {shown}{more}: {what}")
        return out


Lines = list[tuple[int, str]]


def tunes(text: str) -> Iterator[tuple[int, Lines]]:
    """(number, its lines with their numbers) of each tune, the book's own fields before each."""
    lines = list(enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1))
    starts = [i for i, (_, line) in enumerate(lines) if re.match(r"\s*X\s*:", line)]
    if not starts:
        yield 1, lines
        return
    book = [line for line in lines[: starts[0]] if re.match(r"[MLQUI]:|%%", line[1]) or line[1].startswith("%abc")]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(lines)]), 1):
        yield number, book + lines[start:end]


def read_tune(lines: Lines, before: str = "") -> tuple[Tune, Notices]:
    notices = Notices(before)
    carry, version = "", (1, 6)
    for _, line in lines:
        if found := re.match(r"%%propagate-accidentals\s+(not|octave|pitch)", line):
            carry = found[1]
        if found := re.match(r"(?:%abc-|I:abc-version\s+)(\d+)\.(\d+)", line):
            version = (int(found[1]), int(found[2]))
    tune = Tune(notices.say, carry, version)
    ended = False
    for number, line in _joined(lines, tune):
        if not line.strip():
            ended = tune.in_body and bool(tune.parts)
            continue
        if line.startswith("%"):
            _directive(tune, line, number, notices)
            continue
        found = FIELD.match(line)
        letter = found[1] if found else ""
        if ended and not (
            (letter and letter in "KMLQVwWP")
            or (not letter and MUSIC.search(line) and not WORD.search(re.sub(r'"[^"]*"|!.*?!', "", line)))
        ):
            notices.say(number, "left out: text behind the tune's end")
            continue
        if found and letter != "+":
            tune.take_field(letter, text_of(found[2].strip()) if letter in "TCwP" else found[2].strip(), number)
        elif tune.in_body:
            tune.take_music(line, number)
        else:
            notices.say(number, "left out: a line before the key (K:), which is no field")
    return tune, notices


def _joined(lines: Lines, tune: Tune) -> Iterator[tuple[int, str]]:
    """Lines without comments; a line of music that ends with a backslash goes on in the next one of music."""
    held: tuple[int, str] | None = None
    for number, raw in lines:
        line = raw if raw.startswith("%%") else re.split(r"(?<!\\)%", raw, maxsplit=1)[0].rstrip()
        if raw.lstrip().startswith("%") and not raw.startswith("%%"):
            continue
        is_field = bool(FIELD.match(line)) or line.startswith("%")
        if held is not None and (is_field or not line.strip()):
            yield held  # a field stands between; the note values go on all the same
            held = None
        if held is not None:
            line, number = held[1] + " " + line.lstrip(), held[0]
            held = None
        if line.startswith("+:"):
            line = "+:" + line[2:]
        if not is_field and line.rstrip().endswith("\\"):
            held = number, line.rstrip()[:-1]
            continue
        yield number, line
    if held is not None:
        yield held


def _directive(tune: Tune, line: str, number: int, notices: Notices) -> None:
    words = line.lstrip("%").split()
    if not words or words[0].startswith("abc"):
        return
    if words[0] == "MIDI" and len(words) > 2 and words[1] == "program" and words[-1].isdigit() and int(words[-1]) < 128:
        target = tune.current.voice if tune.current else None
        if target is not None:
            target.program = int(words[-1])
        else:
            tune.program = int(words[-1])
    elif words[0] != "propagate-accidentals":
        notices.say(number, f"left out: %%{' '.join(words[:2]) if words[0] == 'MIDI' else words[0]}")


def text_of(text: str) -> str:
    """A text with ABC's ways of writing letters beyond ASCII resolved: ``\\'e``, ``&eacute;``, ``\\u00e9``."""

    def letter(found: re.Match[str]) -> str:
        sign, base = found[1][0], found[1][1:]
        if found[1] in LETTERS:
            return LETTERS[found[1]]
        if sign in ACCENTS and base.isalpha():
            return unicodedata.normalize("NFC", base + ACCENTS[sign])
        return found[0]

    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    text = re.sub(r"\\(\S\S)", letter, text)
    return html.unescape(text).replace("\\%", "%").replace("\\&", "&") if re.search(r"&#?\w+;|\\[%&]", text) else text
