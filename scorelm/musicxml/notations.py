"""What stands at a note: <notations>, <lyric>, <notehead>, <accidental> ... <-> marks of the event and of the note."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from lxml import etree

from scorelm.errors import ScoreError
from scorelm.musicxml.names import (
    ACCIDENTAL_MANNERS,
    ACCIDENTALS,
    ARTICULATIONS,
    FERMATAS,
    NOTEHEADS,
    ORNAMENT_ACCIDENTALS,
    ORNAMENTS,
    TECHNICAL,
    TECHNICAL_LINES,
    TECHNICAL_TEXTS,
    inverse,
)
from scorelm.musicxml.spanners import Spanners
from scorelm.musicxml.values import clean, decimal, number, whole
from scorelm.notation.marks import check_arguments
from scorelm.notation.model import Argument, Mark

# what each note of a chord has for itself; what all notes of a chord share becomes the chord's
OWN = frozenset(
    (*TECHNICAL.values(), *TECHNICAL_TEXTS.values(), "harmonic", "artificial-harmonic", "base-pitch",
     "touching-pitch", "sounding-pitch", "bend", "pre-bend", "release", "with-bar", "substitution", "alternate",
     "arpeggio", "arpeggio-up", "arpeggio-down", "gliss(", "gliss)", "slide(", "slide)", "hammer-on(", "hammer-on)",
     "pull-off(", "pull-off)", "cue", "small", "grace-cue", "large", "stem-none", "stem-double")
)  # fmt: skip
SHARED = ("arpeggio", "arpeggio-up", "arpeggio-down")  # said once for the whole chord where every note has it

_STOPPING = {"slur)", "gliss)", "slide)", "wavy)", "tremolo)", "hammer-on)", "pull-off)"}
_LINES = {style: f"line-{style}" for style in ("solid", "dashed", "dotted", "wavy")}
_ARTICULATION_OF = inverse(ARTICULATIONS)
_ORNAMENT_OF = inverse(ORNAMENTS)
_ORNAMENT_ACCIDENTAL_OF = inverse(ORNAMENT_ACCIDENTALS)
_TECHNICAL_OF = inverse(TECHNICAL)
_NOTEHEAD_OF = inverse(NOTEHEADS) | {
    "left-triangle": "left triangle", "inverted-triangle": "inverted triangle", "circle-dot": "circle dot"
}  # fmt: skip
_ACCIDENTAL_OF = inverse(ACCIDENTALS)
_SHAPE_OF = inverse(FERMATAS)
_HARMONICS = ("base-pitch", "touching-pitch", "sounding-pitch")

Sub = etree.SubElement


# -- reading -----------------------------------------------------------------------------------


def read_notations(note: etree._Element, first: dict[str, etree._Element], spanners: Spanners) -> list[Mark]:
    """The marks of a <note>'s notations and lyrics, ties, tuplets and dynamics apart. ``first``: its children by tag."""
    out: list[Mark] = []
    for notations in note.iterfind("notations") if "notations" in first else ():
        for element in _stops_first(notations):
            tag = element.tag
            if tag == "articulations":
                out += [_articulation(e) for e in element if isinstance(e.tag, str)]
            elif tag == "ornaments":
                for ornament in _stops_first(element):
                    out += _ornament(ornament, spanners)
            elif tag == "technical":
                for technical in _stops_first(element):
                    out += _technical(technical, spanners)
            elif tag == "fermata":
                out.append(_fermata(element))
            elif tag == "slur":
                out += _line(element, "slur", spanners)
            elif tag in ("glissando", "slide"):
                out += _line(element, "gliss" if tag == "glissando" else "slide", spanners)
            elif tag == "arpeggiate":
                direction = element.get("direction")
                out.append(Mark(f"arpeggio-{direction}" if direction in ("up", "down") else "arpeggio"))
            elif tag == "non-arpeggiate":
                out.append(Mark("non-arpeggio(" if element.get("type") == "bottom" else "non-arpeggio)"))
            elif tag == "accidental-mark":
                out.append(_accidental_mark(element))
            elif tag == "other-notation":
                out.append(Mark("other-notation", _texts(element)))
    if "cue" in first:
        out.append(Mark("cue"))
    elif (kind := first.get("type")) is not None and kind.get("size") in ("cue", "grace-cue", "large"):
        out.append(Mark({"cue": "small", "grace-cue": "grace-cue", "large": "large"}[kind.get("size", "")]))
    if "stem" in first and (stem := clean(first["stem"].text)) in ("none", "double"):
        out.append(Mark(f"stem-{stem}"))
    out = [fitting(mark) for mark in out]
    if "lyric" in first:
        out += [_lyric(e) for e in note.iterfind("lyric")]
    return out


def _stops_first(elements: etree._Element) -> list[etree._Element]:
    """What begins here behind the rest, so that it can take the number of what ends here."""
    return sorted(elements, key=lambda e: e.get("type") == "start")


def fitting(mark: Mark) -> Mark:
    """The mark, without the arguments that it does not take: stray text in an element that has none."""
    try:
        check_arguments(mark)
    except ScoreError:
        return Mark(mark.name)
    return mark


def read_head(note: etree._Element, first: dict[str, etree._Element]) -> list[Mark]:
    """The marks of one note head: its shape, the accidental that it shows, whether it is hidden."""
    out: list[Mark] = []
    head = first.get("notehead")
    if head is not None:
        name = clean(head.text)
        if name not in ("", "normal"):
            out.append(Mark(NOTEHEADS[name]) if name in NOTEHEADS else Mark("other-head", (name,)))
        if head.get("filled"):
            out.append(Mark("head-filled" if head.get("filled") == "yes" else "head-open"))
        if head.get("parentheses") == "yes":
            out.append(Mark("head-parentheses"))
    accidental = first.get("accidental")
    if accidental is not None and clean(accidental.text):
        text = clean(accidental.text)
        out.append(Mark(ACCIDENTALS[text]) if text in ACCIDENTALS else Mark("show-accidental", (text,)))
        out += [Mark(manner) for manner in ACCIDENTAL_MANNERS if accidental.get(manner) == "yes"]
    if note.get("print-object") == "no":
        out.append(Mark("hidden"))
    if "notations" in first and any(t.get("type") == "let-ring" for t in note.iterfind("notations/tied")):
        out.append(Mark("let-ring"))
    return out


def _articulation(element: etree._Element) -> Mark:
    name = ARTICULATIONS.get(element.tag, "other-articulation")
    if name == "strong-accent" and element.get("type") == "down":
        return Mark(name, ("down",))
    if name == "other-articulation" and element.tag != "other-articulation":
        return Mark(name, (element.tag,))
    return Mark(name, _texts(element))


def _ornament(element: etree._Element, spanners: Spanners) -> list[Mark]:
    tag = element.tag
    if tag == "wavy-line":
        return _line(element, "wavy", spanners)
    if tag == "accidental-mark":
        return [_accidental_mark(element)]
    if tag == "tremolo":
        strokes = whole(element.text, 3)
        kind = element.get("type") or "single"
        if kind in ("start", "stop"):
            return [Mark("tremolo(" if kind == "start" else "tremolo)", (Fraction(strokes),))]
        if kind == "unmeasured":
            return [Mark("tremolo-unmeasured")]
        return [Mark(f"tremolo{strokes}" if strokes in (1, 2, 3, 4, 5, 6, 8) else "tremolo3")]
    if tag in ORNAMENTS:
        return [Mark(ORNAMENTS[tag], _texts(element))]
    return [Mark("other-ornament", (tag,))] if isinstance(tag, str) else []


def _accidental_mark(element: etree._Element) -> Mark:
    below: tuple[Argument, ...] = ("below",) if element.get("placement") == "below" else ()
    text = clean(element.text)
    if text in ORNAMENT_ACCIDENTALS:
        return Mark(ORNAMENT_ACCIDENTALS[text], below)
    return Mark("ornament-accidental", (text, *below))


def _technical(element: etree._Element, spanners: Spanners) -> list[Mark]:
    tag = element.tag
    if tag in TECHNICAL:
        return [Mark(TECHNICAL[tag])]
    if tag in TECHNICAL_TEXTS:
        args = _texts(element)
        if tag == "arrow" or tag == "hole":
            args = tuple(clean(e.text) for e in element if clean(e.text))
        elif args and str(args[0]).isascii() and str(args[0]).isdigit() and str(int(str(args[0]))) == args[0]:
            args = (Fraction(str(args[0])),) if len(str(args[0])) < 10 else args
        out = [Mark(TECHNICAL_TEXTS[tag], args)]
        if tag == "fingering":
            out += [Mark(n) for n in ("substitution", "alternate") if element.get(n) == "yes"]
        return out
    if tag in TECHNICAL_LINES:
        return _line(element, tag, spanners)
    if tag == "harmonic":
        out = [Mark("artificial-harmonic" if element.find("artificial") is not None else "harmonic",
                    ("natural",) if element.find("natural") is not None else ())]  # fmt: skip
        return out + [Mark(name) for name in _HARMONICS if element.find(name) is not None]
    if tag == "bend":
        out = [Mark("bend", (number(element.findtext("bend-alter"), Fraction(0)),))]
        out += [Mark(name) for name in ("pre-bend", "release") if element.find(name) is not None]
        bar = element.find("with-bar")
        return out + ([Mark("with-bar", _texts(bar))] if bar is not None else [])
    return [Mark("other-technical", (tag,))] if isinstance(tag, str) else []


def _fermata(element: etree._Element) -> Mark:
    shape = clean(element.text)
    if element.get("type") == "inverted":
        return Mark("inverted-fermata", (shape,) if shape in FERMATAS else ())
    return Mark(FERMATAS.get(shape, "fermata"))


def _line(element: etree._Element, name: str, spanners: Spanners) -> list[Mark]:
    """A start, stop or continue of a line of its own number."""
    kind = element.get("type")
    if kind == "continue":
        found = f"{name}-continue"
        return [Mark(found, spanners.current(name, element.get("number")))] if name in ("slur", "wavy") else []
    if kind not in ("start", "stop"):
        return []
    args = spanners.number(name, element.get("number"), kind == "start")
    if name in ("gliss", "slide", "hammer-on", "pull-off"):
        args += _texts(element)
    out = [Mark(name + ("(" if kind == "start" else ")"), args)]
    style = element.get("line-type")
    if kind == "start" and name == "slur" and style in ("dashed", "dotted"):
        out.append(Mark(f"slur-{style}"))
    elif kind == "start" and name in ("gliss", "slide") and style in _LINES:
        out.append(Mark(_LINES[style]))
    return out


def _lyric(element: etree._Element) -> Mark:
    """args: verse (a number, or a name), text, syllabic, then (elision, text) pairs, then "extend" and its type."""
    verse: Argument = element.get("number") or "1"
    if str(verse).isascii() and str(verse).isdigit() and str(int(str(verse))) == verse and len(str(verse)) < 10:
        verse = Fraction(str(verse))
    texts: list[str] = []
    for child in element:
        if child.tag == "elision":
            texts.append(_syllable(child.text, ""))
        elif child.tag == "text":
            if len(texts) % 2:  # two texts without an elision between
                texts.append("")
            texts.append(_syllable(child.text))
    if len(texts) % 2 == 0:
        texts.append("")
    syllabic = clean(element.findtext("syllabic")) or "single"
    if syllabic not in ("begin", "middle", "end") or texts == [""]:
        syllabic = "single"
    args: tuple[Argument, ...] = (verse, texts[0], syllabic, *texts[1:])
    extend = element.find("extend")
    if extend is not None:
        kind = extend.get("type")
        args += (f"extend-{kind}" if kind in ("start", "stop", "continue") else "extend",)
    return Mark("lyric", args)


def _syllable(text: str | None, ends: str = " ") -> str:
    """Text without line breaks, controls and the ``ends`` around it; spaces that do not break stay."""
    return "".join(c if c >= " " and c != "\x7f" else " " for c in text).strip(ends) if text else ""


def _texts(element: etree._Element) -> tuple[Argument, ...]:
    text = clean(element.text)
    return (text,) if text else ()


# -- writing -----------------------------------------------------------------------------------


def write_notations(notations: etree._Element, marks: Iterable[Mark]) -> None:
    """Put marks of the event or of a note where they belong below <notations>; stops come before starts."""
    groups: dict[str, etree._Element] = {}

    def group(tag: str) -> etree._Element:
        if tag not in groups:
            groups[tag] = Sub(notations, tag)
        return groups[tag]

    marks = list(marks)
    last: etree._Element | None = None  # what the marks behind it say more of
    styles = [m.name.removeprefix("slur-") for m in marks if m.name in ("slur-dashed", "slur-dotted")]
    for mark in sorted(marks, key=lambda m: m.name not in _STOPPING):
        name, args = mark.name, mark.args
        base, end = (name[:-1], name[-1]) if name[-1] in "()" else (name, "")
        if name in _ARTICULATION_OF:
            element = Sub(group("articulations"), _ARTICULATION_OF[name])
            if name == "strong-accent":
                element.set("type", "down" if "down" in args else "up")
            elif args:
                element.text = str(args[0])
        elif name in _ORNAMENT_OF:
            element = Sub(group("ornaments"), _ORNAMENT_OF[name])
            if args:
                element.text = str(args[0])
        elif name in _ORNAMENT_ACCIDENTAL_OF or name == "ornament-accidental":
            home = group("ornaments") if "ornaments" in groups else notations
            element = Sub(home, "accidental-mark")
            element.text = _ORNAMENT_ACCIDENTAL_OF.get(name) or str(args[0] if args else "")
            element.set("placement", "below" if "below" in args else "above")
        elif name.startswith("tremolo"):
            element = Sub(group("ornaments"), "tremolo")
            element.set(
                "type", {"(": "start", ")": "stop"}.get(end, "unmeasured" if "unmeasured" in name else "single")
            )
            element.text = "0" if "unmeasured" in name else str(args[0]) if args else name[7:8] if not end else "3"
        elif base == "wavy" or name == "wavy-continue":
            _numbered(Sub(group("ornaments"), "wavy-line"), end, args)
        elif name in _TECHNICAL_OF:
            Sub(group("technical"), _TECHNICAL_OF[name])
        elif name in TECHNICAL_TEXTS:
            last = _write_technical(group("technical"), name, args)
        elif name in ("substitution", "alternate"):
            if last is not None and last.tag == "fingering":
                last.set(name, "yes")
        elif base in TECHNICAL_LINES:
            element = _numbered(Sub(group("technical"), base), end, args)
            element.text = next((str(a) for a in args if isinstance(a, str)), None)
        elif name in ("harmonic", "artificial-harmonic"):
            last = Sub(group("technical"), "harmonic")
            if name == "artificial-harmonic":
                Sub(last, "artificial")
            elif args:
                Sub(last, "natural")
        elif name in _HARMONICS:
            if last is not None and last.tag == "harmonic" and last[-1:] and last[-1].tag not in _HARMONICS:
                Sub(last, name)
        elif name == "bend":
            last = Sub(group("technical"), "bend")
            Sub(last, "bend-alter").text = decimal(args[0]) if args and not isinstance(args[0], str) else "0"
        elif name in ("pre-bend", "release", "with-bar"):
            if last is not None and last.tag == "bend":
                Sub(last, name).text = str(args[0]) if args else None
        elif base == "slur" or name == "slur-continue":
            element = _numbered(Sub(notations, "slur"), end, args)
            if end == "(" and styles:
                element.set("line-type", styles.pop(0))
        elif base in ("gliss", "slide"):
            last = _numbered(Sub(notations, "glissando" if base == "gliss" else "slide"), end, args)
            last.text = next((str(a) for a in args if isinstance(a, str)), None)
        elif name.startswith("line-"):
            if last is not None and last.tag in ("glissando", "slide"):
                last.set("line-type", name[5:])
        elif name.startswith("arpeggio"):
            element = Sub(notations, "arpeggiate")
            if name != "arpeggio":
                element.set("direction", name[9:])
        elif base == "non-arpeggio":
            Sub(notations, "non-arpeggiate", type="bottom" if end == "(" else "top")
        elif name == "fermata" or name in _SHAPE_OF:
            Sub(notations, "fermata", type="upright").text = _SHAPE_OF.get(name)
        elif name == "inverted-fermata":
            Sub(notations, "fermata", type="inverted").text = str(args[0]) if args else None
        elif name == "other-notation":
            Sub(notations, "other-notation", type="single").text = str(args[0]) if args else None


def _write_technical(technical: etree._Element, name: str, args: tuple[Argument, ...]) -> etree._Element:
    element = Sub(technical, name)
    if name == "hole":
        Sub(element, "hole-closed").text = str(args[0]) if args and args[0] in ("yes", "no", "half") else "yes"
    elif name == "arrow":
        tags = ("arrow-direction", "arrow-style")
        for tag, arg in zip(tags, args or ("up",)):
            Sub(element, tag).text = str(arg)
    elif args:
        element.text = str(args[0])
    return element


def _numbered(element: etree._Element, end: str, args: tuple[Argument, ...]) -> etree._Element:
    element.set("type", {"(": "start", ")": "stop"}.get(end, "continue"))
    own = next((a for a in args if isinstance(a, Fraction)), Fraction(1))
    element.set("number", str(min(16, max(1, int(own)))))
    return element


def write_lyric(note: etree._Element, mark: Mark) -> None:
    verse, text, syllabic, *more = mark.args
    lyric = Sub(note, "lyric", number=str(verse))
    extend = str(more.pop()) if len(more) % 2 else ""
    if text or more or not extend:
        Sub(lyric, "syllabic").text = str(syllabic)
        Sub(lyric, "text").text = str(text)
        for elision, following in zip(more[::2], more[1::2]):
            Sub(lyric, "elision").text = str(elision) or None
            Sub(lyric, "text").text = str(following)
    if extend:
        element = Sub(lyric, "extend")
        if extend != "extend":
            element.set("type", extend.removeprefix("extend-"))


def write_notehead(note: etree._Element, marks: Iterable[Mark]) -> None:
    shape, attributes = "normal", {}
    for mark in marks:
        if mark.name in _NOTEHEAD_OF:
            shape = str(mark.args[0]) if mark.name == "other-head" and mark.args else _NOTEHEAD_OF[mark.name]
        elif mark.name in ("head-filled", "head-open"):
            attributes["filled"] = "yes" if mark.name == "head-filled" else "no"
        elif mark.name == "head-parentheses":
            attributes["parentheses"] = "yes"
    if shape != "normal" or attributes:
        known = shape if shape == "normal" or shape in _NOTEHEAD_OF.values() else "other"
        Sub(note, "notehead", attributes).text = known


def shown_accidental(marks: Iterable[Mark], derived: str | None, own: str | None) -> tuple[str | None, list[str]]:
    """The accidental that a note shows and its manners; ``own``: the plain one of its alteration."""
    shown, manners = derived, []
    for mark in marks:
        if mark.name == "show-none":
            shown = None
        elif mark.name in ("show-accidental", *_ACCIDENTAL_OF):
            shown = _ACCIDENTAL_OF.get(mark.name) or (str(mark.args[0]) if mark.args else own)
        elif mark.name in ACCIDENTAL_MANNERS:
            manners.append(mark.name)
            shown = shown or own
    return shown, manners
