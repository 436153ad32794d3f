"""A Humdrum file as cells that know their spine, through splits and joins. Standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scorelm.errors import SourceError


@dataclass(frozen=True)
class Cell:
    """``spine``: the column where it began, from 0; ``voice``: which of that spine's columns, from 0; ``line``: from 1."""

    line: int
    spine: int
    voice: int
    kind: str  # kern, text, dynam ...
    text: str

    @property
    def is_data(self) -> bool:
        return self.text[:1] not in ("*", "=", "!")


def cells(lines: Sequence[str], name: str) -> list[Cell]:
    """Every cell of a file. Raises SourceError at a line with more or fewer columns than the spines there are."""
    out: list[Cell] = []
    columns: list[tuple[int, str]] = []  # spine, kind
    started = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("!!"):
            continue
        texts = line.rstrip("\n").split("\t")
        if not columns:
            if not line.startswith("**"):
                raise SourceError(f"{name}: line {number}: expected '**kern' or another spine, found {line[:20]!r}")
            columns = [(started + i, text.removeprefix("**")) for i, text in enumerate(texts)]
            started += len(columns)
        if len(texts) != len(columns):
            raise SourceError(f"{name}: line {number}: {len(texts)} columns for {len(columns)} spines")
        for i, ((spine, kind), text) in enumerate(zip(columns, texts)):
            if text.startswith("**"):
                kind = text.removeprefix("**")
                columns[i] = spine, kind
            voice = sum(1 for before, _ in columns[:i] if before == spine)
            out.append(Cell(number, spine, voice, kind, text))
        if line.startswith("*"):
            columns, started = _moved(columns, texts, started, name, number)
    if columns:
        raise SourceError(f"{name}: line {len(lines)}: {len(columns)} spines do not end; a file ends with '*-' in each")
    return out


def _moved(
    columns: list[tuple[int, str]], texts: Sequence[str], started: int, name: str, number: int
) -> tuple[list[tuple[int, str]], int]:
    """The columns after a line of interpretations that may split, join, exchange, add and end them."""
    out: list[tuple[int, str]] = []
    joining: int | None = None
    exchanged: int | None = None
    for column, text in zip(columns, texts):
        if text != "*v":
            joining = None
        if text == "*^":
            out += [column, column]
        elif text == "*v":
            if joining != column[0]:
                out.append(column)
            joining = column[0]
        elif text == "*+":
            out += [column, (started, "")]
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
    return out, started
