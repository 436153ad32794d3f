"""Verovio's pages, taken apart: which measures stand in which system, and each system as a picture of its own.

A score is engraved once, as pages; a system is then drawn alone, so that no ink of its neighbours is on its picture.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lxml import etree
from PIL import Image, ImageChops

from scorelm.errors import ScorelmError, SourceError
from vlm.data.look import Look
from vlm.data.raster import raster

SVG = "{http://www.w3.org/2000/svg}"
FONT_STYLES = {
    "mNum": {"font-style": "italic"},
    "dir": {"font-style": "italic"},
    "dynam": {"font-style": "italic"},
    "tempo": {"font-weight": "bold"},
    "ending": {"font-weight": "bold"},
    "reh": {"font-weight": "bold"},
}  # what Verovio says in a style sheet, which costs resvg half its time
_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")


@dataclass(frozen=True)
class System:
    """One system of a page."""

    first: int  # measure of the score, counted from 0
    last: int
    number: str  # printed at its start, or nothing
    names: tuple[str, ...]  # printed beside its parts, from the top
    top: int  # of its first staff's first line, in the SVG's units
    bottom: int  # of its last staff's last line
    group: Any  # the element


@dataclass(frozen=True)
class Page:
    """One engraved page."""

    systems: tuple[System, ...]
    width: int  # in the SVG's units
    height: int
    staff: int  # height of a staff
    margin: tuple[int, int]  # the origin of the systems on the page
    defs: Any
    whole: Any  # the group that holds all that is drawn
    look: Look


def engrave(musicxml: bytes, look: Look, measures: int, parts: int) -> list[Page]:
    """The pages of a score. measures, parts: how many it has

    Raises SourceError where Verovio draws another number of measures than the score has.
    """
    toolkit = _toolkit(look.music_font)
    toolkit.setOptions(
        {
            "font": look.music_font,
            "adjustPageHeight": True,
            "scale": 100,
            "breaks": "auto",
            "footer": "none",
            "header": "auto" if look.titled else "none",
            "svgFormatRaw": True,
            "lyricWordSpace": 4.0,
            "xmlIdChecksum": True,
            **dict(look.options),
        }
    )
    if not toolkit.loadData(musicxml.decode("utf-8")):
        raise SourceError("Verovio cannot engrave this score")
    pages, start = [], 0
    for number in range(1, toolkit.getPageCount() + 1):
        page = _page(toolkit.renderToSVG(number), look, start, parts)
        start = page.systems[-1].last + 1
        pages.append(page)
    if start != measures:
        raise SourceError(f"Verovio draws {start} measures of {measures}")
    return pages


def system_picture(page: Page, number: int, staff_px: float) -> Image.Image:
    """One system alone, with white around it. staff_px: height of a staff in pixels"""
    above, height = _space(page, number)
    return _drawn(page, [page.systems[number].group], (-page.margin[0], above, page.width, height), staff_px)


def _space(page: Page, number: int) -> tuple[int, int]:
    """Where a system may have ink, and how high that is: from the staff above it to the one below."""
    above = page.systems[number - 1].bottom if number else -page.margin[1]
    below = page.systems[number + 1].top if number + 1 < len(page.systems) else page.height - page.margin[1]
    return above, below - above


def page_picture(page: Page, pictures: Sequence[Image.Image], staff_px: float) -> Image.Image:
    """The whole page, its titles too. pictures: of all its systems, of the same size"""
    scale = staff_px / page.staff
    out = Image.new("L", (max(1, round(page.width * scale)), max(1, round(page.height * scale))), 255)
    head = [group for group in page.whole if (group.get("class") or "").startswith("pg")]
    if head:
        box = (-page.margin[0], -page.margin[1], page.width, page.systems[0].top + page.margin[1])
        out.paste(_drawn(page, head, box, staff_px), (0, 0))
    for number, picture in enumerate(pictures):
        at = round((_space(page, number)[0] + page.margin[1]) * scale)
        place = (0, at, picture.width, at + picture.height)
        out.paste(ImageChops.darker(out.crop(place), picture), place)
    return out


def _drawn(page: Page, groups: Sequence[Any], box: tuple[int, int, int, int], staff_px: float) -> Image.Image:
    scale = staff_px / page.staff
    root = etree.Element(
        f"{SVG}svg", nsmap={None: SVG[1:-1], "xlink": "http://www.w3.org/1999/xlink"},
        width=f"{max(1, round(box[2] * scale))}px", height=f"{max(1, round(box[3] * scale))}px",
        viewBox=" ".join(map(str, box)),
    )  # fmt: skip
    root.append(deepcopy(page.defs))
    inner = etree.SubElement(root, f"{SVG}g", color="black", fill="black")
    inner.set("font-family", page.look.text_font)
    for group in groups:
        inner.append(deepcopy(group))
    svg = etree.tostring(root, encoding="unicode")
    # Strokes only where a width is said: those of glyphs, which are nothing to see, cost a third of the time.
    return raster(svg.replace(' stroke-width="', ' stroke="black" stroke-width="'), page.look.text_font)


@functools.cache
def _toolkit(music_font: str) -> Any:
    """One for each music font: to change it in one toolkit costs more than the engraving."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    return verovio.toolkit()


def _page(svg: str, look: Look, start: int, parts: int) -> Page:
    root = etree.fromstring(svg.encode("utf-8"))
    inner = root.find(f"{SVG}svg")
    whole = inner.find(f"{SVG}g")
    x, y = (int(float(n)) for n in re.findall(r"-?[\d.]+", whole.get("transform")))
    width, height = (int(n) for n in inner.get("viewBox").split()[2:])
    for element in whole.iter(f"{SVG}g", f"{SVG}text"):
        for name, value in FONT_STYLES.get((element.get("class") or "").split(" ")[0], {}).items():
            element.set(name, value)
        if element.get("font-size") == "0px":  # resvg would draw nothing of it
            del element.attrib["font-size"]
    for group in [g for g in whole.iter(f"{SVG}g") if "placeholder" in (g.get("class") or "")]:
        group.getparent().remove(group)  # dots for what is nowhere on the page
    systems = []
    for group in _of_class(whole, "system"):
        systems.append(_system(group, start, parts))
        start = systems[-1].last + 1
    if not systems:
        raise SourceError("Verovio drew a page without a system")
    staff = _staff_lines(_of_class(systems[0].group, "staff")[0])
    return Page(tuple(systems), width, height, staff[-1] - staff[0], (x, y), root.find(f"{SVG}defs"), whole, look)


def _system(group: Any, start: int, parts: int) -> System:
    measures = _of_class(group, "measure")
    staves = _of_class(measures[0], "staff")
    lines = [_staff_lines(staff) for staff in staves]
    number = "".join("".join(found.itertext()) for found in _of_class(measures[0], "mNum")[:1])
    labels = [_words(found) for kind in ("label", "labelAbbr") for found in _of_class(group, kind)]
    names = tuple(labels) if len(labels) == parts else ()
    if labels and not names:
        raise SourceError(f"Verovio printed {len(labels)} names beside {parts} parts")
    return System(
        start, start + len(measures) - 1, number.strip(), names, min(map(min, lines)), max(map(max, lines)), group
    )


def _of_class(group: Any, name: str) -> list[Any]:
    return [g for g in group.iter(f"{SVG}g") if (g.get("class") or "").split(" ")[0] == name]


def _words(group: Any) -> str:
    return " ".join("".join(group.itertext()).split())


def _staff_lines(staff: Any) -> list[int]:
    """The heights of a staff's lines, from the top."""
    out = []
    for path in staff.iterchildren(f"{SVG}path"):
        found = _LINE.match(path.get("d", ""))
        if found and found[2] == found[4]:
            out.append(int(found[2]))
    if len(out) < 2:
        raise ScorelmError("a staff of one line has no height to go by")
    return sorted(out)
