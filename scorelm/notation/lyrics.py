r"""Lyric lines: the syllables of a verse for the notes of a voice's measure, in one string.

line     = "_" [ verse / ":" name ] '"' word *( " " word ) '"'
word     = "_" / [ "-" ] syllable *( "-" syllable ) [ "-" ]
syllable = 1*char [ "=" ]     ; own hyphens are "--" (the first of a syllable \h), " " is \s, "_" \u, "=" \e

A line gives its syllables to the event before which it stands and to the chords behind it, one each; "_"
passes one over. Graces, and a chord to which a tie leads, are no places of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scorelm.errors import ScoreError
from scorelm.notation.marks import MAX_STRING_BYTES, SYLLABICS, UNESCAPES, spell_string, spell_verse
from scorelm.notation.model import Argument, Chord, Event, Item, Mark, Tuplet

LONGEST_GAP = 3  # chords that a line passes over; beyond them the next syllable stands by itself or begins a line
MOST_SLOTS = 32
LONGEST_SYLLABLE = 16  # so that no line comes near the bound of a string
Slot = Mark | None  # a chord's lyric in a line
_OWN = {" ": "\\s", "_": "\\u", "=": "\\e"}
_READ = UNESCAPES | {"--": "-", "\\h": "-"} | {escaped: char for char, escaped in _OWN.items()}
_SYLLABLE = re.compile(r'((?:--|\\[hsueqpn\\]|[^-=_ "\\])+)(=?)')


def verse_order(verse: Argument) -> tuple[bool, Argument]:
    """Numbers first, then names."""
    return isinstance(verse, str), verse


def chords_in_turn(items: Sequence[Item]) -> Iterator[Chord]:
    """The chords of a voice's measure that are places of lines, in turn."""
    tied = False
    for event in _events(items):
        if isinstance(event, Chord):
            if event.grace is None:
                if not tied:
                    yield event
                tied = leads_on(event)
        else:
            tied = False


def leads_on(event: Event) -> bool:
    """Whether a tie leads on from an event."""
    return isinstance(event, Chord) and any(note.tie for note in event.notes)


def _events(items: Sequence[Item]) -> Iterator[Event]:
    for item in items:
        if isinstance(item, Tuplet):
            yield from _events(item.items)
        else:
            yield item


def lines_of(items: Sequence[Item]) -> dict[int, list[tuple[Argument, list[Slot]]]]:
    """Which lines a voice's measure has: the place of the first chord -> verse and slots of each line there.

    A line has two syllables or more, the longest that LONGEST_GAP and MOST_SLOTS allow. Lyrics with elisions, or
    with an extender that says where it begins or stops, stand by themselves.
    """
    if not any(mark.name == "lyric" for event in _events(items) if isinstance(event, Chord) for mark in event.marks):
        return {}
    chords = list(chords_in_turn(items))
    verses = {mark.args[0] for chord in chords for mark in chord.marks if mark.name == "lyric" and mark.args}
    out: dict[int, list[tuple[Argument, list[Slot]]]] = {}
    for verse in sorted(verses, key=verse_order):
        start, line = 0, []  # type: int, list[Slot]
        for place, chord in enumerate([*chords, *[None] * (LONGEST_GAP + 1)]):
            slot = _plain_lyric(chord, verse)
            if slot is not None and not line:
                start = place
            if slot is not None or line:
                line.append(slot)
            gap = line[-LONGEST_GAP - 1 :] == [None] * (LONGEST_GAP + 1)
            if gap or len(line) == MOST_SLOTS:
                while line[-1] is None:
                    line.pop()
                if len(line) > 1:
                    out.setdefault(start, []).append((verse, line))
                line = []
    return out


def _plain_lyric(chord: Chord | None, verse: Argument) -> Slot:
    """The one lyric that a chord has in a verse, where a line can hold it."""
    found = [m for m in chord.marks if m.name == "lyric" and m.args[:1] == (verse,)] if chord else []
    if len(found) != 1 or len(found[0].args) < 3:
        return None
    _, text, syllabic, *more = found[0].args
    plain = 0 < len(str(text)) <= LONGEST_SYLLABLE and syllabic in SYLLABICS and more in ([], ["extend"])
    return found[0] if plain else None


def spell_line(verse: Argument, slots: Sequence[Slot]) -> str:
    """``_"Hal-le-lu-jah, _ a-men"``: the fifth chord has no syllable."""
    out: list[str] = []
    before = False  # a hyphen leads on from the last syllable
    for slot in slots:
        if slot is None:
            out += ("-" if before else "", " " if out else "", "_")
            before = False
            continue
        _, text, syllabic, *extend = slot.args
        to, behind = SYLLABICS[str(syllabic)]
        if before and to:
            out.append("-")
        else:
            out += ("-" if before else "", " " if out else "", to)
        out += (_spell_syllable(str(text)), "=" if extend else "")
        before = bool(behind)
    spelled = "".join(out) + ("-" if before else "")
    return "_" + spell_verse(verse) + f'"{spelled}"'


def _spell_syllable(text: str) -> str:
    spelled = "".join(_OWN.get(char, char) for char in spell_string(text)[1:-1])
    first, rest = spelled[:1], spelled[1:].replace("-", "--")
    return ("\\h" if first == "-" else first) + rest


def read_line(spelled: str, verse: Argument) -> list[Slot] | None:
    """The inverse of spell_line, of the quoted part; None for what it never writes."""
    slots: list[Slot] = []
    for word in spelled[1:-1].split(" "):
        if word == "_":
            slots.append(None)
            continue
        at, to = (1, "-") if word[:1] == "-" and word[:2] != "--" else (0, "")
        while match := _SYLLABLE.match(word, at):
            at = match.end()
            behind = word[at : at + 1]
            at += len(behind)
            syllabic = next((name for name, signs in SYLLABICS.items() if signs == (to, behind)), "")
            if not syllabic:
                return None
            slots.append(Mark("lyric", (verse, _read_syllable(match[1]), syllabic, *(["extend"] if match[2] else []))))
            to = behind
            if at == len(word):
                break
        if at < len(word) or not word:
            return None
    if len(spelled.encode(errors="replace")) > MAX_STRING_BYTES + 2:
        return None
    try:
        return slots if spell_line(verse, slots) == "_" + spell_verse(verse) + spelled else None
    except ScoreError:
        return None


def _read_syllable(spelled: str) -> str:
    return re.sub(r"--|\\.", lambda match: _READ[match.group()], spelled)
