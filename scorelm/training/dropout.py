"""Dropout by random bytes: on a processor torch draws a number for each element, one by one, which took a tenth of
a step of the small student."""

from __future__ import annotations

import torch


class Dropout(torch.nn.Dropout):
    """What torch.nn.Dropout does, with ``p`` rounded to a 256th. On a GPU it is torch's own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        dropped = min(255, round(256 * self.p))  # of 256
        drawn = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * (kept.to(x.dtype) * (256 / (256 - dropped)))


def use_bytes(model: torch.nn.Module) -> None:
    """Put these in the place of a model's own."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(module, name, Dropout(child.p))
