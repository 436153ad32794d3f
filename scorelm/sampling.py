"""How a lexeme is chosen among those that may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scorelm.errors import ConfigError

COLD = 1e-6  # a temperature below it is 0: logits divided by it would be infinite


@dataclass(frozen=True)
class Sampling:
    """Temperature, then what each of the others leaves. The defaults leave the model as it is."""

    temperature: float = 1.0  # 0: always the likeliest
    top_k: int = 0  # only the so many likeliest; 0: all
    top_p: float = 1.0  # only the likeliest that have this probability together
    min_p: float = 0.0  # only what is at least this likely beside the likeliest

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(f"the temperature cannot be {self.temperature}: it is 0 or more")
        if self.top_k < 0:
            raise ConfigError(f"top-k cannot be {self.top_k}: it is 0 (all) or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top-p cannot be {self.top_p}: it is above 0, at most 1")
        if not 0 <= self.min_p <= 1:
            raise ConfigError(f"min-p cannot be {self.min_p}: it is 0 (all) to 1")

    def choose(self, logits: Any, chance: np.random.Generator) -> int:
        """An index into ``logits``, (choices,)."""
        if self.temperature < COLD:
            return int(logits.argmax())
        weights = np.exp((logits - logits.max()) / self.temperature, dtype=np.float64)
        if 0 < self.top_k < len(weights):
            weights[weights < np.partition(weights, -self.top_k)[-self.top_k]] = 0
        if self.min_p:
            weights[weights < self.min_p] = 0  # the likeliest weighs 1
        if self.top_p < 1:
            order = np.argsort(-weights, kind="stable")
            share = np.cumsum(weights[order]) / weights.sum()
            weights[order[1:][share[:-1] >= self.top_p]] = 0
        total = np.cumsum(weights)
        return int(np.searchsorted(total, chance.random() * total[-1], side="right"))
