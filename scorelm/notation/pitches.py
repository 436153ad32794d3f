"""Pitches as they are spelled.

pitch      = [accidental] letter        ; C is C4, c is C5, c' C6, C, C3
accidental = "__" "_" "=" "^" "^^"      ; or "%" number, any other number of semitones
"""

from __future__ import annotations

from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import OCTAVES, pitch_lexeme

ACCIDENTAL_OF: dict[Fraction | int, str] = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
ALTER_OF = {sign: alter for alter, sign in ACCIDENTAL_OF.items()}
PITCH_OF = {pitch_lexeme(step, octave): (step, octave) for octave in OCTAVES for step in "CDEFGAB"}
LEXEME_OF = {place: lexeme for lexeme, place in PITCH_OF.items()}

MAX_ALTER = 12  # semitones


def accidental(alter: Fraction | int) -> str:
    """``_`` ``^`` ... or ``%1:2`` for what has no sign of its own."""
    sign = ACCIDENTAL_OF.get(alter)
    if sign is not None:
        return sign
    if not -MAX_ALTER <= alter <= MAX_ALTER or alter.denominator > 10**6:
        raise ScoreError(f"an alteration of {alter} semitones is out of bounds")
    return f"%{alter.numerator}" + (f":{alter.denominator}" if alter.denominator != 1 else "")


def place(step: str, octave: int) -> str:
    """The lexeme of a white key."""
    try:
        return LEXEME_OF[step, octave]
    except KeyError:
        raise ScoreError(f"the pitch {step}{octave} is out of bounds: octaves are 0 to 9") from None
