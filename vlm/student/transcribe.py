"""The student reads: strips -> score text, bound by the grammar, and how sure it was of each measure.

The encoder hears some texts that may stand on a strip; the language model, which sees it too, says which is likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scorelm.engine import Engine
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES
from vlm.reading.picture import Ink
from vlm.reading.staves import HEIGHT
from vlm.student.beam import Prefix, search
from vlm.student.model import load_reader
from vlm.student.samples import question, words

MOST_MEASURES = 64  # of one staff on one picture
MOST_TOKENS = 1024  # of one answer
RESCORED = 6  # texts of a strip that the language model compares
LISTENING = 0.5  # weight of the encoder beside the language model's
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
        """What stands on each strip: of what the encoder hears, that which the language model finds likeliest, too."""
        if not strips:
            return []
        with torch.inference_mode():
            columns, own = self._columns(strips)
            heard = self.reader.ctc_head(columns).log_softmax(-1)[..., : self.known].numpy()
            prefixes = self.reader.prefixes(columns, own, [1] * len(strips))
            found = [search(row[:length], MOST_MEASURES)[:RESCORED] for row, length in zip(heard, own.tolist())]
            return [self._best(prefix, some) for prefix, some in zip(prefixes, found)]

    def _best(self, seen: torch.Tensor, found: Sequence[tuple[Prefix, float]]) -> Transcription:
        """The best of some texts of a strip."""
        some = [[IDS["|"], *prefix.tokens(), self.tokens.end] for prefix, _ in found]
        said = self._logarithms(seen, some)
        both = [LISTENING * nats + (1 - LISTENING) * float(row.sum()) for (_, nats), row in zip(found, said)]
        best = max(range(len(found)), key=both.__getitem__)
        prefix = found[best][0]
        whole = prefix.complete
        if whole:
            ids = some[best][:-1]
        else:
            ids = self._completed(seen, prefix, some[best][:-1])
            said[best] = self._logarithms(seen, [[*ids, self.tokens.end]])[0]
        lexemes = [LEXEMES[i] for i in ids]
        sure, least = [], 0.0
        for lexeme, nats in zip(lexemes[1:], said[best].tolist()):
            least = min(least, nats)
            if lexeme == "|":
                sure.append(math.exp(least))
                least = 0.0
        return Transcription("".join(lexemes), tuple(sure), whole)

    def _logarithms(self, seen: torch.Tensor, some: Sequence[list[int]]) -> list[torch.Tensor]:
        """Of the probability of each token behind the first one of each text, by the language model."""
        ids = [torch.tensor(row) for row in some]
        where = [torch.tensor(self.tokens.positions(row)) for row in some]
        logits = self.reader.read([seen] * len(ids), [row[:-1] for row in ids], [p[:-1] for p in where])
        nats = logits.log_softmax(-1)
        return [nats[i, : len(row) - 1].gather(-1, row[1:, None])[:, 0] for i, row in enumerate(ids)]

    def _completed(self, seen: torch.Tensor, prefix: Prefix, ids: list[int]) -> list[int]:
        """What was cut off, up to the next place where it may end: by the language model, within the grammar."""
        walk, ids = prefix.walk.copy(), list(ids)
        while END_OF_TEXT not in walk.allowed or len(ids) == 1:
            if "|" in walk.allowed:
                token = IDS["|"]
            else:
                row, where = torch.tensor(ids), torch.tensor(self.tokens.positions(ids))
                logits = self.reader.read([seen], [row], [where])[0, -1]
                allowed = torch.tensor(self._choices(walk.allowed))
                token = int(allowed[logits[allowed].argmax()])
            walk.push(LEXEMES[token])
            ids.append(token)
        return ids

    def answer(self, strips: Sequence[Ink], prompt: str) -> str:
        """Words on a picture of these strips: the likeliest letter each time."""
        with torch.inference_mode():
            columns, own = self._columns(strips)
            prefix = self.reader.prefixes(columns, own, [len(strips)])[0].numpy()
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

    def _columns(self, strips: Sequence[Ink]) -> tuple[torch.Tensor, torch.Tensor]:
        widths = torch.tensor([strip.shape[1] for strip in strips])
        x = torch.zeros(len(strips), 1, HEIGHT, int(widths.max()))
        for i, strip in enumerate(strips):
            x[i, 0, :, : strip.shape[1]] = torch.from_numpy(np.array(strip))
        return self.reader.see(x, widths)

    def _choices(self, allowed: frozenset[str]) -> Any:
        found = self._ids.get(allowed)
        if found is None:
            found = self._ids[allowed] = np.array(sorted(i for x in allowed if (i := IDS[x]) < self.known))
        return found
