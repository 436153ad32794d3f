"""A trained student writes: it continues a text, and every lexeme that it may choose keeps the text sound.

prompt -> ids -> reader -> logits of the lexemes that may stand here -> one of them -> ... -> text
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scorelm.errors import ConfigError
from scorelm.notation.canonical import Canonical
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES, cut, vocabulary_hash
from scorelm.notation.model import Score
from scorelm.notation.positions import Clock
from scorelm.notation.reader import parse
from scorelm.notation.sound import Lexemes, Sound
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.readers import Logits, Reader, open_reader
from scorelm.sampling import Sampling

SHIPPED = Path(__file__).parent / "models" / "chorale"
TRAINED = Path("score-lm")  # what train.py writes in the working folder
MOST_MEASURES = 120  # that a continuation adds
CONTEXT = 1024  # lexemes that the model looks back at most when a measure begins


def find_model(named: str | None) -> Path:
    """The folder of the model: the named one, else score-lm/ in the working folder, else the one that ships."""
    for folder in (Path(named),) if named else (TRAINED, SHIPPED):
        if (folder / "config.json").is_file():
            return folder
    if named:
        raise ConfigError(f"{named}: no model is there (a folder with config.json); train.py writes one")
    raise ConfigError(f"no model in {TRAINED} or {SHIPPED}: train one with python train.py")


class Student:
    """A trained model whose tokens are the project's lexemes."""

    def __init__(self, folder: str | Path, engine: str = "numpy") -> None:
        """Load a folder that train.py wrote. ConfigError where its vocabulary is another one.

        engine: "numpy", the fastest on a processor, or "transformers", the reference, which uses a GPU
        """
        folder = Path(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder / 'config.json'}: cannot be read: {error}") from None
        known = config.get("vocab_size", 0)  # lexemes that were added to the list later are never chosen
        if known > len(LEXEMES) or config.get("scorelm_vocabulary") != vocabulary_hash(known):
            raise ConfigError(
                f"{folder}: its tokens are not the lexemes of this version "
                f"(scorelm_vocabulary is {config.get('scorelm_vocabulary')!r}, not {vocabulary_hash(known)!r})"
            )
        self.known = known
        self.timed = config.get("scorelm_positions") == "time"
        self.reader: Reader = open_reader(folder, engine)
        self._ids: dict[Lexemes, tuple[list[str], Any]] = {}

    def measures(
        self,
        prompt: str = "|",
        *,
        seed: int,
        measures: int | None = None,
        at_least: int = 8,
        sampling: Sampling | None = None,
    ) -> Iterator[str]:
        """Continue a text to its end; yields it piece by piece, each up to a "|", the prompt's measures first.

        The arguments are those of ``write``.
        """
        for _, piece in self.write(prompt, seeds=[seed], measures=measures, at_least=at_least, sampling=sampling):
            yield piece

    def write(
        self,
        prompt: str = "|",
        *,
        seeds: Sequence[int],
        measures: int | None = None,
        at_least: int = 8,
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, str]]:
        """Continue a text once for each seed, all at once; yields (number of the seed, the next piece of its text).

        prompt: readable text; what follows its last "|" is the beginning of a sound measure
        measures: each whole text has exactly so many; None: at least ``at_least``, and then as the model likes

        Raises FormatError where the prompt breaks the format.
        """
        texts = [_Text(self, prompt, seed, measures, at_least, sampling or Sampling()) for seed in seeds]
        self.reader.begin(len(texts), 2 * CONTEXT)
        for row, text in enumerate(texts):
            yield row, text.whole
            self.reader.restart(row, text.ids[:-1], text.positions[:-1])
        rows = list(range(len(texts)))
        while rows:
            ends = [(texts[row].ids[-1], texts[row].positions[-1]) for row in rows]
            logits = self.reader.step(rows, *zip(*ends))
            going = []
            for row, found in zip(rows, logits):
                text = texts[row]
                lexeme = text.choose(found)
                if lexeme is None:
                    continue
                going.append(row)
                if piece := text.add(lexeme):
                    yield row, piece
                if text.shorten():
                    self.reader.restart(row, text.ids[:-1], text.positions[:-1])
            rows = going

    def choices(self, allowed: Lexemes) -> tuple[list[str], Any]:
        """The lexemes of a set in the order of their ids, and these; the same sets come again and again."""
        found = self._ids.get(allowed)
        if found is None:
            ids = sorted(IDS[lexeme] for lexeme in allowed if IDS[lexeme] < self.known)
            found = self._ids[allowed] = ([LEXEMES[i] for i in ids], np.array(ids))
        return found


class _Text:
    """One text under way: what may come next, and what its reader has read."""

    def __init__(
        self, student: Student, prompt: str, seed: int, measures: int | None, at_least: int, sampling: Sampling
    ) -> None:
        at = prompt.rfind("|") + 1
        begun = prompt[at:].strip()
        self.whole = write(parse(prompt[:at]))
        self.canonical = Canonical()
        for measure in self.whole.split("|")[1:-1]:
            self.canonical.measure(measure + "|")
        present = self.whole.count("|") - 1
        if measures is not None and measures <= present:
            raise ConfigError(f"the prompt has {present} measures already, {measures} were asked for")
        self.sound = Sound(
            prompt, measures=measures, at_least=max(at_least, present + 1), at_most=present + MOST_MEASURES
        )
        self.student = student
        self.sampling = sampling
        self.chance = np.random.default_rng(seed)
        self.piece = cut(begun)
        self._read(self.whole + begun)
        if len(self.ids) >= CONTEXT and present:
            self._read(self._last_measures() + begun)
        if len(self.ids) >= 2 * CONTEXT:
            self._cut()

    def _read(self, text: str) -> None:
        self.clock = Clock()
        self.ids: list[int] = []
        self.positions: list[float] = []
        for lexeme in cut(text):
            self._append(lexeme)

    def _append(self, lexeme: str) -> None:
        position = self.clock.push(lexeme)
        number = IDS[lexeme]
        if number < self.student.known:  # later lexemes stay in the text and are not shown to the model
            self.ids.append(number)
            self.positions.append(position if self.student.timed else float(len(self.positions)))

    def choose(self, logits: Logits) -> str | None:
        """The next lexeme; None at the end."""
        if not self.sound.allowed:
            return None
        names, ids = self.student.choices(self.sound.allowed)
        lexeme = names[self.sampling.choose(logits[ids], self.chance) if len(names) > 1 else 0]
        return None if lexeme == END_OF_TEXT else lexeme

    def add(self, lexeme: str) -> str:
        """Returns the measure that the lexeme closes, else nothing."""
        self.sound.push(lexeme)
        self._append(lexeme)
        self.piece.append(lexeme)
        if lexeme != "|":
            return ""
        measure = self.canonical.measure("".join(self.piece))
        self.whole += measure
        self.piece = []
        return measure

    def shorten(self) -> bool:
        """Where the context is full, go on from the last measures, with what is in force said again; whether it was."""
        if len(self.ids) < CONTEXT or (self.piece and len(self.ids) < 2 * CONTEXT - 1):
            return False
        if self.piece:  # a measure longer than all of it: only its end is seen
            self._cut()
            return True
        self._read(self._last_measures())
        return True

    def _cut(self) -> None:
        self.ids, self.positions = self.ids[-CONTEXT // 2 :], self.positions[-CONTEXT // 2 :]
        if not self.student.timed:
            self.positions = [float(i) for i in range(len(self.ids))]

    def _last_measures(self) -> str:
        """So many whole measures as half of the context holds, one at least, as a text of its own."""
        sizes = [len(cut(measure)) + 1 for measure in self.whole.split("|")[1:-1]]
        kept = len(sizes)
        while kept > 1 and sum(sizes[kept - 1 :]) < CONTEXT // 2:
            kept -= 1
        return write(extract(parse(self.whole), (min(kept + 1, len(sizes)), len(sizes))))


def continuable(score: Score) -> str:
    """The text of a score as a prompt: without its final barline, behind which nothing can follow."""
    if not score.measures:
        return write(score)
    last = score.measures[-1]
    open_end = replace(last, end=tuple(mark for mark in last.end if mark.name != "end"))
    return write(replace(score, measures=(*score.measures[:-1], open_end)))
