"""A GPT-NeoX that hears: each token is read as the sum of several rows of the embedding.

    input_ids (batch, time, 1 + features): the token, and what is heard behind it (``notation.heard``)
    logits    (batch, time, tokens): of tokens alone

The rows of what is heard stand behind those of the tokens in one table, so that the model stays a plain
GPTNeoXForCausalLM: ``inputs_embeds = model.get_input_embeddings()(ids).sum(-2)`` is the same without this module.
"""

from __future__ import annotations

from typing import Any

import torch

from scorelm.notation import heard

KEY = "scorelm_heard"  # of a model's config: the fingerprint of what it hears


class Summed(torch.nn.Embedding):
    """Takes ids with an axis more, over which the rows are summed."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.ndim < 3:
            return super().forward(ids)
        found = torch.nn.functional.embedding_bag(ids.flatten(0, -2).int(), self.weight, mode="sum")
        return found.view(*ids.shape[:-1], -1)


class Head(torch.nn.Linear):
    """Has no logits for what is heard."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight[: -heard.ROWS])


def hear(model: torch.nn.Module) -> None:
    """Let a model whose config says that it hears take and give what stands above; others stay as they are."""
    if getattr(model.config, KEY, None) is not None:
        model.get_input_embeddings().__class__ = Summed  # type: ignore[operator]
        model.get_output_embeddings().__class__ = Head  # type: ignore[operator]


def deafen(model: Any) -> None:
    """Take the rows of what is heard from a model that hears: it reads tokens alone, and has to learn to do without."""
    model.get_input_embeddings().__class__ = torch.nn.Embedding
    model.get_output_embeddings().__class__ = torch.nn.Linear
    model.resize_token_embeddings(model.config.vocab_size - heard.ROWS, mean_resizing=False)
    delattr(model.config, KEY)


def begin_to_hear(model: Any, tokens: int) -> None:
    """Give a model of so many tokens the rows of what is heard, of zeros: it says what it said until they are learnt."""
    model.resize_token_embeddings(tokens + heard.ROWS, mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokens:] = 0
    setattr(model.config, KEY, heard.fingerprint())
    hear(model)
