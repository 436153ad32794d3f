#!/usr/bin/env python3
"""What the grammar does to a model: how likely it finds unseen pieces, bound and free, and how much it writes free is sound.

    python benchmarks/bound.py -n 200 --json bound.json

Bits a quarter note of the validation pieces, over every token behind the first "|" and the end: as the model is, and
bound, where the tokens that may not come have no share. Pieces that are not sound themselves are left out and counted.
Then texts that it writes free from "|" at the temperature: how many parse, and how many are sound.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scorelm.dataset import read_rows
from scorelm.errors import FormatError
from scorelm.generation import Student, find_model
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.sampling import Sampling


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", help="default: as infer.py")
    parser.add_argument("--dataset", default="dataset")
    parser.add_argument("-n", type=int, default=200, help="texts written free; default: 200")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    folder = find_model(options.model)
    student = Student(folder)
    sums = np.zeros(2)
    quarters, pieces, left_out = 0.0, 0, 0
    for row in tqdm(list(read_rows(options.dataset, "validation")), unit="piece", file=sys.stderr, disable=None):
        text = row["text"]
        if sound_problems(text):
            left_out += 1
            continue
        sums += sum(student.losses(text)), sum(student.losses(text, bound=True))
        quarters += float(parse(text).quarters)
        pieces += 1
    free, bound = (float(x) / quarters / math.log(2) for x in sums)
    parsed = sound = 0
    sampling = Sampling(temperature=options.temperature, top_p=1.0)
    for _, text in tqdm(student.free("|", seeds=range(options.n), sampling=sampling), total=options.n, file=sys.stderr):
        try:
            parse(text)
        except FormatError:
            continue
        parsed += 1
        sound += not sound_problems(text)
    print(f"{pieces} validation pieces, {left_out} left out, which are not sound")
    print(f"bits a quarter: free {free:.3f}, bound {bound:.3f}")
    print(f"of {options.n} texts written free at temperature {options.temperature}: {parsed} parse, {sound} are sound")
    if options.json:
        found = {"model": str(folder), "pieces": pieces, "left_out": left_out, "bits_a_quarter": [free, bound]}
        options.json.write_text(
            json.dumps({**found, "written_free": options.n, "parsed": parsed, "sound": sound}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
