"""A text -> the windows that a model reads: cut at measures, each says again what is in force where it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scorelm.errors import ScoreError
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.tokenizer import Ids, Places

Encoder = Callable[[str], list[int]]  # of a text, without its end


@dataclass(frozen=True)
class Window:
    """Token ids, of which those from ``judged`` on are learnt: the ones before repeat the last window's end; an array
    (time, 1 + features) where the model is shown what is heard as well, see ``Tokens.shown``."""

    ids: Sequence[int] | Ids
    judged: int = 1
    positions: Sequence[float] | Places | None = None  # None: the model counts


def windows(text: str, encode: Encoder, end: int, longest: int) -> list[Window]:
    """The windows of a text, each of at most ``longest`` tokens: every token but the first is judged once.

    end: the id that closes a text
    """
    ids = [*encode(text), end]
    if len(ids) <= longest:
        return [Window(ids)]
    try:
        return _by_measures(text, encode, end, longest)
    except ScoreError:  # no score, or a measure longer than a window: plain pieces
        return [Window(ids[at : at + longest], 0 if at else 1) for at in range(0, len(ids), longest)]


def _by_measures(text: str, encode: Encoder, end: int, longest: int) -> list[Window]:
    score = parse(text)
    measures = text.split("|")[1:-1]
    sizes = [len(encode(measure + "|")) for measure in measures]
    out: list[Window] = []
    first = done = 0  # the window's first measure, and the first that is still to be judged
    while done < len(measures):
        stop = done
        room = longest - _spare(sizes)
        while stop < len(measures) and sum(sizes[first : stop + 1]) < room:
            stop += 1
        while True:
            if stop == done:
                raise ScoreError(f"measure {done + 1} is longer than {longest} tokens")
            last = stop == len(measures)
            part = write(extract(score, (first + 1, stop))) if first or not last else text
            ids = [*encode(part), *([end] if last else [])]
            if len(ids) <= longest:
                break
            stop -= 1
        # what is judged begins behind the measures that the window before has judged; the "|" before it is context
        repeated = part.split("|")[: done - first + 1]
        out.append(Window(ids, len(encode("|".join(repeated) + "|")) if first else 1))
        done = stop
        if last:
            break
        first = stop - 1
        while first > 0 and sum(sizes[first - 1 : stop]) < longest // 4:
            first -= 1
        first = max(1, first)
    return out


def _spare(sizes: list[int]) -> int:
    """Room for what a window says again at its start: at most about what the text says at its own."""
    return min(sizes[0], 64)
