"""Other spellings of the same scores, which the format's own was chosen from.

pitch     explicit  an accidental on every note that is no natural, one lexeme with its letter (the format's own)
          key       an accidental only where a note differs from the key signature
duration  unit      a value holds until it changes; each voice and measure begins with the beat unit (its own)
          held      a value holds until it changes, and is said first in each voice and measure
          each      every note says its value

Durations change the writer while ``_spelled`` holds; pitches are respelled lexeme by lexeme. Such texts are no
score text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from scorelm.notation import state, writer
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Key, Score, Value, key_alters
from scorelm.notation.pitches import ALTER_OF, PITCH_OF, SIGN_OF

PITCHES = ("explicit", "key")
DURATIONS = ("unit", "held", "each")
NO_VALUE = Value(99)


@contextlib.contextmanager
def _spelled(duration: str) -> Iterator[None]:
    with contextlib.ExitStack() as changes:
        if duration == "held":
            changes.enter_context(mock.patch.object(state.State, "unit", lambda self, part: NO_VALUE))
        if duration == "each":

            def every(self: writer._Voice, value: Value) -> None:
                self.out.append(value.letter)

            changes.enter_context(mock.patch.object(writer._Voice, "_duration", every))
        yield


def spell(score: Score, pitch: str, duration: str) -> list[str]:
    """The lexemes of a score in one of the spellings; joined they are its text."""
    with _spelled(duration):
        lexemes = cut(writer.write(score))
    return lexemes if pitch == "explicit" else _relative_to_key(lexemes)


def _relative_to_key(lexemes: list[str]) -> list[str]:
    """Accidentals only where a note differs from its part's key, with ``=`` for a natural.

    Keys within a measure are not looked at: the chorales have none.
    """
    out: list[str] = []
    score_key: dict[str, object] = {}
    own: dict[int, dict[str, object]] = {}
    part, in_head, quoted, sign = 0, True, False, None
    for lexeme in lexemes:
        if lexeme == '"' or quoted:
            quoted ^= lexeme == '"'
        elif lexeme == "|":
            part, in_head = 0, True
        elif lexeme == ";":
            part, in_head = part + 1, False
        elif lexeme.startswith("P"):
            in_head = False
        elif lexeme[0] == "K" and lexeme[1:].lstrip("-").isdigit():
            alters = key_alters(Key(int(lexeme[1:])))
            if in_head:
                score_key, own = alters, {}
            else:
                own[part] = alters
        elif lexeme in ALTER_OF:
            sign = ALTER_OF[lexeme]
            continue
        elif lexeme in PITCH_OF and out[-1] not in ("n", "o"):
            step, _, alter = PITCH_OF[lexeme]
            alter = alter if sign is None else sign
            if alter != own.get(part, score_key).get(step, 0):
                out.append(SIGN_OF[alter] or "=")
            lexeme, sign = lexeme.lstrip("^_"), None
        out.append(lexeme)
    return out
