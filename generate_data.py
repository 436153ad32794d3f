#!/usr/bin/env python3
"""Scores -> dataset/{train,validation,test}.jsonl. Without arguments: Bach's chorales of music21's corpus.

Scores and dataset may lie at any URL that fsspec knows (s3://bucket/scores), and a Ray cluster may do the work.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scorelm import cli

if TYPE_CHECKING:
    from scorelm import dataset


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__)
    out.add_argument(
        "scores", nargs="*", help="files, folders, globs, URLs, or composers by music21's names (palestrina)"
    )
    out.add_argument("--print", metavar="FILE", dest="shown", help="write one score's text to stdout, nothing else")
    out.add_argument("-o", "--output", metavar="DIR", default="dataset", help="or a URL; default: dataset")
    out.add_argument("--profile", default="core", help="core, full, or more beside the core: core+lyrics+slurs")
    out.add_argument("--extra", action="store_true", help="train also on the chorales that no published split holds")
    out.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="of own scores; default: 0.1")
    out.add_argument("--test", type=float, default=0.1, metavar="SHARE", help="of own scores; default: 0.1")
    out.add_argument(
        "--doubled", type=float, default=0.0, metavar="TIMES", help="that each training text stands there once more, with"
        " instruments that play with its voices; .5: half of the texts do; default: 0",
    )  # fmt: skip
    out.add_argument("--workers", type=int, metavar="N", help="processes; default: 1, with --ray as many as CPUs")
    out.add_argument(
        "--file-timeout", type=float, default=1800, metavar="SECONDS", help="for one file; 0: none; default: 1800"
    )
    out.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS", help="on a Ray cluster: HOST:PORT, auto, or local for a new one"
        " here; without ADDRESS: the one that RAY_ADDRESS names, else a new one",
    )  # fmt: skip
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("generate_data.py", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    if options.shown:
        from scorelm import encode

        name = options.shown
        sys.stdout.write(encode(name, options.profile, lambda said: print(f"{name}: {said}", file=sys.stderr)))
        return 0
    from scorelm import dataset
    from scorelm.errors import ConfigError
    from scorelm.notation.model import Score
    from scorelm.notation.transform import strip

    strip(Score(), options.profile)  # refuses an unknown profile before any work
    if min(options.validation, options.test) < 0 or options.validation + options.test >= 1:
        raise ConfigError("--validation and --test are shares: each from 0, together below 1")
    if not 0 <= options.doubled <= 100:
        raise ConfigError("--doubled is a number of times: 0 to 100")
    if options.file_timeout < 0 or (options.workers is not None and options.workers < 1):
        raise ConfigError("--file-timeout is 0 or more, --workers 1 or more")
    with contextlib.ExitStack() as stack:
        read = functools.partial(dataset.read_here, workers=options.workers or 1)
        if options.ray is not None:
            from scorelm import ray_job

            stack.enter_context(ray_job.cluster(options.ray, options.workers))
            read = functools.partial(ray_job.read, workers=options.workers)
        report = make(options, functools.partial(read, file_timeout_s=options.file_timeout))
    total = sum(report.works.values())
    for split, count in report.works.items():
        print(f"{options.output}/{split}.jsonl: {count} scores", file=sys.stderr)
    if report.failed:
        print(f"{options.output}/failed.jsonl: {len(report.failed)} files could not be read", file=sys.stderr)
    if report.noticed:
        said = sum(len(x["notices"]) for x in report.noticed)
        print(
            f"{options.output}/notices.jsonl: {said} guesses and losses of {len(report.noticed)} files", file=sys.stderr
        )
    per_note = report.lexemes / max(1, report.notes)
    print(
        f"{total} scores, {report.notes} notes, {report.quarters:g} quarters, {per_note:.2f} lexemes a note",
        file=sys.stderr,
    )
    return 0 if total else 2


def make(options: argparse.Namespace, read: dataset.Read) -> dataset.Report:
    from scorelm import dataset

    found = dataset.gather(options.scores, options.extra) if options.scores else dataset.chorales(options.extra)
    return dataset.make(
        found, options.output, options.profile, validation=options.validation, test=options.test, read=read,
        doubled=options.doubled,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
