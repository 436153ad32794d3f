"""Read pictures of scores: images and PDFs, one page behind the other -> one score.

python -m vlm.read page1.png page2.png -o score.musicxml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scorelm import cli
from vlm.student.config import StudentConfig

SHIPPED = Path(__file__).parent / "models" / "reader"
# what python -m vlm.distill wrote in the working folder, else the reader that ships
TRAINED = StudentConfig.output_dir if Path(StudentConfig.output_dir).is_dir() else str(SHIPPED)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m vlm.read", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("pictures", nargs="+", metavar="PICTURE", help=".png, .jpg ... or .pdf")
    out.add_argument("-m", "--model", metavar="DIR", default=TRAINED, help=f"default: {TRAINED}")
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
    from vlm.student.whole import answer, read_score, spoken

    reader = Transcriber(options.model)
    systems = [system for picture in (pictures[:1] if options.ask else pictures) for system in strips(picture)]
    if not systems:
        raise SourceError(f"{options.pictures[0]}: no staff was found")
    if options.ask:
        print(answer(reader, systems, options.ask))
        return 0
    reading = read_score(reader, systems)
    for line in spoken(reading.looks):
        say(line)
    if options.output:
        from scorelm import save

        say(str(save(reading.text, options.output)))
    else:
        sys.stdout.write(reading.text)
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
