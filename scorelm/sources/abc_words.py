"""Lyrics of ABC: the syllables of a line ``w:`` go to the notes of the line of music before it. Standard library alone.

line     = *( syllable / "-" / "_" / "*" / "|" / " " )
"_" holds the last syllable for a note more, "*" and a "-" by itself pass a note over, "|" goes to the next bar.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from scorelm.sources.abc_items import Item, Part

HOLDS = "\ue000"  # behind a syllable that a line holds: music21 cannot write one, the bridge puts it in its place
SYLLABLE = re.compile(r"\\-|[^\s\-_*|]+(?:\\-[^\s\-_*|]*)*-?|[-_*|]")


def sing(part: Part, text: str, line: int, say: Callable[[int, str], None]) -> None:
    """Hang a line of lyrics on the notes of a part's last line of music."""
    part.verse += 1
    at = 0  # the note to come
    bar = part.line_bar  # where the words are: behind a bar's last note they are still in it
    open_word = False
    last: Item | None = None  # that has a syllable
    for syllable in SYLLABLE.findall(text):
        if syllable == "|":
            bar += 1
            while at < len(part.sung) and part.sung_bars[at] < bar:
                at += 1
            continue
        if at >= len(part.sung):
            say(line, f"left out: syllables beyond the last note, from {syllable!r}")
            return
        bar = part.sung_bars[at]
        if syllable == "_" and last is None:
            say(line, "left out: a '_' that holds no syllable")
        elif syllable == "_" and last is not None:
            number, shown, kind = last.lyrics[-1]
            last.lyrics[-1] = number, shown.rstrip(HOLDS) + HOLDS, kind
        elif syllable not in ("*", "-"):
            goes_on = syllable.endswith("-") and not syllable.endswith("\\-")
            shown = syllable.removesuffix("-") if goes_on else syllable
            kind = ("middle" if goes_on else "end") if open_word else ("begin" if goes_on else "single")
            part.sung[at].lyrics.append((part.verse, shown.replace("~", " ").replace("\\-", "-"), kind))
            open_word = goes_on
            last = part.sung[at]
        at += 1
