#!/usr/bin/env python3
"""One random edit of a character in a text of the train split, then repair: how many other measures stay as they were?

python benchmarks/random_edits.py --edits 600 --seed 1
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import sys
from pathlib import Path

from scorelm.notation.repair import repair


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="dataset", help="made by generate_data.py; default: dataset")
    parser.add_argument("--edits", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lines = (Path(options.dataset) / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    choose = random.Random(options.seed)
    untouched = identical = local = 0
    for _ in range(options.edits):
        text = choose.choice(texts)
        at = choose.randrange(len(text))
        letter = choose.choice(text) if choose.random() < 0.5 else chr(choose.randrange(32, 127))
        kind = choose.choice(("replace", "insert", "delete"))
        edited = text[:at] + letter * (kind != "delete") + text[at + (kind != "insert") :]
        measure = text[:at].count("|")
        touched = {measure, measure + (text[at] == "|")}
        rest = [m for i, m in enumerate(text.split("|")) if i not in touched]
        found = difflib.SequenceMatcher(None, rest, repair(edited)[0].split("|"), autojunk=False)
        same = sum(block.size for block in found.get_matching_blocks())
        untouched += len(rest)
        identical += same
        local += same >= 0.95 * len(rest)
    print(f"{options.edits} edits: {identical} of {untouched} untouched measures came back identical")
    print(f"in {local} of the edits at least 95 % of them did")
    return 0


if __name__ == "__main__":
    sys.exit(main())
