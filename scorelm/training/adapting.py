"""A model that learns on while it reads: dynamic evaluation (Krause et al., 2018).

A piece says much of its own that no other piece says: how its trumpets go, which part plays with which, how a melody
comes again. So what has been read of a piece is learnt before the next tokens of it are judged:

    the next segment, behind those before -> -log p of its tokens, in every key -> all that was read is learnt -> ...

Each token is judged by what the model has become behind the tokens before it, and by nothing that comes later: what the
judgements add up to is -log of a probability of the piece, as that of a model that stays as it is.

A step goes down the gradient of the loss of all tokens in sight, the segment's and those before it. Its size is a share
of each tensor's own norm, whatever the gradient's is; in a matrix, rows and columns that have large gradients are held
back (Shazeer and Stern, Adafactor, 2018, with a memory of one step).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scorelm.pretrained import load_model
from scorelm.tokenizer import Tokens
from scorelm.training.keys import Keys
from scorelm.training.output import write_weights

SEGMENT = 128  # tokens that are judged, then learnt
RATE = 0.0015  # of a tensor's norm that a step is long
FLOOR = 0.1  # of the mean square of a matrix's gradients: what a row, or a column, has at least
NOTHING = 1e-30
LENGTH = 1024  # tokens that are in sight while a text is learnt to go on with it
PASSES = ("-P4", "P4", "P1")  # the keys in which that is read, one after the other


class Adapting:
    """A model, as it becomes. ``forget`` makes it what it was.

    max_length: tokens that it reads at once; segment: tokens of a step
    """

    def __init__(
        self, model: Any, tokens: Tokens, max_length: int, *, segment: int = SEGMENT, rate: float = RATE
    ) -> None:
        self.model = model.eval()
        self.tokens = tokens
        self.max_length = max(max_length, segment)
        self.segment = segment
        self.rate = rate
        self.learnt = [p for p in model.parameters() if p.is_floating_point()]
        self.before = [p.detach().clone() for p in self.learnt]

    def read(
        self, ids: Sequence[int], intervals: Sequence[str] = ("P1",), to_the_end: bool = False
    ) -> list[list[float]]:
        """-log p of each token behind a text's first one, in nats, in the keys that lie so far from its own.

        ids: (time,), of tokens. What cannot be said in a key (see ``Keys.beginning``) is read so far there, and is left
        out. All keys are learnt from together. to_the_end: what comes last is learnt, too
        """
        row = np.array(ids)
        keys = Keys(self.tokens.vocabulary) if {*intervals} != {"P1"} else None
        rows = [row if keys is None else keys.beginning(row, interval) for interval in intervals]
        shown = [self.tokens.shown(some.tolist()) for some in rows]
        device = self.learnt[0].device
        inputs = torch.zeros(len(rows), len(row), *shown[0][0].shape[1:], dtype=torch.long, device=device)
        positions = torch.zeros(len(rows), len(row), device=device)
        for number, (found, where) in enumerate(shown):
            inputs[number, : len(found)] = torch.as_tensor(found)
            positions[number, : len(found)] = torch.tensor(range(len(found)) if where is None else where)
        there = torch.tensor([[time < len(some) for time in range(len(row))] for some in rows], device=device)
        timed = shown[0][1] is not None
        out: list[list[float]] = [[] for _ in rows]
        bounds = [*range(1, len(row), self.segment), len(row)]
        for done, end in pairwise(bounds):
            start = max(0, end - self.max_length)
            inside = there[:, done]  # keys that have not ended
            if not inside.any():
                break
            losses = self._losses(inputs[inside], positions[inside] if timed else None, start, end)
            seen = there[inside, start + 1 : end]
            for number, values, known in zip(inside.nonzero()[:, 0].tolist(), losses.detach(), seen):
                out[number] += values[done - start - 1 :][known[done - start - 1 :]].tolist()
            if end < len(row) or to_the_end:
                self._learn((losses * seen).sum())
        return out

    @torch.no_grad()
    def forget(self) -> None:
        for parameter, before in zip(self.learnt, self.before):
            parameter.copy_(before)

    def _losses(self, inputs: torch.Tensor, positions: torch.Tensor | None, start: int, end: int) -> torch.Tensor:
        """-log p of the tokens behind ``start`` and before ``end``. (keys, time)"""
        window = inputs[:, start : end - 1]
        given: dict[str, torch.Tensor] = {"input_ids": window}
        if positions is not None:  # with a mask, or transformers would take them for packed pieces
            given["position_ids"] = positions[:, start : end - 1]
            given["attention_mask"] = torch.ones(window.shape[:2], dtype=torch.long, device=window.device)
        logits = self.model(**given, use_cache=False).logits.float()
        wanted = inputs[:, start + 1 : end, 0] if inputs.ndim > 2 else inputs[:, start + 1 : end]
        return torch.nn.functional.cross_entropy(logits.mT, wanted, reduction="none")

    def _learn(self, loss: torch.Tensor) -> None:
        gradients = torch.autograd.grad(loss, self.learnt)
        with torch.no_grad():
            for parameter, gradient in zip(self.learnt, gradients):
                step = held_back(gradient)
                parameter.sub_(step * (self.rate * parameter.norm() / step.norm().clamp(min=NOTHING)))


def held_back(gradient: torch.Tensor) -> torch.Tensor:
    """A matrix of gradients, each divided by what its row and its column have; anything else as it is."""
    if gradient.ndim < 2 or min(gradient.shape) == 1:
        return gradient
    squares = gradient.square()
    squares = squares / squares.mean().clamp(min=NOTHING)
    rows, columns = (squares.mean(axis, keepdim=True) + FLOOR for axis in (1, 0))
    return gradient * (rows * columns).rsqrt()


@contextlib.contextmanager
def having_learnt(folder: Path, text: str) -> Iterator[Path]:
    """The folder of a model that has learnt a text, three times and not only in its key; it is gone afterwards."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, tokens = load_model(str(folder))
    tokens = replace(tokens, recalled_from=None)  # told, it would learn less of what it is told of
    adapting = Adapting(model, tokens, LENGTH)
    for interval in PASSES if hasattr(model.config, "scorelm_vocabulary") else ("P1",) * len(PASSES):
        adapting.read(tokens.encode(text), (interval,), to_the_end=True)
    with tempfile.TemporaryDirectory() as new:
        model.config.save_pretrained(new)  # the model's own save_pretrained imports DeepSpeed, which says what it finds
        learnt = {name: p for name, p in model.state_dict().items() if name not in model.all_tied_weights_keys}
        write_weights(learnt, Path(new, "model.safetensors"))
        tokens.tokenizer.save_pretrained(new)
        yield Path(new)
