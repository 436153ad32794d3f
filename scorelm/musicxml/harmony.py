"""<harmony> and <figured-bass> <-> marks: chord symbols, chord diagrams, figures."""

from __future__ import annotations

from fractions import Fraction

from lxml import etree

from scorelm.musicxml.values import alter_sign, clean, number, split_step, whole
from scorelm.notation.model import Argument, Mark

Sub = etree.SubElement


# -- reading -----------------------------------------------------------------------------------


def read_harmony(element: etree._Element) -> list[Mark]:
    """Chord symbols. args: root ("C#", a function or a numeral), kind, bass, text shown, degrees ("add9", "alter5-1")."""
    out: list[Mark] = []
    roots = [e for e in element if e.tag in ("root", "function", "numeral")]
    for root in roots:
        parts: dict[str, str] = {"kind": "", "text": "", "bass": ""}
        degrees: list[str] = []
        for child in root.itersiblings():
            if child in roots:
                break
            if child.tag == "kind":
                parts["kind"], parts["text"] = clean(child.text), clean(child.get("text"))
            elif child.tag == "bass":
                parts["bass"] = clean(child.findtext("bass-step")) + alter_sign(child.findtext("bass-alter"))
            elif child.tag == "degree":
                degrees.append(
                    clean(child.findtext("degree-type"))
                    + clean(child.findtext("degree-value"))
                    + alter_sign(child.findtext("degree-alter"))
                )
            elif child.tag == "inversion" and clean(child.text):
                degrees.append(f"inversion{clean(child.text)}")
        if root.tag == "root":
            name = clean(root.findtext("root-step")) + alter_sign(root.findtext("root-alter"))
        elif root.tag == "function":
            name = f"function {clean(root.text)}"
        else:
            name = f"numeral {clean(root.findtext('numeral-root'))}{alter_sign(root.findtext('numeral-alter'))}"
        args = [name, parts["kind"], parts["bass"], parts["text"], *degrees]
        while not args[-1]:
            args.pop()
        out.append(Mark("chord", tuple(args)))
    frame = element.find("frame")
    if frame is not None:
        out.append(_frame(frame))
    return out


def _frame(frame: etree._Element) -> Mark:
    """args: the diagram, lowest string first ("x,3:3,2:2,0,1:1,0": fret, fingering), frets shown, the first fret."""
    strings = max(1, min(64, whole(frame.findtext("frame-strings"), 6)))
    found = ["x"] * strings
    for note in frame.iterfind("frame-note"):
        at = whole(note.findtext("string"), 0)
        if 1 <= at <= strings:
            finger = clean(note.findtext("fingering"))
            barre = {"start": "(", "stop": ")"}.get(getattr(note.find("barre"), "attrib", {}).get("type", ""), "")
            found[strings - at] = str(whole(note.findtext("fret"), 0)) + (f":{finger}" if finger else "") + barre
    args: tuple[Argument, ...] = (",".join(found), Fraction(max(1, whole(frame.findtext("frame-frets"), 4))))
    first = whole(frame.findtext("first-fret"), 0)
    return Mark("frame", (*args, Fraction(first)) if first > 0 else args)


def read_figured_bass(element: etree._Element, divisions: Fraction) -> Mark:
    """args: each figure ("6", "sharp 6", "6 flat ", with "_" where it extends), last its length in quarters."""
    args: list[Argument] = []
    for figure in element.iterfind("figure"):
        prefix, digits, suffix = (clean(figure.findtext(t)) for t in ("prefix", "figure-number", "suffix"))
        text = digits if not prefix and not suffix else f"{prefix} {digits} {suffix}"
        text += "_" if figure.find("extend") is not None else ""
        args += [text] if text else []
    if element.get("parentheses") == "yes":
        args.append("()")
    duration = number(element.findtext("duration"), Fraction(0)) / divisions
    return Mark("figured-bass", (*args, duration) if duration > 0 else tuple(args))


# -- writing -----------------------------------------------------------------------------------


def write_harmony(mark: Mark, staff: int | None) -> etree._Element:
    name, kind, bass, text, *degrees = [*(str(a) for a in mark.args), "", "", "", ""][: max(4, len(mark.args))]
    harmony = etree.Element("harmony")
    if name.startswith("function "):
        Sub(harmony, "function").text = name[9:]
    elif name.startswith("numeral "):
        digits, alter, _ = split_step(name[8:])
        numeral = Sub(harmony, "numeral")
        Sub(numeral, "numeral-root").text = digits or "1"
        if alter:
            Sub(numeral, "numeral-alter").text = alter
    else:
        _step_elements(Sub(harmony, "root"), "root", name)
    if kind or text:
        Sub(harmony, "kind", {"text": text} if text else {}).text = kind or "none"
    for degree in degrees:
        if degree.startswith("inversion"):
            Sub(harmony, "inversion").text = degree[9:]
    if bass:
        _step_elements(Sub(harmony, "bass"), "bass", bass)
    for degree in degrees:
        found = next((t for t in ("add", "alter", "subtract") if degree.startswith(t)), None)
        if found:
            digits, alter, _ = split_step(degree[len(found) :])
            out = Sub(harmony, "degree")
            Sub(out, "degree-value").text = digits or "1"
            Sub(out, "degree-alter").text = alter or "0"
            Sub(out, "degree-type").text = found
    if staff is not None:
        Sub(harmony, "staff").text = str(staff)
    return harmony


def _step_elements(element: etree._Element, prefix: str, name: str) -> None:
    step, alter, _ = split_step(name)
    Sub(element, f"{prefix}-step").text = step or "C"
    if alter:
        Sub(element, f"{prefix}-alter").text = alter


def add_frame(harmony: etree._Element, mark: Mark) -> None:
    """A frame's diagram, behind the chord that it shows."""
    if not mark.args or not isinstance(mark.args[0], str):
        return
    found = mark.args[0].split(",")
    frame = etree.Element("frame")
    Sub(frame, "frame-strings").text = str(len(found))
    frets = [a for a in mark.args[1:] if isinstance(a, Fraction)]
    Sub(frame, "frame-frets").text = str(frets[0]) if frets else "4"
    if len(frets) > 1:
        Sub(frame, "first-fret").text = str(frets[1])
    for i, note in enumerate(found):
        fret, _, finger = note.rstrip("()").partition(":")
        if not fret.isdecimal():
            continue
        element = Sub(frame, "frame-note")
        Sub(element, "string").text = str(len(found) - i)
        Sub(element, "fret").text = fret
        if finger:
            Sub(element, "fingering").text = finger
        if note[-1] in "()":
            Sub(element, "barre", type="start" if note[-1] == "(" else "stop")
    if not frame.findall("frame-note"):
        return
    staff = harmony.find("staff")
    harmony.insert(len(harmony) if staff is None else harmony.index(staff), frame)


def write_figured_bass(mark: Mark, divisions: int) -> etree._Element:
    element = etree.Element("figured-bass")
    for arg in mark.args:
        if arg == "()":
            element.set("parentheses", "yes")
        elif isinstance(arg, str):
            figure = Sub(element, "figure")
            parts = arg.removesuffix("_").split(" ")
            prefix, digits, suffix = parts if len(parts) == 3 else ("", parts[0], "")
            for tag, text in (("prefix", prefix), ("figure-number", digits), ("suffix", suffix)):
                if text:
                    Sub(figure, tag).text = text
            if arg.endswith("_"):
                Sub(figure, "extend", type="start")
        else:
            Sub(element, "duration").text = str(int(arg * divisions))
    if element.find("figure") is None:  # which the schema wants
        element.insert(0, etree.Element("figure"))
    return element
