"""NOTA (Tang et al., 2025): pictures of scores with ABC, questions and answers, three phases.

Its Parquet holds words and the names of images; these come from the folder that its split zip was unpacked to. Names of
splits and fields are settings, for the hub says only some of them; what is there is named where one does not fit.
ABC becomes score text; what cannot be is counted.
"""

from __future__ import annotations

import functools
import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scorelm.errors import ConfigError, ScorelmError
from scorelm.notation.model import Score
from scorelm.notation.writer import write
from vlm.data.config import DataConfig
from vlm.data.facts import View, fields_of
from vlm.data.prompts import transcribe
from vlm.data.record import ALIGNMENT, ANALYSIS, EXTRACTION, Record
from vlm.data.visible import Shown, prepare, visible

_ABC = re.compile(r"^K:", re.MULTILINE)


def records(config: DataConfig, split: str, numbers: Sequence[int], refused: Counter[str]) -> Iterator[Record]:
    """The records of some rows of a split ("train" or "test"); what cannot be used is counted by its cause."""
    for number in numbers:
        phase, row, place = _row(config, split, number)
        try:
            yield record(config, phase, row, f"nota/{place}", split)
        except ScorelmError as error:
            refused[str(error).split(":")[0]] += 1


def record(config: DataConfig, phase: str, row: dict[str, Any], source: str, split: str) -> Record:
    """A row as a record. Raises ScorelmError with the cause before its first colon."""
    abc = str(row.get(config.nota_text_field) or "")
    asked, answer = (str(row.get(name) or "") for name in (config.nota_prompt_field, config.nota_answer_field))
    if not abc and _ABC.search(answer):
        abc = answer
    score = score_of(abc) if abc else None
    text = write(score) if score else ""
    if phase == ALIGNMENT:
        if not text:
            raise ScorelmError("no ABC in the row")
        rng = np.random.default_rng([config.seed, len(text)])
        asked, answer = transcribe("excerpt", rng), text
    elif _ABC.search(answer):
        answer = write(score_of(answer))
    if not asked or not answer:
        raise ScorelmError("no prompt or no answer in the row")
    facts = fields_of(View(score)) if score else {}
    picture = _image(config, row.get(config.nota_image_field))
    return Record(
        picture, asked, answer, phase, "excerpt" if phase == ALIGNMENT else phase, source, split,
        config.nota_licence, text, json.dumps(facts, ensure_ascii=False),
    )  # fmt: skip


def score_of(abc: str) -> Score:
    """What a picture of this ABC shows."""
    from scorelm.api import load_all

    if not re.match(r"\s*X:", abc):
        abc = f"X:1\n{abc.lstrip()}"
    with tempfile.TemporaryDirectory(prefix="scorelm-") as folder:
        path = Path(folder, "tune.abc")
        path.write_text(abc, encoding="utf-8")
        try:
            score = load_all(path)[0][0]
        except ScorelmError as error:
            raise ScorelmError(f"ABC that cannot be read: {error}") from None
    if not score.measures:
        raise ScorelmError("ABC without music")
    prepared = prepare(score)
    names = tuple(part.name for part in prepared.parts)
    return visible(prepared, Shown(0, len(prepared.measures) - 1, names))


def count(config: DataConfig, split: str) -> int:
    """How many rows are used in a split."""
    return sum(len(order) for _, _, order in _chosen(config, split))


def _row(config: DataConfig, split: str, number: int) -> tuple[str, dict[str, Any], str]:
    for phase, rows, order in _chosen(config, split):
        if number < len(order):
            at = int(order[number])
            return phase, rows[at], f"{phase}/{at}"
        number -= len(order)
    raise ConfigError(f"NOTA has no such row of {split}")


def _chosen(config: DataConfig, split: str) -> list[tuple[str, Any, np.ndarray]]:
    """(phase, rows, which of them) of a split; drawn by the seed."""
    return _choose(replace(config, engravers=None), split)  # a dict cannot be a key of the cache


@functools.lru_cache(maxsize=8)
def _choose(config: DataConfig, split: str) -> list[tuple[str, Any, np.ndarray]]:
    if split == "test":
        wanted = [(ANALYSIS, config.nota_test, config.nota_test_size)]
    elif split == "train":
        wanted = [
            (ALIGNMENT, config.nota_alignment, config.nota_alignment_size),
            (EXTRACTION, config.nota_extraction, config.nota_extraction_size),
            (ANALYSIS, config.nota_analysis, config.nota_analysis_size),
        ]
    else:
        wanted = []
    out = []
    for phase, name, size in wanted:
        if not name:
            continue
        rows = _load(config, name, phase)
        order = np.random.default_rng(config.seed).permutation(len(rows))
        out.append((phase, rows, order[:size] if size else order))
    return out


def _load(config: DataConfig, split: str, phase: str) -> Any:
    """The rows of one of NOTA's splits. ConfigError that lists what is there where a name does not fit."""
    import datasets

    datasets.disable_progress_bars()
    try:
        there = datasets.get_dataset_split_names(config.nota, config.nota_config)
        if split not in there:
            raise ConfigError(f"{config.nota} has no split {split!r}; it has {', '.join(there)}")
        rows = datasets.load_dataset(config.nota, config.nota_config, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ConfigError(f"{config.nota}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    needed = {"nota_image_field": config.nota_image_field}
    if phase != ALIGNMENT:
        needed |= {"nota_prompt_field": config.nota_prompt_field, "nota_answer_field": config.nota_answer_field}
    elif config.nota_text_field not in rows.column_names:
        needed |= {"nota_text_field or nota_answer_field": config.nota_answer_field}
    for setting, name in needed.items():
        if name not in rows.column_names:
            raise ConfigError(
                f"{config.nota}, {split}: has no field {name!r} ({setting}); it has {', '.join(rows.column_names)}"
            )
    return rows


def _image(config: DataConfig, found: Any) -> bytes:
    """A picture by its name in the folder of images (or inside the row) as PNG."""
    from PIL import Image

    if isinstance(found, Image.Image):
        picture = found
    else:
        name = str(found or "")
        path = Path(config.nota_images, name)
        if not name or not path.is_file():
            path = Path(config.nota_images, Path(name).name)
        if not name or not path.is_file():
            raise ScorelmError(f"no image of that name in nota_images: {name}")
        try:
            picture = Image.open(path)
            picture.load()
        except OSError as error:
            raise ScorelmError(f"an image that cannot be read: {error}") from None
    out = io.BytesIO()
    picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB").save(out, "PNG")
    return out.getvalue()
