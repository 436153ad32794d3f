"""What is true of a picture, computed from its score: the fields of extraction.

A field that the picture does not show is null: a system from the middle of a page has no title and no time signature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scorelm.notation.model import Attribute, Chord, Clef, Key, Mark, Measure, Score, Time, timeline

FIELDS = (
    "title", "composer", "tempo", "key_signature", "time_signature", "clefs", "parts", "staves", "measures",
    "first_measure", "notes",
)  # fmt: skip
CLEFS = {
    ("G", 2, 0): "treble", ("F", 4, 0): "bass", ("C", 3, 0): "alto", ("C", 4, 0): "tenor", ("C", 1, 0): "soprano",
    ("C", 2, 0): "mezzo-soprano", ("G", 2, -1): "treble 8vb", ("G", 2, 1): "treble 8va", ("F", 4, -1): "bass 8vb",
    ("F", 3, 0): "baritone", ("C", 5, 0): "baritone", ("G", 1, 0): "French violin",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """A picture as it is known: its score (from ``visible``) and what is printed above it."""

    score: Score
    title: str = ""
    composer: str = ""
    tempo: str = ""
    number: str = ""  # of the first measure, as printed


def fields_of(view: View) -> dict[str, Any]:
    """All fields of a picture, in the order of FIELDS."""
    first = view.score.measures[0]
    marks = start_marks(first)
    names = [part.name for part in view.score.parts if part.name]
    return {
        "title": view.title or None,
        "composer": view.composer or None,
        "tempo": view.tempo or None,
        "key_signature": next((key_words(mark) for mark in marks if isinstance(mark, Key)), None),
        "time_signature": next((time_words(mark) for mark in marks if isinstance(mark, Time)), None),
        "clefs": _clefs(first),
        "parts": names or None,
        "staves": sum(part.staves for part in view.score.parts),
        "measures": len(view.score.measures),
        "first_measure": int(view.number) if view.number.isdecimal() else None,
        "notes": note_heads(view.score),
    }


def as_json(fields: dict[str, Any], names: Sequence[str]) -> str:
    """The answer to a question for these fields."""
    return json.dumps({name: fields[name] for name in names}, ensure_ascii=False)


def start_marks(measure: Measure) -> list[Attribute]:
    """What stands at a measure's start: for all, for a part, on a staff."""
    out: list[Attribute] = [*measure.marks]
    for part in measure.parts:
        if part is not None:
            out += part.marks
            out += [timed.mark for staff in part.staves for timed in staff.marks if timed.offset == 0]
    return out


def tempo_of(score: Score, measure: int) -> str:
    """The words of the tempo that stand at the start of a measure, counted from 0."""
    for mark in start_marks(score.measures[measure]):
        if isinstance(mark, Mark) and mark.name in ("tempo", "tempo-text") and mark.args:
            words = [argument for argument in mark.args if isinstance(argument, str) and argument]
            if words:
                return words[0]
    return ""


def key_words(key: Key) -> str:
    if key.alters:
        return "other"
    if not key.fifths:
        return "no sharps or flats"
    count, kind = abs(key.fifths), "sharp" if key.fifths > 0 else "flat"
    return f"{count} {kind}{'s' if count > 1 else ''}"


def time_words(time: Time) -> str:
    return "+".join(f"{'+'.join(map(str, beats))}/{unit}" for beats, unit in time.terms)


def clef_words(clef: Clef) -> str:
    return CLEFS.get((clef.sign, clef.line or 0, clef.octave), f"{clef.sign}{clef.line or ''}")


def note_heads(score: Score) -> int:
    """Heads drawn, graces too."""
    return sum(
        len(timed.event.notes)
        for measure in score.measures
        for part in measure.parts
        if part
        for staff in part.staves
        for voice in staff.voices
        for timed in timeline(voice, part.length or measure.length)
        if isinstance(timed.event, Chord)
    )


def _clefs(first: Measure) -> list[str | None]:
    out: list[str | None] = []
    for part in first.parts:
        for staff in part.staves if part else ():
            found = [t.mark for t in staff.marks if t.offset == 0 and isinstance(t.mark, Clef)]
            out.append(clef_words(found[0]) if found else None)
    return out
