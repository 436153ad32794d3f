"""Judge a model: how likely it finds scores it has not seen, and what it writes, counted beside the real thing.

    python -m scorelm.evaluate MODEL --split test --samples 50 --json figures.json --picture figures.png

The claim is the figure over every token (see scorelm.likelihood). The breakdown by kind and voice needs a model on the
project's own lexemes; musical figures of samples do too. Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scorelm import cli
from scorelm.dataset import SPLITS, counts, read_rows
from scorelm.errors import ConfigError, FormatError
from scorelm.likelihood import (
    KEY_INTERVALS,
    KINDS,
    RESAMPLES,
    Reading,
    breakdown,
    intervals,
    over_keys,
    rates,
    token_losses,
)
from scorelm.notation.model import chords
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract
from scorelm.notation.writer import write
from scorelm.published import NOT_COMPARED, PUBLISHED
from scorelm.tokenizer import Tokens

if TYPE_CHECKING:
    from scorelm.training.adapting import Adapting

# validation pieces that the train split holds almost the same
NEAR_DOUBLES = ("bach/bwv253.mxl", "bach/bwv280.mxl", "bach/bwv414.mxl")
VOICES = 4  # parts of the scores whose figure is given by voice
CHOIR = ("Soprano", "Alto", "Tenor", "Bass")
CONDITIONAL = ("pitch", "duration", "note")
DEFAULT_LENGTH = 1024
KEYS = len(KEY_INTERVALS)
WAYS = {  # of judging, beside the model as it is
    "mean_over_keys": "every token, by the mean of what the model gives it in each key",
    "learning_on": "every token, by what the model has become behind those before it in the piece, which it learns from "
    "as it reads, in so many keys together; it begins each piece as it was trained",
}


@dataclass(frozen=True)
class Judge:
    """A model that reads."""

    model: Any
    tokens: Tokens
    start: int  # the id put before a text whose first token is more than its "|"
    lexemes: bool  # whether its tokens are the project's: lexemes, or several joined
    opening: frozenset[int]  # ids of tokens that are a "|" and nothing else
    vocabulary: int
    max_length: int

    def losses(self, text: str, keys: int = 1) -> list[float]:
        """-log p of each token behind the first "|", in nats. keys: by the mean of p over so many of KEY_INTERVALS"""
        ids = self.ids(text)
        if keys == 1:
            return self._losses(ids)
        from scorelm.training.keys import Keys

        table = Keys(self.tokens.vocabulary)
        row = np.array(ids)
        return over_keys([self._losses(table.beginning(row, x).tolist()) for x in KEY_INTERVALS[:keys]])

    def learning_on(self, text: str, keys: int = 1) -> list[float]:
        """``losses``, of a model that learns what it has read of the text before it goes on; behind it, it is what it
        was."""
        found = self.adapting.read(self.ids(text), KEY_INTERVALS[:keys])
        self.adapting.forget()
        return over_keys(found)

    @cached_property
    def adapting(self) -> Adapting:
        from scorelm.training.adapting import Adapting

        return Adapting(self.model, self.tokens, self.max_length)

    def ids(self, text: str) -> list[int]:
        """A text as its tokens, the end of text included, behind one that is a "|" or a start."""
        ids = [*self.tokens.encode(text), self.tokens.end]
        if ids[0] not in self.opening:
            ids = [self.start, *ids]
        if max(ids) >= self.vocabulary:
            raise ConfigError(f"the model has {self.vocabulary} tokens, the text uses later ones")
        return ids

    def _losses(self, ids: Sequence[int]) -> list[float]:
        shown, positions = self.tokens.shown(ids)
        found = token_losses(self.model, shown, self.max_length, positions)
        losses: list[float] = found.double().tolist()
        return losses

    def spelled(self, text: str) -> list[tuple[str, ...]]:
        """The tokens of a text as their lexemes, where they are the project's."""
        return [self.tokens.vocabulary.tokens[i] for i in self.tokens.encode(text)]


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m scorelm.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("model", metavar="MODEL", help="a folder with a GPT-NeoX and its tokenizer, as train.py writes it")
    out.add_argument("--split", default="test", choices=SPLITS, help="default: test")
    out.add_argument("--dataset", default="dataset", metavar="DIR", help="default: dataset")
    out.add_argument("--samples", type=int, default=0, metavar="N", help="write and count so many; default: 0, none")
    out.add_argument("--seed", type=int, default=0, help="of the first sample and of the bootstrap; default: 0")
    out.add_argument("--temperature", type=float, default=1.0, help="of the samples; default: 1, the model as it is")
    out.add_argument("--top-p", type=float, default=1.0, help="of the samples; default: 1, all lexemes")
    out.add_argument("--guidance", type=float, default=0.0, help="of the samples, as of infer.py; default: 0, none")
    out.add_argument("--strict", action="store_true", help="samples are led strictly, as by infer.py --strict")
    out.add_argument(
        "--keys", type=int, default=1, metavar="N", help="the mean over so many keys as well, 12 at most; default: 1"
    )
    out.add_argument(
        "--adapt", type=int, default=0, metavar="N", help="learning on as it reads, in N keys together; default: 0, not"
    )
    out.add_argument(
        "--max-length", type=int, metavar="N", help="tokens the model reads at once; default: as it was trained"
    )
    out.add_argument("--json", metavar="FILE", help="write all figures there")
    out.add_argument("--card", action="store_true", help="write the table into the model's README.md")
    out.add_argument("--picture", metavar="FILE", help="draw the figures: .png or .svg")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("scorelm.evaluate", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    from scorelm.compose import MOST_GUIDANCE
    from scorelm.figures import draw_figures
    from scorelm.report import table

    for name, low, high in (
        ("samples", 0, 10**6),
        ("keys", 1, KEYS),
        ("adapt", 0, KEYS),
        ("guidance", 0, MOST_GUIDANCE),
        ("max_length", 2, 10**9),
    ):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"--{name.replace('_', '-')} is {low} to {high}, not {value}")
    for written in filter(None, (options.json, options.picture)):
        if not Path(written).absolute().parent.is_dir():
            raise ConfigError(f"{written}: there is no such folder to write it in")
    if options.picture and Path(options.picture).suffix.lower() not in (".png", ".svg"):
        raise ConfigError(f"{options.picture}: the picture is a .png or an .svg")
    rows = read_rows(options.dataset, options.split)
    train = read_rows(options.dataset, "train") if options.samples else []
    judge = load(options.model, options.max_length)
    for name, wanted in (("samples", options.samples), ("keys", options.keys > 1), ("adapt", options.adapt > 1)):
        if wanted and not judge.lexemes:
            raise ConfigError(f"{options.model}: --{name} needs a model whose tokens are the project's")
    found = {
        "model": str(options.model),
        "split": options.split,
        "max_length": judge.max_length,
        **likelihood(judge, rows, options.seed, options.keys, options.adapt),
        "published": [asdict(entry) for entry in PUBLISHED],
        "not_compared": list(NOT_COMPARED),
    }
    if options.samples:
        found["musical"] = musical(options, rows, train)
    print(table(found))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.card:
        from scorelm.card import add_figures

        add_figures(Path(options.model), options.split, table(found), command(options))
    if options.picture:
        draw_figures(found, options.picture)
    return 0


def command(options: argparse.Namespace) -> str:
    """What was asked for, as it would be typed again."""
    out = f"python -m scorelm.evaluate {options.model} --split {options.split}"
    if options.samples:
        out += f" --samples {options.samples} --seed {options.seed}"
        out += f" --temperature {options.temperature:g} --top-p {options.top_p:g}"
        out += f" --guidance {options.guidance:g}" if options.guidance else ""
        out += " --strict" if options.strict else ""
    out += f" --keys {options.keys}" if options.keys > 1 else ""
    return out + (f" --adapt {options.adapt}" if options.adapt else "")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def load(folder: str, max_length: int | None = None) -> Judge:
    """A model to be judged. ConfigError where there is none."""
    import torch
    from transformers.utils import logging

    from scorelm.generation import find_model
    from scorelm.pretrained import load_model

    logging.disable_progress_bar()
    path = find_model(folder)
    model, tokens = load_model(str(path))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.eval().to(device)
    encode, tokenizer = tokens.encode, tokens.tokenizer
    probe = '|\nK1!major!T4:4P"Soprano"!clef-G2!GABc|\n'
    opening = {ids[0] for ids in (encode("|"), encode("|\n"), encode(probe)) if tokenizer.decode(ids[0]).strip() == "|"}
    return Judge(
        model=model,
        tokens=tokens,
        start=tokens.end,
        lexemes=hasattr(model.config, "scorelm_vocabulary"),
        opening=frozenset(opening),
        vocabulary=model.get_input_embeddings().num_embeddings,
        max_length=max_length or trained_length(path, model.config.max_position_embeddings),
    )


def trained_length(folder: Path, most: int) -> int:
    """The longest row that the model was trained on, as its train_cfg.json says."""
    try:
        length = int(json.loads((folder / "train_cfg.json").read_text(encoding="utf-8"))["max_length"])
    except (OSError, ValueError, KeyError, TypeError):
        length = DEFAULT_LENGTH
    return min(length, most)


def likelihood(
    judge: Judge, rows: Sequence[dict[str, Any]], seed: int, keys: int = 1, adapt: int = 0
) -> dict[str, Any]:
    """The figures of the pieces of some rows of a dataset.

    keys: by the mean of p over so many keys as well, where it is more than one; adapt: learning on as well, in so many
        keys together, where it is not 0
    """
    readings: list[Reading] = []
    sung: list[Reading] = []
    ways: dict[str, tuple[Callable[[str, int], list[float]], int]] = {}
    if keys > 1:
        ways["mean_over_keys"] = judge.losses, keys
    if adapt:
        ways["learning_on"] = judge.learning_on, adapt
    others: dict[str, list[tuple[Reading, Reading]]] = {way: [] for way in ways}  # all parts, those that sing
    for number, row in enumerate(rows, 1):
        source = str(row.get("source", number))
        try:
            reading = read(judge, row["text"], source)
        except FormatError as error:
            raise ConfigError(f"{source}: {error}") from None
        readings.append(reading)
        choir = choir_of(row["text"])
        sung.append(reading if choir is None else read(judge, choir, source))
        for way, (losses, some_keys) in ways.items():
            whole = sum(losses(row["text"], some_keys))
            of_choir = whole if choir is None else sum(losses(choir, some_keys))
            others[way].append((replace(reading, nats=whole), replace(sung[-1], nats=of_choir)))
        say(f"{number}/{len(rows)} {source}: {rates([reading])['bits_per_quarter']:.2f} bits per quarter")
    out: dict[str, Any] = {
        **rates(readings),
        "intervals_95": intervals(readings, seed),
        "resamples": RESAMPLES,
        "pieces": len(readings),
        "tokens": sum(r.tokens for r in readings),
        "quarters": sum(r.quarters for r in readings),
        "sixteenths": 4 * sum(r.quarters for r in readings),
        "notes": sum(r.notes for r in readings),
        "notes_struck": sum(r.struck for r in readings),
        "counted": "every token behind the first '|': headers, barlines and the end included",
        "a_note": "a head as it is written: two heads under a tie are two",
    }
    distinct = [r for r in readings if r.source not in NEAR_DOUBLES]
    if 0 < len(distinct) < len(readings):
        out["without_near_doubles"] = {"left_out": sorted({r.source for r in readings} & {*NEAR_DOUBLES})}
        out["without_near_doubles"] |= {**rates(distinct), "intervals_95": intervals(distinct, seed)}
    if choirs := [r for r in readings if r.parts == VOICES]:
        out["pieces_of_four_parts"] = {"pieces": len(choirs), **rates(choirs), "intervals_95": intervals(choirs, seed)}
    if any(a is not b for a, b in zip(readings, sung)):
        out["choir_alone"] = {"pieces": len(sung), **rates(sung), "intervals_95": intervals(sung, seed)}
        out["choir_alone"]["counted"] = "of pieces with instruments the text of the four singing parts alone"
    if judge.lexemes:
        out |= parted(readings, choirs)
    for way, found in others.items():
        whole_ones, sung_ones = map(list, zip(*found))
        out[way] = {
            "keys": ways[way][1],
            **rates(whole_ones),
            "intervals_95": intervals(whole_ones, seed),
            "counted": WAYS[way],
        }
        if choirs:
            four = [r for r in whole_ones if r.parts == VOICES]
            out[way]["pieces_of_four_parts"] = {**rates(four), "intervals_95": intervals(four, seed)}
        if "choir_alone" in out:
            out[way]["choir_alone"] = {**rates(sung_ones), "intervals_95": intervals(sung_ones, seed)}
    out["by_piece"] = [
        {"source": r.source, "nats": r.nats, "tokens": r.tokens, "quarters": r.quarters, "notes": r.notes}
        for r in readings
    ]
    return out


def choir_of(text: str) -> str | None:
    """The text of soprano, alto, tenor and bass alone, as published grids have them; None where there is no more."""
    score = parse(text)
    if len(score.parts) <= VOICES:
        return None
    names = [part.name.split()[0] if part.name.strip() else "" for part in score.parts]
    chosen = [names.index(voice) + 1 for voice in CHOIR if voice in names]
    return write(extract(score, parts=chosen)) if len(chosen) == VOICES else None


def read(judge: Judge, text: str, source: str = "") -> Reading:
    """A piece as the model reads it; its lengths come from the score."""
    score = parse(text)
    about = counts(score)
    losses = judge.losses(text)
    tied = sum(note.tie for chord in chords(score) for note in chord.notes)
    kinds, voices = breakdown(text, judge.spelled(text), losses) if judge.lexemes else ({}, {})
    return Reading(
        source=source,
        nats=sum(losses),
        tokens=len(losses),
        quarters=float(about["quarters"]),
        notes=about["notes"],
        struck=about["notes"] - tied,
        kinds=kinds,
        voices=voices,
        parts=about["parts"],
    )


def parted(readings: Sequence[Reading], choirs: Sequence[Reading]) -> dict[str, Any]:
    """Bits per quarter by kind of lexeme and by voice (of the pieces of four parts), and the conditional figure."""

    def only(nats: Callable[[Reading], float], some: Sequence[Reading] = readings) -> dict[str, float]:
        return rates([replace(r, nats=nats(r)) for r in some])

    out: dict[str, Any] = {
        "by_kind_bits_per_quarter": {
            kind: only(lambda r, kind=kind: r.kinds[kind])["bits_per_quarter"]  # type: ignore[misc]
            for kind in KINDS
        },
        "conditional": {
            "counted": "pitch and duration lexemes alone, given all others: not to be compared with other figures",
            **only(lambda r: sum(r.kinds[kind] for kind in CONDITIONAL)),
        },
    }
    if choirs:
        out["by_voice_bits_per_quarter"] = {
            str(voice): only(lambda r, voice=voice: r.voices.get(voice, 0.0), choirs)["bits_per_quarter"]  # type: ignore[misc]
            for voice in range(1, VOICES + 1)
        }
    return out


def musical(
    options: argparse.Namespace, rows: Sequence[dict[str, Any]], train: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The musical figures of samples, of the split's pieces, and how both stand to the training pieces."""
    from scorelm.analysis.copies import Index
    from scorelm.analysis.summary import count, figures
    from scorelm.generation import Student, find_model
    from scorelm.sampling import Sampling

    sampling = Sampling(temperature=options.temperature, top_p=options.top_p)
    student = Student(find_model(options.model))
    texts = []
    asked: dict[str, Any] = {"sampling": sampling, "strict": options.strict, "guidance": options.guidance}
    for number in range(options.seed, options.seed + options.samples):
        texts.append((f"seed {number}", "".join(student.measures("|", seed=number, **asked))))
        say(f"seed {number}: {texts[-1][1].count('|') - 1} measures")
    known = [(str(row.get("source", number)), row["text"]) for number, row in enumerate(train, 1)]
    pieces = [(str(row.get("source", number)), row["text"]) for number, row in enumerate(rows, 1)]
    index = Index((name, parse(text)) for name, text in known)
    reference = count(known, sound=False)
    return {
        "seeds": [options.seed, options.seed + options.samples - 1],
        "sampling": asdict(sampling),
        "strict": options.strict,
        "guidance": options.guidance,
        "samples": figures(count(texts, index, say=say), reference),
        "split": figures(count(pieces, index, but_itself=(options.split == "train"), say=say), reference),
    }


if __name__ == "__main__":
    sys.exit(main())
