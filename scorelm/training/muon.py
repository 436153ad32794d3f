"""Muon: momentum whose matrices are made orthogonal, for the weights between a network's layers.

Keller Jordan, Muon (2024); update scaled to AdamW's as in Liu et al., Muon is scalable for LLM training (2025).
torch.optim.Muon always computes in bfloat16, which a processor without instructions for it takes sixty times as long
for; this one computes in single precision there, and takes matrices of one shape together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

# the quintic of Newton and Schulz that is steepest at 0, and how often it is applied
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
SCALE = 0.2  # the root mean square of AdamW's usual update


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; weight decay apart from it. Takes two-dimensional parameters alone."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        params = list(params)
        if any(p.ndim != 2 for p in params):
            raise ValueError("Muon takes matrices alone")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            for shape, alike in shapes.items():
                updates = orthogonal(torch.stack([self._momentum(p, group["momentum"]) for p in alike]))
                rate = group["lr"] * SCALE * max(shape) ** 0.5
                for parameter, update in zip(alike, updates):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.to(parameter.dtype), alpha=-rate)

    def _momentum(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer: torch.Tensor = state["momentum_buffer"]
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Each matrix with its singular values brought near 1. (matrices, rows, columns) -> the same shape"""
    x = matrices.to(_precision(matrices.device))
    high = x.shape[1] > x.shape[2]
    x = x.mT if high else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if high else x


def _precision(device: torch.device) -> torch.dtype:
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.float32
    return torch.bfloat16
