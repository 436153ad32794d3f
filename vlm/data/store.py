"""Records on disk: ``output_dir/{train,validation,test}/00000.parquet ...``, made by several processes, resumed.

A file holds the records of a few engravings; it is written whole, so a job that was stopped goes on with the first
file that is missing. What is in it depends on the settings and the pieces alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorelm import processes
from scorelm.dataset import SPLITS
from scorelm.errors import ConfigError, ScorelmError
from scorelm.files import write_atomically
from vlm.data.config import DataConfig
from vlm.data.pieces import Pieces, texts_of
from vlm.data.record import Record, read_records, write_records

JOB = "made_with.json"  # the settings of the records in a folder


@dataclass
class Report:
    """How many records there are of each split, phase and task, and what could not be made, by cause."""

    records: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        for (split, phase, task), count in sorted(self.records.items()):
            yield f"{split}\t{phase}\t{task}\t{count}"
        for cause, count in self.refused.most_common():
            yield f"refused\t{cause}\t{count}"


def make(config: DataConfig) -> Report:
    """Make all records; see the module. Raises ScorelmError where a process cannot do its work."""
    folder = Path(config.output_dir)
    texts = texts_of(config) if config.source == "rendered" else Path()
    _same_job(folder, config, texts)
    tasks = list(_tasks(config, texts))
    missing = [task for task in tasks if not _path(task).is_file()]
    if len(missing) < len(tasks):
        print(f"going on behind {len(tasks) - len(missing)} of {len(tasks)} files", file=sys.stderr)
    from tqdm import tqdm

    if config.workers > 1:
        answers = processes.each(make_file, missing, config.workers, config.timeout_s)
    else:
        answers = ((make_file(task), "") for task in missing)
    with tqdm(total=len(tasks), initial=len(tasks) - len(missing), unit="file", file=sys.stderr, disable=None) as bar:
        for task, (_, reason) in zip(missing, answers, strict=True):
            if reason:
                raise ScorelmError(f"{_path(task)}: {reason}")
            bar.update()
    report = Report()
    for path in map(_path, tasks):
        for record in read_records(path):
            report.records[record.split, record.phase, record.task] += 1
        report.refused.update(json.loads(_beside(path).read_text(encoding="utf-8")))
    return report


@dataclass(frozen=True)
class Task:
    """One file: some engravings of a split, each an epoch and a piece's number."""

    config: DataConfig
    texts: Path
    split: str
    number: int
    units: tuple[tuple[int, int], ...]


def make_file(task: Task) -> int:
    """Write a file of records, and beside it how many engravings were refused, by cause; returns its records."""
    refused: Counter[str] = Counter()
    count = write_records(_path(task), list(records_of(task, refused)))
    write_atomically(_beside(_path(task)), json.dumps(dict(refused)))
    return count


def records_of(task: Task, refused: Counter[str]) -> Iterator[Record]:
    """The records of a task; what cannot be made is counted by its cause."""
    if task.config.source == "nota":
        from vlm.data import nota

        yield from nota.records(task.config, task.split, [number for _, number in task.units], refused)
        return
    from vlm.data.rendered import engraving

    pieces = Pieces(task.texts, task.split, task.config.licence)
    for epoch, number in task.units:
        try:
            yield from engraving(pieces[number], task.config, epoch)
        except ScorelmError as error:
            refused[_cause(error)] += 1


def _cause(error: Exception) -> str:
    """The kind of an error, without the numbers of the one case."""
    words = " ".join(str(error).split())[:120]
    return "".join("N" if character.isdigit() else character for character in words)


def _tasks(config: DataConfig, texts: Path) -> Iterator[Task]:
    for split in SPLITS:
        if config.source == "nota":
            from vlm.data import nota

            units: Iterable[tuple[int, int]] = [(0, number) for number in range(nota.count(config, split))]
        else:
            epochs = config.epochs if split == "train" else 1
            count = len(Pieces(texts, split))
            units = [(epoch, number) for epoch in range(epochs) for number in range(count)]
        units = list(units)
        for number, start in enumerate(range(0, len(units), config.shard)):
            yield Task(config, texts, split, number, tuple(units[start : start + config.shard]))


def _path(task: Task) -> Path:
    return Path(task.config.output_dir, task.split, f"{task.number:05}.parquet")


def _beside(path: Path) -> Path:
    return path.with_suffix(".refused.json")


def _same_job(folder: Path, config: DataConfig, texts: Path) -> None:
    """Refuse to mix records of other settings or other texts into a folder."""
    job: dict[str, Any] = dataclasses.asdict(config)
    for name in ("workers", "timeout_s", "output_dir"):
        del job[name]
    if config.source == "rendered":
        content = hashlib.sha256()
        for split in SPLITS:
            path = texts / f"{split}.jsonl"
            content.update(path.read_bytes() if path.is_file() else b"")
        job["texts"] = content.hexdigest()
    said = json.dumps(job, indent=2, sort_keys=True)
    file = folder / JOB
    if file.is_file() and file.read_text(encoding="utf-8") != said:
        raise ConfigError(f"{folder}: holds records of other settings or scores ({JOB}); name another output_dir")
    if not file.is_file():
        write_atomically(file, said)
