"""MusicXML -> pictures: SVG by Verovio, from it PNG and PDF by CairoSVG.

    engrave(musicxml, "song.png")     one file at the path asked for: .svg, .png or .pdf

SVG and PNG are one tall page, as high as the music; a PDF has pages of A4.
"""

from __future__ import annotations

import functools
import io
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from lxml import etree

from scorelm.errors import ScorelmError, SourceError
from scorelm.files import write_atomically

PICTURES = (".svg", ".png", ".pdf")

_PAGE_WIDTH = 2100  # tenths of a millimetre: A4
_PAGE_HEIGHT = 2970
_TALLEST = 60000  # Verovio's limit for a page
_SCALE_PERCENT = 40  # 840 pixels wide: a staff is 14 pixels high
_PNG_ZOOM = 2.0
_PNG_TALLEST = 32000  # pixels; Cairo's own limit is 32767
SPACE = 60  # thousandths of an em, between the note and the dot of a metronome mark
_A4_POINTS = (595.28, 841.89)
_PIXELS_PER_POINT = 96 / 72


def engrave(musicxml: str | bytes, path: str | os.PathLike[str]) -> Path:
    """Draw a score to one file; its ending (.svg, .png, .pdf) says how. Returns the path."""
    target = Path(path)
    draw = {".svg": engrave_tall_svg, ".png": engrave_png, ".pdf": engrave_pdf}.get(target.suffix.lower())
    if draw is None:
        raise ScorelmError(f"{target.name}: a picture's name ends in {', '.join(PICTURES)}")
    return write_atomically(target, draw(musicxml))


def engrave_svg(musicxml: str | bytes) -> list[str]:
    """One SVG a page (at most A4, cut to the height of its music)."""
    return _pages(musicxml, _PAGE_HEIGHT)


def engrave_tall_svg(musicxml: str | bytes) -> str:
    """The whole score in one SVG, as high as needed."""
    return _stack(_pages(musicxml, _TALLEST))


def engrave_png(musicxml: str | bytes) -> bytes:
    """The whole score in one PNG on white, 1680 pixels wide (less where it were too tall)."""
    svg = engrave_tall_svg(musicxml)
    zoom = min(_PNG_ZOOM, _PNG_TALLEST / _size(svg)[1])
    return draw(svg, "PNG", scale=zoom, background_color="white")


def engrave_pdf(musicxml: str | bytes) -> bytes:
    """A PDF of A4 pages; one whose system is higher than A4 is as high as that system."""
    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import RectangleObject

    width, height = _A4_POINTS
    writer = PdfWriter()
    for svg in engrave_svg(musicxml):
        drawn = draw(svg, "PDF", output_width=width * _PIXELS_PER_POINT)
        page = PdfReader(io.BytesIO(drawn)).pages[0]
        top = float(page.mediabox.top)
        page.mediabox = RectangleObject((0, min(0.0, top - height), width, top))
        writer.add_page(page)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _pages(musicxml: str | bytes, height: int) -> list[str]:
    import verovio

    text = _drawable(musicxml)
    verovio.enableLog(verovio.LOG_OFF)  # it would write to stderr; what matters is raised below
    verovio.setDefaultResourcePath(str(_verovio_data()))  # which holds for the thread that says it alone
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "pageWidth": _PAGE_WIDTH,
            "pageHeight": height,
            "adjustPageHeight": True,
            "scale": _SCALE_PERCENT,
            "breaks": "auto",
            "footer": "none",
            "lyricWordSpace": 4.0,  # fonts wider than Times would run words together
            "xmlIdChecksum": True,  # the same score gives the same SVG
        }
    )
    if not toolkit.loadData(text):
        raise SourceError("Verovio cannot engrave this MusicXML")
    pages = [toolkit.renderToSVG(n) for n in range(1, toolkit.getPageCount() + 1)]
    if not pages or not all(pages):
        raise SourceError("Verovio engraved no page of this MusicXML")
    return pages


def _drawable(musicxml: str | bytes) -> str:
    """Well-formed MusicXML as text without a declared encoding, whatever it came in, and without what kills Verovio."""
    is_text = isinstance(musicxml, str)
    raw = musicxml.encode("utf-8") if isinstance(musicxml, str) else musicxml
    parser = etree.XMLParser(
        encoding="utf-8" if is_text else None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
    )
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise SourceError(f"no MusicXML: {error}") from error
    if root.tag not in ("score-partwise", "score-timewise"):
        raise SourceError(f"no MusicXML: expected <score-partwise>, found <{root.tag}>")
    _end_only_what_began(root)
    return str(etree.tostring(root, encoding="unicode"))


def _end_only_what_began(root: etree._Element) -> None:
    """Verovio 6.4 looks for the start of every <principal-voice type="stop">, and where there is none it crashes."""
    under_way: Counter[str | None] = Counter()  # in each part
    for sign in root.findall(".//direction/direction-type/principal-voice"):
        part = next((above.get("id") for above in sign.iterancestors("part")), None)
        if sign.get("type") == "start":
            under_way[part] += 1
        elif under_way[part]:
            under_way[part] -= 1
        else:
            direction_type = sign.getparent()
            direction = direction_type.getparent()
            direction.remove(direction_type)
            if direction.find("direction-type") is None:
                direction.getparent().remove(direction)


def _size(svg: str) -> tuple[int, int]:
    """Width and height in pixels, as the first tag states them."""
    found = re.search(r'<svg width="(\d+)px" height="(\d+)px"', svg)
    if found is None:
        raise ScorelmError("Verovio wrote an SVG without a size")
    return int(found[1]), int(found[2])


def _stack(pages: list[str]) -> str:
    """Pages above one another in a single SVG; each keeps ids of its own."""
    if len(pages) == 1:
        return pages[0]
    top, inner = 0, []
    for number, page in enumerate(pages, 1):
        start = page.index("<svg ")
        name = re.search(r'\bid="([^"]+)"', page[start : page.index(">", start)])
        if name is not None:
            page = page.replace(name[1], f"{name[1]}-{number}")
        inner.append(page[start:].replace("<svg ", f'<svg y="{top}px" ', 1))
        top += _size(pages[number - 1])[1]
    width = max(_size(page)[0] for page in pages)
    return (
        f'<svg width="{width}px" height="{top}px" version="1.1"'
        ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">\n'
        + "\n".join(inner)
        + "\n</svg>\n"
    )


def draw(svg: str, kind: str, **options: Any) -> bytes:
    return bytes(_surface(kind).convert(bytestring=svg.encode("utf-8"), **options))


@functools.cache
def _surface(kind: str) -> Any:
    """CairoSVG's PNG or PDF surface, taught to draw music signs inside text.

    Verovio sets the note of a metronome mark in its own font, which it embeds in the SVG.
    CairoSVG reads no embedded fonts and would draw an empty box.
    """
    try:
        from cairosvg import surface
    except OSError as error:  # cairosvg comes by pip, the library that it calls does not
        raise ScorelmError(f"{kind} needs the Cairo library (Debian: apt-get install libcairo2)") from error
    from cairosvg.helpers import size
    from cairosvg.parser import Tree

    class Surface(getattr(surface, f"{kind}Surface")):  # type: ignore[misc]
        def draw(self, node: Any) -> None:
            signs = (node.text or "").strip() if node.tag == "tspan" else ""
            if not signs or node.get("font-family") != "Leipzig" or not all(map(_glyph, signs)):
                super().draw(node)
                return
            per_unit = size(self, node.get("font-size", "0")) / 1000
            for sign in signs:
                shape, advance = _glyph(sign) or ("", 0)
                x, y = self.cursor_position
                super().draw(
                    Tree(bytestring=f'<g transform="translate({x},{y}) scale({per_unit})">{shape}</g>'.encode())
                )
                self.cursor_position = (x + advance * per_unit, y)

    return Surface


def _verovio_data() -> Path:
    import verovio

    return Path(verovio.__file__).parent / "data"


@functools.cache
def _glyph(sign: str) -> tuple[str, float] | None:
    """A sign of Verovio's music font: its path in SVG, its advance in thousandths of an em. A space is before a dot."""
    if sign == " ":
        return "", SPACE
    data = _verovio_data()
    file = data / "Leipzig" / f"{ord(sign):04X}.xml"
    if not file.is_file():
        return None
    advance = re.search(
        rf'c="{ord(sign):04X}"[^>]*h-a-x="([\d.]+)"',
        (data / "Leipzig.xml").read_text(encoding="utf-8"),
    )
    path = re.search(r"<path.*?/>", file.read_text(encoding="utf-8"), re.DOTALL)
    return None if advance is None or path is None else (path[0], float(advance[1]))
