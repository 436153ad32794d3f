"""<direction> and <sound> <-> marks on a staff's time line."""

from __future__ import annotations

import re
from fractions import Fraction

from lxml import etree

from scorelm.errors import ScoreError
from scorelm.musicxml.harmony import write_figured_bass, write_harmony
from scorelm.musicxml.names import BARE_DIRECTIONS, DYNAMICS, JUMPS, KIND_OF, OTTAVAS, PEDALS, inverse
from scorelm.musicxml.notations import fitting
from scorelm.musicxml.spanners import Spanners
from scorelm.musicxml.values import alter_sign, clean, decimal, number, split_step, whole
from scorelm.notation.marks import check_arguments
from scorelm.notation.model import Argument, Mark, Value

_OTTAVA_OF = {mark: shift for shift, mark in OTTAVAS.items()}
_PEDAL_OF = inverse(PEDALS)
_JUMP_OF = inverse(JUMPS)
_TYPE_OF = {kind: name for name, kind in KIND_OF.items()}
_WORDS = {"words": None, "words-above": "above", "words-below": "below"}
_TAG = re.compile(r"[a-z][a-z-]*")
_LETTERS = {Value(kind).letter: kind for kind in range(14)}

Sub = etree.SubElement


# -- reading -----------------------------------------------------------------------------------


def read_direction(element: etree._Element, spanners: Spanners) -> list[Mark]:
    """The marks of a <direction> in the order of its types, what it sounds like behind them."""
    out: list[Mark] = []
    for kind in element.iterfind("direction-type"):
        for child in kind:
            if isinstance(child.tag, str):
                out += [_fitting(mark) for mark in _direction(child, element.get("placement"), spanners)]
    sound = element.find("sound")
    if sound is not None:
        derived = next((tempo for m in out if (tempo := tempo_of(m)) is not None), None)
        out += [m for m in read_sound(sound) if m.name != "sound-tempo" or m.args[0] != derived]
    return out


def _fitting(mark: Mark) -> Mark:
    """The mark; one that is broken is kept by its name alone."""
    mark = fitting(mark)
    try:
        check_arguments(mark)
    except ScoreError:
        return Mark("other-direction", (mark.name,))
    return mark


def read_sound(element: etree._Element) -> list[Mark]:
    """Tempo and jumps of a <sound>; how loud and in which instrument it plays is not kept."""
    out = []
    tempo = number(element.get("tempo"), Fraction(0)).limit_denominator(1000)
    if tempo > 0:
        out.append(Mark("sound-tempo", (tempo,)))
    for attribute, name in JUMPS.items():
        target = clean(element.get(attribute))
        if target and target != "no":
            out.append(Mark(name, () if target == "yes" else (target,)))
    return out


def _direction(element: etree._Element, placement: str | None, spanners: Spanners) -> list[Mark]:
    tag = element.tag
    text = clean(element.text)
    if tag == "dynamics":
        return read_dynamics(element)
    if tag == "wedge":
        return _wedge(element, spanners)
    if tag == "words":
        name = f"words-{placement}" if placement in ("above", "below") else "words"
        return [Mark(name, (text,))] if text else []
    if tag == "rehearsal":
        return [Mark("rehearsal", (text,))]
    if tag == "metronome":
        return [_metronome(element)]
    if tag == "octave-shift":
        kind = element.get("type")
        if kind == "stop":
            args = spanners.number("octave-shift", element.get("number"), False)
            return [Mark("ottava)", args)]
        if kind == "continue":
            return [Mark("ottava-continue", spanners.current("octave-shift", element.get("number")))]
        args = spanners.number("octave-shift", element.get("number"), True)
        name = OTTAVAS.get((kind or "down", whole(element.get("size"), 8)))
        if name is None:  # no ottava that there is, kept by its size
            return [Mark("8vb(" if kind == "up" else "8va(", (*args, str(element.get("size"))))]
        return [Mark(name, args)]
    if tag == "pedal":
        line: tuple[Argument, ...] = ("line",) if element.get("line") == "yes" else ()
        return [Mark(PEDALS.get(element.get("type") or "start", "ped("), line)]
    if tag in ("dashes", "bracket"):
        return _dashes(element, spanners)
    if tag in BARE_DIRECTIONS:
        return [Mark(BARE_DIRECTIONS[tag])]
    if tag == "string-mute":
        return [Mark("string-mute-off" if element.get("type") == "off" else "string-mute")]
    if tag == "principal-voice":
        start = element.get("type") == "start"
        return [Mark("principal-voice(" if start else "principal-voice)", _optional(element.get("symbol")))]
    if tag == "harp-pedals":
        tunings = [
            clean(t.findtext("pedal-step")) + decimal(number(t.findtext("pedal-alter"), Fraction(0)))
            for t in element.iterfind("pedal-tuning")
        ]
        return [Mark("harp-pedals", (" ".join(tunings),))]
    if tag == "scordatura":
        accords = [
            f"{a.get('string')}={clean(a.findtext('tuning-step'))}"
            f"{alter_sign(a.findtext('tuning-alter'))}{clean(a.findtext('tuning-octave'))}"
            for a in element.iterfind("accord")
        ]
        return [Mark("scordatura", (" ".join(accords),))]
    if tag == "accordion-registration":
        rows = [row for row in ("high", "low") if element.find(f"accordion-{row}") is not None]
        middle = element.find("accordion-middle")
        if middle is not None:
            dots = clean(middle.text)
            name = f"middle{dots}" if dots in ("1", "2", "3") else "middle"
            rows.insert(rows.index("low") if "low" in rows else len(rows), name)
        return [Mark("accordion", (" ".join(rows),))]
    if tag == "percussion":
        inner = next((e for e in element if isinstance(e.tag, str)), None)
        return [Mark("percussion-picture", () if inner is None else (inner.tag, *_optional(clean(inner.text))))]
    if tag == "staff-divide":
        return [Mark("staff-divide", _optional(element.get("type")))]
    if tag == "image":
        return [Mark("image", (element.get("source") or "", element.get("type") or ""))]
    if tag == "symbol":
        return [Mark("symbol", (text,))]
    return [Mark("other-direction", (text or tag,))]


def read_dynamics(element: etree._Element) -> list[Mark]:
    """The marks of a <dynamics>, below a direction or a note."""
    return [
        Mark(e.tag) if e.tag in DYNAMICS else Mark("dynamic", (clean(e.text) or e.tag,))
        for e in element
        if isinstance(e.tag, str)
    ]


def _wedge(element: etree._Element, spanners: Spanners) -> list[Mark]:
    kind = element.get("type")
    if kind == "continue":
        return [Mark("wedge-continue", spanners.current("wedge", element.get("number")))]
    niente: tuple[Argument, ...] = ("niente",) if element.get("niente") == "yes" else ()
    if kind == "stop":
        return [Mark("<)", spanners.number("wedge", element.get("number"), False) + niente)]
    args = spanners.number("wedge", element.get("number"), True)
    return [Mark(">(" if kind == "diminuendo" else "<(", args + niente)]


def _dashes(element: etree._Element, spanners: Spanners) -> list[Mark]:
    tag, kind = str(element.tag), element.get("type")
    if kind == "continue":
        return [Mark(f"{tag}-continue", spanners.current(tag, element.get("number")))]
    args = spanners.number(tag, element.get("number"), kind != "stop")
    if tag == "bracket":
        end = element.get("line-end") or "none"
        line = element.get("line-type")
        args += (end, line) if line and line != "solid" else () if end == "none" else (end,)
    return [Mark(f"{tag})" if kind == "stop" else f"{tag}(", args)]


def _metronome(element: etree._Element) -> Mark:
    """args: beat unit ("q."), then the number a minute, a text, or another unit that it equals."""
    args: list[Argument] = []
    unit = ""
    for child in element:
        if child.tag == "beat-unit":
            if unit:
                args.append(unit)
            unit = Value(KIND_OF.get(clean(child.text), 5)).letter
        elif child.tag == "beat-unit-dot":
            unit += "."
        elif child.tag == "per-minute":
            args.append(unit)
            unit = ""
            text = clean(child.text)
            plain = text.isascii() and text.isdecimal() and len(text) < 9 and str(int(text)) == text
            args.append(Fraction(text) if plain else text)
    if unit or not args:
        args.append(unit or "q")
    if element.find("metronome-note") is not None:
        return Mark("metric-modulation", tuple(_note_groups(element)))
    if len(args) == 2 and isinstance(args[1], str) and element.find("per-minute") is None:
        return Mark("metric-modulation", tuple(args))
    if element.get("parentheses") == "yes" and args:
        args.append("()")
    return Mark("metronome", tuple(args))


def _note_groups(element: etree._Element) -> list[str]:
    """The two sides of a metric modulation as values, a tuplet as its ratio before them: "ii", "[3:2qi"."""
    sides = [""]
    for child in element:
        if child.tag == "metronome-relation":
            sides.append("")
        elif child.tag == "metronome-note":
            tuplet = child.find("metronome-tuplet")
            if tuplet is not None and tuplet.get("type") == "start":
                sides[-1] += f"[{clean(tuplet.findtext('actual-notes'))}:{clean(tuplet.findtext('normal-notes'))}"
            sides[-1] += Value(KIND_OF.get(clean(child.findtext("metronome-type")), 5)).letter
            sides[-1] += "." * len(child.findall("metronome-dot"))
            if tuplet is not None and tuplet.get("type") == "stop":
                sides[-1] += "]"
    return sides


def tempo_of(mark: Mark) -> Fraction | None:
    """Quarters a minute that a metronome mark says."""
    if mark.name != "metronome" or len(mark.args) < 2 or not isinstance(mark.args[1], Fraction):
        return None
    unit = str(mark.args[0])
    if unit[:1] not in _LETTERS:
        return None
    return Value(_LETTERS[unit[:1]], min(4, unit.count("."))).written * mark.args[1]


def _optional(text: str | None) -> tuple[Argument, ...]:
    return (text,) if text else ()


# -- writing -----------------------------------------------------------------------------------


def write_mark(mark: Mark, staff: int | None, divisions: int, ottavas: dict[str, int]) -> etree._Element | None:
    """The element of a mark on the time line (None for one that is written elsewhere).

    staff: from 1, None where the part has but one
    ottavas: number -> size of those that are open, for their ends say it again; brought up to date
    """
    if mark.name in _JUMP_OF:
        return etree.Element("sound", {_JUMP_OF[mark.name]: str(mark.args[0]) if mark.args else "yes"})
    if mark.name == "sound-tempo":
        return etree.Element("sound", tempo=decimal(mark.args[0]) if mark.args else "120")  # type: ignore[arg-type]
    if mark.name == "chord":
        return write_harmony(mark, staff)
    if mark.name == "figured-bass":
        return write_figured_bass(mark, divisions)
    direction = etree.Element("direction")
    kind = Sub(direction, "direction-type")
    placement = _write_direction(kind, mark, ottavas)
    if not len(kind):
        return None
    if placement:
        direction.set("placement", placement)
    if staff is not None:
        Sub(direction, "staff").text = str(staff)
    tempo = tempo_of(mark)
    if tempo is not None:
        Sub(direction, "sound", tempo=decimal(tempo))
    return direction


def _write_direction(kind: etree._Element, mark: Mark, ottavas: dict[str, int]) -> str | None:
    """Put the mark's element below <direction-type>; returns its placement."""
    name, args = mark.name, mark.args
    texts = [str(a) for a in args if isinstance(a, str)]
    own = str(min(16, max(1, int(next((a for a in args if isinstance(a, Fraction)), Fraction(1))))))
    text = texts[0] if texts else ""
    if name in DYNAMICS:
        Sub(Sub(kind, "dynamics"), name)
        return "below"
    if name == "dynamic":
        Sub(Sub(kind, "dynamics"), "other-dynamics").text = text
        return "below"
    if name in ("<(", "<)", ">(", ">)", "wedge-continue"):
        turn = {"<(": "crescendo", ">(": "diminuendo", "wedge-continue": "continue"}.get(name, "stop")
        wedge = Sub(kind, "wedge", type=turn, number=own)
        if "niente" in texts:
            wedge.set("niente", "yes")
        return "below"
    if name in _WORDS:
        Sub(kind, "words").text = text
        return _WORDS[name]
    if name in ("rehearsal", "symbol", "other-direction"):
        Sub(kind, name).text = text
        return "above" if name == "rehearsal" else None
    if name == "metronome" and args:
        _write_metronome(kind, mark)
        return "above"
    if name == "metric-modulation" and len(args) == 2:
        _write_modulation(kind, mark)
        return "above"
    if name in _OTTAVA_OF:
        turn, size = _OTTAVA_OF[name]
        size = whole(text, size)
        ottavas[own] = size
        Sub(kind, "octave-shift", type=turn, size=str(size), number=own)
    elif name in ("ottava)", "ottava-continue"):
        turn = "stop" if name == "ottava)" else "continue"
        Sub(kind, "octave-shift", type=turn, size=str(ottavas.get(own, 8)), number=own)
    elif name in _PEDAL_OF:
        turn = _PEDAL_OF[name]
        shown = {"line": "yes"} if "line" in texts else {} if turn in ("change", "continue") else {"sign": "yes"}
        Sub(kind, "pedal", shown, type=turn)
        return "below"
    elif name[:-1] in ("dashes", "bracket") or name in ("dashes-continue", "bracket-continue"):
        turn = {"(": "start", ")": "stop"}.get(name[-1], "continue")
        tag = "dashes" if name.startswith("dashes") else "bracket"
        line_element = Sub(kind, tag, type=turn, number=own)
        if tag == "bracket":
            line_element.set("line-end", text or "none")
            if len(texts) > 1:
                line_element.set("line-type", texts[1])
    elif name in BARE_DIRECTIONS.values():
        Sub(kind, name)
        return "above" if name in ("segno", "coda") else None
    elif name in ("string-mute", "string-mute-off"):
        Sub(kind, "string-mute", type="off" if name.endswith("off") else "on")
    elif name[:-1] == "principal-voice":
        Sub(kind, "principal-voice", type="start" if name[-1] == "(" else "stop", symbol=text or "none")
    else:
        _write_rare(kind, name, text, texts)
    return None


def _write_rare(kind: etree._Element, name: str, text: str, texts: list[str]) -> None:
    if name == "harp-pedals" and text:
        pedals = Sub(kind, "harp-pedals")
        for tuning in text.split():
            pedal = Sub(pedals, "pedal-tuning")
            Sub(pedal, "pedal-step").text = tuning[:1]
            Sub(pedal, "pedal-alter").text = tuning[1:] or "0"
    elif name == "scordatura" and text:
        scordatura = Sub(kind, "scordatura")
        for accord in text.split():
            string, _, pitch = accord.partition("=")
            element = Sub(scordatura, "accord", string=string)
            step, alter, rest = split_step(pitch)
            Sub(element, "tuning-step").text = step
            if alter:
                Sub(element, "tuning-alter").text = alter
            Sub(element, "tuning-octave").text = rest or "4"
    elif name == "accordion":
        registration = Sub(kind, "accordion-registration")
        for row in text.split():
            tag = row.rstrip("0123456789")
            if tag in ("high", "middle", "low"):
                Sub(registration, f"accordion-{tag}").text = row[len(tag) :] or None
    elif name == "percussion-picture" and _TAG.fullmatch(text):
        element = Sub(Sub(kind, "percussion"), text)
        element.text = texts[1] if len(texts) > 1 else None
    elif name == "staff-divide":
        Sub(kind, "staff-divide", type=text or "down")
    elif name == "image" and len(texts) > 1:
        Sub(kind, "image", source=texts[0], type=texts[1])


def _write_metronome(kind: etree._Element, mark: Mark) -> None:
    metronome = Sub(kind, "metronome")
    unit, *more = mark.args
    if more and more[-1] == "()":
        more.pop()
        metronome.set("parentheses", "yes")
    _beat_unit(metronome, str(unit))
    if more:
        Sub(metronome, "per-minute").text = str(more[0])
    else:
        Sub(metronome, "per-minute")


def _beat_unit(metronome: etree._Element, unit: str) -> None:
    Sub(metronome, "beat-unit").text = _TYPE_OF[_LETTERS.get(unit[:1], 5)]
    for _ in range(unit.count(".")):
        Sub(metronome, "beat-unit-dot")


def _write_modulation(kind: etree._Element, mark: Mark) -> None:
    metronome = Sub(kind, "metronome")
    left, right = (str(a) for a in mark.args)
    if all(len(side.rstrip(".")) == 1 for side in (left, right)):
        _beat_unit(metronome, left)
        _beat_unit(metronome, right)
        return
    for side in (left, right):
        if side is right:
            Sub(metronome, "metronome-relation").text = "equals"
        ratio = None
        i = 0
        while i < len(side):
            if side[i] == "[":
                end = i + 1
                while end < len(side) and (side[end].isdecimal() or side[end] == ":"):
                    end += 1
                ratio, i = side[i + 1 : end].split(":"), end
                turn = "start"
                continue
            note = Sub(metronome, "metronome-note")
            Sub(note, "metronome-type").text = _TYPE_OF[_LETTERS.get(side[i], 5)]
            i += 1
            while i < len(side) and side[i] == ".":
                Sub(note, "metronome-dot")
                i += 1
            if ratio is None or len(ratio) != 2:
                continue
            last = i < len(side) and side[i] == "]"
            if turn == "start" or last:
                tuplet = Sub(note, "metronome-tuplet", type="stop" if last else "start")
                Sub(tuplet, "actual-notes").text, Sub(tuplet, "normal-notes").text = ratio
            turn = ""
            if last:
                ratio = None
                i += 1
