#!/usr/bin/env python3
"""What a teacher's words are worth: the same reader taught words by the scores' facts, by a teacher, and by both.

    python -m vlm.distill --phase alignment --output-dir aligned
    python -m vlm.ask_teacher --teacher endpoint --endpoint http://HOST:8000/v1
    python benchmarks/distillation.py --start aligned --answers vlm_answers -o distilled --json distilled.json

Three readers begin with the weights of --start and go through the phases of words with the same steps, seed and pictures:

    facts     each question is answered by what was computed from its score
    teacher   the questions that the teacher answered well alone, in its words
    both      half of the questions that it answered well in its words, all others by the facts

Each is then judged on the same records as ``vlm.evaluate`` does it: words beside the known answers (ROUGE-L, METEOR),
the share that holds the facts, fields asked for; and the symbols, since words can cost reading. --reference takes the
teacher's own good answers of a split (``vlm.ask_teacher --splits test``) as the known words in the place of the facts':
who is judged by its own words alone has an advantage, so both are worth a look. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorelm import cli
from scorelm.errors import ConfigError
from scorelm.files import write_atomically
from vlm.data.answers import key, read_good
from vlm.data.record import ANALYSIS, EXTRACTION, Record
from vlm.evaluation.figures import figures
from vlm.evaluation.rows import Examiner
from vlm.evaluation.sample import sample
from vlm.student.config import StudentConfig
from vlm.student.loop import Distillation
from vlm.student.transcribe import Transcriber

WAYS: dict[str, dict[str, Any]] = {
    "facts": {"teacher_share": 0.0},
    "teacher": {"teacher_share": 1.0, "only_taught": True},
    "both": {"teacher_share": 0.5},
}


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = out.add_argument
    add("--start", type=Path, required=True, metavar="DIR", help="a reader that has had alignment alone")
    add("--dataset", default="vlm_dataset", metavar="DIR", help="of python -m vlm.make_data; default: vlm_dataset")
    add("--answers", default="vlm_answers", metavar="DIR", help="of python -m vlm.ask_teacher; default: vlm_answers")
    add("--reference", metavar="DIR", help="a teacher's answers to the split that is judged; default: the facts")
    add("-o", "--output", type=Path, default=Path("distilled"), metavar="DIR", help="default: distilled")
    add("--steps", type=int, default=1500, help="of each phase; default: 1500")
    add("--batch-size", type=int, default=8)
    add("--split", default="test", choices=("validation", "test"))
    add("-n", type=int, default=150, help="records of each phase that are judged; 0: all; default: 150")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    return out


def main() -> int:
    options = parser().parse_args()
    return cli.run("distillation.py", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    if not (options.start / "reader.json").is_file():
        raise ConfigError(f"{options.start}: holds no reader; python -m vlm.distill makes one")
    records = known(sample(options.dataset, options.split, options.n), options.reference, options.split)
    found = {way: judged(learnt(way, options), records, options.seed) for way in WAYS}
    print(table(found))
    if options.json:
        about = {n: str(v) for n, v in vars(options).items() if n != "json"}
        write_atomically(options.json, json.dumps({"settings": about, "ways": found}, indent=1) + "\n")
    return 0


def learnt(way: str, options: argparse.Namespace) -> Path:
    """The folder of a reader that was taught in one way."""
    folder = options.output / way
    if not folder.is_dir():
        options.output.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f".{way}.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(options.start, new)
        new.rename(folder)
    print(f"{way}: {options.steps} steps of each phase", file=sys.stderr, flush=True)
    config = StudentConfig(
        dataset_dir=options.dataset, answers_dir=options.answers, output_dir=str(folder), batch_size=options.batch_size,
        extraction_steps=options.steps, analysis_steps=options.steps, lr=5e-4, muon_lr=1e-3, resume=True,
        seed=options.seed, **WAYS[way],
    )  # fmt: skip
    Distillation(config, (EXTRACTION, ANALYSIS)).run()
    return folder


def known(records: list[Record], reference: str | None, split: str) -> list[Record]:
    """The records that are judged; with a reference, the words known are a teacher's, where it has any."""
    if reference is None:
        return records
    good = read_good(reference, split)
    out = []
    for record in records:
        name = key(record.source, record.prompt, record.answer)
        if record.phase != ANALYSIS:
            out.append(record)
        elif name in good:
            out.append(replace(record, answer=good[name]))
    return out


def judged(reader: Path, records: list[Record], seed: int) -> dict[str, float | None]:
    from tqdm import tqdm

    examine = Examiner(Transcriber(reader), False)
    found = figures([examine(r) for r in tqdm(records, unit="record", file=sys.stderr, disable=None)], seed)
    words = found.get("words", {}).get("all", {})
    fields = found.get("fields", {}).get("of_questions", {}).get("all", {})
    asked = [row for name, row in fields.items() if name != "pictures" and row["asked"]]
    right = sum(row["by_words"] * row["asked"] for row in asked) / sum(row["asked"] for row in asked) if asked else None
    return {
        "ROUGE-L": words.get("rouge_l"), "METEOR": words.get("meteor"), "facts": words.get("facts_right"),
        "fields": right, "SER": found.get("transcription", {}).get("all", {}).get("ser"),
    }  # fmt: skip


def table(found: dict[str, dict[str, float | None]]) -> str:
    heads = list(found["facts"])
    lines = [f"{'taught by':10}" + "".join(f"{head:>10}" for head in heads)]
    for way, row in found.items():
        lines.append(f"{way:10}" + "".join(f"{'-' if row[h] is None else format(row[h], '.3f'):>10}" for h in heads))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
