"""A trained student writes: it continues a text, and every lexeme that it may choose keeps the text sound.

prompt -> ids -> reader -> logits of the lexemes that may stand here -> one of them -> ... -> text

What a Plan gives is written lexeme by lexeme too: there the given lexeme alone may stand.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scorelm.errors import ConfigError
from scorelm.notation.canonical import Canonical
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES, cut, joined, vocabulary_hash
from scorelm.notation.model import Score
from scorelm.notation.plan import Plan
from scorelm.notation.planned import lead, walk_of
from scorelm.notation.positions import Clock
from scorelm.notation.reader import parse
from scorelm.notation.sound import Lexemes, Sound
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.readers import Logits, Reader, open_reader
from scorelm.sampling import Sampling
from scorelm.ways import log_sum, successors

SHIPPED = Path(__file__).parent / "models" / "chorale"
TRAINED = Path("score-lm")  # what train.py writes in the working folder
MOST_MEASURES = 120  # that a continuation adds
CONTEXT = 1024  # lexemes that the model looks back at most when a measure begins
MOST_ROWS = 32  # written beside each other


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

    def measures(self, prompt: str | Plan = "|", *, seed: int, **options: Any) -> Iterator[str]:
        """Continue a text to its end; yields it piece by piece, each up to a "|", the prompt's measures first.

        The arguments are those of ``write``.
        """
        for _, piece in self.write(prompt, seeds=[seed], **options):
            yield piece

    def write(
        self,
        prompt: str | Plan = "|",
        *,
        seeds: Sequence[int],
        measures: int | None = None,
        at_least: int = 8,
        sampling: Sampling | None = None,
        tries: int = 1,
    ) -> Iterator[tuple[int, str]]:
        """Continue a text once for each seed, several at once; yields (number of the seed, next piece of its text).

        prompt: readable text; what follows its last "|" is the beginning of a sound measure. Or what is given
        measures: each whole text has exactly so many; None: at least ``at_least``, and then as the model likes
        tries: so many ways of each text are written beside each other. Those that lead best to what is given later
            go on, the likeliest is kept; a piece comes as soon as all ways agree on it

        Raises FormatError where the prompt breaks the format, ScoreError where nothing can be written into a plan.
        """

        first = _Text(self, prompt, measures, at_least, sampling or Sampling())
        together = max(1, MOST_ROWS // tries)
        for start in range(0, len(seeds), together):
            some = seeds[start : start + together]
            groups = [_Ways([first.another() for _ in range(tries)], seed) for seed in some]
            for number, piece in self._write(groups, tries):
                yield start + number, piece

    def _write(self, groups: Sequence[_Ways], tries: int) -> Iterator[tuple[int, str]]:
        """Row after row of the reader is a way; the first ``tries`` are those of the first text."""
        rows = list(range(tries * len(groups)))
        self.reader.begin(len(rows), 2 * CONTEXT)
        first = groups[0].texts[0]
        self.reader.restart(0, first.ids[:-1], first.positions[:-1])
        for row in rows[1:]:
            self.reader.copy(0, row)
        for number, ways in enumerate(groups):
            yield number, ways.come()
        while rows:
            texts = [groups[row // tries].texts[row % tries] for row in rows]
            logits = self.reader.step(rows, [t.ids[-1] for t in texts], [t.positions[-1] for t in texts])
            for row, text, found in zip(rows, texts, logits):
                text.take(found)
                if text.shorten():
                    self.reader.restart(row, text.ids[:-1], text.positions[:-1])
            going = {row for row, text in zip(rows, texts) if not text.waits}
            for number in sorted({row // tries for row in rows} - {row // tries for row in going}):
                ways = groups[number]  # they all wait
                for way, successor in ways.choose():
                    self.reader.copy(number * tries + successor, number * tries + way)
                if piece := ways.come():
                    yield number, piece
                going |= {number * tries + way for way, text in enumerate(ways.texts) if not text.ended}
            rows = sorted(going)

    def losses(self, text: str) -> list[float]:
        """-log p of every lexeme behind a text's first "|" and of its end, in nats: as the model is, not as it is
        sampled."""
        clock, ids, where = Clock(), [], []
        for lexeme in (*cut(text), END_OF_TEXT):
            position, number = clock.push(lexeme), IDS[lexeme]
            if number < self.known:
                ids.append(number)
                where.append(position if self.timed else float(len(where)))
        out: list[float] = []
        done, start = 1, 0
        while done < len(ids):
            window = ids[start : start + CONTEXT]
            logits = self.reader.read(window[:-1], where[start : start + len(window) - 1])
            for at in range(done - start, len(window)):
                out.append(log_sum(logits[at - 1]) - float(logits[at - 1][window[at]]))
            done = start + len(window)
            start = done - CONTEXT // 2
        return out

    def choices(self, allowed: Lexemes) -> tuple[list[str], Any]:
        """The lexemes of a set in the order of their ids, and these; the same sets come again and again."""
        found = self._ids.get(allowed)
        if found is None:
            ids = sorted(IDS[lexeme] for lexeme in allowed if IDS[lexeme] < self.known)
            found = self._ids[allowed] = ([LEXEMES[i] for i in ids], np.array(ids))
        return found


class _Ways:
    """The ways of one text, written beside each other. They wait for each other at barlines and behind given music."""

    def __init__(self, texts: list[_Text], seed: int) -> None:
        self.texts = texts
        for way, text in enumerate(texts):
            text.chance = np.random.default_rng((seed, way) if way else seed)
        self.chance = np.random.default_rng((seed, len(texts)))
        self.sent = 0  # pieces

    def choose(self) -> list[tuple[int, int]]:
        """Which ways go on in the place of others: (the place, the way that stands there too from now on)."""
        found = successors([text.weight for text in self.texts], self.chance)
        moved = [(way, successor) for way, successor in enumerate(found) if way != successor]
        for way, successor in moved:
            chance = self.texts[way].chance
            self.texts[way] = self.texts[successor].another()
            self.texts[way].chance = chance
        for text in self.texts:
            text.waits = text.ended
            text.weight = 0.0 if moved else text.weight
        return moved

    def come(self) -> str:
        """What comes behind the pieces that came before: those that all ways have, at the end the likeliest's."""
        if all(text.ended for text in self.texts):
            best = min(self.texts, key=_Text.nats_a_quarter) if len(self.texts) > 1 else self.texts[0]
            return "".join(best.pieces[self.sent :])
        start = self.sent
        for alike in zip(*(text.pieces[start:] for text in self.texts)):
            if len(set(alike)) > 1:
                break
            self.sent += 1
        return "".join(self.texts[0].pieces[start : self.sent])


class _Text:
    """One text under way: what may come next, what its reader has read, and how likely it is."""

    def __init__(
        self, student: Student, prompt: str | Plan, measures: int | None, at_least: int, sampling: Sampling
    ) -> None:
        self.student = student
        self.sampling = sampling
        self.chance = np.random.default_rng()
        self.plan = prompt if isinstance(prompt, Plan) else Plan()
        text = lead(prompt) if isinstance(prompt, Plan) else prompt
        at = text.rfind("|") + 1
        begun = text[at:].strip()
        given = write(parse(text[:at]))
        present = given.count("|") - 1
        if measures is not None and measures <= present:
            raise ConfigError(f"the prompt has {present} measures already, {measures} were asked for")
        bounds = measures, max(at_least, present + 1), present + MOST_MEASURES
        self.sound = walk_of(prompt, *bounds) if isinstance(prompt, Plan) else Sound(prompt, *bounds)
        self.canonical, self.full = Canonical(), Canonical()
        self.whole = "|\n"  # as the model is shown it
        self.pieces = ["|\n"]  # as they come, with all that was given; those of the prompt are one
        for measure in given.split("|")[1:-1]:
            self._close(measure + "|")
        self.pieces = ["".join(self.pieces)]
        self.piece = cut(begun)
        self.weight = 0.0  # log of how likely all that had to come was, since the ways were last chosen
        self.nats = 0.0  # -log p of all that was written
        self.waits = self.ended = False
        self._read(self.whole + begun)
        if len(self.ids) >= CONTEXT and present:
            self._read(self._last_measures() + begun)
        if len(self.ids) >= 2 * CONTEXT:
            self._cut()

    def another(self) -> _Text:
        """A text that goes on from here by itself."""
        out = copy.copy(self)
        out.sound = self.sound.copy()
        out.clock = copy.deepcopy(self.clock)
        out.canonical, out.full = copy.deepcopy(self.canonical), copy.deepcopy(self.full)
        out.ids, out.positions = list(self.ids), list(self.positions)
        out.pieces, out.piece = list(self.pieces), list(self.piece)
        return out

    def nats_a_quarter(self) -> float:
        return self.nats / max(1.0, float(parse(self.whole).quarters))

    def _read(self, text: str) -> None:
        self.clock = Clock()
        self.ids: list[int] = []
        self.positions: list[float] = []
        for lexeme in cut(text):
            self._append(lexeme)

    def _append(self, lexeme: str) -> bool:
        """Whether the model is shown the lexeme: one that is newer than it stays in the text alone."""
        position = self.clock.push(lexeme)
        number = IDS[lexeme]
        if number >= self.student.known:
            return False
        self.ids.append(number)
        self.positions.append(position if self.student.timed else float(len(self.positions)))
        return True

    def take(self, logits: Logits) -> None:
        """Go on by the next lexeme, and by those behind it that the model is not shown."""
        shown = False
        while not shown and not self.waits:
            lexeme = self._choose(logits)
            self.ended = lexeme == END_OF_TEXT
            shown = self.ended or self._add(lexeme)
            self.waits = self.ended or lexeme == "|" or self.sound.fits

    def _choose(self, logits: Logits) -> str:
        names, ids = self.student.choices(self.sound.allowed)
        if not names:
            return next(iter(self.sound.allowed))  # given, and newer than the model
        found = logits[ids]
        chosen = self.sampling.choose(found, self.chance) if len(names) > 1 else 0
        everything = log_sum(logits)
        self.weight += log_sum(found) - everything
        self.nats += everything - float(found[chosen])
        return names[chosen]

    def _add(self, lexeme: str) -> bool:
        self.sound.push(lexeme)
        shown = self._append(lexeme)
        self.piece.append(lexeme)
        if lexeme == "|":
            self._close(joined(self.piece))
            self.piece = []
        return shown

    def _close(self, measure: str) -> None:
        """A measure is whole."""
        number = self.whole.count("|") - 1
        shown = self.canonical.measure(measure)
        self.whole += shown
        if self.plan.score.measures:
            shown = self.full.measure(measure, lambda written: self.plan.whole(number, written))
        self.pieces.append(shown)

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
