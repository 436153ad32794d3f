"""Written values for a stretch of time."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from scorelm.notation.model import Value

_PLAIN = [Value(kind, dots) for kind in range(14) for dots in (2, 1, 0)]
_BY_LENGTH = sorted(_PLAIN, key=lambda value: value.written, reverse=True)
_FINEST = Fraction(1, 256)  # a 1024th, in quarters


@lru_cache(maxsize=4096)
def fill(quarters: Fraction) -> tuple[Value, ...]:
    """The fewest written values that last ``quarters``, longest first; what no value can show gets ``exact``."""
    out: list[Value] = []
    while quarters > 0:
        value = next((v for v in _BY_LENGTH if v.written <= quarters and _whole(quarters - v.written)), None)
        if value is None:
            nearest = next((v for v in _BY_LENGTH if v.dots == 0 and v.written <= quarters), _PLAIN[-1])
            out.append(Value(nearest.kind, 0, quarters))
            break
        out.append(value)
        quarters -= value.written
    return tuple(out)


def _whole(quarters: Fraction) -> bool:
    return (quarters / _FINEST).denominator == 1


@lru_cache(maxsize=4096)
def value_of(quarters: Fraction) -> Value:
    """The one written value that lasts ``quarters``, or the longest that is not longer, with no ``exact``."""
    for value in _BY_LENGTH:
        if value.written == quarters:
            return value
    return next((v for v in _BY_LENGTH if v.dots == 0 and v.written <= quarters), _PLAIN[-1])
