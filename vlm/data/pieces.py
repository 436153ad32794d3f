"""The pieces to be rendered: rows of a dataset of score text, read when they are needed."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from pathlib import Path

from scorelm import dataset
from scorelm.errors import ConfigError
from vlm.data.config import DataConfig

SCORES = "scores"  # the folder of texts beside the records made of them


@dataclass(frozen=True)
class Piece:
    """A score's text and what is known of it. ``split`` is its own: all that is made of it goes there."""

    text: str
    source: str
    split: str
    title: str = ""
    composer: str = ""
    licence: str = ""


class Pieces:
    """The pieces of a split, by their number, read from disk one by one."""

    def __init__(self, folder: Path, split: str, licence: str = "") -> None:
        self.path = folder / f"{split}.jsonl"
        self.split = split
        self.licence = licence
        self.places = array("q")
        if self.path.is_file():
            with self.path.open("rb") as file:
                at = 0
                for line in file:
                    if line.strip():
                        self.places.append(at)
                    at += len(line)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Piece:
        with self.path.open("rb") as file:
            file.seek(self.places[number])
            line = file.readline()
        try:
            row = json.loads(line)
            source = str(row["source"])
            title = str(row.get("title") or "")
            if title.lower() in (source.lower(), Path(source).name.lower()):
                title = ""  # a file's name
            return Piece(
                str(row["text"]), source, self.split, title, str(row.get("composer") or ""),
                "public domain" if source.startswith("bach/") else self.licence,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{self.path}: piece {number + 1} is no row with text and source") from None


def texts_of(config: DataConfig) -> Path:
    """The folder of texts: the one that ``scores`` names, or a new one that scorelm makes of the scores named.

    Raises SourceError where there is nothing of that name.
    """
    names = [name.strip() for name in config.scores.split(",") if name.strip()]
    if len(names) == 1 and any(Path(names[0], f"{split}.jsonl").is_file() for split in dataset.SPLITS):
        return Path(names[0])
    if not names:
        raise ConfigError("scores names nothing: give files, folders, works, or a folder of generate_data.py")
    folder = Path(config.output_dir, SCORES)
    key = folder / "made_of.txt"
    if not key.is_file() or key.read_text(encoding="utf-8") != config.scores:
        dataset.make(dataset.gather(names), folder, "full", workers=1, file_timeout_s=config.timeout_s)
        key.write_text(config.scores, encoding="utf-8")
    return folder
