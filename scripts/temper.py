#!/usr/bin/env python3
"""A model that is surer than it should be -> one that is as sure as it may be: scripts/temper.py MODEL OUT

A model that knows its training pieces by heart is too sure of others. One number mends that, the temperature at which
the validation pieces of dataset/ are likeliest (Guo et al., On Calibration of Modern Neural Networks, 2017). Logits are
a product with what the last norm gives, so it is divided out of that norm's weights, and all else stays. OUT may be
MODEL, and is whole or as it was.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from scorelm import cli
from scorelm.dataset import read_rows
from scorelm.evaluate import load
from scorelm.training.output import changed, write_weights

TRIED = (1.0, 1.1, 1.2)
NORM = ("gpt_neox.final_layer_norm.weight", "gpt_neox.final_layer_norm.bias")


def main(source: Path, out: Path) -> int:
    judge = load(str(source))
    rows = read_rows("dataset", "validation")
    quarters = sum(row["quarters"] for row in rows)
    weights = dict(judge.model.named_parameters())
    own = [weights[name].detach().clone() for name in NORM]

    def bits(temperature: float) -> float:
        with torch.no_grad():
            for name, weight in zip(NORM, own):
                weights[name].copy_(weight / temperature)
        found = sum(sum(judge.losses(row["text"])) for row in rows) / math.log(2) / quarters
        print(f"temperature {temperature:.3f}: {found:.4f} bits per quarter", file=sys.stderr)
        return found

    found = [bits(t) for t in TRIED]
    a, b, _ = np.polyfit(np.log(TRIED), found, 2)
    if a <= 0 or not 0.8 < (best := math.exp(-b / (2 * a))) < 1.5:
        print(f"temper.py: {source}: no temperature near 1 is best", file=sys.stderr)
        return 2
    bits(best)

    with changed(source, out) as new:
        saved = load_file(new / "model.safetensors")
        for name in NORM:
            saved[name] = (saved[name].float() / best).to(saved[name].dtype)
        write_weights(saved, new / "model.safetensors")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("MODEL", "OUT"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    sys.exit(cli.run("temper.py", lambda: main(options.MODEL, options.OUT)))
