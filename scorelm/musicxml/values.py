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


def decimal(value: Fraction | int) -> str:
    """A number as MusicXML writes it: at most six decimals."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6f}".rstrip("0")


def alter_sign(text: str | None) -> str:
    """ "#", "b", "##" ... for an alteration, "" for none; in braces what has no such sign."""
    alter = number(text, Fraction(0))
    if alter.denominator == 1 and abs(alter) <= 3:
        return ("#" if alter > 0 else "b") * abs(int(alter))
    return "{" + decimal(alter) + "}"


def split_step(name: str) -> tuple[str, str, str]:
    """ "F#4" -> "F", "1", "4"; digits before a sign are kept whole."""
    at = next((i for i, c in enumerate(name) if c in "#b{" and i), len(name))
    at = min(at, 1) if name[:1].isalpha() else at
    head, rest = name[:at], name[at:]
    if rest.startswith("{"):
        alter, _, rest = rest[1:].partition("}")
        return head, alter, rest
    signs = len(rest) - len(rest.lstrip("#b"))
    value = rest[:signs].count("#") - rest[:signs].count("b")
    return head, str(value) if value else "", rest[signs:]
