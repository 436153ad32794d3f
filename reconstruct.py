#!/usr/bin/env python3
"""Score text, or a score in another format -> a score: MusicXML, MIDI, SVG, PNG, PDF, ABC, WAV, text by the ending of
the output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scorelm import cli

MOST_NOTICES = 20  # of one score

if TYPE_CHECKING:
    from scorelm.check import Checked


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__)
    out.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a .sclm file, or MusicXML or MIDI, - for stdin; with --check: scores, as generate_data.py takes them",
    )
    out.add_argument("-o", "--output", metavar="OUT", help="default: FILE with the ending .musicxml")
    out.add_argument("--repair", action="store_true", help="mend broken text, say on stderr what was mended")
    out.add_argument("--check", action="store_true", help="take scores to text and back, say what changed")
    out.add_argument("--profile", default="full", help="with --check: full, core, core+lyrics; default: full")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    body = check if options.check else reconstruct
    return cli.run("reconstruct.py", lambda: body(options))


def reconstruct(options: argparse.Namespace) -> int:
    import scorelm
    from scorelm.files import decoded, kind_of
    from scorelm.musicxml.source import read_bytes
    from scorelm.notation.legacy import is_legacy, read_legacy
    from scorelm.notation.writer import write

    if len(options.files) != 1:
        raise scorelm.ScorelmError("give one file (several only with --check)")
    name = options.files[0]
    if name == "-" and not options.output:
        raise scorelm.ScorelmError("reading stdin needs -o OUT")
    shown = "stdin" if name == "-" else name
    data = sys.stdin.buffer.read() if name == "-" else read_bytes(name)
    if kind_of(data) and not options.output:  # the default name may be its own
        raise scorelm.ScorelmError(f"{shown}: is no score text; -o OUT says what to write of it")
    text, title = as_text(name, data) if kind_of(data) else (decoded(data, shown, options.repair or name == "-"), "")
    problems: Sequence[object] = ()
    if is_legacy(text):
        score, guesses, problems = read_legacy(text)
        text = write(score)
        for guess in guesses:
            print(f"{shown}: {guess}", file=sys.stderr)
        if problems and not options.repair:
            raise scorelm.ScorelmError(f"{shown}: {problems[0]}; --repair goes on without it")
    elif options.repair:
        text, problems = scorelm.repair(text)
    for problem in problems:
        print(f"{shown}: {problem}", file=sys.stderr)
    try:
        path = scorelm.save(text, options.output or Path(name).with_suffix(".musicxml"), title)
    except scorelm.FormatError as error:
        raise scorelm.ScorelmError(f"{shown}: {error}") from None
    print(path, file=sys.stderr)
    return 0


def as_text(name: str, data: bytes) -> tuple[str, str]:
    """The text of a score in another format, and its title."""
    from scorelm.api import load_all
    from scorelm.errors import ScorelmError
    from scorelm.files import kind_of, temporary
    from scorelm.notation.writer import write

    path = Path(name) if name != "-" else temporary("stdin" + kind_of(data), data)
    found = load_all(path)
    if len(found) != 1:
        raise ScorelmError(f"{name}: holds {len(found)} scores")
    score, title, _ = found[0]
    return write(score), title


def check(options: argparse.Namespace) -> int:
    from scorelm.check import check as round_trip
    from scorelm.dataset import gather
    from scorelm.errors import ScorelmError

    kept = changed = failed = 0
    for work in gather(options.files, extra=True):
        try:
            for score in round_trip(work.path, options.profile, work.source):
                say(score, options.profile)
                kept += not score.changed
                changed += bool(score.changed)
        except ScorelmError as error:
            print(f"{work.source}: {error}", file=sys.stderr)
            failed += 1
    if kept + changed + failed > 1:
        print(f"{kept} scores lose nothing, {changed} change, {failed} cannot be read")
    return 2 if failed else 1 if changed else 0


def say(score: Checked, profile: str) -> None:
    for notice in score.odd[:MOST_NOTICES]:
        print(f"{score.name}: in the source: {notice}")
    if len(score.odd) > MOST_NOTICES:
        print(f"{score.name}: in the source: {len(score.odd) - MOST_NOTICES} more of the kind")
    for difference in score.changed:
        print(f"{score.name}: {difference}")
    if not score.changed:
        print(f"{score.name}: nothing is lost of {score.total} notes and rests")
    if score.left_out:
        print(f"{score.name}: the profile {profile} leaves out {', '.join(score.left_out)}")


if __name__ == "__main__":
    sys.exit(main())
