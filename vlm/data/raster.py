"""SVG -> grey picture, by resvg."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from scorelm.errors import ScorelmError
from vlm.data.look import font_files


def raster(svg: str, text_font: str) -> Image.Image:
    """Black on white, of the size that the SVG states in pixels."""
    try:
        import resvg_py
    except ImportError:
        raise ScorelmError('pictures need resvg: pip install "scorelm[vlm]"') from None
    png = resvg_py.svg_to_bytes(
        svg_string=svg, background="white", skip_system_fonts=True, font_files=font_files(text_font),
        font_family=text_font, serif_family=text_font,
    )  # fmt: skip
    return Image.open(io.BytesIO(bytes(png))).convert("L")


def trim(image: Image.Image, margins: tuple[int, int, int, int], ink: int = 200) -> Image.Image:
    """The picture around its ink. margins: white pixels left, above, right, below; ink: what is darker is ink"""
    dark = np.asarray(image) < ink
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not len(rows):
        raise ScorelmError("nothing is drawn on this picture")
    left, above, right, below = margins
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    out = Image.new("L", (box[2] - box[0] + left + right, box[3] - box[1] + above + below), 255)
    out.paste(image.crop(box), (left, above))
    return out


def png(image: Image.Image) -> bytes:
    """A grey picture as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()
