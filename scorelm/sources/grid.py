"""The grid on which notes stand, found by the least error: standard library alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

# divisors of a quarter, from coarse to fine
DIVISORS = (
    (1,),
    (2,),
    (4,),
    (3,),
    (4, 3),
    (8,),
    (4, 6),
    (8, 3),
    (8, 6),
    (8, 6, 5),
    (16, 12),
    (8, 6, 5, 7),
    (32, 12),
    (32, 12, 5, 7),
)
COSTS = {1: 0.0, 2: 2.0, 4: 5.0, 3: 7.0, 6: 11.0, 8: 13.0}  # of a grid for one beat, against squared errors
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


def exact_grid(onsets: Iterable[Fraction], ends: Iterable[Fraction]) -> tuple[int, ...] | None:
    """The coarsest divisors of a quarter on whose grid everything stands, ends too; else all onsets; None for neither."""
    starts = sorted(set(onsets))
    for held in (sorted({*starts, *ends}), starts):
        for divisors, grid in GRIDS.items():
            if all(abs(nearest(m, grid) - m) < SMALLEST_TICK for m in held):
                return divisors
    return None


def beat_grids(onsets: Sequence[Fraction]) -> dict[int, int]:
    """The divisor of each quarter that has onsets: the least squared error, a finer grid having to earn its cost.

    The error is counted in units of the player's spread, which is taken from the file.
    """
    sixteenths = GRIDS[(4,)]
    errors = sorted(float(abs(nearest(m, sixteenths) - m)) for m in onsets)
    spread = min(0.07, max(0.02, 1.5 * errors[len(errors) // 2])) if errors else 0.02
    by_beat: dict[int, list[float]] = defaultdict(list)
    for moment in onsets:
        by_beat[moment.numerator // moment.denominator].append(float(moment % 1))
    out = {}
    for beat, held in by_beat.items():
        out[beat] = min(COSTS, key=lambda d: COSTS[d] + sum(((x - round(x * d) / d) / spread) ** 2 for x in held))
    return out


def snapped(moment: Fraction, grids: Mapping[int, int], least: int = 1) -> Fraction:
    """The nearest point of the grid of the quarter in which a moment lies, at least ``least`` points a quarter."""
    divisor = max(grids.get(moment.numerator // moment.denominator, 1), least)
    return Fraction(round(moment * divisor), divisor)
