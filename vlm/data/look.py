"""How one engraving looks: fonts, spacing, sizes, drawn by chance from a seed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MUSIC_FONTS = ("Leipzig", "Bravura", "Gootville", "Petaluma", "Leland")
TEXT_FONTS = {
    "STIXGeneral": ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "STIXGeneralBolIta"),
    "DejaVu Serif": ("DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic"),
    "DejaVu Sans": ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold", "DejaVuSans-BoldOblique"),
    "cmr10": ("cmr10",),
}  # matplotlib brings them: the same text on every machine, none read from the system


@dataclass(frozen=True)
class Look:
    """Of an engraving. ``options`` are Verovio's own."""

    music_font: str = "Leipzig"
    text_font: str = "STIXGeneral"
    options: tuple[tuple[str, Any], ...] = ()
    names: bool = True  # of the parts, beside the first system
    abbreviations: bool = False  # of the names, beside the others
    titled: bool = True  # title and composer stand above the first system


def any_look(rng: np.random.Generator) -> Look:
    """Another look for another state of ``rng``."""
    text_fonts = list(TEXT_FONTS)
    options = {
        "pageWidth": int(rng.integers(1300, 2500)),
        "pageHeight": int(rng.integers(2200, 3300)),
        "spacingLinear": round(float(rng.uniform(0.2, 0.32)), 3),
        "spacingNonLinear": round(float(rng.uniform(0.5, 0.7)), 3),
        "spacingStaff": int(rng.integers(7, 15)),
        "spacingSystem": int(rng.integers(4, 13)),
        "staffLineWidth": round(float(rng.uniform(0.12, 0.22)), 3),
        "stemWidth": round(float(rng.uniform(0.16, 0.26)), 3),
        "barLineWidth": round(float(rng.uniform(0.22, 0.42)), 3),
        "slurMidpointThickness": round(float(rng.uniform(0.4, 0.8)), 2),
        "tieMidpointThickness": round(float(rng.uniform(0.35, 0.65)), 2),
        "lyricSize": round(float(rng.uniform(4.0, 5.2)), 2),
    }
    return Look(
        music_font=MUSIC_FONTS[int(rng.integers(len(MUSIC_FONTS)))],
        text_font=text_fonts[int(rng.choice(len(text_fonts), p=(0.5, 0.25, 0.15, 0.1)))],
        options=tuple(options.items()),
        names=bool(rng.random() < 0.8),
        abbreviations=bool(rng.random() < 0.4),
        titled=bool(rng.random() < 0.85),
    )


@functools.cache
def font_files(family: str) -> list[str]:
    """The files of a text font, plain first."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [str(folder / f"{name}.ttf") for name in TEXT_FONTS[family]]
