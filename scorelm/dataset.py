"""Scores -> a dataset of score text: one JSON line a score, in train, validation and test.

row = {text, source, title, composer, parts, measures, notes, quarters}
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import hashlib
import json
import math
import os
import random
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from scorelm import __version__, processes, remote
from scorelm.api import load_all
from scorelm.errors import ConfigError, ScorelmError, SourceError
from scorelm.notation import doubling
from scorelm.notation.lexemes import cut
from scorelm.notation.model import Score, chords
from scorelm.notation.reader import parse
from scorelm.notation.transform import strip
from scorelm.notation.writer import write

Result = tuple[list[dict[str, Any]], str]  # the rows of a file, or the reason why there are none
Read = Callable[[Sequence["Work"], str], Generator[Result, None, None]]  # works, profile -> a result each, in order
SPLITS = ("train", "validation", "test")
BESIDE = ("failed", "notices")  # written where there is anything to say
SCORE_ENDINGS = (
    ".musicxml",
    ".xml",
    ".mxl",
    ".abc",
    ".krn",
    ".mid",
    ".midi",
    ".sclm",
    ".mei",
    ".tk",
    ".rntxt",
    ".nwctxt",
)


@dataclass(frozen=True)
class Work:
    """A file to read. ``source``: how the dataset names it; ``split``: where it goes, None to be decided.

    path: of a local file, or the URL of another, whose ``state`` changes when it does
    """

    path: Path | str
    source: str
    split: str | None = None
    state: str = ""


@dataclass
class Report:
    """What was written and what could not be."""

    works: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    notes: int = 0
    quarters: float = 0.0
    lexemes: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    noticed: list[dict[str, Any]] = field(default_factory=list)


def chorales(extra: bool = False) -> list[Work]:
    """Bach's chorales in music21's corpus, split as published figures split them.

    extra: also those that no split holds, to train on
    """
    from scorelm.music21_bridge import corpus_root

    root = corpus_root()
    out = []
    table = resources.files("scorelm").joinpath("data/jsb_split.tsv").read_text(encoding="utf-8")
    for line in table.splitlines()[1:]:
        source, split = line.split("\t")[:2]
        split = {"valid": "validation", "extra": "train" if extra else ""}.get(split, split)
        if split:
            out.append(Work(root / source, source, split))
    return out


def gather(names: Sequence[str], extra: bool = False) -> list[Work]:
    """The works of files, folders, globs (local ones, or URLs of these), names of music21's corpus (works, composers).

    A chorale keeps the split that it has.
    """
    from scorelm import music21_bridge

    known = {work.path: work for work in chorales(extra)}
    held_back = {work.path for work in chorales(True)} - known.keys()
    out: dict[Path | str, Work] = {}
    for name in names:
        if remote.is_url(name):
            for url, source, state in remote.find(name, SCORE_ENDINGS):
                out.setdefault(url, Work(url, source, state=state))
            continue
        name = remote.local(name)
        path = Path(name)
        if path.is_dir():
            found = [(p, p.relative_to(path).as_posix()) for p in sorted(path.rglob("*")) if _is_score(p)]
        elif path.is_file():
            found = [(path, path.name)]
        elif matched := sorted(glob.glob(name, recursive=True)):
            found = [(Path(p), p) for p in matched if Path(p).is_file()]
        else:
            root = music21_bridge.corpus_root()
            one = music21_bridge.corpus_path(name)
            files = [one] if one else music21_bridge.corpus_works(name)
            found = [(p, p.relative_to(root).as_posix()) for p in files]
        if not found and path.is_dir():
            raise SourceError(f"{name}: holds no scores")
        if not found:
            raise SourceError(f"{name}: no such file or folder, nor a work or composer of music21's corpus")
        for file, source in found:
            if file not in held_back:
                out.setdefault(file, known.get(file, Work(file, source)))
    return list(out.values())


def _is_score(path: Path) -> bool:
    return path.suffix.lower() in SCORE_ENDINGS and path.is_file() and not path.name.startswith(".")


def rows(work: Work, profile: str) -> list[dict[str, Any]]:
    """The dataset's rows of one file: one, or one for each tune of a tune book."""
    said: list[str] = []
    scores = load_all(work.path, said.append)
    out = []
    for number, (score, title, composer) in enumerate(scores, 1):
        kept = strip(score, profile)
        source = work.source if len(scores) == 1 else f"{work.source}#{number}"
        out.append({"text": write(kept), "source": source, "title": title, "composer": composer, **counts(kept)})
    if said and out:
        out[0]["notices"] = said  # which ``make`` writes to a file of their own
    return out


def read_rows(folder: str | Path, split: str) -> list[dict[str, Any]]:
    """The rows of ``folder/split.jsonl``. ConfigError where it is missing or broken."""
    path = Path(folder) / f"{split}.jsonl"
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; make the dataset with: python generate_data.py")
    out = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                out.append({**row, "text": str(row["text"]), "quarters": float(row["quarters"])})
            except (ValueError, KeyError, TypeError):
                raise ConfigError(f"{path}: line {number} is no row with text and quarters") from None
    if not out:
        raise ConfigError(f"{path}: is empty")
    return out


def counts(score: Score) -> dict[str, Any]:
    """parts, measures, notes (heads written, tied ones too), quarters (repeats not played)."""
    quarters = score.quarters
    return {
        "parts": len(score.parts),
        "measures": len(score.measures),
        "notes": sum(len(chord.notes) for chord in chords(score)),
        "quarters": int(quarters) if quarters.denominator == 1 else float(quarters),
    }


def split_of(work: Work, validation: float, test: float) -> str:
    """Where a work goes: as it is known to, or by its name, always the same."""
    if work.split is not None:
        return work.split
    place = int(hashlib.sha256(work.source.encode()).hexdigest()[:12], 16) / 16**12
    return "test" if place < test else "validation" if place < test + validation else "train"


def assign(works: Sequence[Work], validation: float, test: float) -> list[str]:
    """The split of each work; of two works or more, one is always there to validate."""
    splits = [split_of(work, validation, test) for work in works]
    if validation > 0 and len(works) > 1 and splits and "validation" not in splits:
        free = [i for i, work in enumerate(works) if work.split is None]
        if free:
            splits[min(free, key=lambda i: hashlib.sha256(works[i].source.encode()).hexdigest())] = "validation"
    if "train" not in splits and any(work.split is None for work in works):
        free = [i for i, work in enumerate(works) if work.split is None]
        splits[free[-1]] = "train"
    return splits


def make(
    works: Sequence[Work],
    folder: str | Path,
    profile: str = "core",
    workers: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    file_timeout_s: float = 0.0,
    read: Read | None = None,
    doubled: float = 0.0,
) -> Report:
    """Write ``folder/{train,validation,test}.jsonl``, and ``failed.jsonl`` for what could not be read.

    folder: a local one, or the URL of another
    workers: processes; 0 to read in this one, where a file that kills its process or hangs is not survived
    file_timeout_s: a file that takes longer is given up; 0 for no limit
    read: another way to read the works, in order, instead of workers
    doubled: how many times each training text stands there once more, with instruments that play with its voices

    ``notices.jsonl`` names what was guessed and left out of MIDI, ABC and Humdrum.

    The bytes depend on the works alone, not on the number of workers. The files change all at once, at the end.
    What was read is kept in a journal until then: the same job, stopped and started again, goes on where it was.
    """
    if read is None:
        read = functools.partial(read_here, workers=workers, file_timeout_s=file_timeout_s)
    if remote.is_url(folder):
        url, job = str(folder), _fingerprint(works, profile)
        with tempfile.TemporaryDirectory(prefix="scorelm-") as staging:
            shards = remote.Shards(url, job)
            report, new = _make(works, shards, Path(staging), profile, validation, test, read, doubled)
            remote.publish(url, job, new, gone=[f"{name}.jsonl" for name in BESIDE if f"{name}.jsonl" not in new])
        return report
    folder = Path(remote.local(str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / ".unfinished.jsonl", works, profile)
    report, new = _make(works, journal, folder, profile, validation, test, read, doubled)
    for name, path in new.items():
        os.replace(path, folder / name)
    for name in (f"{name}.jsonl" for name in BESIDE):
        if name not in new:
            (folder / name).unlink(missing_ok=True)
    journal.path.unlink()
    return report


def _make(
    works: Sequence[Work],
    journal: Journal | remote.Shards,
    folder: Path,
    profile: str,
    validation: float,
    test: float,
    read: Read,
    doubled: float,
) -> tuple[Report, dict[str, Path]]:
    """Fill the journal, then write what is in it; returns the new files, under temporary names, by their names."""
    if journal.done:
        print(f"going on behind {journal.done} of {len(works)} files that were read before", file=sys.stderr)
    rest = works[journal.done :]
    with journal, contextlib.closing(read(rest, profile)) as results:
        for result in _watched(results, rest, len(works)):
            journal.add(result)
    report = Report()
    new = {f"{name}.jsonl": folder / f".{name}.jsonl.new" for name in (*SPLITS, *BESIDE)}
    with contextlib.ExitStack() as stack:
        files = {
            name.removesuffix(".jsonl"): stack.enter_context(path.open("w", encoding="utf-8"))
            for name, path in new.items()
        }
        splits = assign(works, validation, test)
        for work, split, (found, reason) in zip(works, splits, journal.results(), strict=True):
            if reason:
                report.failed.append({"source": work.source, "reason": reason})
                files["failed"].write(json.dumps(report.failed[-1], ensure_ascii=False) + "\n")
            for row in found:
                if "notices" in row:
                    report.noticed.append({"source": work.source, "notices": row.pop("notices")})
                    files["notices"].write(json.dumps(report.noticed[-1], ensure_ascii=False) + "\n")
                for written in (row, *(_doubled(row, doubled) if split == "train" and doubled else ())):
                    files[split].write(json.dumps(written, ensure_ascii=False) + "\n")
                    report.works[split] += 1
                    report.notes += written["notes"]
                    report.quarters += written["quarters"]
                    report.lexemes += len(cut(written["text"]))
    for name, lines in (("failed", report.failed), ("notices", report.noticed)):
        if not lines:
            new.pop(f"{name}.jsonl").unlink()
    return report, new


def _doubled(row: dict[str, Any], times: float) -> list[dict[str, Any]]:
    """So many rows more, of its music with instruments that play with the voices, other ones in each; its source is the
    seed. Of a part of one, chance tells whether it is there."""
    out = []
    for number in range(math.ceil(times)):
        chance = random.Random(f"{row['source']} {number}" if number else row["source"])
        if chance.random() < times - number and (score := doubling.doubled(parse(row["text"]), chance)):
            out.append({**row, "text": write(score), **counts(score)})
    return out


class Journal:
    """The results of a job so far, a line a file in the order of the works, behind a line that tells the job apart."""

    def __init__(self, path: Path, works: Sequence[Work], profile: str) -> None:
        self.path = path
        self.head = _fingerprint(works, profile) + "\n"
        self.done = 0
        length = 0
        if path.is_file():
            with path.open("rb") as file:
                if file.readline() == self.head.encode():
                    length = file.tell()
                    while file.readline().endswith(b"\n"):
                        self.done += 1
                        length = file.tell()
        with path.open("ab") as file:  # a line that was half written when the job was stopped is read again
            file.truncate(length)
            if not length:
                file.write(self.head.encode())

    def __enter__(self) -> Journal:
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        self._file.write(json.dumps(result, ensure_ascii=False) + "\n")
        self._file.flush()

    def results(self) -> Iterator[Result]:
        with self.path.open(encoding="utf-8") as file:
            file.readline()
            for line in file:
                found, reason = json.loads(line)
                yield found, reason


def _fingerprint(works: Sequence[Work], profile: str) -> str:
    """Tells whether a job is the same: its files as they are, its profile, the version of scorelm."""
    out = hashlib.sha256(f"{__version__}\0{profile}".encode())
    for work in works:
        state = work.state
        if isinstance(work.path, Path):
            try:
                status = work.path.stat()
                state = f"{status.st_size} {status.st_mtime_ns}"
            except OSError:
                state = "missing"
        out.update(f"\0{work.path}\0{work.source}\0{state}".encode("utf-8", "surrogateescape"))
    return out.hexdigest()


def _watched(results: Iterable[Result], works: Sequence[Work], total: int) -> Iterator[Result]:
    """The results of the works, in order, as they come; progress on stderr.

    total: of the whole job, whose first part was read before
    """
    from tqdm import tqdm

    progress = tqdm(
        total=total, initial=total - len(works), unit="score", file=sys.stderr, disable=None, mininterval=0.5
    )
    with progress:
        for work, result in zip(works, results, strict=True):
            if result[1]:
                print(f"\r{work.source}: {result[1]}", file=sys.stderr)
            yield result
            progress.update()


def read_here(
    works: Sequence[Work], profile: str, workers: int = 1, file_timeout_s: float = 0.0
) -> Generator[Result, None, None]:
    """The rows of each work in order, or the reason why there are none, by processes of this machine; see ``make``."""
    tasks = ((work, profile) for work in works)
    if workers < 1:
        yield from map(read_one, tasks)
        return
    for result, reason in processes.each(read_one, tasks, workers, file_timeout_s):
        yield ([], reason) if reason else result


def read_one(task: tuple[Work, str]) -> Result:
    """The rows of a work in a profile, or the reason why there are none: it does not name the place of the file."""
    work, profile = task
    path = work.path
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(path, str):
                path = stack.enter_context(remote.as_file(remote.fetch(path), path))
            return rows(dataclasses.replace(work, path=path), profile), ""
    except (ScorelmError, RecursionError, MemoryError, UnicodeError, OSError) as error:
        reason = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001  # one file's, whatever it is; it is told from those above
        reason = f"a fault of scorelm: {type(error).__name__}: {error}"
    return [], " ".join(reason.removeprefix(f"{path}: ").replace(str(path), work.source).split())
