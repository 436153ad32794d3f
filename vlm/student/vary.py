"""Strips drawn a little otherwise each time they are learnt from, so that fewer engravings are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

WIDER = 0.12  # at most, or narrower
SHIFTED = 2  # rows up or down, at most
PALER = 0.3  # share of the ink that may be missing
NOISE = 0.06  # standard deviation of what is added, at most, where 1 is ink

Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (height, width); 255 is ink


def vary(strip: Pixels, rng: np.random.Generator) -> Pixels:
    """Another strip that shows the same."""
    height, width = strip.shape
    wider = max(1, round(width * (1 + WIDER * float(rng.uniform(-1, 1)))))
    shift = float(rng.uniform(-SHIFTED, SHIFTED))
    picture = Image.fromarray(strip).transform(
        (wider, height), Image.Transform.EXTENT, (0, shift, width, height + shift), Image.Resampling.BILINEAR
    )
    ink = np.asarray(picture, np.float32) * (1 - PALER * float(rng.random()))
    ink += rng.normal(0, 255 * NOISE * float(rng.random()), ink.shape).astype(np.float32)
    out: Pixels = np.clip(ink, 0, 255).astype(np.uint8)
    return out
