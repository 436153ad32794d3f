"""Humdrum spines that split: unfolded before music21 reads them, folded again afterwards.

music21 reads two voices that split and join with a measure; of three it loses notes, and others it moves. So each
voice becomes a column of its own, which never splits, and its notes go back into their measures at the moments that
the values of all the notes give.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scorelm.sources.kern import PATHS, Cell, by_line

if TYPE_CHECKING:
    from music21 import stream

Voice = tuple[int, int]  # spine, voice
Elements = Mapping[tuple[int, Voice], Any]  # notes, chords and rests by line


def unfold(lines: Sequence[str], table: Sequence[Cell]) -> tuple[list[str], list[Voice]]:
    """The lines with a column for every spine and, behind them, one for every further voice; and whose these are."""
    kinds = {c.spine: c.kind for c in table}
    last = {c.spine: c.line for c in table}
    order = [(spine, 0) for spine in sorted(kinds)]
    order += sorted({(c.spine, c.voice) for c in table if c.voice and c.kind == "kern"})
    out = list(lines)
    for line, row in by_line(table):
        own = {(c.spine, c.voice): c.text for c in row}
        texts = []
        for column in order:
            spine, voice = column
            if line > last[spine]:
                continue
            text = own.get(column, "")
            if line == table[0].line:
                text = "**" + kinds[spine]
            elif row[0].text.startswith("*"):
                text = "*-" if line == last[spine] else _interpretation(text, voice, row, spine)
            elif row[0].text.startswith("!"):
                text = text or "!"
            elif row[0].text.startswith("="):
                text = re.sub("^=+(?=:)", "=z", text or row[0].text)  # music21 reads "=:" as a repeat's start
            texts.append(text or ".")
        out[line - 1] = "\t".join(texts)
    return out, order


def _interpretation(text: str, voice: int, row: Sequence[Cell], spine: int) -> str:
    """Without the paths; a clef of any voice is one of the spine, and no other interpretation is said twice."""
    if voice or text.startswith("**"):
        return "*"
    if text in (*PATHS, ""):
        return next((c.text for c in row if c.spine == spine and c.text.startswith("*clef")), "*")
    return text


def fold(parts: Mapping[int, stream.Part], elements: Elements, table: Sequence[Cell]) -> None:
    """Put the notes of further voices into the part of their spine, and all of that part to where they belong.

    ``parts``: by spine. ``elements``: of all voices; those of the first ones are in the parts already.
    """
    lengths = {key: Fraction(e.quarterLength).limit_denominator(65536) for key, e in elements.items()}
    moments, bars = _clock(table, lengths)
    at_first = {c.spine for c in table if c.line == table[0].line}
    for spine, part in parts.items():
        if spine not in at_first or _loose(part) or any(v for (_, (s, v)) in elements if s == spine):
            _fold(part, spine, {key: e for key, e in elements.items() if key[1][0] == spine}, moments, bars)


def _loose(part: stream.Part) -> list[Any]:
    """What music21 left beside the measures: all that lasts nothing, where barlines have no numbers."""
    skipped = ("Measure", "MiscTandem", "SpineComment")
    return [e for e in part.elements if e.priority and not any(name in e.classes for name in skipped)]


def _clock(
    table: Sequence[Cell], lengths: Mapping[tuple[int, Voice], Fraction]
) -> tuple[dict[tuple[int, Voice], Fraction], dict[int, dict[int, Fraction]]]:
    """The moment of every note within its measure, and by line and spine the length of the measure that a barline ends.

    A voice goes on where it was. One that has just begun takes its moment from those that sound beside it, and a
    barline ends all the voices of its spine.
    """
    moments: dict[tuple[int, Voice], Fraction] = {}
    bars: dict[int, dict[int, Fraction]] = defaultdict(dict)
    ends: dict[Voice, Fraction] = {}
    fresh: set[Voice] = set()
    before: list[Cell] = []
    for line, row in by_line([c for c in table if c.kind == "kern"]):
        _move(ends, fresh, before, row)
        before = row
        for spine in {c.spine for c in row if c.text.startswith("=")}:
            own = [v for v in ends if v[0] == spine]
            if not fresh.issuperset(own):
                bars[line][spine] = max(ends[v] for v in own if v not in fresh)
            ends.update(dict.fromkeys(own, Fraction(0)))
            fresh.difference_update(own)
        begun: dict[int, Fraction] = {}  # when what begins in this row begins, by spine
        new = [(c.spine, c.voice) for c in row if (line, (c.spine, c.voice)) in lengths]
        for voice in new:
            if voice not in fresh:
                begun[voice[0]] = max(ends[voice], begun.get(voice[0], Fraction(0)))
        elsewhere = max(begun.values(), default=None)
        for voice in new:
            moment = begun.get(voice[0], ends[voice] if elsewhere is None else elsewhere)
            moments[line, voice] = moment
            ends[voice] = moment + lengths[line, voice]
            fresh.discard(voice)
    return moments, bars


def _move(ends: dict[Voice, Fraction], fresh: set[Voice], before: Sequence[Cell], row: Sequence[Cell]) -> None:
    """Voices that ended before this row leave; those that begin with it start where they split."""
    present = {(c.spine, c.voice) for c in row}
    for gone in ends.keys() - present:
        ended = ends.pop(gone)
        fresh.discard(gone)
        for cell in before:
            if cell.spine == gone[0] and cell.text == "*v" and (cell.spine, cell.voice) in present:
                ends[cell.spine, cell.voice] = max(ended, ends[cell.spine, cell.voice])
    for new in present - ends.keys():
        split = [ends[c.spine, c.voice] for c in before if c.spine == new[0] and c.text == "*^"]
        ends[new] = max(split, default=Fraction(0))
        if before:
            fresh.add(new)


def _fold(
    part: stream.Part,
    spine: int,
    elements: Elements,
    moments: Mapping[tuple[int, Voice], Fraction],
    bars: Mapping[int, Mapping[int, Fraction]],
) -> None:
    from music21 import stream

    measures = list(part.getElementsByClass(stream.Measure))
    begun = min((line for line, _ in elements), default=0)
    barlines = [0, *sorted(line for line, own in bars.items() if spine in own or line < begun)]  # 0: the file's start
    held: dict[int, dict[Voice, list[tuple[int, Any]]]] = defaultdict(lambda: defaultdict(list))
    for (line, voice), element in elements.items():
        held[barlines[bisect_right(barlines, line) - 1]][voice].append((line, element))
    for line in held.keys() - {m.priority for m in measures}:  # music21 makes none where the first voice is empty
        missing = stream.Measure(max((m.number for m in measures if m.priority < line), default=0) + 1)
        missing.priority = line
        part.insert(0, missing)
        measures.append(missing)
    if not measures:
        return
    measures.sort(key=lambda m: int(m.priority))
    for sign in _loose(part):
        if "GeneralNote" not in sign.classes:
            part.remove(sign)
            next(m for m in reversed(measures) if m.priority < sign.priority or m is measures[0]).insert(0, sign)
    offset = Fraction(0)
    for index, measure in enumerate(measures):
        offset += sum(
            own.get(spine, max(own.values()))  # before a spine begins, as long as the others' measures
            for line, own in bars.items()
            if (measures[index - 1].priority if index else 0) < line <= measure.priority
        )
        part.setElementOffset(measure, offset)
        voices = held[measure.priority]
        _place_signs(measure, {line: moments[line, v] for v, own in voices.items() for line, _ in own})
        several = any(voice for _, voice in voices)
        for voice, own in voices.items():
            home = stream.Voice() if several else measure
            for line, element in own:
                if not voice[1]:
                    part.remove(element, recurse=True)
                home.insert(moments[line, voice], element)
            if several:
                measure.insert(0, home)


def _place_signs(measure: stream.Measure, moments: Mapping[int, Fraction]) -> None:
    """Clefs, keys and other signs stand before the next note of any voice."""
    lines = sorted(moments)
    for element in measure.elements:
        if element.priority and "GeneralNote" not in element.classes:
            following = bisect_left(lines, element.priority)
            if following < len(lines):
                measure.setElementOffset(element, moments[lines[following]])
