"""Optimizers: Muon for the matrices between the layers and AdamW for the rest, or AdamW for all."""

from __future__ import annotations

import math
from typing import Any

from scorelm.config import TrainConfig

BETAS = (0.9, 0.98)


def build_optimizers(model: Any, config: TrainConfig, kind: str) -> list[Any]:
    """kind: "muon" or "adamw". Each group remembers its rate at the peak of the schedule as ``peak``."""
    import torch

    free = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    inner = [p for n, p in free if kind == "muon" and p.ndim == 2 and not _is_table(n)]
    taken = set(map(id, inner))
    matrices = [p for _, p in free if p.ndim >= 2 and id(p) not in taken]
    vectors = [p for _, p in free if p.ndim < 2]  # biases and norms do not decay
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    rest = [group for group in groups if group["params"]]
    out: list[Any] = [torch.optim.AdamW(rest, lr=config.lr, betas=BETAS, fused=True)] if rest else []
    if inner:
        from scorelm.training.muon import Muon

        out.append(Muon(inner, lr=config.muon_lr, weight_decay=config.weight_decay))
    for optimizer in out:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return out


def _is_table(name: str) -> bool:
    """Embeddings and heads: a row for each token, no matrix that turns a vector."""
    return "embed" in name or "head" in name


def set_rates(optimizers: list[Any], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor


def rate_factor(step: int, share: float, config: TrainConfig) -> float:
    """The factor of the rates: linear warm-up, then a cosine down to min_lr_ratio. share: of the schedule, 0 to 1"""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    return warm * (config.min_lr_ratio + (1 - config.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * share)))
