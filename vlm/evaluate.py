"""Judge a reader of scores on records whose answers are known: text, fields and words.

python -m vlm.evaluate --quick                  the examples that are shipped, unseen in training
python -m vlm.evaluate --dataset vlm_dataset --split test -n 200 --json figures.json

Tables go to stdout (rates in percent), progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from scorelm import cli
from scorelm.dataset import SPLITS
from scorelm.errors import ConfigError
from vlm.read import TRAINED


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m vlm.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("-m", "--model", metavar="DIR", default=str(TRAINED), help=f"default: {TRAINED}")
    out.add_argument("--dataset", metavar="DIR", default="vlm_dataset", help="default: vlm_dataset")
    out.add_argument("--split", default="test", choices=SPLITS, help="default: test")
    out.add_argument("-n", type=int, default=0, metavar="N", help="so many records of each phase; default: 0, all")
    out.add_argument("--quick", action="store_true", help="the examples that are shipped in place of a dataset")
    out.add_argument("--no-ned", action="store_true", help="without OMR-NED")
    out.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: 0")
    out.add_argument("--json", metavar="FILE", help="write all figures there, of each record too")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("vlm.evaluate", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    if options.n < 0:
        raise ConfigError(f"-n is 0 or more, not {options.n}")
    if options.json and not Path(options.json).absolute().parent.is_dir():
        raise ConfigError(f"{options.json}: there is no such folder to write it in")
    for package in ("rapidfuzz", "rouge_score", "nltk"):
        if not find_spec(package):
            raise ConfigError(f'{package} is not installed: pip install "scorelm[vlm]"')
    from tqdm import tqdm
    from transformers.utils import logging

    from scorelm.files import write_atomically
    from vlm.evaluation.examples import FOLDER, read_examples
    from vlm.evaluation.figures import figures
    from vlm.evaluation.report import table
    from vlm.evaluation.rows import Examiner
    from vlm.evaluation.sample import sample
    from vlm.student.transcribe import Transcriber

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    records = read_examples() if options.quick else sample(options.dataset, options.split, options.n)
    examine = Examiner(Transcriber(options.model), not options.no_ned)
    rows = [examine(record) for record in tqdm(records, unit="record", file=sys.stderr, disable=None)]
    found = {
        "model": options.model, "dataset": str(FOLDER if options.quick else options.dataset),
        "split": "test" if options.quick else options.split, **figures(rows, options.seed),
    }  # fmt: skip
    print(table(found))
    if options.json:
        found["by_record"] = [asdict(row) for row in rows]
        write_atomically(options.json, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
