"""The grid on which notes stand, found by the least error: standard library alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction

# divisors of a quarter, from coarse to fine
DIVISORS = ((1,), (2,), (4,), (3,), (4, 3), (8,), (4, 6), (8, 3), (8, 6), (8, 6, 5), (16, 12), (8, 6, 5, 7), (32, 12), (32, 12, 5, 7))
SMALLEST_TICK = Fraction(1, 120)  # a file's own rounding: below it, a moment stands on the grid


def _points(divisors: tuple[int, ...]) -> list[Fraction]:
    return sorted({Fraction(n, d) for d in divisors for n in range(d + 1)})


GRIDS = {divisors: _points(divisors) for divisors in DIVISORS}


def nearest(moment: Fraction, grid: Sequence[Fraction]) -> Fraction:
    """The point of the grid that is nearest, the earlier one of two."""
    whole = moment.numerator // moment.denominator
    rest = moment - whole
    index = bisect_left(grid, rest)
    if index == 0:
        return whole + grid[0]
    before, after = grid[index - 1], grid[min(index, len(grid) - 1)]
    return whole + (before if rest - before <= after - rest else after)


def best_grid(onsets: Sequence[Fraction], ends: Sequence[Fraction]) -> tuple[int, ...]:
    """The divisors of a quarter whose grid fits.

    The coarsest on which everything stands, ends too; else the coarsest on which all onsets do; else the one whose
    error is the smallest share of what chance would give, so that a finer grid must earn its place.
    """
    moments = sorted(set(onsets)), sorted({*onsets, *ends})
    for held in reversed(moments):
        for divisors, grid in GRIDS.items():
            if all(abs(nearest(m, grid) - m) < SMALLEST_TICK for m in held):
                return divisors
    def share(divisors: tuple[int, ...]) -> float:
        grid = GRIDS[divisors]
        error = sum(abs(nearest(m, grid) - m) for m in onsets) / len(onsets)
        chance = sum((b - a) ** 2 for a, b in zip(grid, grid[1:])) / 4
        return float(error / chance)

    return min((d for d in DIVISORS if max(d) <= 8), key=share)
