#!/usr/bin/env python3
"""Two trainings of one model -> the model in between: scripts/mix_weights.py FIRST SECOND SHARE OUT

Each weight is (1 - SHARE) times FIRST's and SHARE times SECOND's; all else in the folder is FIRST's. OUT may be one of
the two, and is whole or as it was.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file


def main() -> int:
    first, second, share, out = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    new = out.with_name(f".{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(first, new)
    for file in sorted(first.rglob("*.safetensors")):
        one, other = load_file(file), load_file(second / file.relative_to(first))
        weights = {n: ((1 - share) * t.float() + share * other[n].float()).to(t.dtype) for n, t in one.items()}
        save_file(weights, new / file.relative_to(first), {"format": "pt"})
        shutil.copymode(file, new / file.relative_to(first))
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
