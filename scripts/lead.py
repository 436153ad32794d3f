#!/usr/bin/env python3
"""A model -> one that leads voices by the rule of ``infer.py --strict``: scripts/lead.py MODEL OUT --own dataset_own

What it reads are the training texts of ``--dataset``, once each in some key, those of ``--own``, which it wrote itself
under the rule (``infer.py "|" --strict``, then ``generate_data.py``), and those of ``--free``, which what came of that
wrote without it. Only its rows of intervals learn (see ``scorelm.training.leading``). OUT may be MODEL, and is whole or
as it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from safetensors.torch import load_file

from scorelm import cli
from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.evaluate import say
from scorelm.pretrained import load_model
from scorelm.tokenizer import Tokens
from scorelm.training.batches import Batch, Batches, Place
from scorelm.training.corpus import Corpus
from scorelm.training.leading import Leading
from scorelm.training.output import changed, write_weights

TABLE = "gpt_neox.embed_in.weight"


def main(options: argparse.Namespace) -> int:
    if options.steps < 1 or options.lr <= 0:
        raise ConfigError("--steps is 1 or more, --lr above 0")
    model, tokens = load_model(str(options.MODEL))
    tokens = replace(tokens, recalled_from=None)  # what writes is not told what it has said
    leading = Leading(model, tokens.vocabulary)
    texts = []
    for folder in filter(None, (options.dataset, options.own, options.free)):
        texts.append(leading.moments(epoch(folder, tokens, options.seed), folder == options.free))
        say(f"{folder}: {len(texts[-1])} places, {1000 * leading.ill_led(texts[-1]):.2f} in 1000 led ill")
    leading.lead(texts, options.steps, options.lr, options.seed, say)
    with changed(options.MODEL, options.OUT) as new:
        weights = load_file(new / "model.safetensors")
        weights.pop("embed_out.weight", None)  # the same table, as it was written twice before; it would not be led
        weights[TABLE][leading.head.relates] = leading.rows.to(weights[TABLE].dtype)
        write_weights(weights, new / "model.safetensors")
    return 0


def epoch(folder: str, tokens: Tokens, seed: int) -> Iterator[Batch]:
    """The training texts of a dataset, each once."""
    config = TrainConfig(dataset_dir=folder, seed=seed)
    batches = Batches(Corpus(folder, "train"), tokens, config, Place())
    return takewhile(lambda _: batches.place.epoch == 0, batches)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("MODEL", type=Path)
    parser.add_argument("OUT", type=Path)
    parser.add_argument("--dataset", default="dataset", metavar="DIR", help="default: dataset")
    parser.add_argument("--own", required=True, metavar="DIR", help="a dataset of its own texts")
    parser.add_argument("--free", metavar="DIR", help="a dataset of texts that it wrote free; default: none")
    parser.add_argument("--steps", type=int, default=500, help="default: 500")
    parser.add_argument("--lr", type=float, default=0.015, help="default: .015")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    sys.exit(cli.run("lead.py", lambda: main(parser.parse_args())))
