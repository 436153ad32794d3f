"""What of a teacher's replies is good: only what the score does not contradict.

A transcription must be score text with full bars, and show what is known of the picture. Of fields each must be as it
is known. Words must name the facts that they were asked for, and no key, measure, signature or pitch that is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from scorelm.errors import ScorelmError
from scorelm.notation.model import Chord, Score, timeline
from scorelm.notation.reader import parse
from scorelm.notation.sound import OPEN_AT_END, sound_problems
from scorelm.notation.writer import write
from vlm.data.facts import FIELDS, View, fields_of
from vlm.data.record import ALIGNMENT, EXTRACTION, Record

SHOWN = ("key_signature", "time_signature", "clefs", "staves", "measures")  # of a transcription, compared
LONGEST = 1200  # letters of an answer in words
_NUMBERS = dict(zip("zero one two three four five six seven eight nine ten eleven twelve".split(), range(13)))
_SIGNS = {"♯": "-sharp", "#": "-sharp", "♭": "-flat"}
_NOTE = r"\b([A-G](?:-(?:double-)?(?:sharp|flat))?)"


class Refused(ScorelmError):
    """A reply is not good; the message is the cause."""


def judged(record: Record, reply: str) -> str:
    """The answer in a reply, in our form. Refused with the cause where it is not good."""
    text = _bare(reply)
    if record.phase == ALIGNMENT:
        return _transcription(record, text)
    if record.phase == EXTRACTION and json_object(record.answer) is not None:
        return _fields(record, text)
    return _words(record, reply)


def _bare(reply: str) -> str:
    """Without the fence of a code block and what is said around it."""
    found = re.search(r"```[a-z]*\n(.*?)```", reply, re.DOTALL)
    return (found[1] if found else reply).strip()


def _transcription(record: Record, text: str) -> str:
    try:
        score = parse(text)
        if not score.measures:
            raise Refused("a transcription without measures")
        text = write(score)
        if set(sound_problems(text)) - {OPEN_AT_END}:  # into music that the picture does not show
            raise Refused("a transcription whose bars are not full")
        shown = fields_of(View(score))
    except Refused:
        raise
    except ScorelmError:
        raise Refused("a transcription that is no score text") from None
    known = record.known
    for name in SHOWN:
        if name in known and shown[name] != known[name]:
            raise Refused(f"a transcription with another {name}")
    return text


def _fields(record: Record, text: str) -> str:
    wanted, found = json_object(record.answer) or {}, json_object(text)
    if found is None:
        raise Refused("fields that are no JSON object")
    if wanted.keys() - found.keys():
        raise Refused("fields are missing")
    known = record.known
    for name in wanted:
        if name in known and plain(found[name]) != plain(known[name]):
            raise Refused(f"fields with another {name}")
    return json.dumps({name: known.get(name, found[name]) for name in wanted}, ensure_ascii=False)


def json_object(text: str) -> dict[str, Any] | None:
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def plain(value: Any) -> Any:
    """Values that mean the same are equal: case, white space, "3" and 3, "" and null."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str):
        value = " ".join(value.split()).casefold()
        return int(value) if value.isdecimal() else value or None
    return value


# -- words -------------------------------------------------------------------------------------


def _words(record: Record, reply: str) -> str:
    said = " ".join(reply.split())
    if not said:
        raise Refused("no words")
    if len(said) > LONGEST:
        raise Refused("too many words")
    if "```" in reply or said.count("|") > 1:
        raise Refused("no words but code")
    text, known = _spelled(said), record.known
    asked = {name: value for name, value in known.items() if name not in FIELDS}
    for name, value in asked.items():
        if not all(_named(one, text) for one in _facts(value)):
            raise Refused(f"words that do not name the {name}")
    keys = {f"{note} {mode.lower()}" for note, mode in re.findall(_NOTE + r"[ -](major|minor)\b(?! [a-z]*-?(?:triad|chord|seventh))", text)}  # fmt: skip
    if "key" in known and keys - {known["key"]}:
        raise Refused("words with another key")
    _same(r"\b(\d+|no) (sharps?|flats?)\b", known.get("key_signature"), text, "key signature", _signature)
    _same(r"\b(\d+)/(\d+)\b(?= (?:time|met))", known.get("time_signature"), text, "time signature", "/".join)
    if record.score:
        _there(parse(record.score), text)
    return said


def _facts(value: Any) -> Iterator[str]:
    """The words or numbers of a fact that must be said."""
    if isinstance(value, dict):
        for name, count in value.items():
            yield str(name).replace("-", " ")
            if isinstance(count, int) and count > 1:
                yield str(count)
    elif value is not None:
        yield str(value)


def _named(fact: str, text: str) -> bool:
    pattern = re.escape(fact.replace("-", " ")).replace(r"\ ", r"[ ,]+(?:triad,? |chord,? |is )?")
    return re.search(rf"(?<![\w]){pattern}(?:s|es|th notes?)?(?!\w)", text.replace("-", " "), re.IGNORECASE) is not None


def _spelled(text: str) -> str:
    """Signs and numbers in the words of facts: "F♯", "F#" and "F sharp" -> "F-sharp"; "four" -> "4"."""
    text = re.sub(r"\b([A-G])([♯#♭])", lambda m: m[1] + _SIGNS[m[2]], text)
    text = re.sub(r"\b([A-G])b(?=\d|\b)", r"\1-flat", text)
    text = re.sub(r"\b([A-G])[ -](sharp|flat)", r"\1-\2", text)
    return re.sub(r"\b[A-Za-z]+\b", lambda m: str(_NUMBERS.get(m[0].lower(), m[0])), text)


def _same(pattern: str, known: Any, text: str, name: str, read: Any) -> None:
    """Whatever is said of a signature is as it is known, where it is."""
    if isinstance(known, str) and known != "other":
        for found in re.findall(pattern, text):
            if read(found) != known:
                raise Refused(f"words with another {name}")


def _signature(found: tuple[str, str]) -> str:
    count, kind = found
    if count in ("no", "0"):
        return "no sharps or flats"
    return f"{count} {kind.rstrip('s')}{'s' if count != '1' else ''}"


def _there(score: Score, text: str) -> None:
    """Measures and pitches that are named are in the score."""
    numbers = {measure.number for measure in score.measures}
    if set(re.findall(r"\b[Mm]easures? (\d+)\b", text)) - numbers:
        raise Refused("words on a measure that is not there")
    there = set(_pitches(score))
    if {(note, int(octave)) for note, octave in re.findall(_NOTE + r"(\d)\b", text)} - there:
        raise Refused("words on a pitch that is not there")


def _pitches(score: Score) -> Iterator[tuple[str, int]]:
    names = {0: "", 1: "-sharp", -1: "-flat", 2: "-double-sharp", -2: "-double-flat"}
    for measure in score.measures:
        for part in measure.parts:
            for staff in part.staves if part else ():
                for voice in staff.voices:
                    for timed in timeline(voice, (part.length if part else None) or measure.length):
                        if isinstance(timed.event, Chord):
                            for note in timed.event.notes:
                                yield note.pitch.step + names.get(int(note.pitch.alter), "?"), note.pitch.octave
