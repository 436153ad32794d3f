"""A GPT-NeoX that hears: each token is read as the sum of several rows of the embedding.

    input_ids (batch, time, 1 + features): the token, and what is heard behind it (``notation.heard``)
    logits    (batch, time, tokens): of tokens alone

One that relates, too, says with each pitch how its intervals to what is heard please it (``scorelm.related``). One that
recalls, too, is shown tokens that came before where the text went as it goes now, and says how much that counts
(``scorelm.recalled``); what is recalled stands behind what is heard, and is not read.

All rows stand in one table, those of tokens first, then of what is heard, then of intervals, then of what is recalled, so
that the model stays a plain GPTNeoXForCausalLM: ``inputs_embeds = model.get_input_embeddings()(ids[..., :READ]).sum(-2)``
is the same without this module, and so is ``Related.added`` of the logits of intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scorelm import recalled, related
from scorelm.notation import heard
from scorelm.recalled import RECALLS
from scorelm.related import HEARS, RELATES


class Summed(torch.nn.Embedding):
    """Takes ids with an axis more, over which the rows are summed. Remembers them for the head."""

    ids: torch.Tensor
    stays = False  # nothing is learnt of what is read

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.ids = ids
        if ids.ndim < 3:
            return super().forward(ids)
        weight = self.weight.detach() if self.stays else self.weight
        found = torch.nn.functional.embedding_bag(ids[..., : recalled.READ].flatten(0, -2).int(), weight, mode="sum")
        return found.view(*ids.shape[:-1], -1)


class Head(torch.nn.Linear):
    """Has no logits for what is heard."""

    tokens: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight[: self.tokens])


class RelatingHead(Head):
    """Says more of pitches, by their intervals to what is heard; and of what is recalled."""

    ears: list[Summed]  # one; in a list it is no module of this one
    lexemes: Sequence[Sequence[str]]  # of each token
    relates: slice  # rows
    recalls: slice | None = None
    pitches: Sequence[bool]  # whether each token is one
    table: related.Related | None = None  # where the weights were last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ids = self.ears[0].ids
        if ids.ndim < 3:
            return super().forward(x)
        nothing = self.weight.new_zeros(1, self.weight.shape[1])
        weight = [self.weight[: self.tokens], self.weight[self.relates], nothing]
        recalls = self.recalls if ids.shape[-1] > recalled.READ else None  # it may be shown nothing of it
        if recalls is not None:
            weight += [nothing, self.weight[recalls]]
        said = torch.nn.functional.linear(x, torch.cat(weight)).flatten(0, -2)
        shown = ids[:, -x.shape[1] :].flatten(0, -2).long()
        count = self.tokens + related.ROWS + 1
        out = said[:, : self.tokens] + self.intervals().added(
            said[:, self.tokens : count], shown[:, 1 : recalled.READ] - self.tokens
        )
        if recalls is not None:
            of_pitches = out.new_zeros(1)
            for token, number in recalled.columns(shown, recalls.start):
                token, more = token[:, None], said[:, count:].gather(1, number[:, None])
                any_pitch = token == recalled.ANY_PITCH
                out = out.scatter_add(1, token, more.masked_fill(any_pitch, 0))
                of_pitches = of_pitches + more * any_pitch
            out = out + of_pitches * out.new_tensor(self.pitches)
        return out.view(*x.shape[:-1], self.tokens)

    def intervals(self) -> related.Related:
        """Of each pitch to what is heard; where the weights are."""
        if self.table is None or self.table.by_step.device != self.weight.device:
            self.table = related.Related(self.lexemes, self._array, lambda a, at, axis: a.gather(axis, at))
        return self.table

    def _array(self, table: Any) -> torch.Tensor:
        found = torch.as_tensor(table, device=self.weight.device)
        return found.to(self.weight.dtype) if found.is_floating_point() else found


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
        head.__class__, head.ears, head.lexemes = RelatingHead, [ears], tokens
        intervals = len(tokens) + heard.ROWS, len(tokens) + heard.ROWS + related.ROWS
        head.relates = slice(*intervals)
        if getattr(model.config, RECALLS, None) is not None:
            head.recalls = slice(intervals[1], intervals[1] + recalled.ROWS)
            head.pitches = [recalled.is_pitch(token) for token in tokens]


def deafen(model: Any) -> None:
    """Take the rows of what is heard from a model that hears: it reads tokens alone, and has to learn to do without."""
    ears, head = model.get_input_embeddings(), model.get_output_embeddings()
    tokens = head.tokens
    ears.__class__, head.__class__ = torch.nn.Embedding, torch.nn.Linear
    model.resize_token_embeddings(tokens, mean_resizing=False)
    for key in (HEARS, RELATES, RECALLS):
        if hasattr(model.config, key):
            delattr(model.config, key)


def begin(model: Any, tokens: Sequence[Sequence[str]], relate: bool, recall: bool) -> None:
    """Give a model the rows of what is heard, of intervals, and of what is recalled, so far as it has none, of zeros: it
    says what it said until they are learnt. What relates not, recalls not."""
    rows = {
        HEARS: (True, heard.ROWS, heard.fingerprint()),
        RELATES: (relate, related.ROWS, related.fingerprint()),
        RECALLS: (relate and recall, recalled.ROWS, recalled.fingerprint()),
    }
    for key, (wanted, count, fingerprint) in rows.items():
        if getattr(model.config, key, None) is None and wanted:
            known = len(tokens) if key == HEARS else model.config.vocab_size
            model.get_input_embeddings().__class__ = torch.nn.Embedding
            model.get_output_embeddings().__class__ = torch.nn.Linear
            model.resize_token_embeddings(known + count, mean_resizing=False)
            with torch.no_grad():
                model.get_input_embeddings().weight[known:] = 0
            setattr(model.config, key, fingerprint)
    hear(model, tokens)


def learn_alone(model: Any, rows: slice) -> None:
    """Let all of a model that hears stay as it is but some rows; without weight decay, which would take from the other
    rows of their table."""
    model.requires_grad_(False)
    ears = model.get_input_embeddings()
    ears.stays = True
    ears.weight.requires_grad_(True)

    def these(grad: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(grad)
        out[rows] = grad[rows]
        return out

    ears.weight.register_hook(these)
