#!/usr/bin/env python3
"""What a teacher gives: three students of equal budget, taught words by the scores alone, by the teacher alone, by both.

    python benchmarks/distillation.py --dataset-dir vlm_dataset --limit 200 --student tiny.json -o distillation
    python benchmarks/distillation.py --dataset-dir vlm_dataset -o distillation \\
        --teacher endpoint --endpoint http://127.0.0.1:8000/v1      # Nemotron, served by vLLM

The teacher is asked as by vlm.ask_teacher, whose options hold here, too; what it replied is kept. Notes are learnt once,
from the scores (or --reader DIR names a reader that has); extraction and analysis then begin three times from there, with
the same settings, steps and seed. "teacher" learns from the questions alone that the teacher answered well; "both" from
all, where half of these have the teacher's words. A run that was stopped goes on where it was.

With --teacher none (the default) the "teacher" says what the score says: what then differs comes from the choice of
questions, and is what a real gain must exceed. ROUGE-L and METEOR compare with the scores' own words, which favours who
learnt these; "facts" and "fields" do not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scorelm import cli
from scorelm.config import add_options, load_config, overrides_of
from scorelm.files import write_atomically
from vlm.data.answers import key, read_good
from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, read_records, shards, write_records
from vlm.student.config import StudentConfig
from vlm.teacher.config import TeacherConfig

SHARES = {"score": 0.0, "teacher": 1.0, "both": 0.5}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", metavar="FILE", help="settings of vlm.distill, JSON; default: its own")
    parser.add_argument(
        "--reader", metavar="DIR", help="one that has learnt notes; default: a new one learns them first"
    )
    parser.add_argument("-o", "--folder", default="distillation", metavar="DIR", help="default: distillation")
    parser.add_argument("-n", type=int, default=0, metavar="N", help="test records of each phase; default: 0, all")
    add_options(parser.add_argument_group("teacher"), TeacherConfig)  # type: ignore[arg-type]
    options = parser.parse_args(argv)
    return cli.run("distillation", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    teacher = load_config(
        None, {"output_dir": str(folder / "answers"), **overrides_of(options, TeacherConfig)}, TeacherConfig
    )
    student = load_config(options.student, {"dataset_dir": teacher.dataset_dir, "resume": True}, StudentConfig)
    from vlm.student.loop import Distillation
    from vlm.teacher.work import ask_all

    for line in ask_all(teacher).lines():
        print(line, file=sys.stderr)
    answers = read_good(teacher.output_dir, "train")
    start = options.reader
    if start is None:
        start = str(folder / "notes")
        Distillation(replace(student, output_dir=start), (ALIGNMENT,)).run()
    found = {}
    for name, share in SHARES.items():
        data = answered(student.dataset_dir, folder / "answered", answers) if name == "teacher" else student.dataset_dir
        config = replace(
            student, output_dir=str(folder / name), dataset_dir=data, teacher_share=share,
            answers_dir=teacher.output_dir if share else None,
        )  # fmt: skip
        Distillation(config, (EXTRACTION, ANALYSIS), start).run()
        found[name] = judged(config.output_dir, student.dataset_dir, options.n)
    print(table(found, len(answers)))
    write_atomically(folder / "figures.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 0


def answered(dataset: str, folder: Path, answers: dict[str, str]) -> str:
    """A dataset's staves, and of its questions those that were answered well; validation is as it was."""
    for split in ("train", "validation"):
        for path in shards(dataset, split):
            records = (
                record
                for record in read_records(path)
                if split != "train"
                or record.phase == ALIGNMENT
                or key(record.source, record.prompt, record.answer) in answers
            )
            (folder / split).mkdir(parents=True, exist_ok=True)
            write_records(folder / split / path.name, records)
    return str(folder)


def judged(reader: str, dataset: str, count: int) -> dict[str, Any]:
    """The figures of vlm.evaluate on the test split."""
    from vlm.evaluation.figures import figures
    from vlm.evaluation.rows import Examiner
    from vlm.evaluation.sample import sample
    from vlm.student.transcribe import Transcriber

    examine = Examiner(Transcriber(reader), ned=False)
    return figures([examine(record) for record in sample(dataset, "test", count)])


def table(found: dict[str, Any], answers: int) -> str:
    lines = [
        f"{answers} answers of the teacher",
        f"{'taught by':<12}{'SER':>8}{'fields':>8}{'facts':>8}{'ROUGE-L':>9}{'METEOR':>8}",
    ]
    for name, figures in found.items():
        asked = [row for field, row in figures["fields"]["of_questions"]["all"].items() if field != "pictures"]
        fields = sum(row["by_words"] * row["asked"] for row in asked) / sum(row["asked"] for row in asked)
        words, ser = figures["words"]["all"], figures["transcription"]["all"]["ser"]
        lines.append(
            f"{name:<12}{100 * ser:>8.1f}{100 * fields:>8.1f}{100 * words['facts_right']:>8.1f}"
            f"{words['rouge_l']:>9.3f}{words['meteor']:>8.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
