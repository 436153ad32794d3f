"""The student reads: strips -> score text, bound by the grammar, and how sure it was of each measure.

The encoder runs in torch, once a picture; the language model in numpy, all staves of a system beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scorelm.engine import Engine
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES
from scorelm.notation.positions import Clock
from scorelm.notation.sound import Sound
from vlm.reading.picture import Ink
from vlm.reading.staves import HEIGHT
from vlm.student.model import load_reader
from vlm.student.samples import question, words

MOST_MEASURES = 64  # of one staff on one picture
MOST_TOKENS = 1024  # of one answer
DOUBTFUL = 0.5  # a measure with a lexeme less likely than this is one to look at


@dataclass(frozen=True)
class Transcription:
    """``text`` is sound score text; ``sure``: of each measure the probability of its least likely lexeme."""

    text: str
    sure: tuple[float, ...]
    whole: bool  # whether it came to its end by itself

    @property
    def doubtful(self) -> list[int]:
        """Measures, from 1, that should be looked at."""
        return [number for number, sure in enumerate(self.sure, 1) if sure < DOUBTFUL]


class Transcriber:
    """A reader of a folder that python -m vlm.distill wrote. ConfigError where there is none."""

    def __init__(self, folder: str | Path) -> None:
        self.reader = load_reader(folder)
        self.tokens = self.reader.tokens
        if self.tokens.vocabulary.joined:
            raise ConfigError(f"{folder}: its language model has joined tokens, which cannot be bound yet")
        self.known = len(self.tokens.vocabulary)
        self.engine = Engine(Path(folder) / "language")
        self._ids: dict[frozenset[str], Any] = {}

    def staves(self, strips: Sequence[Ink]) -> list[Transcription]:
        """What stands on each strip."""
        if not strips:
            return []
        prefixes = self._see(strips, [1] * len(strips))
        rows = [_Staff() for _ in strips]
        session = self.engine.session(len(rows), max(map(len, prefixes)) + MOST_TOKENS)
        for number, prefix in enumerate(prefixes):
            session.read_vectors(number, prefix, list(range(-len(prefix), 0)))
        order = list(range(len(rows)))  # rows under way, as they stand in the session
        while order:
            logits = session.step([rows[i].last for i in order], [rows[i].position for i in order])
            for at, number in reversed(list(enumerate(order))):
                if not rows[number].take(logits[at], self._choices):
                    session.swap(at, len(order) - 1)
                    order[at], order[-1] = order[-1], order[at]
                    order.pop()
        return [row.done() for row in rows]

    def answer(self, strips: Sequence[Ink], prompt: str) -> str:
        """Words on a picture of these strips: the likeliest letter each time."""
        prefix = self._see(strips, [len(strips)])[0]
        asked = question(prompt, self.tokens)
        session = self.engine.session(1, len(prefix) + len(asked) + MOST_TOKENS)
        session.read_vectors(0, prefix, list(range(-len(prefix), 0)))
        logits = session.read(0, asked, list(range(len(asked))))
        said: list[int] = []
        while len(said) < MOST_TOKENS:
            token = int(logits.argmax())
            if token == self.tokens.end:
                break
            said.append(token)
            logits = session.step([token], [float(len(asked) + len(said) - 1)])[0]
        return words(said, self.tokens)

    def _see(self, strips: Sequence[Ink], counts: Sequence[int]) -> list[Any]:
        widths = torch.tensor([strip.shape[1] for strip in strips])
        x = torch.zeros(len(strips), 1, HEIGHT, int(widths.max()))
        for i, strip in enumerate(strips):
            x[i, 0, :, : strip.shape[1]] = torch.from_numpy(np.array(strip))
        with torch.inference_mode():
            columns, own = self.reader.see(x, widths)
            return [prefix.numpy() for prefix in self.reader.prefixes(columns, own, counts)]

    def _choices(self, allowed: frozenset[str]) -> Any:
        found = self._ids.get(allowed)
        if found is None:
            found = self._ids[allowed] = np.array(sorted(i for x in allowed if (i := IDS[x]) < self.known))
        return found


class _Staff:
    """The text of one strip under way."""

    def __init__(self) -> None:
        self.walk = Sound("|", at_most=MOST_MEASURES, max_parts=1)
        self.clock = Clock()
        self.lexemes = ["|"]
        self.last, self.position = IDS["|"], self.clock.push("|")
        self.sure: list[float] = []
        self.least = 1.0
        self.whole = False

    def take(self, logits: Any, choices: Any) -> bool:
        """Go on by the likeliest lexeme; whether there is more to come."""
        ids = choices(self.walk.allowed)
        if not len(ids) or len(self.lexemes) >= MOST_TOKENS:
            return False
        some = logits[ids]
        best = int(some.argmax())
        lexeme = LEXEMES[ids[best]]
        if lexeme == END_OF_TEXT:
            self.whole = True
            return False
        likely = np.exp(some[best] - logits.max()) / np.exp(logits - logits.max()).sum()
        self.least = min(self.least, float(likely))
        self.walk.push(lexeme)
        self.lexemes.append(lexeme)
        self.last, self.position = int(ids[best]), self.clock.push(lexeme)
        if lexeme == "|":
            self.sure.append(self.least)
            self.least = 1.0
        return True

    def done(self) -> Transcription:
        """The whole measures that were written."""
        last = len(self.lexemes) - self.lexemes[::-1].index("|")
        return Transcription("".join(self.lexemes[:last]), tuple(self.sure), self.whole)
