"""The pictures that are shipped to judge a reader by at once: vlm/examples/, of chorales that no training saw.

    python -m vlm.evaluation.examples --scores dataset

makes them anew of the pieces of the test split in a folder of generate_data.py. ``records.jsonl`` has a line for each
record, which names its picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from scorelm import cli
from scorelm.errors import ScorelmError, SourceError
from scorelm.files import write_atomically
from vlm.data.record import ALIGNMENT, CLEAN, PHASES, WORN, Record

if TYPE_CHECKING:
    from vlm.data.pieces import Piece

FOLDER = Path(__file__).parents[1] / "examples"
RECORDS = "records.jsonl"
MOST_BYTES = 120_000  # of one picture
WANTED = {  # by engraver and task (or phase, where a question is asked): so many clean ones, and worn ones
    ("verovio", "staff"): (3, 3), ("verovio", "system"): (4, 4), ("verovio", "page"): (1, 0),
    ("musescore", "excerpt"): (1, 1), ("lilypond", "excerpt"): (1, 1),
    ("verovio", "extraction"): (2, 2), ("verovio", "analysis"): (2, 2),
}  # fmt: skip


def read_examples(folder: Path = FOLDER) -> list[Record]:
    """The records of a folder. SourceError where it holds none."""
    try:
        lines = (folder / RECORDS).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [Record(**{**row, "image": (folder / row["image"]).read_bytes()}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{folder}: holds no examples: {error}") from None


def write_examples(records: Sequence[Record], folder: Path) -> None:
    """Write records, their pictures beside them. A picture that several have is written once."""
    names: dict[bytes, str] = {}
    lines = []
    for record in records:
        if record.image not in names:
            names[record.image] = f"{len(names) + 1:02}-{record.engraver}-{record.condition}.png"
            write_atomically(folder / names[record.image], record.image)
        lines.append(json.dumps({**asdict(record), "image": names[record.image]}, ensure_ascii=False))
    write_atomically(folder / RECORDS, "\n".join(lines) + "\n")


def choose(pieces: Sequence[Piece], seed: int = 0) -> list[Record]:
    """As many records as WANTED says, of each piece one a round."""
    from vlm.data import engravers
    from vlm.data.config import DataConfig
    from vlm.data.rendered import engraving

    out: list[Record] = []
    for engraver in dict.fromkeys(name for name, _ in WANTED):
        if not engravers.installed(engraver):
            raise ScorelmError(f"{engraver} is not installed")
        left = Counter({
            (task, condition): count
            for (name, task), counts in WANTED.items() if name == engraver
            for condition, count in zip((CLEAN, WORN), counts)
        })  # fmt: skip
        config = DataConfig(engravers={engraver: 1.0}, staff_px=20.0, worn=0.5, seed=seed)
        for piece in pieces:
            if not left.total():
                break
            for record in engraving(piece, config):
                kind = (record.task if record.phase == ALIGNMENT else record.phase, record.condition)
                if left[kind] > 0 and len(record.image) <= MOST_BYTES:
                    left[kind] -= 1
                    out.append(record)
                    break
    return sorted(out, key=lambda record: PHASES.index(record.phase))


def _spread(folder: Path) -> Iterator[Piece]:
    """The pieces of the test split, far ones behind each other."""
    from vlm.data.pieces import Pieces

    pieces = Pieces(folder, "test")
    for start in range(5):
        for number in range(start, len(pieces), 5):
            yield pieces[number]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m vlm.evaluation.examples", description=__doc__)
    parser.add_argument("--scores", default="dataset", metavar="DIR", help="of generate_data.py; default: dataset")
    parser.add_argument("-o", "--output", default=str(FOLDER), metavar="DIR", help="default: vlm/examples")
    options = parser.parse_args(argv)

    def body() -> int:
        folder = Path(options.output)
        pieces = list(_spread(Path(options.scores)))
        if not pieces:
            raise SourceError(f"{options.scores}: holds no scores of test; generate_data.py makes them")
        records = choose(pieces)
        for old in folder.glob("*.png"):
            old.unlink()
        write_examples(records, folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder}: {len(records)} records, {size} bytes")
        return 0

    return cli.run("vlm.evaluation.examples", body)


if __name__ == "__main__":
    sys.exit(main())
