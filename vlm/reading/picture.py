"""A picture of any kind -> ink, from 0 (paper) to 1, level, however the light fell.

Pictures are arrays of (height, width), float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from scorelm.errors import SourceError

Ink = np.ndarray[Any, np.dtype[np.float32]]

MOST_PIXELS = 60_000_000  # of one picture; more is refused
MOST_PAGES = 200  # of one PDF
PDF_DPI = 200
STEEPEST = 0.06  # of the slope of a staff's lines that is put right, about 3.4 degrees
_STRIPS = 24  # vertical ones, whose profiles are compared to find the slope


def open_pictures(path: str | Path, most_pixels: int = MOST_PIXELS, most_pages: int = MOST_PAGES) -> list[Image.Image]:
    """The pages of a picture or a PDF. SourceError where it is none, or beyond most_pixels (of one) or most_pages."""
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    if path.suffix.lower() == ".pdf":
        return _pages(path, most_pixels, most_pages)
    try:
        with Image.open(path) as image:
            if image.width * image.height > most_pixels:
                raise SourceError(f"{path}: {image.width} x {image.height} pixels are more than {most_pixels}")
            return [grey(image)]
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise SourceError(f"{path}: is no picture that can be read: {error}") from None


def _pages(path: Path, most_pixels: int, most_pages: int) -> list[Image.Image]:
    try:
        import pypdfium2 as pdfium
    except ImportError:
        raise SourceError(f'{path}: PDFs need pypdfium2: pip install "scorelm[vlm]"') from None
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        raise SourceError(f"{path}: is no PDF that can be read: {error}") from None
    try:
        if len(document) > most_pages:
            raise SourceError(f"{path}: {len(document)} pages are more than {most_pages}")
        out = []
        for number in range(len(document)):
            page = document[number]
            scale = PDF_DPI / 72
            if page.get_width() * page.get_height() * scale * scale > most_pixels:
                raise SourceError(f"{path}: page {number + 1} has more than {most_pixels} pixels")
            out.append(grey(page.render(scale=scale).to_pil()))
        return out
    finally:
        document.close()


def grey(image: Image.Image) -> Image.Image:
    """Any picture in shades of grey, on white where it is transparent, upright as its camera says."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image) or image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L")


def ink_of(image: Image.Image) -> Ink:
    """Darkness beside the paper around it, 0 to 1: uneven light and grey paper go, pale ink becomes dark."""
    values = np.asarray(image, np.float32)
    paper = _paper(values)
    ink = np.clip(1 - values / np.maximum(paper, 1), 0, 1)
    full = np.quantile(ink, 0.995) if ink.size else 0.0  # what the darkest ink has; lines and notes are 5 to 20 %
    if full < 0.08:  # nothing but paper
        return np.zeros_like(ink)
    ink = (ink - 0.12 * full) / (0.8 * full)
    return np.clip(ink, 0, 1).astype(np.float32)


def _paper(values: Ink, cell: int = 16) -> Ink:
    """The brightness of the paper at each pixel: the brightest of each cell and its neighbours, smoothed."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % cell), (0, -width % cell)), mode="edge")
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    cells = np.quantile(padded.reshape(rows, cell, columns, cell), 0.9, axis=(1, 3))
    around = np.pad(cells, 1, mode="edge")
    shifts = [around[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    brightest = np.max(shifts, axis=0).astype(np.float32)
    large = Image.fromarray(brightest).resize((columns * cell, rows * cell), Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32)[:height, :width]


def slope_of(ink: Ink) -> float:
    """How far the lines of the staves fall, in pixels a pixel; 0 where no lines are seen."""
    height, width = ink.shape
    strip = max(1, width // _STRIPS)
    profiles = [ink[:, at : at + strip].sum(1) for at in range(0, width - strip + 1, strip)]
    centres = np.arange(len(profiles)) * strip
    rows = np.array(profiles)  # (strips, height)
    reach = int(STEEPEST * width) + 1
    padded = np.pad(rows, ((0, 0), (reach, reach)))

    def sharpness(slope: float) -> float:
        total = np.zeros(height, np.float32)
        for row, centre in zip(padded, centres):
            at = reach + round(slope * centre)
            total += row[at : at + height]
        return float(np.square(np.diff(total)).sum())

    falls = range(-reach + 1, reach, max(1, reach // 12))
    best = max(falls, key=lambda fall: (sharpness(fall / width), -abs(fall)))
    step = max(1, reach // 12)
    near = range(max(1 - reach, best - step), min(reach - 1, best + step) + 1)
    best = max(near, key=lambda fall: (sharpness(fall / width), -abs(fall)))
    # as it stands, unless it is clearly sharper otherwise
    return best / width if sharpness(best / width) > 1.002 * sharpness(0.0) else 0.0


def level(image: Image.Image) -> Image.Image:
    """The picture turned so that its staves are level."""
    ink = ink_of(image)
    slope = slope_of(ink)
    if abs(slope) * image.width < 1.5:
        return image
    angle = float(np.degrees(np.arctan(slope)))
    return image.rotate(
        angle, Image.Resampling.BICUBIC, expand=True, fillcolor=int(np.quantile(np.asarray(image), 0.9))
    )
