"""An exponential average of the weights, which is evaluated and saved: it generalises better than the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Averaged:
    """decay: of the average a step, lower at the start; 0: no averaging."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights: dict[str, torch.Tensor] = (
            {n: p.detach().float().clone() for n, p in _free(model)} if decay else {}
        )

    def update(self, model: torch.nn.Module) -> None:
        if not self.decay:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        names, parameters = zip(*_free(model))
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.weights[name] for name in names], [p.detach().float() for p in parameters], 1 - decay
            )

    def restore(self, steps: int, weights: dict[str, torch.Tensor]) -> None:
        self.steps = steps
        for name, tensor in weights.items():
            self.weights[name].copy_(tensor)

    @contextmanager
    def swapped_in(self, model: torch.nn.Module) -> Iterator[torch.nn.Module]:
        """A context in which the model has the averaged weights."""
        own = {n: p.detach().clone() for n, p in _free(model)} if self.decay else {}
        try:
            for name, parameter in _free(model) if self.decay else ():
                parameter.data.copy_(self.weights[name])
            yield model
        finally:
            for name, parameter in _free(model) if self.decay else ():
                parameter.data.copy_(own[name])


def _free(model: Any) -> list[tuple[str, Any]]:
    """What is trained."""
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]
