"""Is anything of my score lost? A score goes to text and back, and both are counted by other code than made them.

The inventory is taken from the MusicXML itself: each note and rest by part, measure, staff, moment, length,
pitch and tie; all other notation by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from lxml import etree

from scorelm.api import MUSICXML_ENDINGS, load
from scorelm.musicxml.notices import notices
from scorelm.musicxml.reader import score_from_xml
from scorelm.musicxml.source import open_xml, read_bytes
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.reader import parse
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

Place = tuple[int, int]  # part, measure, both from 0
KINDS = {
    "lyric": "lyrics", "slur": "slurs", "articulations/*": "articulations", "ornaments/*": "ornaments",
    "technical/*": "fingerings and technical marks", "dynamics/*": "dynamics", "wedge": "hairpins",
    "words": "words", "metronome": "metronome marks", "rehearsal": "rehearsal marks", "harmony": "chord symbols",
    "figured-bass": "figured bass", "pedal": "pedal marks", "octave-shift": "ottavas", "arpeggiate": "arpeggios",
    "glissando": "glissandos", "slide": "slides", "notehead": "noteheads", "part-group": "part groups",
    "cue": "cue notes", "segno": "segnos", "coda": "codas", "tremolo": "tremolos",
    "fermata": "fermatas", "tuplet": "tuplet brackets", "bracket": "brackets", "dashes": "dashes", "frame": "chord diagrams",
    "repeat": "repeats", "ending": "endings", "clef": "clefs", "key": "keys", "time": "time signatures",
    "transpose": "transpositions", "staff-details": "staff details", "non-arpeggiate": "brackets of chords",
    "interchangeable": "interchangeable metres", "key-octave": "octaves of key signatures", "cancel": "cancelled keys",
    "measure-style/*": "measure styles", "accordion-registration": "registrations", "harp-pedals": "harp pedals",
    "grace": "grace notes",
}  # fmt: skip


@dataclass
class Inventory:
    """What a MusicXML document holds."""

    parts: list[str] = field(default_factory=list)
    numbers: dict[Place, str] = field(default_factory=dict)
    events: dict[Place, Counter[str]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(sum(found.values()) for found in self.events.values())


@dataclass(frozen=True)
class Checked:
    """What became of a score. ``changed``: by part and measure; ``left_out``: by the profile; ``total``: notes, rests.

    ``odd``: what the source itself has that is broken, doubtful or beyond the format
    """

    name: str
    changed: list[str]
    left_out: list[str]
    total: int
    odd: list[str]


def check(path: str | Path, profile: str = "full", name: str = "") -> Iterator[Checked]:
    """Take a file through text and back, score by score where it holds several. Raises ScorelmError.

    name: what to call it in the answers; default: its path
    """
    name = name or str(path)
    roots = _roots(path)
    for number, (root, said) in enumerate(roots, 1):
        yield _checked(root, said, name if len(roots) == 1 else f"{name}#{number}", profile)


def _checked(root: etree._Element, said: list[str], name: str, profile: str) -> Checked:
    before = inventory(root)
    score = score_from_xml(root, name)
    text = write(strip(score, profile))
    after = inventory(open_xml(write_musicxml(parse(text)), "the result"))
    left_out = [
        f"{count - after.kinds[kind]} {kind}" for kind, count in before.kinds.items() if count > after.kinds[kind]
    ]
    return Checked(name, list(_differences(before, after)), left_out, before.total, [*said, *notices(root, score)])


def _roots(path: str | Path) -> list[tuple[etree._Element, list[str]]]:
    """The MusicXML of each score of a file, and what its reader guessed or left out."""
    if Path(path).suffix.lower() in MUSICXML_ENDINGS:
        return [(open_xml(read_bytes(path), str(path)), [])]
    if Path(path).suffix.lower() == ".sclm":
        return [(open_xml(write_musicxml(load(path)), str(path)), [])]
    from scorelm import music21_bridge

    return [
        (open_xml(music21_bridge.export(s), str(path)), music21_bridge.notices(s))
        for s in music21_bridge.read_streams(path)
        if s.parts
    ]


def inventory(root: etree._Element) -> Inventory:
    """Count a document's notes, rests and other notation, straight from its elements."""
    out = Inventory([" ".join((n.text or "").split()) for n in root.iterfind("part-list/score-part/part-name")])
    for p, part in enumerate(root.findall("part")):
        divisions = Fraction(1)
        for m, measure in enumerate(part.findall("measure")):
            clock = start = Fraction(0)
            found: Counter[str] = Counter()
            for element in measure:
                if element.tag == "attributes" and element.find("divisions") is not None:
                    divisions = Fraction(element.findtext("divisions") or 1)
                length = Fraction(element.findtext("duration") or 0) / divisions
                if element.tag == "backup":
                    clock = max(clock - length, Fraction(0))
                elif element.tag == "forward":
                    clock += length
                elif element.tag == "note":
                    if element.find("chord") is None:
                        start = clock
                        clock += length
                    found[_name(element, start, length)] += 1
            out.events[p, m] = found
            out.numbers[p, m] = measure.get("number", "")
    for path, kind in KINDS.items():
        out.kinds[kind] = sum(1 for _ in root.iterfind(f".//{path}"))
    return out


def _name(note: etree._Element, start: Fraction, length: Fraction) -> str:
    """``C#4 at 1 for 1/2`` with what else tells it apart."""
    if note.find("rest") is not None:
        what = "hidden rest" if note.get("print-object") == "no" else "rest"
    else:
        alter = Fraction(note.findtext("pitch/alter") or 0)
        sign = {0: "", 1: "#", -1: "b", 2: "##", -2: "bb"}.get(
            int(alter) if alter.denominator == 1 else 99, f"({alter})"
        )
        step = note.findtext("pitch/step") or note.findtext("unpitched/display-step") or "x"
        octave = note.findtext("pitch/octave") or note.findtext("unpitched/display-octave") or ""
        what = step + sign + octave
    grace = "grace " if note.find("grace") is not None else ""
    tie = " tied on" if any(t.get("type") == "start" for t in note.iterfind("tie")) else ""
    staff = note.findtext("staff") or "1"
    where = "" if staff == "1" else f" on staff {staff}"
    return f"{grace}{what} at {start} for {length}{tie}{where}"


def _differences(before: Inventory, after: Inventory) -> Iterator[str]:
    if len(before.parts) != len(after.parts):
        yield f"{len(before.parts)} parts became {len(after.parts)}"
    for place in sorted(before.events.keys() | after.events.keys()):
        old, new = before.events.get(place, Counter()), after.events.get(place, Counter())
        if old == new:
            continue
        part, measure = place
        name = before.parts[part] if part < len(before.parts) else ""
        number = before.numbers.get(place) or after.numbers.get(place) or str(measure + 1)
        lost = ", ".join((old - new).elements())
        made = ", ".join((new - old).elements())
        said = "; ".join(x for x in (f"lost {lost}" if lost else "", f"new {made}" if made else "") if x)
        yield f"part {part + 1} ({name}), measure {number}: {said}"
