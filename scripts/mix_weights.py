#!/usr/bin/env python3
"""Two trainings of one model -> the model in between: scripts/mix_weights.py FIRST SECOND SHARE OUT

Each weight is (1 - SHARE) times FIRST's and SHARE times SECOND's; all else in the folder is FIRST's. OUT may be one of
the two, and is whole or as it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.torch import load_file

from scorelm.training.output import changed, write_weights


def main() -> int:
    first, second, share, out = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    with changed(first, out) as new:
        for file in sorted(new.rglob("*.safetensors")):
            one, other = load_file(file), load_file(second / file.relative_to(new))
            weights = {n: ((1 - share) * t.float() + share * other[n].float()).to(t.dtype) for n, t in one.items()}
            write_weights(weights, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
