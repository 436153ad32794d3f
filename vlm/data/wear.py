"""Wear: a clean picture becomes one that was printed, copied, scanned or photographed.

Each kind of wear comes by chance, all from one seed: rotation, uneven ink, blur, paper, uneven light, noise, JPEG.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Grey = np.ndarray  # (height, width), float32, 0 black, 255 white


def wear(image: Image.Image, rng: np.random.Generator, strength: float = 1.0) -> Image.Image:
    """A worn copy of a grey picture, about as large. strength: 0 none, 1 what a poor copy has"""
    if rng.random() < 0.5:
        image = image.rotate(
            float(rng.normal(0, 0.5 * strength)), Image.Resampling.BILINEAR, expand=True, fillcolor=255
        )
    if rng.random() < 0.5:
        image = _ink(image, rng, strength)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.8)) * strength))
    grey = np.asarray(image, dtype=np.float32)
    for share, change in _CHANGES:
        if rng.random() < share:
            grey = change(grey, rng, strength)
    image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    if rng.random() < 0.3:
        image = _jpeg(image, int(rng.integers(40, 90)))
    return image


def _ink(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Ink that ran or that is thin: between the picture and its darkest or lightest neighbours."""
    runs = rng.random() < 0.6
    spread = image.filter(ImageFilter.MinFilter(3) if runs else ImageFilter.MaxFilter(3))
    share = float(rng.uniform(0.1, 0.45 if runs else 0.25)) * strength
    return Image.blend(image, spread, min(1.0, share))


def _paper(grey: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Fibres and stains: noise of two scales."""
    fine = _clouds(grey.shape, 4, rng)
    coarse = _clouds(grey.shape, 48, rng)
    return grey - strength * (rng.uniform(0, 14) * fine + rng.uniform(0, 28) * coarse)


def _light(grey: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Light that falls from one side, and paper that is not white."""
    height, width = grey.shape
    angle = rng.uniform(0, 2 * np.pi)
    slope = (
        np.cos(angle) * np.linspace(-0.5, 0.5, width)[None] + np.sin(angle) * np.linspace(-0.5, 0.5, height)[:, None]
    )
    shade = 1 - strength * (rng.uniform(0, 0.15) + rng.uniform(0, 0.35) * (slope + 0.5))
    out: Grey = (grey * np.clip(shade, 0.3, 1)).astype(np.float32)
    return out


def _fade(grey: Grey, rng: np.random.Generator, strength: float) -> Grey:
    """Ink that is not black."""
    floor = rng.uniform(0, 90) * strength
    out: Grey = floor + grey * ((255 - floor) / 255)
    return out


def _noise(grey: Grey, rng: np.random.Generator, strength: float) -> Grey:
    grains: Grey = rng.standard_normal(grey.shape, dtype=np.float32)
    out: Grey = grey + grains * np.float32(rng.uniform(1, 14) * strength)
    return out


_CHANGES: tuple[tuple[float, Callable[[Grey, np.random.Generator, float], Grey]], ...] = (
    (0.5, _fade), (0.5, _paper), (0.5, _light), (0.5, _noise),
)  # fmt: skip


def _clouds(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Grey:
    """Noise between 0 and 1 whose grains are so many pixels wide."""
    height, width = shape
    small = rng.integers(0, 256, (height // size + 2, width // size + 2), dtype=np.uint8)
    large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float32) / 255


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("L")
