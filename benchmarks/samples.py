#!/usr/bin/env python3
"""New pieces by the model that ships, counted: do they parse, are they sound, does Verovio engrave them, how dense.

    python benchmarks/samples.py -n 50

Samples have the seeds 0 to n - 1 and infer.py's defaults; -m names another model. Density is notes a quarter over
all samples together, compared with the training texts'.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from infer import parser as infer_options
from scorelm.errors import FormatError
from scorelm.generation import Student, find_model
from scorelm.musicxml.writer import write_musicxml
from scorelm.notation.model import chords
from scorelm.notation.reader import parse
from scorelm.notation.sound import sound_problems
from scorelm.render import engrave_tall_svg
from scorelm.sampling import Sampling


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=50, help="how many samples; default: 50")
    parser.add_argument("-m", "--model", help="default: as infer.py chooses it")
    parser.add_argument("--dataset", default="dataset", help="made by generate_data.py; default: dataset")
    options = parser.parse_args()
    rows = [json.loads(line) for line in (Path(options.dataset) / "train.jsonl").read_text().splitlines()]
    training = sum(row["notes"] for row in rows) / sum(row["quarters"] for row in rows)
    defaults = infer_options().parse_args(["|"])
    sampling = Sampling(defaults.temperature, defaults.top_k, defaults.top_p)
    student = Student(find_model(options.model))
    parsed = sound = engraved = notes = 0
    quarters, measures = 0.0, []
    started = time.monotonic()
    for seed in range(options.n):
        text = "".join(student.measures("|", seed=seed, sampling=sampling))
        try:
            score = parse(text)
        except FormatError as error:
            print(f"seed {seed}: {error}", file=sys.stderr)
            continue
        parsed += 1
        sound += not sound_problems(text)
        engraved += engrave_tall_svg(write_musicxml(score)).lstrip().startswith(("<svg", "<?xml"))
        measures.append(len(score.measures))
        notes += sum(len(chord.notes) for chord in chords(score))
        quarters += float(score.quarters)
        print(f"\rseed {seed}: {measures[-1]} measures", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{options.n} samples: {parsed} parse, {sound} are sound (every measure full), Verovio engraves {engraved}")
    print(f"measures: {min(measures)} to {max(measures)}, median {statistics.median(measures):g}")
    density = notes / quarters
    print(f"notes a quarter: {density:.2f}, training texts {training:.2f}, ratio {density / training:.3f}")
    print(f"{(time.monotonic() - started) / options.n:.1f} s a sample")
    return 0


if __name__ == "__main__":
    sys.exit(main())
