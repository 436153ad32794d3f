"""What is asked for in words -> keys, times, parts, measures. ConfigError where it is none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scorelm.errors import ConfigError
from scorelm.notation.model import Key, Part, Time
from scorelm.notation.writer import MAX_PARTS, MAX_STAVES

LONGEST = 32  # quarters of a measure
_KEY = re.compile(
    r"([A-G])(#|♯|[ -]sharp|b|♭|[ -]flat|-(?= |$))?[ -]?(major|minor|maj|min|m)?", re.IGNORECASE
)  # music21 writes B flat as "B-"
_SIGNS = {"#": 7, "♯": 7, "sharp": 7, "b": -7, "♭": -7, "flat": -7, "-": -7}  # fifths
_FIFTHS = dict(zip("FCGDAEB", range(-1, 6)))  # of the major keys
_TIME = re.compile(r"(\d{1,2}(?:\+\d{1,2}){0,7})/(\d{1,2})")


def key_of(asked: str) -> Key:
    """``"D"`` and ``"D major"`` are D major, ``"b"``, ``"Bm"`` and ``"B minor"`` B minor; ``"Bb"``, ``"B-"``, ``"B flat"``."""
    match = _KEY.fullmatch(asked.strip())
    if not match:
        raise ConfigError(f"{asked!r} is no key; write for example D, Bb, b, f# or 'B minor'")
    letter, sign, mode = match.groups()
    minor = letter.islower() if mode is None else mode == "m" or mode.lower().startswith("min")
    fifths = _FIFTHS[letter.upper()] + (_SIGNS[sign.lower().strip(" -") or "-"] if sign else 0) - 3 * minor
    if not -7 <= fifths <= 7:
        raise ConfigError(f"{asked!r}: a key signature has at most 7 sharps or flats, this would have {abs(fifths)}")
    return Key(fifths, "minor" if minor else "major")


def time_of(asked: str) -> Time:
    """``"3/4"``, ``"6/8"``, ``"3+2/8"``, ``"C"`` (4/4) or ``"C|"`` (2/2)."""
    symbols = {"C": Time((((4,), 4),), "common"), "C|": Time((((2,), 2),), "cut")}
    if asked.strip() in symbols:
        return symbols[asked.strip()]
    match = _TIME.fullmatch(asked.strip())
    beats, unit = (tuple(map(int, match[1].split("+"))), int(match[2])) if match else ((0,), 0)
    if not all(beats) or unit not in (1, 2, 4, 8, 16, 32) or 4 * sum(beats) > LONGEST * unit:
        raise ConfigError(
            f"{asked!r} is no time signature; write for example 4/4, 3/4, 6/8, 3+2/8, C or C| ({LONGEST} quarters at most)"
        )
    return Time(((beats, unit),))


def parts_of(asked: str | Sequence[str]) -> tuple[Part, ...]:
    """``"Soprano,Alto,Tenor,Bass"``; ``"Voice,Piano:2"`` gives the piano two staves."""
    names = asked.split(",") if isinstance(asked, str) else list(asked)
    out = []
    for name in names:
        base, colon, staves = name.strip().rpartition(":")
        if not (colon and staves.isdecimal()):
            base, staves = name.strip(), "1"
        if not base or not 1 <= int(staves) <= MAX_STAVES:
            raise ConfigError(f"{name!r} is no part: it has a name, and after a ':' 1 to {MAX_STAVES} staves")
        out.append(Part(base, int(staves)))
    if len(out) > MAX_PARTS:
        raise ConfigError(f"{len(out)} parts: a score has at most {MAX_PARTS}")
    return tuple(out)


def range_of(asked: str | tuple[int, int]) -> tuple[int, int]:
    """``"5-8"``, ``(5, 8)`` or ``"5"``: measures."""
    if not isinstance(asked, str):
        asked = "-".join(map(str, asked))
    match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", asked.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last:
        raise ConfigError(f"{asked!r} are no measures; write for example 5-8, or 5 alone")
    return first, last
