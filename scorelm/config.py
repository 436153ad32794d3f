"""The settings of train.py: one frozen dataclass, its file read strictly, each key a command-line option.

The functions take any such class (``kind``), so that other programs have settings of the same manners.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scorelm.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """What train.py needs to know. Lengths are in tokens, intervals in optimizer steps."""

    dataset_dir: str = "dataset"  # holds train.jsonl and validation.jsonl; several stand with commas between them
    output_dir: str = "score-lm"
    start: str | None = None  # a folder of train.py whose model is trained on, in its sizes, with the dropout below
    add_layers: int = 0  # that ``start`` gets, spread over its depth; they change nothing at first
    model_name: str | None = None  # a Pythia on the hub or a folder; null: a new model of the sizes below
    extend_vocabulary: bool = False  # add the project's lexemes to the tokens of model_name
    lora: dict[str, Any] | None = None  # peft's LoraConfig: {} for r 16, alpha 32; null: train all weights
    load_in_4bit: bool = False  # QLoRA, by bitsandbytes
    unsloth: bool = False  # load model_name by unsloth where a GPU and the package are there
    hidden_size: int = 192
    num_layers: int = 5
    num_heads: int = 3
    intermediate_size: int = 768
    dropout: float = 0.3
    cut: str = "lexemes"  # of a new model's text into tokens, or "joined": a duration with the pitch behind it
    positions: str = "time"  # of a new model's tokens: "time" of the music, or "index" in the text
    heard: bool = True  # each token of a new model, or of start, stands with what is heard there (notation/heard.py)
    related: bool = True  # where it hears, pitches are judged by their intervals to that, too (related.py)
    recalled: bool = False  # it can be told what came next where the text went so before (recalled.py); see ``learn``
    rotary_share: float = 1.0  # of a head that turns with the position
    max_length: int = 1024  # a longer text is read in windows of this many tokens
    packing: bool = False  # several windows in a row, none of which sees another; pays on a GPU
    batch_size: int = 8  # rows per step and process
    gradient_accumulation_steps: int = 1
    optimizer: str = "muon"  # "muon" for the matrices and AdamW for the rest, or "adamw"; DeepSpeed: always AdamW
    lr: float = 3e-3
    muon_lr: float = 8e-3
    min_lr_ratio: float = 0.02  # of lr, at the end of the cosine
    warmup_steps: int = 100
    weight_decay: float = 0.1
    ema_decay: float = 0.998  # of the averaged weights, which are evaluated and saved; 0: no averaging
    max_steps: int = 3500
    max_minutes: float | None = None  # the schedule ends at this time or at max_steps, whichever comes first
    eval_steps: int = 250
    patience: int = 0  # stop after this many evaluations without a better one; 0: never
    save_steps: int = 250  # between checkpoints; 0: none
    save_total_limit: int = 2
    resume: bool = False  # go on from the newest checkpoint where there is one
    tensorboard: bool = False  # write its files beside the checkpoints
    transpose: bool = True  # train on every text in all keys within six sharps or flats
    part_subsets: float = 0.0  # share of the texts that are read with some of their parts alone
    other_names: float = 0.0  # share of the texts whose parts are called otherwise, each time anew
    mixed_precision: str = "auto"  # "bf16", "no", or bf16 where the processor has it
    threads: int = 0  # of the CPU; 0: torch decides
    workers: int = (
        0  # processes that cut all texts before training, for which a GPU would wait; 0: they are cut as they come
    )
    learn: str = "all"  # or "intervals": their rows alone; or "recalled": rows for that alone, new ones where none are
    ahead: bool = False  # another process cuts texts while the model learns: as many batches, the same, sooner
    seed: int = 1

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads or (self.hidden_size // self.num_heads) % 2:
            raise ConfigError(
                f"hidden_size {self.hidden_size} does not divide into num_heads {self.num_heads} heads of even size"
            )
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in "add_layers warmup_steps weight_decay patience save_steps threads workers".split():
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.start is not None and self.model_name is not None:
            raise ConfigError("start and model_name are two models: name one")
        if self.add_layers and self.start is None:
            raise ConfigError("add_layers needs a start")
        relates = self.start and self.heard and self.related and not self.weight_decay
        if self.learn in ("intervals", "recalled") and not relates:
            raise ConfigError(f"learn: {self.learn}: needs a start that hears and relates, and weight_decay 0")
        for name in ("dropout", "ema_decay", "min_lr_ratio", "part_subsets", "other_names"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 < self.rotary_share <= 1:
            raise ConfigError(f"rotary_share must lie above 0 and be at most 1, not {self.rotary_share}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} is {' or '.join(map(repr, known))}, not {getattr(self, name)!r}")
        if self.model_name is None:
            for name in ("extend_vocabulary", "load_in_4bit", "unsloth"):
                if getattr(self, name):
                    raise ConfigError(f"{name} needs a model_name")
            if self.lora is not None:
                raise ConfigError("lora needs a model_name")
        if self.load_in_4bit and self.lora is None:
            raise ConfigError("load_in_4bit needs lora: 4-bit weights cannot be trained themselves")


POSITIVE = (
    "hidden_size num_layers num_heads intermediate_size max_length batch_size gradient_accumulation_steps max_steps "
    "eval_steps save_total_limit lr muon_lr"
).split()
CHOICES = {
    "mixed_precision": ("auto", "bf16", "no"),
    "optimizer": ("muon", "adamw"),
    "positions": ("time", "index"),
    "cut": ("lexemes", "joined"),
    "learn": ("all", "intervals", "recalled"),
}
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
Settings = TypeVar("Settings")


def load_config(
    path: str | Path | None, overrides: Mapping[str, Any] | None = None, kind: type[Settings] = TrainConfig
) -> Settings:
    """The settings of a JSON file (None: the defaults) with ``overrides`` in place of its own.

    kind: the dataclass that holds them

    Raises ConfigError that names the file and the key.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{path}: is no JSON: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: expected an object of settings")
        for name, value in values.items():
            _check(kind, name, value, str(path))
    values |= overrides or {}
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{path or 'settings'}: {error}") from None


def _check(kind: type, name: str, value: Any, where: str) -> None:
    known = _fields(kind)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"{where}: unknown key {name!r}{hint}")
    kinds = _kinds(kind, name)
    fits = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    if not (fits or (float in kinds and isinstance(value, int) and not isinstance(value, bool))):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ConfigError(f"{where}: {name} must be {names}, not {value!r}")


def _fields(kind: Any) -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(kind)}


def _kinds(settings: type, name: str) -> tuple[type, ...]:
    hint = typing.get_type_hints(settings)[name]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return tuple(typing.get_origin(kind) or kind for kind in kinds)


def add_options(parser: argparse.ArgumentParser, kind: type = TrainConfig) -> None:
    """An option for every key: ``--batch-size 4`` or ``--batch_size 4``."""
    said = _comments(kind)
    for name, field in _fields(kind).items():
        kinds = _kinds(kind, name)
        alone: dict[str, Any] = {"nargs": "?", "const": True} if bool in kinds else {}  # --resume: true
        parser.add_argument(
            f"--{name.replace('_', '-')}", f"--{name}", dest=name, metavar=_metavar(kinds), default=argparse.SUPPRESS,
            type=_reader(name, kinds), help="; ".join(filter(None, (said.get(name), f"default {field.default}"))), **alone,
        )  # fmt: skip


def _comments(kind: type) -> dict[str, str]:
    """What the class says of its fields, each in the comment on its line; nothing where its source is not there."""
    try:
        source = inspect.getsource(kind)
    except OSError:
        return {}
    return {
        name: said.replace("%", "%%") for name, said in re.findall(r"^    (\w+): .*?  # (.+)$", source, re.MULTILINE)
    }


def overrides_of(arguments: argparse.Namespace, kind: type = TrainConfig) -> dict[str, Any]:
    """The settings that were given on the command line."""
    return {name: value for name, value in vars(arguments).items() if name in _fields(kind)}


def _metavar(kinds: tuple[type, ...]) -> str:
    return "|".join(kind.__name__.upper() for kind in kinds if kind is not type(None))


def _reader(name: str, kinds: tuple[type, ...]) -> Any:

    def read(text: str) -> Any:
        if type(None) in kinds and text.lower() in ("null", "none"):
            return None
        if bool in kinds:
            if text.lower() not in ("true", "false"):
                raise argparse.ArgumentTypeError(f"{name} is true or false, not {text!r}")
            return text.lower() == "true"
        kind = next(k for k in kinds if k is not type(None))
        if kind is dict:
            kind = json.loads
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{name} must be {kind.__name__}, not {text!r}") from None

    return read


def main_config(
    arguments: Sequence[str] | None,
    description: str,
    kind: type[Settings] = TrainConfig,
    default: str = "train_cfg.json",
    prog: str | None = None,
) -> Settings:
    """Parse a command line of the form ``[--config FILE] [--KEY VALUE ...]``. default: the file where none is given"""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default=None, help=f"default {default} where there is one")
    add_options(parser, kind)
    parsed = parser.parse_args(arguments)
    config = parsed.config
    if config is None and Path(default).is_file():
        config = default
    return load_config(config, overrides_of(parsed, kind), kind)
