"""A trained student writes: it continues a text, and every token that it may choose keeps the text sound.

prompt -> ids -> reader -> logits of the tokens that may stand here -> one of them -> ... -> text

What a Plan gives is written token by token too: there only those of the given text may stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scorelm import underway
from scorelm.bound.tokens import tokens_of_folder
from scorelm.bound.walk import BoundTokens, meant
from scorelm.errors import ConfigError
from scorelm.notation.heard import Ear
from scorelm.notation.lexemes import END_OF_TEXT, joined
from scorelm.notation.model import Score
from scorelm.notation.plan import Plan
from scorelm.notation.positions import Clock
from scorelm.notation.sound import Sound
from scorelm.notation.writer import write
from scorelm.readers import Reader, Shown, open_reader, token_of
from scorelm.recalled import Recall
from scorelm.related import rows_behind
from scorelm.sampling import Sampling
from scorelm.underway import Context, Text, Ways
from scorelm.vocabulary import Vocabulary
from scorelm.ways import log_sum

if TYPE_CHECKING:
    from scorelm.vllm_engine import VllmEngine

SHIPPED = Path(__file__).parent / "models" / "chorale"
TRAINED = Path("score-lm")  # what train.py writes in the working folder
MOST_FREE = 2 * underway.CONTEXT  # tokens of a text that the grammar does not bind, its prompt's counted
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
        rows = rows_behind(str(folder), config)
        self.hears = rows[0] > 0
        self.heard_from = config["vocab_size"] - sum(rows)  # the first row of what is heard
        self.recalled_from = config["vocab_size"] - rows[2] if rows[2] else None  # the first row of what is recalled
        self.vocabulary = Vocabulary.read(folder) if rows[2] else None
        self.vllm: VllmEngine | None = None
        if engine == "vllm":
            self.vllm = self._open_vllm(folder)
        self.reader: Reader = open_reader(folder, "numpy" if self.vllm else engine)  # vLLM writes and does not judge

    def _open_vllm(self, folder: Path) -> VllmEngine:
        if self.timed or self.hears:
            raise ConfigError(
                f"{folder}: is shown the moments of the music or what is heard then, of which vLLM knows nothing; it "
                "writes with models that were trained with --positions index --heard false, and with Pythias"
            )
        try:
            from scorelm.vllm_engine import VllmEngine
        except ImportError as error:
            raise ConfigError(f'engine vllm: {error}; on a machine with a GPU: pip install "scorelm[vllm]"') from None
        return VllmEngine(folder, 2 * underway.CONTEXT)

    def clock(self) -> Clock | None:
        """What follows a text for the model; None where it asks for nothing of the music."""
        return Ear() if self.hears else Clock() if self.timed else None

    def recall(self) -> Recall | None:
        """What tells the model of given music; None where it has not learnt to be told."""
        return Recall(self.vocabulary) if self.vocabulary else None

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
        again: int | None = None,
        guidance: float = 0.0,
    ) -> Iterator[tuple[int, str]]:
        """Continue a text once for each seed, several at once; yields (number of the seed, next piece of its text).

        prompt: readable text; what follows its last "|" is the beginning of a sound measure. Or what is given
        measures: each whole text has exactly so many; None: at least ``at_least``, and then as the model likes
        tries: so many ways of each text are written beside each other. Those that lead best to what is given later
            go on, the likeliest is kept; a piece comes as soon as all ways agree on it
        strict: no parallel fifths and octaves, no crossings, singers in their ranges, fermatas on triads, an end on the
            tonic (see ``bound.strict``)
        guidance: how firmly the text is held to the major or minor key that it says, and ends there, and singers to
            strict voice leading; 0: as the model likes (see ``guidance``). Not where what is given is in another key, or
            tokens are sub-words; of what vLLM writes the end alone
        again: so many times a measure is begun anew at most, where the grammar turns it far from what the model means;
            None: 20. Not with several tries, which are chosen among, nor where parts or later measures are given, nor
            by vLLM

        Raises FormatError where the prompt breaks the format, ScoreError where nothing can be written into a plan.
        """
        alone = tries == 1 and not self.vllm and not (isinstance(prompt, Plan) and prompt.free)
        again = 0 if not alone else underway.MOST_AGAIN if again is None else again
        first = Text(self, prompt, measures, at_least, sampling or Sampling(), strict, again, guidance)
        if self.vllm:
            if tries > 1:
                raise ConfigError("several tries of a text need another engine than vllm")
            yield from self._write_by_vllm(self.vllm, [Ways([first.another()], seed) for seed in seeds], seeds)
            return
        together = max(1, MOST_ROWS // tries)
        for start in range(0, len(seeds), together):
            some = seeds[start : start + together]
            groups = [Ways([first.another() for _ in range(tries)], seed) for seed in some]
            for number, piece in self._write(groups, tries):
                yield start + number, piece

    def _write(self, groups: Sequence[Ways], tries: int) -> Iterator[tuple[int, str]]:
        """Row after row of the reader is a way; the first ``tries`` are those of the first text."""
        rows = list(range(tries * len(groups)))
        self._begin(rows, groups[0].texts[0].context, 2 * underway.CONTEXT)
        for number, ways in enumerate(groups):
            yield number, ways.come()
        while rows:
            texts = [groups[row // tries].texts[row % tries] for row in rows]
            contexts = [text.context for text in texts]
            logits = self.reader.step(rows, [c.last() for c in contexts], [c.positions[-1] for c in contexts])
            for row, text, found in zip(rows, texts, logits):
                if not text.take(found):
                    groups[row // tries].texts[row % tries] = self._back(row, text)
                elif text.shorten():
                    self.reader.restart(row, text.context.ids[:-1], text.context.positions[:-1])
            going = {row for row in rows if not groups[row // tries].texts[row % tries].waits}
            for number in sorted({row // tries for row in rows} - {row // tries for row in going}):
                ways = groups[number]  # they all wait
                for way, successor in ways.choose():
                    self.reader.copy(number * tries + successor, number * tries + way)
                if piece := ways.come():
                    yield number, piece
                going |= {number * tries + way for way, text in enumerate(ways.texts) if not text.ended}
            rows = sorted(going)

    def _back(self, row: int, text: Text) -> Text:
        """A text and its row as they were when the measure began."""
        out = text.back()
        ids = out.context.ids[:-1]
        if text.context.ids[: len(ids)] == ids:
            self.reader.cut(row, len(ids))
        else:  # it was shortened in between
            self.reader.restart(row, ids, out.context.positions[:-1])
        return out

    def _write_by_vllm(
        self, engine: VllmEngine, groups: Sequence[Ways], seeds: Sequence[int]
    ) -> Iterator[tuple[int, str]]:
        """All texts at once: vLLM has a queue of its own."""

        def add(number: int) -> None:
            text = groups[number].texts[0]
            seed = (seeds[number] + len(text.whole)) % 2**63  # a text that is added again goes on by other chance
            engine.add(number, [token_of(shown) for shown in text.context.ids], text.walk, text.sampling, seed)

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
            contexts = [Context(self) for _ in seeds[start : start + MOST_ROWS]]
            for context in contexts:
                context.give(prompt)
            if len(contexts[0].ids) >= MOST_FREE:
                raise ConfigError(f"the prompt has {len(contexts[0].ids)} tokens; --free writes {MOST_FREE} at most")
            walks = [self.tokens.free() for _ in contexts]
            chances = [np.random.default_rng(seed) for seed in seeds[start:]]
            written: list[list[str]] = [[] for _ in contexts]
            rows = list(range(len(contexts)))
            self._begin(rows, contexts[0], MOST_FREE)
            while rows:
                going = [contexts[row] for row in rows]
                logits = self.reader.step(rows, [c.last() for c in going], [c.positions[-1] for c in going])
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

    def _begin(self, rows: Sequence[int], context: Context, room: int) -> None:
        """All rows begin alike; the last token is left for the first step."""
        self.reader.begin(len(rows), room)
        self.reader.restart(rows[0], context.ids[:-1], context.positions[:-1])
        for row in rows[1:]:
            self.reader.copy(rows[0], row)

    def losses(self, text: str, bound: bool = False, given: str = "", later: str = "") -> list[float]:
        """-log p of every token behind a text's first one and of its end, in nats: as the model is that writes, and not
        as it is sampled.

        bound: of the tokens that may come alone; ValueError where the text is not sound
        given: whole measures with which the text begins, of which it is told where it writes the next ones
        later: a text of measures that stand behind this one's, of which it is told, too
        """
        context = Context(self)
        context.give("", later)
        context.recall = context.recall or (self.recall() if given else None)
        shown: list[Shown] = []
        known = len(self.tokens.encode(given))
        for at, (token, lexemes) in enumerate([*self.tokens.encode(text), (self.tokens.end, (END_OF_TEXT,))]):
            context.append(token, lexemes, given=at < known)
            if token is not None:
                shown.append(context.last())
        where = context.positions
        out: list[float] = []
        done, start = 1, 0
        walk = self.tokens.walk(Sound("|"), fresh=True) if bound else None
        tokens = [token_of(one) for one in shown]
        if walk:
            walk.push(tokens[0])
        while done < len(shown):
            window = shown[start : start + underway.CONTEXT]
            logits = self.reader.read(window[:-1], where[start : start + len(window) - 1])
            for at in range(done - start, len(window)):
                row = logits[at - 1]
                token = tokens[start + at]
                if walk:
                    ids = walk.choices()
                    row = meant(row, ids, walk.line_end())
                    walk.push(token)
                    token = ids.tolist().index(token)
                out.append(log_sum(row) - float(row[token]))
            done = start + len(window)
            start = done - underway.CONTEXT // 2
        return out


def continuable(score: Score) -> str:
    """The text of a score as a prompt: without its final barline, behind which nothing can follow."""
    if not score.measures:
        return write(score)
    last = score.measures[-1]
    open_end = replace(last, end=tuple(mark for mark in last.end if mark.name != "end"))
    return write(replace(score, measures=(*score.measures[:-1], open_end)))
