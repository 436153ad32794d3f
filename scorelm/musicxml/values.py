"""Text and numbers out of a document that may hold anything."""

from __future__ import annotations

from fractions import Fraction


def clean(text: str | None) -> str:
    """Text without the white space around it and without control characters."""
    if not text:
        return ""
    return "".join(c if c >= " " and c != "\x7f" else "\n" if c in "\r\n" else " " for c in text).strip()


def whole(text: str | None, default: int) -> int:
    try:
        return int((text or "").strip())
    except ValueError:
        return default


def number(text: str | None, default: Fraction) -> Fraction:
    try:
        return Fraction((text or "").strip())
    except (ValueError, ZeroDivisionError):
        return default
