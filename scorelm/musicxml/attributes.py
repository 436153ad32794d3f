"""<attributes>: keys, times, clefs, transposition, staff details, measure styles <-> marks."""

from __future__ import annotations

from collections.abc import Sequence, Set
from fractions import Fraction

from lxml import etree

from scorelm.musicxml.names import MODES, SIGNS, SYMBOLS, inverse
from scorelm.musicxml.values import clean, decimal, number, whole
from scorelm.notation.model import Argument, Attribute, Clef, Key, Mark, Time

UNITS = frozenset(2**n for n in range(11))
STYLES = ("slash", "measure-repeat", "beat-repeat")
_SYMBOL_OF = inverse(SYMBOLS)
_HIDDEN = {Key: "key-hidden", Time: "time-hidden", Clef: "clef-hidden"}
_DETAILS = ("staff-lines", "staff-type", "staff-hidden", "staff-shown", "staff-size", "tuning", "capo")
_STYLE_MARKS = frozenset(("multirest", *(f"{style}{end}" for style in STYLES for end in "()")))

Sub = etree.SubElement
Placed = tuple[int | None, Attribute]  # the staff, from 1 (None: all), and what holds there


# -- reading -----------------------------------------------------------------------------------


def read_attributes(element: etree._Element) -> list[Placed]:
    """What an <attributes> says, divisions and transposition of the whole part apart."""
    out: list[Placed] = []
    for key in element.iterfind("key"):
        out += _shown(_staff(key), _key(key), key)
    for time in element.iterfind("time"):
        found = _time(time)
        if found is not None:
            out += _shown(_staff(time), found, time)
            second = time.find("interchangeable")
            if second is not None:
                out += [(_staff(time), mark) for mark in _second_time(second)]
    for clef in element.iterfind("clef"):
        out += _shown(_staff(clef) or 1, _clef(clef), clef)
    for details in element.iterfind("staff-details"):
        out += [(_staff(details) or 1, mark) for mark in _staff_details(details)]
    for style in element.iterfind("measure-style"):
        out += [(_staff(style) or 1, mark) for mark in _measure_style(style)]
    for transpose in element.iterfind("transpose"):
        if transpose.get("number"):
            out.append((_staff(transpose), Mark("staff-transpose", read_transpose(transpose))))
    return out


def read_transpose(element: etree._Element) -> tuple[Argument, ...]:
    """Semitones, then diatonic steps and octaves where the source says them."""
    args: list[Argument] = [number(element.findtext("chromatic"), Fraction(0))]
    diatonic, octave = element.findtext("diatonic"), element.findtext("octave-change")
    if diatonic is not None or octave is not None:
        args.append(number(diatonic, Fraction(0)))
    if octave is not None:
        args.append(number(octave, Fraction(0)))
    return tuple(args)


def _staff(element: etree._Element) -> int | None:
    return whole(element.get("number"), 1) if element.get("number") else None


def _shown(staff: int | None, mark: Key | Time | Clef, element: etree._Element) -> list[Placed]:
    hidden = [(staff, Mark(_HIDDEN[type(mark)]))] if element.get("print-object") == "no" else []
    return [(staff, mark), *hidden]


def _key(element: etree._Element) -> Key:
    steps = [clean(s.text) for s in element.iterfind("key-step")]
    mode = clean(element.findtext("mode")).lower()
    if steps:
        alters = [number(a.text, Fraction(0)) for a in element.iterfind("key-alter")]
        pairs = tuple((s, int(a) if a.denominator == 1 else a) for s, a in zip(steps, alters) if s in tuple("CDEFGAB"))
        if pairs:
            return Key(0, None, pairs)
    fifths = max(-14, min(14, whole(element.findtext("fifths"), 0)))
    return Key(fifths, mode if mode in MODES else None)


def _time(element: etree._Element) -> Time | None:
    if element.find("senza-misura") is not None:
        return Time(())
    terms = []
    for beats, unit in zip(element.iterfind("beats"), element.iterfind("beat-type")):
        counts = tuple(whole(b, 0) for b in (beats.text or "").split("+"))
        if min(counts) < 1 or sum(counts) > 999 or whole(unit.text, 0) not in UNITS:
            return None
        terms.append((counts, whole(unit.text, 0)))
    return Time(tuple(terms), SYMBOLS.get(element.get("symbol") or "")) if terms else None


def _second_time(element: etree._Element) -> list[Mark]:
    """args: its terms ("3+2:8,1:4"), how it stands to the first, its symbol, its separator; empty ones at the end left out."""
    terms = [
        f"{clean(beats.text)}:{clean(unit.text)}"
        for beats, unit in zip(element.iterfind("beats"), element.iterfind("beat-type"))
    ]
    relation = clean(element.findtext("time-relation"))
    args = [",".join(terms), relation, clean(element.get("symbol")), clean(element.get("separator"))]
    while len(args) > 1 and not args[-1]:
        args.pop()
    return [Mark("second-time", tuple(args))] if terms else []


def _clef(element: etree._Element) -> Clef:
    sign = clean(element.findtext("sign"))
    sign = sign if sign in SIGNS else {"percussion2": "percussion", "tab": "TAB"}.get(sign, "none")
    usual = {"G": 2, "F": 4, "C": 3}.get(sign)
    line = whole(element.findtext("line"), 0)
    place = line if 0 < line < 10 else usual
    octave = max(-3, min(3, whole(element.findtext("clef-octave-change"), 0)))
    return Clef(sign, place, octave)


def _staff_details(element: etree._Element) -> list[Mark]:
    out = []
    lines = element.findtext("staff-lines")
    if lines is not None:
        out.append(Mark("staff-lines", (Fraction(max(0, whole(lines, 5))),)))
    if clean(element.findtext("staff-type")):
        out.append(Mark("staff-type", (clean(element.findtext("staff-type")),)))
    if element.get("print-object"):
        out.append(Mark("staff-hidden" if element.get("print-object") == "no" else "staff-shown"))
    size = number(element.findtext("staff-size"), Fraction(0))
    if size > 0:
        out.append(Mark("staff-size", (size.limit_denominator(10**6),)))
    for tuning in element.iterfind("staff-tuning"):
        alter = number(tuning.findtext("tuning-alter"), Fraction(0))
        line = Fraction(whole(tuning.get("line"), 1))
        octave = Fraction(whole(tuning.findtext("tuning-octave"), 4))
        out.append(Mark("tuning", (line, clean(tuning.findtext("tuning-step")), octave, *([alter] if alter else []))))
    capo = whole(element.findtext("capo"), 0)
    return [*out, Mark("capo", (Fraction(capo),))] if capo else out


def _measure_style(element: etree._Element) -> list[Mark]:
    out = []
    for child in element:
        if child.tag == "multiple-rest":
            out.append(Mark("multirest", (Fraction(max(1, whole(child.text, 1))),)))
        elif child.tag in STYLES:
            end = ")" if child.get("type") == "stop" else "("
            count = whole(child.text, 0)
            out.append(Mark(f"{child.tag}{end}", (Fraction(count),) if count > 0 else ()))
    return out


# -- writing -----------------------------------------------------------------------------------


def is_attribute(mark: Attribute) -> bool:
    """Whether a mark is written below <attributes>."""
    return not isinstance(mark, Mark) or mark.name in (
        "transpose", "staff-transpose", "second-time", *_HIDDEN.values(), *_DETAILS, *_STYLE_MARKS
    )  # fmt: skip


def write_attributes(marks: Sequence[Placed], staves: int, divisions: int | None) -> etree._Element | None:
    """The <attributes> of one moment in the schema's order, None where there is nothing to say.

    divisions: of a quarter, in a part's first one alone, which also says the number of staves
    """
    out = etree.Element("attributes")
    if divisions is not None:
        Sub(out, "divisions").text = str(divisions)
    hidden = {(staff, mark.name) for staff, mark in marks if isinstance(mark, Mark) and mark.name in _HIDDEN.values()}
    marks = [shown for placed in marks for shown in _apart(placed, hidden, staves)]

    def open_(tag: str, staff: int | None, mark: Attribute) -> etree._Element:
        element = Sub(out, tag)
        if staff is not None and staves > 1:
            element.set("number", str(staff))
        if _hidden(staff, mark, hidden):
            element.set("print-object", "no")
        return element

    for staff, mark in marks:
        if isinstance(mark, Key):
            _write_key(open_("key", staff, mark), mark)
    for staff, mark in marks:
        if isinstance(mark, Time):
            element = open_("time", staff, mark)
            _write_time(element, mark)
            second = [m for s, m in marks if isinstance(m, Mark) and m.name == "second-time" and staff in (None, s)]
            if second and mark.terms:
                _write_second_time(element, second[0])
    if divisions is not None and staves > 1:
        Sub(out, "staves").text = str(staves)
    for staff, mark in marks:
        if isinstance(mark, Clef):
            clef = open_("clef", staff or 1, mark)
            Sub(clef, "sign").text = mark.sign
            if mark.line is not None:
                Sub(clef, "line").text = str(mark.line)
            if mark.octave:
                Sub(clef, "clef-octave-change").text = str(mark.octave)
    for number_ in range(1, staves + 1):
        own = [m for staff, m in marks if isinstance(m, Mark) and m.name in _DETAILS and (staff or 1) == number_]
        if own:
            _write_staff_details(open_("staff-details", number_, own[0]), own)
    for staff, mark in marks:
        if isinstance(mark, Mark) and mark.name in ("transpose", "staff-transpose"):
            _write_transpose(open_("transpose", staff if mark.name != "transpose" else None, mark), mark)
    for staff, mark in marks:
        if isinstance(mark, Mark) and mark.name in _STYLE_MARKS:
            _write_style(open_("measure-style", staff, mark), mark)
    return out if len(out) else None


def _hidden(staff: int | None, mark: Attribute, hidden: Set[tuple[int | None, str]]) -> bool:
    """Whether a mark of this staff (None: of all) is not shown on any."""
    name = _HIDDEN.get(type(mark), "")  # type: ignore[call-overload]
    return (staff, name) in hidden or (staff is None and any(name == other for _, other in hidden))


def _apart(placed: Placed, hidden: Set[tuple[int | None, str]], staves: int) -> list[Placed]:
    """A mark of all staves for each by itself, where it is hidden on some of them."""
    staff, mark = placed
    each = [_hidden(number, mark, hidden) for number in range(1, staves + 1)]
    if staff is not None or all(each) or not any(each):
        return [placed]
    return [(number, mark) for number in range(1, staves + 1)]


def _write_key(out: etree._Element, key: Key) -> None:
    if key.alters:
        for step, alter in key.alters:
            Sub(out, "key-step").text = step
            Sub(out, "key-alter").text = decimal(alter)
        return
    Sub(out, "fifths").text = str(key.fifths)
    if key.mode:
        Sub(out, "mode").text = key.mode


def _write_time(out: etree._Element, time: Time) -> None:
    if time.symbol in _SYMBOL_OF:
        out.set("symbol", _SYMBOL_OF[time.symbol])
    if not time.terms:
        Sub(out, "senza-misura")
    for beats, unit in time.terms:
        Sub(out, "beats").text = "+".join(map(str, beats))
        Sub(out, "beat-type").text = str(unit)


def _write_second_time(out: etree._Element, mark: Mark) -> None:
    terms, relation, symbol, separator = (*map(str, mark.args), "", "", "", "")[:4]
    second = Sub(out, "interchangeable")
    for name, value in (("symbol", symbol), ("separator", separator)):
        if value:
            second.set(name, value)
    if relation:
        Sub(second, "time-relation").text = relation
    for term in terms.split(","):
        beats, _, unit = term.partition(":")
        Sub(second, "beats").text = beats
        Sub(second, "beat-type").text = unit


def _write_staff_details(out: etree._Element, marks: list[Mark]) -> None:
    found = {m.name: m.args for m in marks}
    if found.keys() & {"staff-hidden", "staff-shown"}:
        out.set("print-object", "no" if "staff-hidden" in found else "yes")
    for name in ("staff-type", "staff-lines"):
        if found.get(name):
            Sub(out, name).text = str(found[name][0])
    for mark in marks:
        if mark.name == "tuning" and len(mark.args) > 2:
            line, step, octave, *alter = mark.args
            tuning = Sub(out, "staff-tuning", line=str(line))
            Sub(tuning, "tuning-step").text = str(step)
            if alter and isinstance(alter[0], Fraction):
                Sub(tuning, "tuning-alter").text = decimal(alter[0])
            Sub(tuning, "tuning-octave").text = str(octave)
    if found.get("capo"):
        Sub(out, "capo").text = str(found["capo"][0])
    size = found.get("staff-size", ("",))[0]
    if isinstance(size, Fraction):
        Sub(out, "staff-size").text = decimal(size)


def _write_transpose(out: etree._Element, mark: Mark) -> None:
    numbers = [a for a in mark.args if isinstance(a, Fraction)] or [Fraction(0)]
    chromatic, *more = numbers
    if more:
        Sub(out, "diatonic").text = str(int(more[0]))
    Sub(out, "chromatic").text = decimal(chromatic)
    if len(more) > 1:
        Sub(out, "octave-change").text = str(int(more[1]))


def _write_style(out: etree._Element, mark: Mark) -> None:
    count = str(mark.args[0]) if mark.args else ""
    if mark.name == "multirest":
        Sub(out, "multiple-rest").text = count or "1"
        return
    style, end = mark.name[:-1], mark.name[-1]
    element = Sub(out, style, type="start" if end == "(" else "stop")
    if style == "measure-repeat":
        element.text = count or ("1" if end == "(" else None)
