"""Token ids -> the ids of the same music in another key, by a table for each interval.

An interval changes the lexemes of pitches and of key signatures alone, so a text need not be parsed and written again
for each of its keys. What has no such lexeme there (a double sharp, eight flats) takes the long way,
``notation.transform.transpose``.
"""

from __future__ import annotations

import numpy as np

from scorelm.notation import heard
from scorelm.notation.lexemes import ACCIDENTALS, IDS
from scorelm.notation.model import Pitch
from scorelm.notation.pitches import LEXEME_OF, PITCH_OF
from scorelm.notation.transform import interval_size, moved_pitch
from scorelm.recalled import RECALLED, ROWS
from scorelm.tokenizer import Ids
from scorelm.vocabulary import Vocabulary

_LONG_WAY = -1
_SPELLED_OTHERWISE = (*ACCIDENTALS, "%", "K!", "n")  # the lexemes behind these say more, or other things, than alone


class Keys:
    """The tables of a vocabulary, each made when its interval is first asked for.

    hears: ids have an axis more, of what is heard beside each token, whose rows stand behind the vocabulary's
    recalled_from: the first row of what is recalled, where that stands there, too
    """

    def __init__(self, vocabulary: Vocabulary, hears: bool = False, recalled_from: int | None = None) -> None:
        self.vocabulary = vocabulary
        self.hears = hears
        self.recalled_from = recalled_from
        self.quote = vocabulary.ids['"']
        self.tables: dict[str, Ids] = {}

    def moved(self, ids: Ids, interval: str) -> Ids | None:
        """``ids`` in the key an interval away ("M2", "-m3"); None where it takes the long way."""
        out = self._looked_up(ids, interval)
        return None if (out == _LONG_WAY).any() else out

    def beginning(self, ids: Ids, interval: str) -> Ids:
        """``moved`` as far as it goes: up to what takes the long way, or to a signature of seven sharps or flats."""
        if interval == "P1":
            return ids
        out = self._looked_up(ids, interval)
        ends = np.flatnonzero(np.isin(out, (_LONG_WAY, *(self.vocabulary.ids[f"K{n}"] for n in (-7, 7)))))
        return out[: ends[0]] if len(ends) else out

    def _looked_up(self, ids: Ids, interval: str) -> Ids:
        if interval not in self.tables:
            self.tables[interval] = self._table(interval)
        tokens = ids[:, 0] if self.hears else ids
        quotes = tokens == self.quote
        behind = np.cumsum(quotes) % 2 > 0  # a token stands in a string
        inside = behind != quotes  # a letter in a string is no pitch
        out: Ids = self.tables[interval][ids]
        (out[:, 0] if self.hears else out)[inside] = tokens[inside]
        for column in RECALLED if self.recalled_from else ():  # what may stand in the next place
            out[behind, column] = ids[behind, column]
            unknown = out[:, column] == _LONG_WAY
            out[unknown, column], out[unknown, column + 1] = 0, self.recalled_from - 1
        return out

    def _table(self, interval: str) -> Ids:
        steps, semitones = interval_size(interval)
        fifths = 7 * semitones - 12 * steps
        lexemes: dict[str, str | None] = {lexeme: lexeme for lexeme in IDS}
        lexemes |= dict.fromkeys(_SPELLED_OTHERWISE)
        for n in range(-7, 8):
            lexemes[f"K{n}"] = f"K{n + fifths}" if abs(n + fifths) <= 7 else None
        for lexeme, known in PITCH_OF.items():
            pitch = moved_pitch(Pitch(*known), steps, semitones)
            lexemes[lexeme] = LEXEME_OF.get((pitch.step, pitch.octave, pitch.alter))
        out = []
        for token in self.vocabulary.tokens:
            moved = [lexemes[lexeme] for lexeme in token]
            spelled = "".join(lexeme for lexeme in moved if lexeme is not None)
            out.append(_LONG_WAY if None in moved else self.vocabulary.ids.get(spelled, _LONG_WAY))
        if self.hears:
            rows = heard.moved_rows(lambda pitch: moved_pitch(pitch, steps, semitones), fifths)
            out += [_LONG_WAY if row is None else len(self.vocabulary) + row for row in rows]
        if self.recalled_from:
            out += range(len(out), self.recalled_from + ROWS)
        return np.array(out, np.int16)
