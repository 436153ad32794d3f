"""A trained student writes: it continues a text, and every lexeme that it may choose keeps the text sound.

prompt -> ids -> model -> logits of the lexemes that may stand here -> one of them -> ... -> text
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.errors import ConfigError
from scorelm.notation.canonical import Canonical
from scorelm.notation.lexemes import END_OF_TEXT, IDS, LEXEMES, cut, vocabulary_hash
from scorelm.notation.model import Score
from scorelm.notation.positions import Clock
from scorelm.notation.reader import parse
from scorelm.notation.sound import Lexemes, Sound
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.tokenizer import is_timed

if TYPE_CHECKING:
    import torch

SHIPPED = Path(__file__).parent / "models" / "chorale"
TRAINED = Path("score-lm")  # what train.py writes in the working folder
MOST_MEASURES = 120  # that a continuation adds
CONTEXT = 1024  # lexemes that the model looks back at most when a measure begins


@dataclass(frozen=True)
class Sampling:
    """How a lexeme is chosen among those that may stand."""

    temperature: float = 1.0  # 0: always the likeliest
    top_k: int = 0  # only the so many likeliest; 0: all
    top_p: float = 1.0  # only the likeliest that have this probability together

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"the temperature cannot be {self.temperature}: it is 0 or more")
        if self.top_k < 0:
            raise ConfigError(f"top-k cannot be {self.top_k}: it is 0 (all) or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top-p cannot be {self.top_p}: it is above 0, at most 1")

    def choose(self, logits: torch.Tensor, generator: torch.Generator) -> int:
        """An index into ``logits``, (choices,)."""
        import torch

        if self.temperature == 0:
            return int(logits.argmax())
        logits = logits / self.temperature
        if 0 < self.top_k < len(logits):
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[-1], -torch.inf)
        chances = logits.softmax(0)
        if self.top_p < 1:
            ordered, order = chances.sort(descending=True)
            beyond = ordered.cumsum(0) - ordered >= self.top_p
            chances[order[beyond]] = 0
        return int(torch.multinomial(chances, 1, generator=generator))


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

    def __init__(self, folder: str | Path) -> None:
        """Load a folder that train.py wrote. ConfigError where its vocabulary is another one."""
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
        import torch
        from transformers.models.gpt_neox import GPTNeoXForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            self.model: Any = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.eval().to(self.device)
        self._ids: dict[Lexemes, tuple[list[str], torch.Tensor]] = {}

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

        prompt: readable text; what follows its last "|" is the beginning of a sound measure
        measures: the whole text has exactly so many; None: at least ``at_least``, and then as the model likes

        Raises FormatError where the prompt breaks the format.
        """
        import torch

        sampling = sampling or Sampling()
        generator = torch.Generator().manual_seed(seed)
        at = prompt.rfind("|") + 1
        whole, begun = write(parse(prompt[:at])), prompt[at:].strip()
        canonical = Canonical()
        for measure in whole.split("|")[1:-1]:
            canonical.measure(measure + "|")
        present = whole.count("|") - 1
        if measures is not None and measures <= present:
            raise ConfigError(f"the prompt has {present} measures already, {measures} were asked for")
        sound = Sound(prompt, measures=measures, at_least=max(at_least, present + 1), at_most=present + MOST_MEASURES)
        yield whole
        reader = _Context(self.model, self.device, whole + begun, self.known)
        piece = cut(begun)
        while sound.allowed:
            names, ids = self._choices(sound.allowed)
            chosen = 0
            if len(names) > 1:
                chosen = sampling.choose(reader.logits()[ids].cpu(), generator)
            lexeme = names[chosen]
            if lexeme == END_OF_TEXT:
                return
            sound.push(lexeme)
            reader.add(lexeme)
            piece.append(lexeme)
            if lexeme == "|":
                text = canonical.measure("".join(piece))
                whole += text
                piece = []
                yield text
                reader.shorten(whole)

    def _choices(self, allowed: Lexemes) -> tuple[list[str], torch.Tensor]:
        """The lexemes of a set in the order of their ids, and these; the same sets come again and again."""
        import torch

        found = self._ids.get(allowed)
        if found is None:
            ids = sorted(IDS[lexeme] for lexeme in allowed if IDS[lexeme] < self.known)
            found = self._ids[allowed] = ([LEXEMES[i] for i in ids], torch.tensor(ids, device=self.device))
        return found


class _Context:
    """What the model has read: keys and values stay, and lexemes without a choice wait for the next question."""

    def __init__(self, model: Any, device: str, text: str, known: int = len(LEXEMES)) -> None:
        """``known``: how many lexemes the model has; later ones stay in the text and are not shown to it."""
        self.model = model
        self.device = device
        self.known = known
        self.timed = is_timed(model.config)
        self._restart(text)

    def _restart(self, text: str) -> None:
        self.clock = Clock()
        self.waiting: list[int] = []
        self.positions: list[float] = []  # of those that wait
        self.cache: Any = None
        self.length = 0
        for lexeme in cut(text):
            self.add(lexeme)

    def add(self, lexeme: str) -> None:
        position = self.clock.push(lexeme)
        if IDS[lexeme] < self.known:
            self.waiting.append(IDS[lexeme])
            self.positions.append(position)
            self.length += 1

    def logits(self) -> torch.Tensor:
        """Of the next lexeme, (vocabulary,)."""
        import torch

        with torch.inference_mode():
            ids = torch.tensor([self.waiting], device=self.device)  # (1, time)
            places = torch.tensor([self.positions], device=self.device) if self.timed else None
            out = self.model(
                input_ids=ids, position_ids=places, past_key_values=self.cache, use_cache=True, logits_to_keep=1
            )
        self.cache = out.past_key_values
        self.waiting, self.positions = [], []
        logits: torch.Tensor = out.logits[0, -1].float()
        return logits

    def shorten(self, text: str) -> None:
        """Where the context is full, go on from the last measures of the text, with what is in force said again."""
        if self.length < CONTEXT:
            return
        sizes = [len(cut(measure)) + 1 for measure in text.split("|")[1:-1]]
        kept = len(sizes)
        while kept > 1 and sum(sizes[kept - 1 :]) < CONTEXT // 2:
            kept -= 1
        self._restart(write(extract(parse(text), (min(kept + 1, len(sizes)), len(sizes)))))


def continuable(score: Score) -> str:
    """The text of a score as a prompt: without its final barline, behind which nothing can follow."""
    if not score.measures:
        return write(score)
    last = score.measures[-1]
    open_end = replace(last, end=tuple(mark for mark in last.end if mark.name != "end"))
    return write(replace(score, measures=(*score.measures[:-1], open_end)))
