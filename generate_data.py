#!/usr/bin/env python3
"""Scores -> dataset/{train,validation,test}.jsonl. Without arguments: Bach's chorales of music21's corpus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from scorelm import cli


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__)
    out.add_argument("scores", nargs="*", help="files, folders, globs, or composers by music21's names (palestrina)")
    out.add_argument("--print", metavar="FILE", dest="shown", help="write one score's text to stdout, nothing else")
    out.add_argument("-o", "--output", metavar="DIR", default="dataset", help="default: dataset")
    out.add_argument("--profile", default="core", help="core, full, or more beside the core: core+lyrics+slurs")
    out.add_argument("--extra", action="store_true", help="train also on the chorales that no published split holds")
    out.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="of own scores; default: 0.1")
    out.add_argument("--test", type=float, default=0.1, metavar="SHARE", help="of own scores; default: 0.1")
    out.add_argument("--workers", type=int, default=1, help="processes; the result is the same; default: 1")
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
    found = dataset.gather(options.scores, options.extra) if options.scores else dataset.chorales(options.extra)
    report = dataset.make(found, options.output, options.profile, options.workers, options.validation, options.test)
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


if __name__ == "__main__":
    sys.exit(main())
