"""The settings of ``python -m vlm.make_data``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scorelm.errors import ConfigError

SOURCES = ("rendered", "nota")
ENGRAVERS = {"verovio": 0.9, "musescore": 0.08, "lilypond": 0.02}


@dataclass(frozen=True)
class DataConfig:
    """What is made, of what and how. Counts are of one engraving of one piece."""

    source: str = "rendered"  # "rendered" from scores, or "nota"
    output_dir: str = "vlm_dataset"
    seed: int = 1
    workers: int = 1  # processes

    scores: str = "dataset"  # a folder of generate_data.py, or what that takes, several with commas between
    licence: str = ""  # of these scores; Bach's chorales are in the public domain
    epochs: int = 1  # engravings of each piece of train, each in another key and look; the other splits have one
    profile: str = "core"  # of the answers
    transpose: bool = True  # pieces of train to any key
    varied: float = 0.0  # share of the engravings of train in other names, note values, clefs ... than the pieces have
    engravers: dict[str, Any] | None = (
        None  # share of each: verovio, musescore, lilypond; null: 0.9, 0.08, 0.02 of those installed
    )
    staves: int = 4  # single staves, at most
    systems: int = 4
    pages: int = 1
    fields: int = 2  # questions for fields, answered by JSON
    questions: int = 2  # on the music, answered in words
    staff_px: float = 16.0  # height of a staff
    staff_px_spread: float = 0.15  # of that height, either way
    worn: float = 0.6  # share of pictures that are not clean
    wear: float = 0.8  # how much these are worn: 0 none, 1 a poor copy
    shard: int = 16  # engravings a file
    timeout_s: float = 600.0  # for the engravings of one file; 0: none

    nota: str = "MYTH-Lab/NOTA-dataset"  # on the hub, or a folder
    nota_config: str | None = None
    nota_images: str = "NOTA/images"  # folder of the unzipped images
    nota_alignment: str = "train_alignment"  # split of each phase; "" for none
    nota_extraction: str = "train_IE"
    nota_analysis: str = "train_analysis"
    nota_test: str = "test_analysis"
    nota_image_field: str = "image"
    nota_text_field: str = "transcription"  # ABC of the picture
    nota_prompt_field: str = "prompt"
    nota_answer_field: str = "answer"
    nota_alignment_size: int = 15000  # rows drawn by the seed; 0: all
    nota_extraction_size: int = 5000
    nota_analysis_size: int = 5000
    nota_test_size: int = 0
    nota_licence: str = "see the dataset's card"

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ConfigError(f"source is {' or '.join(SOURCES)}, not {self.source!r}")
        for name in "workers epochs staff_px shard".split():
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in (
            "staves systems pages fields questions timeout_s wear "
            "nota_alignment_size nota_extraction_size nota_analysis_size nota_test_size"
        ).split():
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("worn", "staff_px_spread", "varied"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        self.shares()

    def shares(self) -> dict[str, float]:
        """The share of each engraver, together 1. Raises ConfigError."""
        given = ENGRAVERS if self.engravers is None else self.engravers
        unknown = [name for name in given if name not in ENGRAVERS]
        if unknown:
            raise ConfigError(f"engravers are {', '.join(ENGRAVERS)}, not {unknown[0]!r}")
        values = [given[name] for name in given]
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) or v < 0 for v in values) or not sum(values):
            raise ConfigError("engravers: a share is a number from 0, and one is above it")
        return {name: given[name] / sum(values) for name in given if given[name]}
