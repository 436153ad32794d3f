"""A trained student writes: it continues a text, and every token that it may choose keeps the text sound.

prompt -> ids -> reader -> logits of the tokens that may stand here -> one of them -> ... -> text

What a Plan gives is written token by token too: there only those of the given text may stand.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scorelm.analysis.lines import lines
from scorelm.bound.strict import strict as strictly
from scorelm.bound.tokens import tokens_of_folder
from scorelm.bound.walk import BoundTokens
from scorelm.errors import ConfigError, FormatError
from scorelm.notation.canonical import Canonical
from scorelm.notation.lexemes import END_OF_TEXT, cut, joined
from scorelm.notation.model import Score
from scorelm.notation.plan import Plan
from scorelm.notation.planned import lead, walk_of
from scorelm.notation.positions import Clock
from scorelm.notation.reader import parse
from scorelm.notation.sound import Sound
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write
from scorelm.readers import Logits, Reader, open_reader
from scorelm.sampling import Sampling
from scorelm.ways import log_sum, successors

if TYPE_CHECKING:
    from scorelm.vllm_engine import VllmEngine

SHIPPED = Path(__file__).parent / "models" / "chorale"
TRAINED = Path("score-lm")  # what train.py writes in the working folder
MOST_MEASURES = 120  # that a continuation adds
CONTEXT = 1024  # tokens that the model looks back at most when a measure begins
MOST_FREE = 2 * CONTEXT  # tokens of a text that the grammar does not bind, its prompt's counted
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
    """A trained model: its tokens are the project's lexemes, some of them joined, or a Pythia's sub-words."""

    def __init__(self, folder: str | Path, engine: str = "numpy") -> None:
        """Load a folder that train.py wrote. ConfigError where its tokens cannot be bound to the grammar.

        engine: "numpy", the fastest on a processor; "transformers", the reference, which uses a GPU; or "vllm", the
            fastest on a GPU, for models whose positions are places in the row. ConfigError where vLLM is not installed
        """
        folder = Path(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder / 'config.json'}: cannot be read: {error}") from None
        self.tokens: BoundTokens = tokens_of_folder(folder, config)
        self.timed = config.get("scorelm_positions") == "time"
        self.vllm: VllmEngine | None = None
        if engine == "vllm":
            self.vllm = self._open_vllm(folder)
        self.reader: Reader = open_reader(folder, "numpy" if self.vllm else engine)  # vLLM writes and does not judge

    def _open_vllm(self, folder: Path) -> VllmEngine:
        if self.timed:
            raise ConfigError(
                f"{folder}: its positions are moments of the music, of which vLLM knows nothing; it writes with models "
                "that were trained with --positions index, and with Pythias"
            )
        try:
            from scorelm.vllm_engine import VllmEngine
        except ImportError as error:
            raise ConfigError(f'engine vllm: {error}; on a machine with a GPU: pip install "scorelm[vllm]"') from None
        return VllmEngine(folder, 2 * CONTEXT)

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
        strict: bool = False,
    ) -> Iterator[tuple[int, str]]:
        """Continue a text once for each seed, several at once; yields (number of the seed, next piece of its text).

        prompt: readable text; what follows its last "|" is the beginning of a sound measure. Or what is given
        measures: each whole text has exactly so many; None: at least ``at_least``, and then as the model likes
        tries: so many ways of each text are written beside each other. Those that lead best to what is given later
            go on, the likeliest is kept; a piece comes as soon as all ways agree on it
        strict: no parallel fifths and octaves, no crossings, singers in their ranges (see ``bound.strict``)

        Raises FormatError where the prompt breaks the format, ScoreError where nothing can be written into a plan.
        """

        first = _Text(self, prompt, measures, at_least, sampling or Sampling(), strict)
        if self.vllm:
            if tries > 1:
                raise ConfigError("several tries of a text need another engine than vllm")
            yield from self._write_by_vllm(self.vllm, [_Ways([first.another()], seed) for seed in seeds], seeds)
            return
        together = max(1, MOST_ROWS // tries)
        for start in range(0, len(seeds), together):
            some = seeds[start : start + together]
            groups = [_Ways([first.another() for _ in range(tries)], seed) for seed in some]
            for number, piece in self._write(groups, tries):
                yield start + number, piece

    def _write(self, groups: Sequence[_Ways], tries: int) -> Iterator[tuple[int, str]]:
        """Row after row of the reader is a way; the first ``tries`` are those of the first text."""
        rows = list(range(tries * len(groups)))
        self._begin(rows, groups[0].texts[0].context, 2 * CONTEXT)
        for number, ways in enumerate(groups):
            yield number, ways.come()
        while rows:
            texts = [groups[row // tries].texts[row % tries] for row in rows]
            contexts = [text.context for text in texts]
            logits = self.reader.step(rows, [c.ids[-1] for c in contexts], [c.positions[-1] for c in contexts])
            for row, text, found in zip(rows, texts, logits):
                text.take(found)
                if text.shorten():
                    self.reader.restart(row, text.context.ids[:-1], text.context.positions[:-1])
            going = {row for row, text in zip(rows, texts) if not text.waits}
            for number in sorted({row // tries for row in rows} - {row // tries for row in going}):
                ways = groups[number]  # they all wait
                for way, successor in ways.choose():
                    self.reader.copy(number * tries + successor, number * tries + way)
                if piece := ways.come():
                    yield number, piece
                going |= {number * tries + way for way, text in enumerate(ways.texts) if not text.ended}
            rows = sorted(going)

    def _write_by_vllm(
        self, engine: VllmEngine, groups: Sequence[_Ways], seeds: Sequence[int]
    ) -> Iterator[tuple[int, str]]:
        """All texts at once: vLLM has a queue of its own."""

        def add(number: int) -> None:
            text = groups[number].texts[0]
            seed = (seeds[number] + len(text.whole)) % 2**63  # a text that is added again goes on by other chance
            engine.add(number, text.context.ids, text.walk, text.sampling, seed)

        for number, ways in enumerate(groups):
            yield number, ways.come()
            add(number)
        going = len(groups)
        while going:
            for number, tokens in engine.step():
                text = groups[number].texts[0]
                for token in tokens:
                    text.push(token)
                if text.ended:
                    engine.drop(number)
                    going -= 1
                elif text.shorten():
                    engine.drop(number)
                    add(number)
                if piece := groups[number].come():
                    yield number, piece

    def free(
        self, prompt: str = "|", *, seeds: Sequence[int], sampling: Sampling | None = None
    ) -> Iterator[tuple[int, str]]:
        """Continue a text once for each seed, not bound to the grammar; yields (number of the seed, its whole text).

        A text that has no end after ``MOST_FREE`` tokens is broken off. ConfigError where the prompt leaves no room.
        """
        if self.vllm:
            raise ConfigError("--free needs another engine than vllm")
        sampling = sampling or Sampling()
        for start in range(0, len(seeds), MOST_ROWS):
            contexts = [_Context(self) for _ in seeds[start : start + MOST_ROWS]]
            for context in contexts:
                context.read(prompt)
            if len(contexts[0].ids) >= MOST_FREE:
                raise ConfigError(f"the prompt has {len(contexts[0].ids)} tokens; --free writes {MOST_FREE} at most")
            walks = [self.tokens.free() for _ in contexts]
            chances = [np.random.default_rng(seed) for seed in seeds[start:]]
            written: list[list[str]] = [[] for _ in contexts]
            rows = list(range(len(contexts)))
            self._begin(rows, contexts[0], MOST_FREE)
            while rows:
                going = [contexts[row] for row in rows]
                logits = self.reader.step(rows, [c.ids[-1] for c in going], [c.positions[-1] for c in going])
                for row, found in zip(rows, logits):
                    ids = walks[row].choices()
                    token = int(ids[sampling.choose(found[ids], chances[row])])
                    lexemes = walks[row].push(token)
                    if not walks[row].ended:
                        written[row] += lexemes
                        contexts[row].append(token, lexemes)
                    if walks[row].ended or len(contexts[row].ids) >= MOST_FREE:
                        text = prompt + joined(written[row])
                        yield start + row, text if self.tokens.spells_lines else re.sub(r"\|\n?", "|\n", text)
                rows = [row for row in rows if not walks[row].ended and len(contexts[row].ids) < MOST_FREE]

    def _begin(self, rows: Sequence[int], context: _Context, room: int) -> None:
        """All rows begin alike; the last token is left for the first step."""
        self.reader.begin(len(rows), room)
        self.reader.restart(rows[0], context.ids[:-1], context.positions[:-1])
        for row in rows[1:]:
            self.reader.copy(rows[0], row)

    def losses(self, text: str, bound: bool = False) -> list[float]:
        """-log p of every token behind a text's first one and of its end, in nats: as the model is, not as it is
        sampled. bound: of the tokens that may come alone; ValueError where the text is not sound."""
        context = _Context(self)
        context.read(text)
        context.append(self.tokens.end, (END_OF_TEXT,))
        ids, where = context.ids, context.positions
        out: list[float] = []
        done, start = 1, 0
        walk = self.tokens.walk(Sound("|"), fresh=True) if bound else None
        if walk:
            walk.push(ids[0])
        while done < len(ids):
            window = ids[start : start + CONTEXT]
            logits = self.reader.read(window[:-1], where[start : start + len(window) - 1])
            for at in range(done - start, len(window)):
                row = logits[at - 1]
                out.append(log_sum(row[walk.choices()] if walk else row) - float(row[window[at]]))
                if walk:
                    walk.push(window[at])
            done = start + len(window)
            start = done - CONTEXT // 2
        return out


class _Context:
    """What the model is shown: ids, and where each stands in the music, or in the row."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.ids: list[int] = []
        self.positions: list[float] = []
        self.clock = Clock()

    def read(self, text: str) -> None:
        """Only this from now on."""
        self.ids, self.positions, self.clock = [], [], Clock()
        for token, lexemes in self.student.tokens.encode(text):
            self.append(token, lexemes)

    def append(self, token: int | None, lexemes: Sequence[str]) -> None:
        """A token, and the lexemes that it writes; it is None where the model knows none for them."""
        if not self.student.timed:
            position = float(len(self.positions))
        else:
            for lexeme in lexemes:
                position = self.clock.push(lexeme)
        if token is not None:
            self.ids.append(token)
            self.positions.append(position)

    def shorten(self) -> None:
        """Half of what may be read at most."""
        self.ids, self.positions = self.ids[-CONTEXT // 2 :], self.positions[-CONTEXT // 2 :]
        if not self.student.timed:
            self.positions = [float(i) for i in range(len(self.ids))]

    def copy(self) -> _Context:
        out = copy.copy(self)
        out.clock = self.clock.copy()
        out.ids, out.positions = list(self.ids), list(self.positions)
        return out


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
        self,
        student: Student,
        prompt: str | Plan,
        measures: int | None,
        at_least: int,
        sampling: Sampling,
        strict: bool,
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
        tokens = student.tokens
        plan = prompt if isinstance(prompt, Plan) else None
        sound = walk_of(plan, *bounds) if plan else Sound(text[:at], *bounds, orderly=True)
        if strict:
            sound = strictly(sound, text[:at], tuple(lines(strip(plan.score))) if plan else (), bool(begun))
        try:
            self.walk = tokens.walk(sound, begun)
        except ValueError as error:
            Sound(text, *bounds)  # says where
            raise FormatError(f"{error} in sound text", text, at) from None
        self.canonical, self.full = Canonical(), Canonical()
        self.whole = "|\n"  # as the model is shown it
        self.pieces = ["|\n"]  # as they come, with all that was given; those of the prompt are one
        for measure in given.split("|")[1:-1]:
            self._close(measure + "|")
        self.pieces = ["".join(self.pieces)]
        self.piece = cut(begun)  # what is written of the next measure
        if tokens.spells_lines and begun:
            self.piece.insert(0, "\n")
        self.weight = 0.0  # log of how likely all that had to come was, since the ways were last chosen
        self.nats = 0.0  # -log p of all that was written
        self.waits = self.ended = False
        self.context = _Context(student)
        self.context.read(self._shown(self.whole, begun))
        if len(self.context.ids) >= CONTEXT and present:
            self.context.read(self._shown(self._last_measures(), begun))
        if len(self.context.ids) >= 2 * CONTEXT:
            self.context.shorten()

    def another(self) -> _Text:
        """A text that goes on from here by itself."""
        out = copy.copy(self)
        out.walk = self.walk.copy()
        out.context = self.context.copy()
        out.canonical, out.full = copy.deepcopy(self.canonical), copy.deepcopy(self.full)
        out.pieces, out.piece = list(self.pieces), list(self.piece)
        return out

    def nats_a_quarter(self) -> float:
        return self.nats / max(1.0, float(parse(self.whole).quarters))

    def take(self, logits: Logits) -> None:
        """Go on by the next token."""
        ids = self.walk.choices()
        found = logits[ids]
        chosen = self.sampling.choose(found, self.chance) if len(ids) > 1 else 0
        everything = log_sum(logits)
        self.weight += log_sum(found) - everything
        self.nats += everything - float(found[chosen])
        self.push(int(ids[chosen]))

    def push(self, token: int) -> None:
        """Go on by a token that may stand here."""
        lexemes = self.walk.push(token)
        self.ended = self.walk.ended
        self.waits = self.ended or self.walk.fits
        if self.ended:
            return
        self.context.append(token, lexemes)
        self.piece += lexemes
        if any("|" in lexeme for lexeme in lexemes):
            self.waits = True
            *measures, rest = joined(self.piece).split("|")
            for measure in measures:
                self._close(measure + "|")
            self.piece = [rest] if rest else []

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
        if len(self.context.ids) < CONTEXT:
            return False
        closed = joined(self.piece) == ("\n" if self.student.tokens.spells_lines else "")
        if closed:
            self.context.read(self._last_measures())
        full = len(self.context.ids) >= 2 * CONTEXT - 1  # by one measure alone: only its end is seen
        if full:
            self.context.shorten()
        return closed or full

    def _shown(self, measures: str, begun: str) -> str:
        """Whole measures and what is written of the next one, as a prompt that tokens go on from."""
        return measures + begun if begun or not self.student.tokens.spells_lines else measures.rstrip("\n")

    def _last_measures(self) -> str:
        """So many whole measures as half of the context holds, one at least, as a text of its own."""
        sizes = [len(self.student.tokens.encode(measure + "|")) for measure in self.whole.split("|")[1:-1]]
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
