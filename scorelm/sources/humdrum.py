"""Humdrum -> a music21 score, by music21's reader; what that drops is put back by its line, or said.

music21 leaves on each note the number of its line, by which slurs, lyrics, dynamics, arpeggios, names and the values
of grace notes find it again.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scorelm.errors import SourceError
from scorelm.sources.abc import Notices, decode
from scorelm.sources.kern import Cell, by_line, cells
from scorelm.sources.kern_layout import add_layout
from scorelm.sources.kern_voices import Voice, fold, unfold

if TYPE_CHECKING:
    from music21 import stream

KNOWN = set("abcdefgABCDEFG0123456789.%#-n[]_(){}tTwWmMSR$O:'\"`~^;vu/\\qQPpLJkKry&yXxi ")
TEXTS = ("text", "silbe", "lyrics", "lyric")
SILENT = ("clef", "k[", "M", "staff", "I", "tb", "part", "met")  # tandems that are taken, or mean nothing here
TAKEN_RECORDS = ("OTL", "COM", "ONM", "OMV", "OPS", "OPT", "OCL")


@dataclass
class _Part:
    """A **kern spine: its part, and what it holds at each line."""

    spine: int
    stream: Any
    notes: dict[int, dict[int, Any]] = field(default_factory=dict)  # by line and voice, the voices as the columns

    def first(self, line: int) -> Any:
        """What sounds first at this line, None where all voices rest."""
        return next((e for e in self.notes.get(line, {}).values() if not e.isRest), None)


def read(data: bytes, name: str) -> list[tuple[stream.Score, list[str]]]:
    """The scores of a Humdrum file, each with its notices. Raises SourceError where it is broken, with the line."""
    from music21 import humdrum, stream

    text, said = decode(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not re.search(r"^\*\*", text, re.MULTILINE):
        raise SourceError(f"{name}: no Humdrum: no line begins a spine, as '**kern' does")
    if not re.search(r"^(?:.*\t)?\*\*kern", text, re.MULTILINE):
        raise SourceError(f"{name}: this Humdrum file holds no notes: it has no spine '**kern'")
    lines = text.split("\n")
    notices = Notices(said)
    table, unended = cells(lines, name)
    if unended:
        lines.append("\t".join(["*-"] * unended))
        table, _ = cells(lines, name)
        notices.say(len(lines), "the file ends without '*-'; read as if it were there")
    if not any(c.kind == "kern" for c in table):
        raise SourceError(f"{name}: no spine '**kern': columns are separated by tabs")
    several = sum(row[0].text.startswith("**") for _, row in by_line(table)) > 1
    unfolded, columns = (lines, []) if several else unfold(lines, table)
    collection = humdrum.spineParser.HumdrumDataCollection(unfolded)
    with contextlib.redirect_stderr(io.StringIO()):  # what it says there is said again below, by line
        collection.parse()
    found = collection.stream
    scores = list(found.scores) if isinstance(found, stream.Opus) else [_score(found)]
    if several:
        split = next((c.line for c in table if c.kind == "kern" and c.voice), None)
        if split is not None:
            notices.say(split, "a spine splits in a file of several scores: its notes may be moved or left out")
        left_out = "several scores in one file: slurs, lyrics and dynamics are left out"
        return [(score, [left_out, *notices.lines()]) for score in scores]
    _restore(scores[0], columns, table, lines, notices)
    return [(scores[0], notices.lines())]


def _score(found: Any) -> stream.Score:
    from music21 import stream

    if isinstance(found, stream.Score):
        return found
    out = stream.Score()
    for part in found.parts:
        out.insert(0, part)
    return out


def _restore(score: Any, columns: Sequence[Voice], table: list[Cell], lines: Sequence[str], notices: Notices) -> None:
    streams = {columns[int(p.id.removeprefix("spine_"))]: p for p in score.parts}  # the last spine, the highest staff
    parts = {spine: _Part(spine, own) for (spine, voice), own in streams.items() if not voice}
    read = {(e.priority, voice): e for voice, own in streams.items() for e in own.recurse().notesAndRests}
    elements: dict[tuple[int, Voice], Any] = {}  # those of ``read`` in the order of the file
    for cell in table:
        key = cell.line, (cell.spine, cell.voice)
        if cell.kind == "kern" and key in read:
            elements[key] = parts[cell.spine].notes.setdefault(cell.line, {})[cell.voice] = read[key]
            _exact(read[key], cell.text)
    for (_, voice), own in streams.items():
        if voice:
            score.remove(own)
    fold({spine: p.stream for spine, p in parts.items()}, elements, table)
    moments: dict[int, Fraction] = {}  # quarters from the start, by line
    for part in parts.values():
        for element in part.stream.recurse().notesAndRests:
            moment = Fraction(element.getOffsetInHierarchy(part.stream)).limit_denominator(65536)
            moments.setdefault(element.priority, moment)
    for added in list(score.recurse().getElementsByClass(("Dynamic", "RomanNumeral"))):  # the latter as chords
        score.remove(added, recurse=True)
    for part in parts.values():
        own = [c for c in table if c.spine == part.spine]
        _notes(part, [c for c in own if c.is_data], notices)
        _tandems(part, [c for c in own if c.text.startswith("*")], notices)
    _beside(table, parts, moments, notices)
    add_layout({spine: p.stream for spine, p in parts.items()}, table, lines, moments, notices)
    _records(lines, score, notices)
    _last_barline(score, table)
    for element in score.recurse():
        if element.priority:
            element.priority = 0


def _notes(part: _Part, data: list[Cell], notices: Notices) -> None:
    """Slurs, arpeggios, hidden rests and the values of grace notes; what music21 could not read is said."""
    from music21 import expressions, spanner

    open_slurs: dict[int, list[Any]] = defaultdict(list)
    written: dict[int, list[Cell]] = defaultdict(list)
    for cell in data:
        if cell.text != ".":
            written[cell.line].append(cell)
    for line, own in written.items():
        elements = part.notes.get(line, {})
        if len(elements) != len(own):
            texts = ", ".join(repr(c.text) for c in own)
            notices.say(
                line,
                f"spine {part.spine + 1}: {len(own) - len(elements)} of {texts} left out, which music21 cannot read",
            )
        for cell in own:
            element, text = elements.get(cell.voice), cell.text
            if element is None:
                continue
            strange = sorted({s for s in text if s not in KNOWN})
            if strange:
                notices.say(line, f"spine {part.spine + 1}: left out: signs {' '.join(strange)} on notes")
            if "{" in text or "}" in text:
                notices.say(line, f"spine {part.spine + 1}: left out: phrase marks")
            if "x" in text or "X" in text or "i" in text:
                notices.say(line, f"spine {part.spine + 1}: left out: editorial signs on notes")
            for mark in element.expressions:
                if isinstance(mark, expressions.Fermata):
                    mark.type = "upright"
            if "yy" in text:
                element.style.hideObjectOnPrint = True
            if ":" in text and element.isChord:
                element.expressions.append(expressions.ArpeggioMark())
            if element.duration.isGrace:
                _grace(element, text)
            for _ in range(text.count(")")):
                if any(open_slurs.values()):  # of its own voice, else of another one
                    slur = (open_slurs[cell.voice] or next(s for s in open_slurs.values() if s)).pop()
                    if slur.isFirst(element):
                        notices.say(line, f"spine {part.spine + 1}: left out: a slur over one note")
                    else:
                        slur.addSpannedElements(element)
                        part.stream.insert(0, slur)
                else:
                    notices.say(line, f"spine {part.spine + 1}: left out: a slur's end without its start")
            for _ in range(text.count("(")):
                if element.isRest:
                    notices.say(line, f"spine {part.spine + 1}: left out: a slur that starts on a rest")
                else:
                    open_slurs[cell.voice].append(spanner.Slur([element]))
    unended = sum(map(len, open_slurs.values()))
    if unended:
        notices.say(data[-1].line, f"spine {part.spine + 1}: left out: {unended} slurs that nothing ends")


def _grace(element: Any, text: str) -> None:
    from music21 import duration

    number = re.search(r"(\d+)", text)
    if number and int(number[1]) in duration.typeFromNumDict:
        element.duration.type = duration.typeFromNumDict[int(number[1])]
    element.duration.slash = "qq" not in text


def _exact(element: Any, text: str) -> None:
    """music21 makes a float of a rational value ("3%2") and forgets its sum; a value stands as the text says it."""
    found = re.search(r"(\d+)%(\d+)(\.*)", text)
    if found and int(found[1]):
        length = Fraction(4 * int(found[2]), int(found[1])) * (2 - Fraction(1, 2 ** len(found[3])))
        if Fraction(element.quarterLength).limit_denominator(65536) != length:
            element.quarterLength = length


def _tandems(part: _Part, own: list[Cell], notices: Notices) -> None:
    from music21 import meter

    times = {t.priority: t for t in part.stream.recurse().getElementsByClass(meter.TimeSignature)}
    for cell in own:
        text = cell.text
        if text.startswith('*I"'):
            part.stream.partName = text[3:]
        elif text.startswith("*I'"):
            part.stream.partAbbreviation = text[3:]
        elif text.startswith("*met("):
            earlier = [t for line, t in times.items() if abs(line - cell.line) <= 3]
            symbol = {"c": "common", "c|": "cut"}.get(text[5:-1])
            if earlier and symbol and earlier[-1].ratioString == {"common": "4/4", "cut": "2/2"}[symbol]:
                earlier[-1].symbol = symbol
            else:
                notices.say(cell.line, f"spine {part.spine + 1}: left out: {text}")
        elif text.startswith(("*ITr", "*Tr")):
            notices.say(cell.line, f"spine {part.spine + 1}: left out: the transposition {text}; notes as they stand")
        elif text.startswith("*>"):
            notices.say(cell.line, f"left out: {text}, a section or an order of sections")
        elif text in ("*", "*^", "*v", "*+", "*-", "*x") or text.startswith("**"):
            pass
        elif re.fullmatch(r"\*[A-Ga-g][#-]*:?(?:dor|phr|lyd|mix|aeo|ion|loc)?:?", text):
            pass  # a key
        elif not text.startswith(tuple("*" + s for s in SILENT)):
            notices.say(cell.line, f"spine {part.spine + 1}: left out: {text}")


def _beside(table: list[Cell], parts: dict[int, _Part], moments: dict[int, Fraction], notices: Notices) -> None:
    """Spines beside the notes: lyrics and dynamics go to the spine of notes on their left, else the nearest."""
    verses: dict[int, int] = defaultdict(int)
    beside = sorted({(c.spine, c.kind) for c in table if c.kind != "kern"})
    for spine, kind in beside:
        own = [c for c in table if c.spine == spine and c.is_data and c.text != "."]
        left = [s for s in parts if s < spine]
        target = parts[max(left) if left else min(parts)]
        first = next((c.line for c in table if c.spine == spine), 1)
        if kind in TEXTS:
            verses[target.spine] += 1
            _lyrics(own, target, verses[target.spine], notices)
        elif kind == "dynam":
            _dynamics(own, target, moments, notices)
        else:
            notices.say(first, f"left out: spine {spine + 1} (**{kind}), {len(own)} entries")


def _lyrics(own: list[Cell], part: _Part, verse: int, notices: Notices) -> None:
    from music21 import note

    if verse == 1:
        for element in part.stream.recurse().notes:
            element.lyrics = []
    for cell in own:
        element = part.first(cell.line)
        if element is None:
            notices.say(cell.line, f"spine {cell.spine + 1}: left out: syllables under no note")
            continue
        text = cell.text.replace("|", "")
        before, after = text.startswith("-"), text.endswith("-")
        kind: Any = "middle" if before and after else "end" if before else "begin" if after else "single"
        text = text.strip("-").strip("_") if text.strip("-_") else ""
        if text:
            lyric = note.Lyric("x", verse, syllabic=kind)
            lyric.text = text
            element.lyrics.append(lyric)


def _dynamics(own: list[Cell], part: _Part, moments: dict[int, Fraction], notices: Notices) -> None:
    from music21 import dynamics, stream

    measures = list(part.stream.getElementsByClass(stream.Measure))
    lines = sorted(part.notes)
    hairpin: Any = None
    for cell in own:
        if cell.line not in moments:
            notices.say(cell.line, f"spine {cell.spine + 1}: left out: {cell.text!r}, as no note begins here")
            continue
        at = moments[cell.line]
        note = next((e for line in lines if line >= cell.line and (e := part.first(line)) is not None), None)
        for sign in re.findall(r"[a-z]+|[<>\[\]()]|\S", cell.text):
            if re.fullmatch(r"p+|f+|m[pf]|s?fz?p?|sfz|rfz?|fp|sf|pf|sfp|sffz", sign) and sign not in ("s",):
                holder = max((m for m in measures if Fraction(m.offset) <= at), key=lambda m: m.offset, default=None)
                if holder is not None:
                    holder.insert(at - Fraction(holder.offset).limit_denominator(65536), dynamics.Dynamic(sign))
            elif sign in "<>":
                if note is None:
                    continue
                if hairpin is None:
                    hairpin = dynamics.Crescendo() if sign == "<" else dynamics.Diminuendo()
                    hairpin.addSpannedElements(note)
            elif sign in "[]":
                if hairpin is not None:
                    ahead = (part.first(line) for line in reversed(lines) if line <= cell.line)
                    last = next((e for e in ahead if e is not None), None)
                    if last is not None:
                        hairpin.addSpannedElements(last)
                    part.stream.insert(0, hairpin)
                    hairpin = None
            elif sign not in "()":
                notices.say(
                    cell.line, f"spine {cell.spine + 1}: left out: {sign!r} of {cell.text!r}, which is no dynamic"
                )
    if hairpin is not None:
        part.stream.insert(0, hairpin)


def _records(lines: Sequence[str], score: Any, notices: Notices) -> None:
    left: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        found = re.match(r"!!!([A-Za-z][\w\-]*)(?:@\S*)?\s*:\s*(.*)", line)
        if found and not found[1].startswith(TAKEN_RECORDS[:2]):
            left.setdefault(found[1], number)
        if found and found[1].startswith("OTL") and score.metadata is not None and not score.metadata.title:
            score.metadata.title = found[2]
    if left:
        shown = ", ".join(f"{code} ({line})" for code, line in left.items())
        notices.say(min(left.values()), f"left out: records {shown}")


def _last_barline(score: Any, table: list[Cell]) -> None:
    bars = [c for c in table if c.text.startswith("=")]
    if bars and bars[-1].text.startswith("=="):
        for part in score.parts:
            measure = part.getElementsByClass("Measure").last()
            if measure is not None and type(measure.rightBarline).__name__ != "Repeat":
                measure.rightBarline = "final"
