"""Other engravers, where they are installed: MuseScore 3 and LilyPond draw excerpts, each a piece of its own.

They run as processes of their own, several excerpts at once, for most of their time goes into starting.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from scorelm.errors import ScorelmError
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import Attribute, Score, Time
from vlm.data.raster import trim

PROGRAMS = {"musescore": ("mscore3",), "lilypond": ("lilypond", "musicxml2ly")}
MUSESCORE_FONTS = {
    "Leland": "Leland Text", "Bravura": "Bravura Text", "Emmentaler": "MScore Text", "Gonville": "Gootville Text",
    "Petaluma": "Petaluma Text",
}  # fmt: skip
_FINER = 3  # drawn so many times as large, then made smaller
_TIMEOUT_S = 180
_STYLE = """<?xml version="1.0" encoding="UTF-8"?>
<museScore version="3.02"><Style>
<pageWidth>100</pageWidth><pagePrintableWidth>98</pagePrintableWidth><pageHeight>40</pageHeight>
<musicalSymbolFont>{font}</musicalSymbolFont><musicalTextFont>{text}</musicalTextFont><Spatium>1.75</Spatium>
<minNoteDistance>{note}</minNoteDistance><staffDistance>{staff}</staffDistance><akkoladeDistance>{staff}</akkoladeDistance>
<showHeader>0</showHeader><showFooter>0</showFooter>
</Style></museScore>
"""
_PAPER = r"""\paper { page-breaking = #ly:one-line-auto-height-breaking
  tagline = ##f oddHeaderMarkup = ##f evenHeaderMarkup = ##f oddFooterMarkup = ##f evenFooterMarkup = ##f }
#(set-global-staff-size 20)
"""


@functools.cache
def installed(engraver: str) -> bool:
    return engraver == "verovio" or all(shutil.which(program) for program in PROGRAMS[engraver])


def draws(engraver: str, score: Score) -> bool:
    """Whether an engraver can be trusted with a score.

    musicxml2ly loses the bars behind a measure of another length that is neither the first nor the last.
    """
    if engraver != "lilypond":
        return True
    length: Fraction | None = None
    for number, measure in enumerate(score.measures, 1):
        marks: list[Attribute] = [*measure.marks]
        for part in measure.parts:
            if part is None or part.length is not None:
                return False
            marks += part.marks
        for mark in marks:
            if isinstance(mark, Time):
                length = mark.quarters
        if length is None or measure.length > length:
            return False
        if measure.length < length and 1 < number < len(score.measures):
            return False
    return True


def draw(engraver: str, scores: Sequence[Score], staff_px: float, rng: np.random.Generator) -> list[Image.Image]:
    """A picture of each score, of one system. Raises ScorelmError where the engraver fails."""
    with tempfile.TemporaryDirectory(prefix="scorelm-") as name:
        folder = Path(name)
        for number, score in enumerate(scores):
            (folder / f"{number}.musicxml").write_bytes(write_musicxml(score))
        engrave = _musescore if engraver == "musescore" else _lilypond
        pattern = engrave(folder, len(scores), staff_px * _FINER, rng)
        return [_picture(folder / pattern.format(number)) for number in range(len(scores))]


def _picture(path: Path) -> Image.Image:
    if not path.is_file():
        raise ScorelmError(f"the engraver drew no {path.name}")
    with Image.open(path) as file:
        rgba = file.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    grey = trim(Image.alpha_composite(white, rgba).convert("L"), (_FINER,) * 4)
    return grey.resize((max(1, grey.width // _FINER), max(1, grey.height // _FINER)), Image.Resampling.BOX)


def _musescore(folder: Path, count: int, staff: float, rng: np.random.Generator) -> str:
    font = list(MUSESCORE_FONTS)[int(rng.integers(len(MUSESCORE_FONTS)))]
    style = _STYLE.format(
        font=font, text=MUSESCORE_FONTS[font], note=round(float(rng.uniform(0.2, 0.7)), 2),
        staff=round(float(rng.uniform(5, 8)), 1),
    )  # fmt: skip
    (folder / "style.mss").write_text(style, encoding="utf-8")
    job = [{"in": str(folder / f"{n}.musicxml"), "out": str(folder / f"{n}.png")} for n in range(count)]
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    dpi = staff / (4 * 1.75 / 25.4)
    _run(["mscore3", "-S", "style.mss", "-T", "6", "-r", f"{dpi:.2f}", "-j", "job.json"], folder)
    return "{}-1.png"


def _lilypond(folder: Path, count: int, staff: float, rng: np.random.Generator) -> str:
    for number in range(count):
        _run(["musicxml2ly", "--no-page-layout", "-o", f"{number}.ly", f"{number}.musicxml"], folder)
        path = folder / f"{number}.ly"
        text = path.read_text(encoding="utf-8")
        at = text.index("\\score")
        path.write_text(f"{text[:at]}{_PAPER}{text[at:]}", encoding="utf-8")
    dpi = staff / 20 * 72.27
    files = [f"{number}.ly" for number in range(count)]
    _run(["lilypond", "-s", "--png", f"-dresolution={dpi:.1f}", "-dno-point-and-click", *files], folder)
    return "{}.png"


def _run(command: list[str], folder: Path) -> None:
    environment = dict(os.environ, QT_QPA_PLATFORM="offscreen", XDG_RUNTIME_DIR=str(folder))
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ScorelmError(f"{command[0]} took longer than {_TIMEOUT_S} seconds") from None
    if done.returncode:
        raise ScorelmError(f"{command[0]}: {' '.join(done.stderr.split())[-300:]}")
