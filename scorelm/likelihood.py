"""How likely a model finds scores: every token of a text, summed; per quarter, per sixteenth, per note.

token_losses -> Reading (one piece) -> rates over pieces, with bootstrap intervals

A sum over all tokens of any exact spelling of the score bounds from above what a model of the notes alone would pay:
it pays for the header, the barlines and the end of the text as well, and for one of the spellings alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scorelm.notation.lexemes import ACCIDENTALS, COMMON_PARTS, DURATIONS, END_MARKS, PITCHES, cut, name_lexeme

if TYPE_CHECKING:
    import torch

    from scorelm.tokenizer import Ids

KINDS = ("pitch", "duration", "note", "tie", "barline", "separator", "header", "other")
RESAMPLES = 10_000
SIXTEENTHS = 4  # a quarter
KEY_INTERVALS = "P1 -P4 P4 M2 -M2 -m3 m3 M3 -M3 -m2 m2 A4".split()  # by their distance in fifths

_PITCH = frozenset((*PITCHES, *ACCIDENTALS))
_DURATION = frozenset(DURATIONS)
_END = frozenset(name_lexeme(name) for name in END_MARKS)
_CONTENT = frozenset((*"zxyZXHn[{&/", "[:", "!inverted-fermata!"))  # a part's music begins, other than with a note


@dataclass(frozen=True)
class Piece:
    """A text as a model is shown it. ``ids``, of the tokens or with what is heard, end with the end of text;
    ``positions`` None: the model counts."""

    ids: Sequence[int] | Ids
    quarters: float
    positions: Sequence[float] | None = None


def token_losses(
    model: torch.nn.Module, ids: Sequence[int] | Ids, max_length: int, positions: Sequence[float] | None = None
) -> torch.Tensor:
    """-log p of each token behind the first one, in nats. (time,) or (time, 1 + features) -> (time - 1,), float32

    What is longer than ``max_length`` is read in windows that overlap by half: each token is judged once, by the
    window that reaches it first.
    """
    import torch

    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    row = torch.as_tensor(ids, dtype=torch.long, device=device)
    wanted = row if row.ndim == 1 else row[:, 0]
    where = None if positions is None else torch.tensor(positions, device=device)
    out = []
    with torch.no_grad():
        done = 1
        start = 0
        while done < len(row):
            window = row[start : start + max_length]
            inputs = {"input_ids": window[None, :-1]}
            if where is not None:  # with a mask, or transformers would take them for packed pieces
                inputs["position_ids"] = where[None, start : start + len(window) - 1]
                inputs["attention_mask"] = torch.ones_like(wanted[None, start : start + len(window) - 1])
            logits = model(**inputs).logits[0].float()  # (time, vocabulary)
            skip = done - start - 1
            out.append(
                torch.nn.functional.cross_entropy(logits[skip:], wanted[done : start + len(window)], reduction="none")
            )
            done = start + len(window)
            start = done - max_length // 2
    model.train(was_training)
    return torch.cat(out) if out else torch.zeros(0)


def bits_per_quarter(model: torch.nn.Module, pieces: Sequence[Piece], max_length: int) -> float:
    """Bits per quarter note: -log2 p of every token behind the first ``|``, the end included, by the pieces' length."""
    nats = sum(float(token_losses(model, p.ids, max_length, p.positions).sum()) for p in pieces)
    return nats / math.log(2) / sum(piece.quarters for piece in pieces)


@dataclass(frozen=True)
class Reading:
    """A piece as a model reads it."""

    source: str
    nats: float  # of all tokens
    tokens: int
    quarters: float
    notes: int  # heads, tied ones too
    struck: int  # heads that no tie leads to
    kinds: dict[str, float] = field(default_factory=dict)  # nats of each of KINDS; empty where tokens are no lexemes
    voices: dict[int, float] = field(default_factory=dict)  # nats of each part's music, from 1
    parts: int = 0


def kinds_of(text: str) -> list[tuple[str, int]]:
    """The kind of each lexeme of a text (one of KINDS), and the part that it stands in, from 1; 0: in none.

    header: measure heads and what stands before a part's music in a measure, names, clefs, keys and times anywhere
    A token that joins a duration and a pitch is a "note" (see ``breakdown``).
    barline: ``|`` and the marks behind the last part; separator: ``;`` between two parts
    """
    out: list[tuple[str, int]] = []
    part, begun, quoted = 0, False, False
    before = ""
    for lexeme in cut(text):
        if lexeme == '"' or quoted:
            quoted = quoted != (lexeme == '"')
            kind = "other" if begun else "header"
        elif lexeme == "|" or lexeme in _END:
            kind = "barline"
        elif lexeme == ";":
            kind = "separator"
        elif lexeme.startswith(("!clef-", "K")):
            kind = "header"
        elif lexeme in _PITCH and before != "K!":
            kind, begun = "pitch", True
        elif lexeme in _DURATION:
            kind, begun = "duration", True
        elif lexeme in _CONTENT or lexeme.startswith("["):
            if before == "T":  # "Tx": no metre
                kind = "header"
            else:
                kind, begun = "other", True
        elif not begun:
            kind = "header"
        else:
            kind = "tie" if lexeme == "-" else "other"
        if part == 0 and (begun or lexeme in COMMON_PARTS or lexeme == "P"):
            part = 1
        out.append((kind, part if kind not in ("barline", "separator") else 0))
        before = lexeme
        if lexeme == "|":
            part, begun = 0, False
        elif lexeme == ";":
            part, begun = max(part, 1) + 1, False
    return out


def breakdown(
    text: str, tokens: Sequence[Sequence[str]], losses: Sequence[float]
) -> tuple[dict[str, float], dict[int, float]]:
    """Nats by kind and by part. tokens: of the text, each as its lexemes; losses: from the second token to the end"""
    kinds = dict.fromkeys(KINDS, 0.0)
    voices: dict[int, float] = {}
    lexemes = iter(kinds_of(text))
    of_tokens = [[next(lexemes) for _ in token] for token in tokens]
    for found, loss in zip([*of_tokens[1:], [("barline", 0)]], losses, strict=True):
        kind, part = found[0] if len(found) == 1 else ("note", found[-1][1])
        kinds[kind] += loss
        if part and kind != "header":
            voices[part] = voices.get(part, 0.0) + loss
    return kinds, voices


def rates(readings: Sequence[Reading]) -> dict[str, float]:
    """The figures of some pieces together."""
    nats = sum(r.nats for r in readings)
    quarters = sum(r.quarters for r in readings)
    notes = sum(r.notes for r in readings)
    return {
        "bits_per_quarter": nats / math.log(2) / quarters,
        "nats_per_sixteenth": nats / (SIXTEENTHS * quarters),
        "bits_per_note": nats / math.log(2) / max(1, notes),
    }


def intervals(readings: Sequence[Reading], seed: int, resamples: int = RESAMPLES) -> dict[str, list[float]]:
    """The 95 % bootstrap interval of each rate: pieces are drawn with replacement, ratios of sums taken."""
    import numpy

    table = numpy.array([(r.nats, r.quarters, r.notes) for r in readings])  # (pieces, 3)
    sums = resampled(numpy.random.default_rng(seed), table, resamples)
    nats, quarters, notes = sums.T
    found = {
        "bits_per_quarter": nats / math.log(2) / quarters,
        "nats_per_sixteenth": nats / (SIXTEENTHS * quarters),
        "bits_per_note": nats / math.log(2) / numpy.maximum(1, notes),
    }
    return {name: [float(x) for x in numpy.percentile(values, (2.5, 97.5))] for name, values in found.items()}


def resampled(rng: Any, table: Any, resamples: int) -> Any:
    """Sums of resampled pieces. (pieces, columns) -> (resamples, columns)"""
    import numpy

    out = []
    for at in range(0, resamples, 500):
        size = min(500, resamples - at)
        drawn = rng.multinomial(len(table), numpy.full(len(table), 1 / len(table)), size=size)  # (size, pieces)
        out.append(drawn @ table)
    return numpy.concatenate(out)


def over_keys(losses: Sequence[Sequence[float]]) -> list[float]:
    """-log of the mean of the keys' p, token by token, in nats.

    losses: -log p of a piece's tokens in each of some keys, the first of which has all of them. Where another ends, it
        has no such token (its p is 0), and from there on it is no longer among those of which the mean is taken. So
        what comes is a probability over texts, as that of any single key is
    """
    import numpy

    (first, *others), time = losses, len(losses[0])
    table = numpy.full((len(losses), time), numpy.inf)  # (keys, time)
    among = numpy.zeros_like(table, bool)
    for row, found in enumerate((first, *others)):
        table[row, : len(found)] = found
        among[row, : len(found) + 1] = True
    out: list[float] = (-numpy.log(numpy.exp(-table).sum(0) / among.sum(0))).tolist()
    return out
