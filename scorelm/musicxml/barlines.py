"""<barline> <-> marks at a measure's two ends, and in its middle."""

from __future__ import annotations

import re
from fractions import Fraction

from lxml import etree

from scorelm.musicxml.names import RIGHT_STYLES, inverse
from scorelm.musicxml.values import clean, whole
from scorelm.notation.lexemes import NAMES
from scorelm.notation.model import Argument, Attribute, Mark

_NUMBERS = re.compile(r"[1-9]\d*(, ?[1-9]\d*)*")
_STYLE_OF = inverse(RIGHT_STYLES)

Sub = etree.SubElement


def read_barline(element: etree._Element) -> tuple[str, list[Mark]]:
    """-> "left", "right" or "middle", and its marks."""
    where = element.get("location") or "right"
    where = where if where in ("left", "middle") else "right"
    style = clean(element.findtext("bar-style"))
    out: list[Mark] = []
    if where == "middle":
        return where, _read_middle(element, style)
    ending = element.find("ending")
    if ending is not None and ending.get("type") == "start":
        shown = clean(ending.text)
        said = clean(ending.get("number", "1"))
        number = ending_number(said).strip()
        shown = shown or (said if said != number else "")  # what is no number is shown
        out.append(Mark("ending", (number, shown) if shown and shown.rstrip(".") != number else (number,)))
    elif ending is not None:
        out.append(Mark("ending-open)" if ending.get("type") == "discontinue" else "ending)"))
    repeat = element.find("repeat")
    forward = repeat is not None and repeat.get("direction") == "forward"
    if repeat is not None:
        times = whole(repeat.get("times"), 0)
        args: tuple[Argument, ...] = (Fraction(times),) if times > 0 else ()
        out.append(Mark("repeat(" if forward else "repeat)", args))
    if where == "left":
        name = {"light-light": "left-double"}.get(style, f"left-{style}")
        if style not in ("", "regular") and name in NAMES and not (forward and style == "heavy-light"):
            out.append(Mark(name))
    elif style in RIGHT_STYLES and (repeat is None or style != "light-heavy"):  # which a repeat has anyway
        out.append(Mark(RIGHT_STYLES[style]))
    prefix = "left" if where == "left" else "bar"
    for tag in ("segno", "coda"):
        if element.find(tag) is not None:
            out.append(Mark(f"{prefix}-{tag}"))
    for fermata in element.iterfind("fermata"):
        out.append(Mark(f"{prefix}-fermata", ("inverted",) if fermata.get("type") == "inverted" else ()))
    return where, out


def _read_middle(element: etree._Element, style: str) -> list[Mark]:
    """A barline within the measure, with its repeat; its signs stand at its moment as they would without it."""
    repeat = element.find("repeat")
    args: tuple[Argument, ...] = (style,)
    if repeat is not None:
        direction = "forward" if repeat.get("direction") == "forward" else "backward"
        times = whole(repeat.get("times"), 0)
        args = (style, direction, Fraction(times)) if times > 0 else (style, direction)
    signs = [Mark(tag) for tag in ("segno", "coda") if element.find(tag) is not None]
    return [Mark("mid-bar", args), *signs] if style or repeat is not None else signs


def ending_number(text: str) -> str:
    """An ending's numbers as the schema takes them: "1, 2"; a space where there is none."""
    if _NUMBERS.fullmatch(text):
        return text
    return ", ".join(n for n in re.findall(r"\d+", text) if n[0] != "0") or " "


def write_left(marks: tuple[Attribute, ...]) -> etree._Element | None:
    named = [m for m in marks if isinstance(m, Mark)]
    names = {m.name for m in named}
    style = next((n[5:] for n in names if n.startswith("left-") and n[5:] not in ("fermata", "segno", "coda")), "")
    style = {"double": "light-light"}.get(style, style) or ("heavy-light" if "repeat(" in names else "")
    return _write("left", style, named, ("left-segno", "left-coda", "left-fermata"), "")


def write_right(marks: tuple[Mark, ...], ending: str) -> etree._Element | None:
    """``ending``: the number of the one that is open."""
    style = next((_STYLE_OF[m.name] for m in marks if m.name in _STYLE_OF), "")
    style = style or ("light-heavy" if any(m.name == "repeat)" for m in marks) else "")
    return _write("right", style, list(marks), ("bar-segno", "bar-coda", "bar-fermata"), ending)


def write_middle(mark: Mark) -> etree._Element:
    barline = etree.Element("barline", location="middle")
    style, *repeat = map(str, mark.args)
    if style:
        Sub(barline, "bar-style").text = style
    if repeat:
        element = Sub(barline, "repeat", direction=repeat[0])
        if len(repeat) > 1:
            element.set("times", repeat[1])
    return barline


def _write(
    where: str, style: str, marks: list[Mark], signs: tuple[str, str, str], open_ending: str
) -> etree._Element | None:
    """In the schema's order: style, segno, coda, fermatas, ending, repeat."""
    barline = etree.Element("barline", location=where)
    if style:
        Sub(barline, "bar-style").text = style
    for sign in signs:
        for mark in marks:
            if mark.name == sign:
                element = Sub(barline, sign.rpartition("-")[2])
                if sign.endswith("fermata"):
                    element.set("type", "inverted" if "inverted" in mark.args else "upright")
    for mark in marks:
        if mark.name == "ending":
            args = [str(a) for a in mark.args] or ["1"]
            number = ending_number(args[0])
            shown = args[1] if len(args) > 1 else args[0] if number != args[0] else ""
            Sub(barline, "ending", number=number, type="start").text = shown or None
            break
        if mark.name in ("ending)", "ending-open)"):
            Sub(
                barline,
                "ending",
                number=ending_number(open_ending),
                type="stop" if mark.name == "ending)" else "discontinue",
            )
            break
    for mark in marks:
        if mark.name in ("repeat(", "repeat)"):
            repeat = Sub(barline, "repeat", direction="forward" if mark.name == "repeat(" else "backward")
            if mark.args and mark.name == "repeat)":
                repeat.set("times", str(mark.args[0]))
            break
    return barline if len(barline) else None
