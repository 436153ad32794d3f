"""Read pictures of scores: images and PDFs, one page behind the other -> one score.

python -m vlm.read page1.png page2.png -o score.musicxml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scorelm import cli

TRAINED = Path("score-reader")  # what python -m vlm.distill writes in the working folder


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m vlm.read", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("pictures", nargs="+", metavar="PICTURE", help=".png, .jpg ... or .pdf")
    out.add_argument("-m", "--model", metavar="DIR", default=str(TRAINED), help=f"default: {TRAINED}")
    out.add_argument("-o", "--output", metavar="FILE", help=".musicxml, .mxl, .mid, .svg, .png, .pdf, .abc or .sclm")
    out.add_argument("--ask", metavar="QUESTION", help="answer a question on the first picture, in words")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("vlm.read", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    from vlm.reading.picture import open_pictures

    pictures = [page for path in options.pictures for page in open_pictures(path)]
    from scorelm.errors import SourceError
    from vlm.reading.staves import strips
    from vlm.student.transcribe import Transcriber

    reader = Transcriber(options.model)
    systems = [system for picture in (pictures[:1] if options.ask else pictures) for system in strips(picture)]
    if not systems:
        raise SourceError(f"{options.pictures[0]}: no staff was found")
    if options.ask:
        print(reader.answer([strip for system in systems for strip in system], options.ask))
        return 0
    text = transcribe(reader, systems)
    if options.output:
        from scorelm import save

        print(save(text, options.output), file=sys.stderr)
    else:
        sys.stdout.write(text)
    return 0


def transcribe(reader: object, systems: Sequence[Sequence[object]]) -> str:
    """The text of a score whose systems are given as strips; what is doubtful is said on stderr."""
    from scorelm.notation.reader import parse
    from scorelm.notation.writer import write
    from vlm.reading.staff_texts import behind, together

    found = []
    for number, system in enumerate(systems, 1):
        read = reader.staves(system)  # type: ignore[attr-defined]
        score, doubts = together([parse(one.text) for one in read])
        for doubt in doubts:
            say(f"system {number}, measure {doubt.measure}, staff {doubt.staff}: {doubt.why}")
        for staff, one in enumerate(read, 1):
            if not one.whole:
                say(f"system {number}, staff {staff}: cut off after {len(one.sure)} measures")
            if one.doubtful:
                say(f"system {number}, staff {staff}: look at measure {', '.join(map(str, one.doubtful))}")
        found.append(score)
    return write(behind(found))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
