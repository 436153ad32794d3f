"""What stands before the music: titles, creators, credits, part groups, instruments <-> marks of the first measure."""

from __future__ import annotations

from fractions import Fraction

from lxml import etree

from scorelm.musicxml.names import CREATORS, TITLES
from scorelm.musicxml.values import clean, whole
from scorelm.notation.model import Argument, Attribute, Mark

_TITLE_PATH = {name: path for path, name in TITLES.items()}

Sub = etree.SubElement


# -- reading -----------------------------------------------------------------------------------


def read_titles_of(root: etree._Element) -> list[Mark]:
    """Titles, creators, rights, source, and those credits that say something else."""
    out = []
    for path, name in TITLES.items():
        text = clean(root.findtext(path))
        if text:
            out.append(Mark(name, (text,)))
    for creator in root.iterfind("identification/creator"):
        text, kind = clean(creator.text), creator.get("type") or ""
        if text:
            out.append(Mark(kind, (text,)) if kind in CREATORS else Mark("creator", (text, kind)))
    for tag in ("rights", "source"):
        out += [Mark(tag, (clean(e.text),)) for e in root.iterfind(f"identification/{tag}") if clean(e.text)]
    said = {" ".join(str(arg).split()) for mark in out for arg in mark.args}
    for credit in root.iterfind("credit"):
        kinds = [clean(e.text) for e in credit.iterfind("credit-type")]
        text = clean("\n".join(clean(e.text) for e in credit.iterfind("credit-words")))
        if text and " ".join(text.split()) not in said and "page number" not in kinds:
            said.add(" ".join(text.split()))
            out.append(Mark("credit", (text, *kinds[:1])))
    return out


def read_instruments(header: etree._Element) -> list[Attribute]:
    """A part's abbreviation and what sounds it; several instruments are named one by one."""
    marks: list[Attribute] = []
    abbreviation = clean(header.findtext("part-abbreviation"))
    if abbreviation:
        marks.append(Mark("abbreviation", (abbreviation,)))
    instruments = header.findall("score-instrument")
    midi = {e.get("id"): e for e in header.iterfind("midi-instrument")}
    if len(instruments) < 2:
        program = header.findtext("midi-instrument/midi-program")
        if program is not None and 1 <= whole(program, 0) <= 128:
            marks.append(Mark("instrument", (Fraction(whole(program, 0)),)))
        sound = clean(header.findtext("score-instrument/instrument-sound"))
        if sound:
            marks.append(Mark("sound", (sound,)))
        unpitched = whole(header.findtext("midi-instrument/midi-unpitched"), 0)
        if 1 <= unpitched <= 128:
            marks.append(Mark("unpitched-sound", (Fraction(unpitched),)))
        return marks
    for instrument in instruments:
        own = midi.get(instrument.get("id"))
        numbers = [0 if own is None else whole(own.findtext(t), 0) for t in ("midi-program", "midi-unpitched")]
        args: list[Argument] = [clean(instrument.findtext("instrument-name"))]
        args += [Fraction(n if 1 <= n <= 128 else 0) for n in numbers]
        args.append(clean(instrument.findtext("instrument-sound")))
        marks.append(Mark("instrument-name", tuple(args)))
    return marks


def instrument_numbers(header: etree._Element | None) -> dict[str | None, int]:
    """id of a part's instrument -> its number from 1."""
    if header is None:
        return {}
    return {e.get("id"): i for i, e in enumerate(header.iterfind("score-instrument"), 1)}


def read_groups(root: etree._Element) -> dict[str | None, list[Mark]]:
    """id of a part -> the groups that begin and end with it."""
    out: dict[str | None, list[Mark]] = {}
    opened: dict[str, int] = {}
    waiting: list[Mark] = []
    last: str | None = None
    for element in root.iterfind("part-list/*"):
        if element.tag == "score-part":
            last = element.get("id")
            out[last] = waiting
            waiting = []
        elif element.tag == "part-group":
            key = element.get("number") or "1"
            if element.get("type") == "start":
                own = next(n for n in range(1, 99) if n not in opened.values())
                opened[key] = own
                args: list[Argument] = [Fraction(own)]
                args += [clean(element.findtext(f"group-{t}")) for t in ("symbol", "barline", "name", "abbreviation")]
                while not args[-1]:
                    args.pop()
                waiting.append(Mark("group", tuple(args)))
            elif key in opened:
                out.setdefault(last, []).append(Mark("group-end", (Fraction(opened.pop(key)),)))
    return out


# -- writing -----------------------------------------------------------------------------------


def write_titles(root: etree._Element, marks: list[Mark], title: str) -> None:
    """The elements before <part-list>, in the order that the schema asks for."""
    found: dict[str, str] = {}
    for mark in marks:
        if mark.name in _TITLE_PATH and mark.args:
            found.setdefault(mark.name, str(mark.args[0]))
    if title and not found.keys() & {"title", "movement"}:
        found["title"] = title
    if found.keys() & {"work-number", "title"}:
        work = Sub(root, "work")
        for name in ("work-number", "title"):
            if name in found:
                Sub(work, "work-number" if name == "work-number" else "work-title").text = found[name]
    for name, tag in (("movement-number", "movement-number"), ("movement", "movement-title")):
        if name in found:
            Sub(root, tag).text = found[name]
    identification = etree.Element("identification")
    for mark in marks:
        if mark.name in CREATORS and mark.args:
            Sub(identification, "creator", type=mark.name).text = str(mark.args[0])
        elif mark.name == "creator" and mark.args:
            kind = {"type": str(mark.args[1])} if len(mark.args) > 1 and mark.args[1] else {}
            Sub(identification, "creator", kind).text = str(mark.args[0])
    for tag in ("rights", "source"):
        texts = [str(m.args[0]) for m in marks if m.name == tag and m.args]
        for text in texts if tag == "rights" else texts[:1]:
            Sub(identification, tag).text = text
    if len(identification):
        root.append(identification)
    for mark in marks:
        if mark.name == "credit" and mark.args:
            credit = Sub(root, "credit", page="1")
            if len(mark.args) > 1:
                Sub(credit, "credit-type").text = str(mark.args[1])
            Sub(credit, "credit-words").text = str(mark.args[0])


def write_part_header(part_list: etree._Element, identity: str, name: str, marks: tuple[Attribute, ...]) -> None:
    """A <score-part> with the groups that begin before it and end behind it."""
    named = [m for m in marks if isinstance(m, Mark)]
    for mark in named:
        if mark.name == "group":
            own, *texts = [str(a) for a in mark.args] or ["1"]
            group = Sub(part_list, "part-group", type="start", number=own)
            fields = dict(zip(("symbol", "barline", "name", "abbreviation"), texts))
            for tag in ("name", "abbreviation", "symbol", "barline"):
                if fields.get(tag):
                    Sub(group, f"group-{tag}").text = fields[tag]
    element = Sub(part_list, "score-part", id=identity)
    Sub(element, "part-name").text = name
    found = {m.name: m.args for m in named}
    if found.get("abbreviation"):
        Sub(element, "part-abbreviation").text = str(found["abbreviation"][0])
    instruments = [m.args for m in named if m.name == "instrument-name"]
    if not instruments:  # named all the same: MuseScore complains of a part without one
        program = found.get("instrument") or (Fraction(0),)
        unpitched = found.get("unpitched-sound") or (Fraction(0),)
        sound = found.get("sound") or ("",)
        instruments = [(name, program[0], unpitched[0], sound[0])]
    filled = [(*args, *("", Fraction(0), Fraction(0), "")[len(args) :]) for args in instruments]
    for number, args in enumerate(filled, 1):
        instrument = Sub(element, "score-instrument", id=f"{identity}-I{number}")
        Sub(instrument, "instrument-name").text = str(args[0])
        if args[3]:
            Sub(instrument, "instrument-sound").text = str(args[3])
    for number, args in enumerate(filled, 1):
        if not args[1] and not args[2]:
            continue
        midi = Sub(element, "midi-instrument", id=f"{identity}-I{number}")
        if args[2]:
            Sub(midi, "midi-channel").text = "10"
        if args[1]:
            Sub(midi, "midi-program").text = str(args[1])
        if args[2]:
            Sub(midi, "midi-unpitched").text = str(args[2])
    for mark in named:
        if mark.name == "group-end":
            Sub(part_list, "part-group", type="stop", number=str(mark.args[0] if mark.args else 1))
