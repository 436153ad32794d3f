"""Where home is: the key that a text says, as its lexemes come."""

from __future__ import annotations

from typing import NamedTuple

from scorelm.analysis.tonality import MODES
from scorelm.notation.model import Pitch
from scorelm.notation.pitches import PITCH_OF

SIGNATURES = {f"K{fifths}": fifths for fifths in range(-7, 8)}
MODE_NAMES = {f"!{mode}!": mode for mode in MODES}
_DEGREES = (0, 2, 4, -1, 1, 3, 5)  # of a major scale, on the line of fifths


class Home(NamedTuple):
    """Of the parts that say a mode in a measure the first one counts. What stands in strings is not to be pushed."""

    signature: int = 0  # the last one: sharps; flats are below 0
    key: tuple[int, str] | None = None  # the signature that says where home is, and its mode, or ""
    said: bool = False  # whether a mode is said in this measure

    def push(self, lexeme: str) -> Home:
        if lexeme in SIGNATURES:
            signature = SIGNATURES[lexeme]
            if not self.said and (self.key is None or self.key[0] != signature):
                return Home(signature, (signature, ""))
            return self._replace(signature=signature)
        if lexeme in MODE_NAMES and not self.said:
            return Home(self.signature, (self.signature, MODE_NAMES[lexeme]), True)
        return self._replace(said=False) if lexeme == "|" else self

    def tonics(self) -> tuple[int, ...]:
        """On the line of fifths; without a mode, the major key's and the minor one's."""
        if self.key is None:
            return ()
        signature, mode = self.key
        return tuple(signature + _DEGREES[MODES[x]] for x in ((mode,) if mode else ("major", "minor")))


def fifths_of(pitch: Pitch) -> int:
    """Its place on the line of fifths, from C."""
    return "FCGDAEB".index(pitch.step) - 1 + 7 * int(pitch.alter)


def pitch_of(lexeme: str, alter: int | None = None) -> Pitch:
    """alter: of a sign that is a lexeme of its own, before it"""
    step, octave, own = PITCH_OF[lexeme]
    return Pitch(step, octave, own if alter is None else alter)
