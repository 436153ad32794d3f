"""New music as it is asked for: a new piece, one that goes on, parts to given ones, measures written anew.

texts = scorelm.generate(key="D", time="3/4", measures=16, n=4, seed=1)
texts = scorelm.generate(given="melody.musicxml", tries=8)          # a choir's other voices
texts = scorelm.generate("mine.mxl", from_measure=9)                # measures 1 to 8, and on from there
texts = scorelm.generate("mine.mxl", adapt=True)                     # having learnt it first
texts = scorelm.generate("mine.mxl", rewrite="5-8", part="Alto")
for measure in scorelm.generate_measures("|", seed=1): ...          # as they are written
"""

from __future__ import annotations

import contextlib
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorelm.asked import key_of, parts_of, range_of, time_of
from scorelm.errors import ConfigError, FormatError, SourceError
from scorelm.given import continued, harmonised, rewritten
from scorelm.notation.lexemes import FINAL
from scorelm.notation.model import Score
from scorelm.notation.plan import Plan
from scorelm.notation.planned import lead
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.notation.transform import extract, strip
from scorelm.notation.writer import write

if TYPE_CHECKING:
    from scorelm.generation import Student
    from scorelm.ranking import Figures

MOST_TRIES = 256
GIVEN_TRIES = 4  # ways of a text, where something is given that stands later in it
AT_LEAST = 8  # measures of a text, or behind those of a score that is continued: a short closing group is none
GUIDANCE, MOST_GUIDANCE = 2.0, 10
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """What is asked for; the names are those of infer.py's options. ConfigError for a contradiction."""

    prompt: str | Path = "|"  # score text, or the path of a score
    given: str | Path | None = None  # score text or a path: its parts stay, others are written to them
    given_parts: str | Sequence[str] | None = None  # those of the given score that are taken; None: all
    parts: str | Sequence[str] | None = None  # of the result: "Soprano,Alto,Tenor,Bass"
    key: str | None = None  # "D", "b", "B minor"
    time: str | None = None  # "3/4"
    measures: int | None = None  # exactly so many, those of the prompt counted
    from_measure: int | None = None  # the prompt's measures before it are kept
    rewrite: str | tuple[int, int] | None = None  # "5-8": the prompt's measures that are written anew
    part: str | Sequence[str] | None = None  # with rewrite: in these parts alone
    n: int = 1
    best: int | None = None  # of n, so many are kept
    tries: int | None = None  # ways of each text, of which the likeliest is kept; None: 4 where parts are given, else 1
    again: int | None = None  # times that a measure is begun anew at most, where the grammar turns it far; None: 20
    seed: int | None = None  # of the first text, the others have the next ones; None: drawn
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 0.95
    min_p: float = 0.0
    guidance: float = GUIDANCE  # how firmly key and voice leading are kept; 0: as the model likes
    adapt: bool = False  # what is given is learnt first
    strict: bool = False  # voices led as a textbook asks, see ``bound.strict``
    free: bool = False  # not bound to the grammar: texts as they come, sound or not

    def __post_init__(self) -> None:
        for name in ("n", "best", "tries", "measures"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{'-n' if name == 'n' else '--' + name} is 1 or more, not {value}")
        if self.tries is not None and self.tries > MOST_TRIES:
            raise ConfigError(f"--tries is at most {MOST_TRIES}, not {self.tries}")
        if self.best is not None and self.best > self.n:
            raise ConfigError(f"--best {self.best}: there are only {self.n}; -n says of how many")
        for name in ("seed", "again"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"--{name} is 0 or more, not {value}")
        if not 0 <= self.guidance <= MOST_GUIDANCE:
            raise ConfigError(f"--guidance is 0 to {MOST_GUIDANCE}, not {self.guidance:g}")
        asked = [name for name in ("key", "time", "parts", "measures", "from_measure", "rewrite") if self._has(name)]
        if self.free:
            self._refuse("--free", {*asked, *(name for name in ("given", "best", "tries") if self._has(name))})
            if self.strict:
                raise ConfigError("--free goes without --strict")
        if self.given is not None:
            if self.prompt != "|":
                raise ConfigError("give a prompt or --given, not both")
            self._refuse("--given", set(asked) - {"key", "parts"})
        elif self.rewrite is not None:
            self._refuse("--rewrite", set(asked) - {"rewrite"})
        elif self.from_measure is not None:
            self._refuse("--from-measure", set(asked) - {"from_measure", "measures"})
        if self.part is not None and self.rewrite is None:
            raise ConfigError("--part says which part --rewrite writes anew; --parts says which parts the result has")
        if self.given_parts is not None and self.given is None:
            raise ConfigError("--given-parts says which parts of --given are taken")

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    def _refuse(self, option: str, others: set[str]) -> None:
        if others:
            named = ", ".join("--" + name.replace("_", "-") for name in sorted(others))
            raise ConfigError(f"{option} goes without {named}")

    def plan(self, report: Say | None = None) -> str | Plan:
        """The text or the plan that is to be written on. report: takes what the reader of a file guessed."""
        parts = parts_of(self.parts) if self.parts is not None else ()
        key = key_of(self.key) if self.key is not None else None
        if self.given is not None:
            score = read(self.given, report)
            if self.given_parts is not None:
                score = extract(score, parts=_names(self.given_parts))
            return harmonised(score, parts, key)
        if self.rewrite is not None:
            return rewritten(read(self.prompt, report), range_of(self.rewrite), _names(self.part or ()))
        if self.from_measure is not None:
            return continued(read(self.prompt, report), self.from_measure)
        goes_on = is_text(self.prompt) and FINAL not in str(self.prompt)  # a text that has ended goes on as a file does
        prompt = self.prompt if goes_on else continued(read(self.prompt, report))
        if not (key or parts or self.time is not None):
            return prompt if isinstance(prompt, Plan) else str(prompt)
        if prompt != Plan() and (isinstance(prompt, Plan) or str(prompt).strip() != "|"):
            raise ConfigError("--key, --time and --parts are those of a new piece; the prompt says its own")
        return Plan(parts=parts, key=key, time=time_of(self.time) if self.time is not None else None)

    def student(self, folder: Path, engine: str = "numpy", report: Say | None = None) -> Student:
        """Who writes it: the model of a folder, as it is or, where ``adapt`` is asked for, having learnt what is given."""
        from scorelm.generation import Student

        if not self.adapt:
            return Student(folder, engine)
        from scorelm.training.adapting import having_learnt

        prompt = self.plan()
        known = lead(prompt) if isinstance(prompt, Plan) else prompt
        measures = known.count("|") - 1
        if measures < 1:
            raise ConfigError("--adapt learns the measures before those that are written: there are none")
        if report:
            report(f"learns {measures} measures")
        with having_learnt(folder, known) as new:
            return Student(new, engine)

    def write(self, student: Student, seeds: Sequence[int], report: Say | None = None) -> Iterator[tuple[int, str]]:
        """(number of the text, its next piece), as they are written."""
        from scorelm.sampling import Sampling

        sampling = Sampling(self.temperature, self.top_k, self.top_p, self.min_p)
        prompt = self.plan(report)
        if self.free:
            text = lead(prompt) if isinstance(prompt, Plan) else prompt
            return student.free(text, seeds=seeds, sampling=sampling)
        later = isinstance(prompt, Plan) and bool(prompt.free)
        present = len(prompt.score.measures) if isinstance(prompt, Plan) else prompt.count("|") - 1
        return student.write(
            prompt,
            seeds=seeds,
            measures=self.measures,
            at_least=present + AT_LEAST,
            sampling=sampling,
            tries=self.tries or (GIVEN_TRIES if later and not student.vllm else 1),
            strict=self.strict,
            again=self.again,
            guidance=self.guidance,
        )

    def seeds(self) -> range:
        first = clock.time_ns() % 10**6 if self.seed is None else self.seed
        return range(first, first + self.n)


def generate(prompt: str | Path = "|", model: str | Path | Student | None = None, **wish: Any) -> list[str]:
    """New texts. The other arguments are those of ``Wish``, as infer.py names them.

    model: a folder that train.py wrote, or a Student; None: score-lm/ where there is one, else the one that ships

    Raises ConfigError for what cannot be, FormatError for a broken text, SourceError for a file that is no score.
    """
    asked = _wish(prompt, wish)
    student = _student(asked, model)
    texts = [""] * asked.n
    for number, piece in asked.write(student, asked.seeds()):
        texts[number] += piece
    if asked.best is None:
        return texts
    return [texts[number] for number, _ in ranked(student, texts)[: asked.best]]


def generate_measures(
    prompt: str | Path = "|", model: str | Path | Student | None = None, **wish: Any
) -> Iterator[str]:
    """One new text measure by measure: pieces that end with a "|", the first one the measures that were given.

    The arguments are those of ``generate``; with several tries a measure comes when all of them agree on it.
    """
    asked = _wish(prompt, wish)
    if asked.n > 1 or asked.free:
        raise ConfigError("measures come of one text at a time that the grammar binds: n is 1, and free is False")
    for _, piece in asked.write(_student(asked, model), asked.seeds()):
        start, *measures = piece.split("|\n")[:-1]
        yield from ((start + "|\n"), *(measure + "|\n" for measure in measures)) if start else (piece,)


def ranked(student: Student, texts: Sequence[str]) -> list[tuple[int, Figures]]:
    """The numbers of texts from the best to the worst, each with its figures."""
    from scorelm.ranking import figures, order

    scores = [parse(text) for text in texts]
    found = [figures(score, sum(student.losses(write(strip(score))))) for score in scores]
    return [(number, found[number]) for number in order(found)]


def valid(texts: Sequence[str]) -> tuple[int, int]:
    """How many of some texts parse, and how many of these are sound."""
    problems = []
    for text in texts:
        with contextlib.suppress(FormatError):
            problems.append(sound_problems(text))
    return len(problems), problems.count([])


def is_text(source: str | Path) -> bool:
    return isinstance(source, str) and "|" in source


def read(source: str | Path, report: Say | None = None) -> Score:
    """The score of a text or of a file."""
    if is_text(source):
        return parse(str(source))
    from scorelm.api import load

    with contextlib.suppress(OSError):  # a name that is too long
        if Path(source).is_dir():
            raise ConfigError(f"{source}: is a folder; give one score")
        if Path(source).is_file():
            try:
                return load(source, report)
            except FormatError as error:
                raise SourceError(f"{source}: {error}") from None
    raise ConfigError(f"{str(source)[:80]}: no such file, nor score text, which begins with '|'")


def _names(asked: str | Sequence[str]) -> list[str]:
    return [name.strip() for name in asked.split(",")] if isinstance(asked, str) else list(asked)


def _wish(prompt: str | Path, options: dict[str, Any]) -> Wish:
    unknown = options.keys() - {field.name for field in fields(Wish)}
    if unknown:
        raise ConfigError(f"unknown: {', '.join(sorted(unknown))}; see scorelm.compose.Wish")
    return Wish(prompt, **options)


def _student(wish: Wish, model: str | Path | Student | None) -> Student:
    from scorelm.generation import Student, find_model

    if not isinstance(model, Student):
        return wish.student(find_model(None if model is None else str(model)))
    if wish.adapt:
        raise ConfigError("adapt: a model learns that is named by its folder, not a Student")
    return model
