#!/usr/bin/env python3
"""A model -> the same with narrower MLPs: scripts/narrow.py MODEL UNITS OUT

Of each layer's MLP so many units stay: those that weigh most, by the length of what they read times that of what they
write (Han et al., Learning both Weights and Connections for Efficient Neural Networks, 2015, of whole units). What
goes is missed at first; the model is to be trained on. OUT may be MODEL, and is whole or as it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from safetensors.torch import load_file

from scorelm import cli
from scorelm.errors import ConfigError
from scorelm.training.output import changed, write_weights


def main(source: Path, units: int, out: Path) -> int:
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        weights = load_file(source / "model.safetensors")
        layers, before = config["num_hidden_layers"], config["intermediate_size"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{source}: holds no model of train.py: {error}") from None
    if not 0 < units <= before:
        raise ConfigError(f"{source}: its MLPs have {before} units each, of which {units} cannot stay")
    for number in range(layers):
        mlp = f"gpt_neox.layers.{number}.mlp"
        reads, shift, writes = (
            f"{mlp}.{n}" for n in ("dense_h_to_4h.weight", "dense_h_to_4h.bias", "dense_4h_to_h.weight")
        )
        weight = weights[reads].float().norm(dim=1) * weights[writes].float().norm(dim=0)
        kept = weight.topk(units).indices.sort().values
        for name in (reads, shift):
            weights[name] = weights[name][kept].contiguous()
        weights[writes] = weights[writes][:, kept].contiguous()

    with changed(source, out) as new:
        write_weights(weights, new / "model.safetensors")
        text = json.dumps({**config, "intermediate_size": units}, indent=2) + "\n"
        (new / "config.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("MODEL", type=Path)
    parser.add_argument("UNITS", type=int)
    parser.add_argument("OUT", type=Path)
    options = parser.parse_args()
    sys.exit(cli.run("narrow.py", lambda: main(options.MODEL, options.UNITS, options.OUT)))
