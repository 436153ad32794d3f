"""A GPT-NeoX that hears: each token is read as the sum of several rows of the embedding.

    input_ids (batch, time, 1 + features): the token, and what is heard behind it (``notation.heard``)
    logits    (batch, time, tokens): of tokens alone

One that relates, too, says with each pitch how its intervals to what is heard please it (``scorelm.related``).

All rows stand in one table, those of tokens first, then of what is heard, then of intervals, so that the model stays a
plain GPTNeoXForCausalLM: ``inputs_embeds = model.get_input_embeddings()(ids).sum(-2)`` is the same without this module,
and so is ``Related.added`` of the last logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scorelm import related
from scorelm.notation import heard
from scorelm.related import HEARS, RELATES


class Summed(torch.nn.Embedding):
    """Takes ids with an axis more, over which the rows are summed. Remembers them for the head."""

    ids: torch.Tensor

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.ids = ids
        if ids.ndim < 3:
            return super().forward(ids)
        found = torch.nn.functional.embedding_bag(ids.flatten(0, -2).int(), self.weight, mode="sum")
        return found.view(*ids.shape[:-1], -1)


class Head(torch.nn.Linear):
    """Has no logits for what is heard."""

    tokens: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight[: self.tokens])


class RelatingHead(Head):
    """Says more of pitches, by their intervals to what is heard."""

    ears: list[Summed]  # one; in a list it is no module of this one
    pitches: torch.Tensor  # the tokens that end with one of related.PITCHES
    number: torch.Tensor  # which one
    table: related.Related

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ids = self.ears[0].ids
        if ids.ndim < 3:
            return super().forward(x)
        weight = torch.cat([self.weight[: self.tokens], self.weight[-related.ROWS :]])
        logits = torch.nn.functional.linear(x, weight).float()
        logits, said = logits[..., : self.tokens], logits[..., self.tokens :].flatten(0, -2)
        if self.pitches.device != x.device:
            self._move(x.device)
        shown = ids[:, -x.shape[1] :, 1:].flatten(0, -2).long() - self.tokens
        added = self.table.added(torch.nn.functional.pad(said, (0, 1)), shown)[:, self.number]
        return logits.index_add(-1, self.pitches, added.view(*logits.shape[:-1], -1))

    def _move(self, device: torch.device) -> None:
        self.pitches, self.number = self.pitches.to(device), self.number.to(device)
        self.table = related.Related(
            lambda table: torch.as_tensor(table, device=device), lambda x, at, axis: x.gather(axis, at)
        )


def hear(model: Any, tokens: Sequence[Sequence[str]]) -> None:
    """Let a model whose config says that it hears take and give what stands above; others stay as they are.

    tokens: of its vocabulary, each as its lexemes
    """
    if getattr(model.config, HEARS, None) is None:
        return
    ears, head = model.get_input_embeddings(), model.get_output_embeddings()
    ears.__class__, head.__class__ = Summed, Head
    head.tokens = len(tokens)
    if getattr(model.config, RELATES, None) is not None:
        head.__class__, head.ears = RelatingHead, [ears]
        pitches = related.numbers(tokens)
        head.pitches, head.number = torch.tensor(list(pitches)), torch.tensor(list(pitches.values()))
        head._move(torch.device("cpu"))


def deafen(model: Any) -> None:
    """Take the rows of what is heard from a model that hears: it reads tokens alone, and has to learn to do without."""
    ears, head = model.get_input_embeddings(), model.get_output_embeddings()
    tokens = head.tokens
    ears.__class__, head.__class__ = torch.nn.Embedding, torch.nn.Linear
    model.resize_token_embeddings(tokens, mean_resizing=False)
    for key in (HEARS, RELATES):
        if hasattr(model.config, key):
            delattr(model.config, key)


def begin(model: Any, tokens: Sequence[Sequence[str]], relate: bool) -> None:
    """Give a model the rows of what is heard, and of intervals, so far as it has none, of zeros: it says what it said
    until they are learnt."""
    rows = {HEARS: (heard.ROWS, heard.fingerprint()), RELATES: (related.ROWS, related.fingerprint())}
    for key, (count, fingerprint) in rows.items():
        if getattr(model.config, key, None) is None and (key == HEARS or relate):
            known = model.config.vocab_size if key == RELATES else len(tokens)
            model.get_input_embeddings().__class__ = torch.nn.Embedding
            model.get_output_embeddings().__class__ = torch.nn.Linear
            model.resize_token_embeddings(known + count, mean_resizing=False)
            with torch.no_grad():
                model.get_input_embeddings().weight[known:] = 0
            setattr(model.config, key, fingerprint)
    hear(model, tokens)
