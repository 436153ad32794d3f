"""How likely a model finds scores: every token of a text, summed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Piece:
    """A text as a model reads it. ``ids`` end with the end of text; ``positions`` None: the model counts."""

    ids: Sequence[int]
    quarters: float
    positions: Sequence[float] | None = None


def token_losses(
    model: torch.nn.Module, ids: Sequence[int], max_length: int, positions: Sequence[float] | None = None
) -> torch.Tensor:
    """-log p of each token behind the first one, in nats. (time,) -> (time - 1,), float32

    What is longer than ``max_length`` is read in windows that overlap by half: each token is judged once, by the
    window that reaches it first.
    """
    import torch

    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    row = torch.tensor(ids, device=device)
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
                inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            logits = model(**inputs).logits[0].float()  # (time, vocabulary)
            skip = done - start - 1
            out.append(torch.nn.functional.cross_entropy(logits[skip:], window[skip + 1 :], reduction="none"))
            done = start + len(window)
            start = done - max_length // 2
    model.train(was_training)
    return torch.cat(out) if out else torch.zeros(0)


def bits_per_quarter(model: torch.nn.Module, pieces: Sequence[Piece], max_length: int) -> float:
    """Bits per quarter note: -log2 p of every token behind the first ``|``, the end included, by the pieces' length."""
    nats = sum(float(token_losses(model, p.ids, max_length, p.positions).sum()) for p in pieces)
    return nats / math.log(2) / sum(piece.quarters for piece in pieces)
