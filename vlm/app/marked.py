"""An SVG of Verovio's with the measures marked that should be looked at, as with a highlighter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lxml import etree

from vlm.student.whole import Look

SVG = "{http://www.w3.org/2000/svg}"
COLOUR = "#ffd54a"
_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")


def marked(svg: str, looks: Sequence[Look] = ()) -> str:
    """The picture as wide as its place on the page; behind each doubtful measure of a staff a coloured field that says
    why. A place that the picture does not have is passed over."""
    root = etree.fromstring(svg.encode(), etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))
    root.set("viewBox", f"0 0 {root.get('width').removesuffix('px')} {root.get('height').removesuffix('px')}")
    root.set("style", "width: 100%; height: auto")
    measures = _of_class(root, "measure")
    reasons: dict[tuple[int, int], list[str]] = {}
    for look in looks:
        reasons.setdefault((look.measure, look.staff), []).append(look.why)
    for (measure, staff), why in reasons.items():
        staves = _of_class(measures[measure - 1], "staff") if measure <= len(measures) else []
        if staff <= len(staves):
            _highlight(staves[staff - 1], f"measure {measure}: {'; '.join(why)}")
    return str(etree.tostring(root, encoding="unicode"))


def _highlight(staff: Any, why: str) -> None:
    lines = [found for path in staff.iterchildren(f"{SVG}path") if (found := _LINE.match(path.get("d", "")))]
    if not lines:
        return
    left, top, right, bottom = int(lines[0][1]), int(lines[0][2]), int(lines[0][3]), int(lines[-1][2])
    margin = max(bottom - top, 360) // 3
    field = etree.Element(
        f"{SVG}rect", {
            "class": "doubtful", "x": str(left), "y": str(top - margin), "width": str(right - left),
            "height": str(bottom - top + 2 * margin), "style": f"fill: {COLOUR}; fill-opacity: 0.55; stroke: none",
        },
    )  # fmt: skip
    etree.SubElement(field, f"{SVG}title").text = why
    staff.insert(0, field)


def _of_class(root: Any, name: str) -> list[Any]:
    return [group for group in root.iter(f"{SVG}g") if (group.get("class") or "").split(" ")[0] == name]
