"""A Humdrum file as cells that know their spine, through splits and joins. Standard library alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from scorelm.errors import SourceError

PATHS = ("*", "*^", "*v", "*x", "*+", "*-")


@dataclass(frozen=True)
class Cell:
    """``spine``: the column where it began, from 0; ``voice``: which of that spine's, from 0; ``line``: from 1.

    A voice keeps its number as long as it goes on; of joined ones the lowest stays. As long as a spine has cells,
    it has voice 0.
    """

    line: int
    spine: int
    voice: int
    kind: str  # kern, text, dynam ...
    text: str

    @property
    def is_data(self) -> bool:
        return self.text[:1] not in ("*", "=", "!")


@dataclass(frozen=True, order=True)
class _Column:
    spine: int
    voice: int
    kind: str


def cells(lines: Sequence[str], name: str) -> tuple[list[Cell], int]:
    """Every cell of a file, and how many columns are open at its end, where each should have ended with '*-'.

    Raises SourceError at a line with more or fewer columns than there are.
    """
    out: list[Cell] = []
    columns: list[_Column] = []
    started = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("!!"):
            continue
        texts = line.rstrip("\n").split("\t")
        if not columns:
            if not line.startswith("**"):
                raise SourceError(f"{name}: line {number}: expected '**kern' or another spine, found {line[:20]!r}")
            columns = [_Column(started + i, 0, text.removeprefix("**")) for i, text in enumerate(texts)]
            started += len(columns)
        if len(texts) != len(columns):
            raise SourceError(f"{name}: line {number}: {len(texts)} columns for {len(columns)} spines")
        for i, text in enumerate(texts):
            if text.startswith("**"):
                columns[i] = _Column(columns[i].spine, columns[i].voice, text.removeprefix("**"))
            out.append(Cell(number, columns[i].spine, columns[i].voice, columns[i].kind, text))
        if line.startswith("*"):
            columns, started = _moved(columns, texts, started, name, number)
    return out, len(columns)


def by_line(table: Sequence[Cell]) -> Iterator[tuple[int, list[Cell]]]:
    """Each line that has cells, with them from left to right."""
    for line, row in groupby(table, key=lambda c: c.line):
        yield line, list(row)


def _moved(
    columns: list[_Column], texts: Sequence[str], started: int, name: str, number: int
) -> tuple[list[_Column], int]:
    """The columns after a line of interpretations that may split, join, exchange, add and end them."""
    out: list[_Column] = []
    taken = {(c.spine, c.voice) for c in columns}
    joining: int | None = None
    exchanged: int | None = None
    for column, text in zip(columns, texts):
        if text != "*v":
            joining = None
        if text == "*^":
            voice = next(v for v in range(len(taken) + 1) if (column.spine, v) not in taken)
            taken.add((column.spine, voice))
            out += [column, _Column(column.spine, voice, column.kind)]
        elif text == "*v":
            if joining == column.spine:
                out[-1] = min(out[-1], column)
            else:
                out.append(column)
            joining = column.spine
        elif text == "*+":
            out += [column, _Column(started, 0, "")]
            started += 1
        elif text == "*x":
            out.append(column)
            if exchanged is None:
                exchanged = len(out) - 1
            else:
                out[exchanged], out[-1] = out[-1], out[exchanged]
                exchanged = None
        elif text != "*-":
            out.append(column)
    if exchanged is not None:
        raise SourceError(f"{name}: line {number}: one '*x', where two spines change places")
    return _with_first_voices(out), started


def _with_first_voices(columns: list[_Column]) -> list[_Column]:
    """Where a spine's voice 0 has ended before the others, the lowest of these takes its place."""
    lowest: dict[int, int] = {}
    for column in columns:
        lowest[column.spine] = min(column.voice, lowest.get(column.spine, column.voice))
    return [_Column(c.spine, 0 if c.voice == lowest[c.spine] else c.voice, c.kind) for c in columns]
