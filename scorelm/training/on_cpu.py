"""What transformers' GPT-NeoX does slowly on a processor, done in fewer passes over memory; on a GPU it stays as it is.

Dropout: torch draws a number for each element, one by one, which took a tenth of a step of the small student.
Attention: transformers turns queries and keys in fp32 and by eight copies each, as many again on the way back; here
they are turned where they lie, in the precision in which attention takes them. It took another eighth of a step.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.gpt_neox.modeling_gpt_neox import (
    ALL_ATTENTION_FUNCTIONS,
    GPTNeoXAttention,
    eager_attention_forward,
)


class Dropout(torch.nn.Dropout):
    """What torch.nn.Dropout does, with ``p`` rounded to a 256th."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        dropped = min(255, round(256 * self.p))  # of 256
        drawn = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * (kept.to(x.dtype) * (256 / (256 - dropped)))


class Attention(GPTNeoXAttention):
    """Without a cache: for training, and for judging whole texts. Rotary positions turn whole heads."""

    def forward(
        self,
        hidden_states: torch.Tensor,  # (batch, time, hidden)
        attention_mask: torch.Tensor | None,
        layer_past: Any = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,  # (batch, time, head) each
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if layer_past is not None or position_embeddings is None or hidden_states.device.type != "cpu":
            return super().forward(hidden_states, attention_mask, layer_past, position_embeddings, **kwargs)
        batch, time, _ = hidden_states.shape
        half = self.head_size // 2
        projected = self.query_key_value(hidden_states).view(batch, time, -1, 3, 2, half)
        cos, sin = (angles[:, :, None, :half].to(projected.dtype) for angles in position_embeddings)
        query, key, value = (states.transpose(1, 2) for states in _Turned.apply(projected, cos, sin))
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        dropout = self.attention_dropout if self.training else 0.0
        found, weights = attend(
            self, query, key, value, attention_mask, scaling=self.scaling, dropout=dropout, **kwargs
        )
        return self.dense(found.reshape(batch, time, -1)), weights


class _Turned(torch.autograd.Function):
    """Heads' projections (batch, time, heads, 3, 2, half) -> query, key, value (batch, time, heads, head), the first
    two turned by the angles whose cosines and sines (batch, time, 1, half) are given."""

    @staticmethod
    def forward(ctx: Any, projected: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(cos, sin)
        query, key = (_turn(projected[:, :, :, i], cos, sin).flatten(-2) for i in (0, 1))
        return query, key, projected[:, :, :, 2].flatten(-2)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        query, key, value = (grad.unflatten(-1, (2, -1)) for grad in grads)
        out = torch.empty((*query.shape[:3], 3, *query.shape[3:]), dtype=query.dtype)
        for place, grad in ((0, query), (1, key)):
            _turn(grad, cos, -sin, out[:, :, :, place])
        out[:, :, :, 2].copy_(value)
        return out, None, None


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Pairs (..., 2, half), each turned by its angle."""
    out = torch.empty(x.shape, dtype=x.dtype) if out is None else out
    (first, second), (to_first, to_second) = x.unbind(-2), out.unbind(-2)
    torch.mul(first, cos, out=to_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=to_second).addcmul_(first, sin)
    return out


def hasten(model: torch.nn.Module) -> None:
    """Put these in the place of a model's own; weights stay where they are, under their names."""
    for module in list(model.modules()):
        if type(module) is GPTNeoXAttention and module.rotary_ndims == module.head_size:
            module.__class__ = Attention
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, Dropout(child.p))
