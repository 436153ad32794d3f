"""The student reads: strips -> score text, bound by the grammar, and how sure it was of each measure.

The encoder hears some texts that may stand on a strip; the language model, which sees it too, says which is likeliest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scorelm.engine import Engine
from scorelm.errors import ConfigError
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES, cut
from scorelm.notation.reader import parse
from scorelm.notation.repair import repair
from scorelm.notation.sound import Sound
from vlm.reading.picture import Ink
from vlm.reading.staves import HEIGHT
from vlm.student.beam import SEVERAL_STAVES, Prefix, greedy, heads_of, search
from vlm.student.model import load_reader
from vlm.student.numbers import above, load_numbers, with_number
from vlm.student.samples import question, words

MOST_MEASURES = 64  # of one staff on one picture
MOST_TOKENS = 1024  # of one answer
MOST_OF_HEAD = 40  # tokens of a part's name and its clef
RESCORED = 6  # texts of a strip that the language model compares
LISTENING = 0.5  # weight of the encoder beside the language model's
OTHERWISE = 10.0  # nats less than its best has a staff whose texts have all other measures
DOUBTFUL = 0.5  # a measure with a lexeme less likely than this is one to look at


@dataclass(frozen=True)
class Transcription:
    """``text`` has all measures full; ``sure``: of each measure the probability of its least likely lexeme."""

    text: str
    sure: tuple[float, ...]
    whole: bool = True  # whether anything was heard

    @property
    def doubtful(self) -> list[int]:
        """Measures, from 1, that should be looked at."""
        return [number for number, sure in enumerate(self.sure, 1) if sure < DOUBTFUL]


@dataclass(frozen=True)
class _Found:
    """A text that may stand on a strip. ``said``: nats of each token behind the first; ``weight``: of both models"""

    prefix: Prefix
    ids: list[int]
    said: torch.Tensor
    weight: float

    @cached_property
    def heads(self) -> tuple[str, ...]:
        return heads_of(LEXEMES[i] for i in self.ids[1:])


def _agreed(found: Sequence[Sequence[_Found]]) -> tuple[str, ...] | None:
    """The heads of measures that all staves together find likeliest, of those that any of them has."""
    each = [{f.heads: f.weight for f in sorted(some, key=lambda f: f.weight) if f.prefix.complete} for some in found]
    least = [max((f.weight for f in some), default=0.0) - OTHERWISE for some in found]
    known = dict.fromkeys(heads for staff in each for heads in staff)
    return max(known, key=lambda heads: sum(staff.get(heads, other) for staff, other in zip(each, least)), default=None)


def _is_clef(token: int) -> bool:
    return LEXEMES[token].startswith("!clef-")


def _behind_name(ids: Sequence[int], name: int) -> int:
    """Where a part's name that begins at ``name`` is over."""
    lexemes = [LEXEMES[i] for i in ids[name : name + MOST_OF_HEAD]]
    if lexemes[:2] != ["P", '"']:
        return name + 1
    return name + (lexemes.index('"', 2) + 1 if '"' in lexemes[2:] else len(ids))


def _may_be(ids: Sequence[int]) -> bool:
    """Whether a text of one staff is sound."""
    walk = Sound("|", at_most=MOST_MEASURES, max_parts=1, excerpt=True)
    try:
        for token in ids[1:]:
            walk.push(LEXEMES[token])
    except ValueError:
        return False
    return END_OF_TEXT in walk.allowed and not SEVERAL_STAVES.intersection(LEXEMES[i] for i in ids)


NOTHING = Transcription('|@4P""Z|', (0.0,), whole=False)


def _sure(lexemes: Sequence[str], said: torch.Tensor) -> tuple[float, ...]:
    """Of each measure the probability of its least likely lexeme. said: nats of each lexeme behind the first"""
    out, least = [], 0.0
    for lexeme, nats in zip(lexemes[1:], said.tolist()):
        least = min(least, nats)
        if lexeme == "|":
            out.append(math.exp(least))
            least = 0.0
    return tuple(out)


class Transcriber:
    """A reader of a folder that python -m vlm.distill wrote. ConfigError where there is none."""

    def __init__(self, folder: str | Path) -> None:
        self.reader = load_reader(folder)
        self.tokens = self.reader.tokens
        if self.tokens.vocabulary.joined:
            raise ConfigError(f"{folder}: its language model has joined tokens, which cannot be bound yet")
        self.known = len(self.tokens.vocabulary)
        self.engine = Engine(Path(folder) / "language")
        self.numbers = load_numbers(folder)

    def system(self, strips: Sequence[Ink]) -> list[Transcription]:
        """What stands on the staves of a system, whose measures are of the same lengths on all of them.

        Of what the encoder hears, that which the language model finds likeliest, too.
        """
        if not strips:
            return []
        with torch.inference_mode():
            columns, own = self._columns(strips)
            heard = self.reader.ctc_head(columns).log_softmax(-1)[..., : self.known].numpy()
            seen = self.reader.prefixes(columns, own, [1] * len(strips))
            each = [row[:length] for row, length in zip(heard, own.tolist())]
            found = [self._weighed(x, search(row, MOST_MEASURES)) for x, row in zip(seen, each)]
            heads = _agreed(found)
            out = [
                self._best([f for f in some if f.heads == heads] or self._under(heads, x, row) or some, x)
                or self._mended(x, row)
                for x, row, some in zip(seen, each, found)
            ]
        if self.numbers is not None:
            number = self.numbers.read(above(strips[0])[None])[0]
            out[0] = replace(out[0], text=with_number(out[0].text, number))
        return out

    def _under(self, heads: tuple[str, ...] | None, seen: torch.Tensor, row: Any) -> list[_Found]:
        """What may stand on a strip whose measures have these heads; nothing where no such text was heard."""
        if heads is None:
            return []
        return [f for f in self._weighed(seen, search(row, MOST_MEASURES, heads)) if f.prefix.complete]

    def _weighed(self, seen: torch.Tensor, found: Sequence[tuple[Prefix, float]]) -> list[_Found]:
        """Some texts of a strip, as both models find them."""
        first = {prefix.metre.text: (prefix, nats) for prefix, nats in reversed(found)}  # the best of each metre
        found = [*found[:RESCORED], *(one for one in first.values() if one not in found[:RESCORED])]
        some = [[IDS["|"], *prefix.tokens(), self.tokens.end] for prefix, _ in found]
        said = self._logarithms(seen, some)
        return [
            _Found(prefix, ids[:-1], row, LISTENING * nats + (1 - LISTENING) * float(row.sum()))
            for (prefix, nats), ids, row in zip(found, some, said)
        ]

    def _best(self, found: Sequence[_Found], seen: torch.Tensor) -> Transcription | None:
        """The likeliest, its head as ``_headed`` has it; None where none of them is complete."""
        best = max((f for f in found if f.prefix.complete), key=lambda f: f.weight, default=None)
        if best is None:
            return None
        ids = self._headed(seen, best.ids)
        lexemes = [LEXEMES[i] for i in ids]
        said = best.said if ids == best.ids else self._logarithms(seen, [[*ids, self.tokens.end]])[0]
        return Transcription("".join(lexemes), _sure(lexemes, said))

    def _headed(self, seen: torch.Tensor, ids: list[int]) -> list[int]:
        """A text with its part's name and, where none was heard, its clef as the language model spells them.

        Letters stand in fewer columns than they need to be heard one by one, and no staff is without a clef.
        """
        name = next((at for at, i in enumerate(ids) if LEXEMES[i].startswith("P")), len(ids))
        clef = _behind_name(ids, name)
        if clef >= len(ids):
            return ids
        named, clefless = LEXEMES[ids[name]] != 'P""', not _is_clef(ids[clef])
        if not (named or clefless):
            return ids
        *spelled, last = self._spelled(seen, ids[:name])
        head = (spelled if named else ids[name:clef]) + ([last] if clefless else [])
        out = [*ids[:name], *head, *ids[clef:]]
        return out if _is_clef(last) and _may_be(out) else ids

    def _spelled(self, seen: torch.Tensor, before: list[int]) -> list[int]:
        """How the language model goes on behind some tokens, up to a clef, the likeliest token each time."""
        prefix = seen.numpy()
        session = self.engine.session(1, len(prefix) + len(before) + MOST_OF_HEAD)
        session.read_vectors(0, prefix, list(range(-len(prefix), 0)))
        out = list(before)
        logits = session.read(0, out, self._places(out))
        while len(out) - len(before) < MOST_OF_HEAD:
            out.append(int(logits[: self.known].argmax()))
            if _is_clef(out[-1]):
                break
            logits = session.step([out[-1]], [self._places(out)[-1]])[0]
        return out[len(before) :]

    def _places(self, ids: list[int]) -> list[float]:
        return self.tokens.positions(ids) or [float(at) for at in range(len(ids))]

    def _mended(self, seen: torch.Tensor, row: Any) -> Transcription:
        """Where no text that adds up was heard: the signs that were, mended; the measures where something was are
        doubtful."""
        heard = [lexeme for lexeme in greedy(row) if lexeme != ";"]  # a strip shows one part
        text, problems = repair("|" + "".join(heard) + ("" if heard[-1:] == ["|"] else "|"))
        if not parse(text).parts:
            return NOTHING
        lexemes = [lexeme for lexeme in cut(text) if lexeme != "\n"]
        said = self._logarithms(seen, [[*(IDS[lexeme] for lexeme in lexemes), self.tokens.end]])[0]
        wrong = {problem.measure for problem in problems}
        sure = (0.0 if number in wrong else one for number, one in enumerate(_sure(lexemes, said), 1))
        return Transcription("".join(lexemes), tuple(sure))

    def _logarithms(self, seen: torch.Tensor, some: Sequence[list[int]]) -> list[torch.Tensor]:
        """Of the probability of each token behind the first one of each text, by the language model."""
        ids = [torch.tensor(row) for row in some]
        where = [torch.tensor(self.tokens.positions(row)) for row in some]
        logits = self.reader.read([seen] * len(ids), [row[:-1] for row in ids], [p[:-1] for p in where])
        nats = logits.log_softmax(-1)
        return [nats[i, : len(row) - 1].gather(-1, row[1:, None])[:, 0] for i, row in enumerate(ids)]

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
