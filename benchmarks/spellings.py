"""Other spellings of the same scores, which the format's own was chosen from.

pitch     key       an accidental only where a note differs from the key signature (the format's own)
          explicit  an accidental on every note that is no natural
duration  unit      a value holds until it changes; each voice and measure begins with the beat unit (its own)
          held      a value holds until it changes, and is said first in each voice and measure
          each      every note says its value

Only the writer is changed, while ``spelled`` holds; such texts are no score text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from scorelm.notation import state, writer
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Score, Value
from scorelm.notation.pitches import ALTER_OF

PITCHES = ("key", "explicit")
DURATIONS = ("unit", "held", "each")
NO_VALUE = Value(99)


@contextlib.contextmanager
def _spelled(pitch: str, duration: str) -> Iterator[None]:
    with contextlib.ExitStack() as changes:
        if pitch == "explicit":
            for module in (writer, state):
                changes.enter_context(mock.patch.object(module, "key_alters", lambda key: {}))
        if duration == "held":
            changes.enter_context(mock.patch.object(state.State, "unit", lambda self, part: NO_VALUE))
        if duration == "each":

            def every(self: writer._Voice, value: Value) -> None:
                self.out.append(value.letter)

            changes.enter_context(mock.patch.object(writer._Voice, "_duration", every))
        yield


def spell(score: Score, pitch: str, duration: str) -> str:
    """The text of a score in one of the spellings."""
    with _spelled(pitch, duration):
        return writer.write(score)


def lexemes(text: str, pitch: str) -> list[str]:
    """The text's lexemes; where every accidental is written, it is one lexeme with its letter, to be fair."""
    if pitch == "key":
        return cut(text)
    out: list[str] = []
    sign = ""
    for lexeme in cut(text):
        if lexeme in ALTER_OF:
            sign = lexeme
        else:
            out.append(sign + lexeme)
            sign = ""
    return out
