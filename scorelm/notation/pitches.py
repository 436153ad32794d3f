"""Pitches as they are spelled.

pitch      = ["^" / "_" / accidental] letter        ; C is C4, c is C5, c' C6, C, C3; a bare letter is a natural
accidental = "__" "^^"                              ; or "%" number, any other number of semitones

A sharp or a flat is one lexeme with its letter.
"""

from __future__ import annotations

from fractions import Fraction

from scorelm.errors import ScoreError
from scorelm.notation.lexemes import OCTAVES, pitch_lexeme

SIGN_OF: dict[Fraction | int, str] = {-2: "__", -1: "_", 0: "", 1: "^", 2: "^^"}
ALTER_OF = {"__": -2, "^^": 2}  # signs that are lexemes of their own
PITCH_OF: dict[str, tuple[str, int, int]] = {  # lexeme -> step, octave, alteration
    SIGN_OF[alter] + pitch_lexeme(step, octave): (step, octave, alter)
    for alter in (0, 1, -1)
    for octave in OCTAVES
    for step in "CDEFGAB"
}
LEXEME_OF: dict[tuple[str, int, Fraction | int], str] = {pitch: lexeme for lexeme, pitch in PITCH_OF.items()}

MAX_ALTER = 12  # semitones


def accidental(alter: Fraction | int) -> str:
    """``_`` ``^`` ... or ``%1:2`` for what has no sign of its own; "" for a natural."""
    sign = SIGN_OF.get(alter)
    if sign is not None:
        return sign
    if not -MAX_ALTER <= alter <= MAX_ALTER or alter.denominator > 10**6:
        raise ScoreError(f"an alteration of {alter} semitones is out of bounds")
    return f"%{alter.numerator}" + (f":{alter.denominator}" if alter.denominator != 1 else "")


def spell_pitch(step: str, octave: int, alter: Fraction | int = 0) -> str:
    """``^F`` is F sharp 4."""
    spelled = LEXEME_OF.get((step, octave, alter))
    if spelled is not None:
        return spelled
    if octave not in OCTAVES:
        raise ScoreError(f"the pitch {step}{octave} is out of bounds: octaves are 0 to 9")
    return accidental(alter) + pitch_lexeme(step, octave)
