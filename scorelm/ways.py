"""Several ways of one text at once, of which the likelier ones go on: a particle filter.

Where something is given that stands later in the text (a bass under the tenor that was just written, the measure behind
a passage), a way that was chosen without knowing it may not fit. How likely the model finds what is given is the weight
of a way; where the weights have come apart, ways are drawn anew by them (sequential Monte Carlo, with systematic
resampling; Doucet and Johansen, A Tutorial on Particle Filtering and Smoothing, 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Logs = np.ndarray[Any, np.dtype[np.float64]]
KEPT = 0.5  # below this share of ways that count, they are drawn anew
FEWEST = 1.2  # below so many in any case: of two ways one always counts, which is half of them


def log_sum(logits: Any) -> float:
    """log(sum(exp(logits)))"""
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top, dtype=np.float64).sum()))


def shares(weights: Logs) -> Logs:
    """Logarithms -> shares that add up to 1."""
    found: Logs = np.exp(weights - weights.max())
    return found / found.sum()


def successors(weights: Sequence[float], chance: np.random.Generator) -> list[int]:
    """Which way goes on in the place of each: itself, wherever it goes on at all.

    weights: logarithms. All go on by themselves where their weights are alike.
    """
    found = shares(np.array(weights, np.float64))
    count = len(found)
    if count == 1 or 1 / (found**2).sum() >= max(KEPT * count, FEWEST):
        return list(range(count))
    points = (chance.random() + np.arange(count)) / count
    drawn = np.searchsorted(np.cumsum(found), points).clip(max=count - 1)
    wanted = np.bincount(drawn, minlength=count)
    again = [way for way in range(count) for _ in range(wanted[way] - 1)]
    return [way if wanted[way] else again.pop() for way in range(count)]
