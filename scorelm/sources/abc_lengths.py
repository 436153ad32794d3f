"""Lengths of ABC as values that notes have: ABC multiplies and divides as it likes. Standard library alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scorelm.sources.abc_items import Item, Part

SHORTEST = Fraction(1, 256)  # quarters, a 1024th: MusicXML has none shorter
LONGEST = 32  # a maxima
NEAR = sorted(Fraction(2) ** e * dots for e in range(-8, 6) for dots in (1, Fraction(3, 2)))
RATIOS = {3: 2, 5: 4, 7: 4, 9: 8, 11: 8, 13: 8, 15: 8}  # notes in the time of others


def single(quarters: Fraction) -> bool:
    """Whether one note, with at most three dots, lasts so long."""
    return pieces(quarters) == [quarters] and _whole(quarters) and quarters < 2 * LONGEST


def pieces(quarters: Fraction) -> list[Fraction]:
    """A length as values that one note with at most three dots can have, the longest first."""
    out = []
    while quarters > 0:
        value = Fraction(LONGEST)
        while value > quarters:
            value /= 2
            if value < SHORTEST:
                return [*out, quarters]
        best = value
        for dots in (1, 2, 3):
            dotted = value * (2 - Fraction(1, 2**dots))
            if dotted == quarters:
                best = dotted
        out.append(best)
        quarters -= best
    return out


def mend(part: Part, tune: str, say: Callable[[int, str], None]) -> None:
    """Give each note and rest a length that values can show: a third of a quarter is a triplet's eighth.

    What no plain tuplet can show, either, is rounded, with a notice. ``tune``: its name in that.
    """
    for number, bar in enumerate(part.bars, 1):
        for layer in bar.layers:
            timed = [i for i in layer if i.kind in ("note", "rest", "hidden") and not i.whole]
            for item in timed:
                before = item.length
                if not _shown(item):
                    item.length = min(NEAR, key=lambda near: abs(near - before))
                    say(
                        item.line,
                        f"tune {tune}, measure {number}: no note lasts {before} quarters; written as {item.length}",
                    )
            _bracket([i for i in timed if not i.grace])


def _shown(item: Item) -> bool:
    """Whether values can show its length; one that is a tuplet's by itself is made so."""
    if item.grace:
        return single(item.length)
    if _whole(item.length):
        return True
    thing = item.length.denominator
    while thing % 2 == 0:
        thing //= 2
    if item.tuplet or thing not in RATIOS:
        return False
    ratio = Fraction(thing, RATIOS[thing])
    if not _whole(item.length * ratio):
        return False
    item.tuplet, item.tuplet_edge, item.length = (thing, RATIOS[thing]), "own", item.length * ratio
    return True


def _bracket(items: list[Item]) -> None:
    """Tuplets that the lengths alone make begin and end: each as soon as it fills a plain length."""
    held: list[Item] = []
    for item, behind in zip(items, [*items[1:], None]):
        if item.tuplet_edge != "own":
            continue
        held.append(item)
        item.tuplet_edge = ""
        full = _whole(sum((i.quarters for i in held), Fraction(0)))
        if full or behind is None or behind.tuplet_edge != "own" or behind.tuplet != item.tuplet:
            held[0].tuplet_edge, held[-1].tuplet_edge = "start", "stop"
            if len(held) == 1:
                item.tuplet_edge = "startStop"
            held = []


def _whole(quarters: Fraction) -> bool:
    return (quarters / SHORTEST).denominator == 1
