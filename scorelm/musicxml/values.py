"""Text and numbers out of a document that may hold anything."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

ZERO = Fraction(0)


def clean(text: str | None) -> str:
    """Text without the white space around it and without control characters."""
    if not text:
        return ""
    if text.isprintable():
        return text.strip()
    return "".join(c if c >= " " and c != "\x7f" else "\n" if c in "\r\n" else " " for c in text).strip()


def whole(text: str | None, default: int) -> int:
    try:
        return int((text or "").strip())
    except ValueError:
        return default


@lru_cache(maxsize=4096)
def number(text: str | None, default: Fraction = ZERO) -> Fraction:
    try:
        return Fraction((text or "").strip())
    except (ValueError, ZeroDivisionError):
        return default
