"""Records -> what the student learns from: strips, and the tokens of question and answer.

A transcription of a system gives a sample of each of its staves; a question about a picture has all strips of it.
Finding staves takes as long as learning from them, so strips are kept beside the records:

    DATASET/strips/SPLIT/SHARD.npz
"""

from __future__ import annotations

import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from scorelm.errors import ScorelmError
from scorelm.files import write_atomically
from scorelm.notation.lexemes import PADDING
from scorelm.notation.reader import parse
from scorelm.notation.writer import write
from scorelm.tokenizer import Tokens
from vlm.data.answers import Taught
from vlm.data.record import ALIGNMENT, Record, read_records, shards
from vlm.reading.staff_texts import apart
from vlm.reading.staves import HEIGHT, strips

Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (HEIGHT, width); 255 is ink
VERSION = 2  # of what is kept; another one is made again


@dataclass(frozen=True)
class Sample:
    """What is seen and what is to be said. ``prompt`` is empty where the answer is score text."""

    strips: tuple[Pixels, ...]
    prompt: str
    answer: str
    phase: str
    source: str

    @property
    def width(self) -> int:
        return sum(strip.shape[1] for strip in self.strips)


def samples_of(record: Record) -> list[Sample]:
    """The samples of a record. ScorelmError where its staves are not found."""
    systems = strips(record.picture().convert("L"))
    pixels = [tuple((strip * 255).round().astype(np.uint8) for strip in system) for system in systems]
    every = tuple(strip for system in pixels for strip in system)
    if not every:
        raise ScorelmError("no staff was found")
    if record.phase != ALIGNMENT:
        return [Sample(every, record.prompt, record.answer, record.phase, record.source)]
    texts = [write(score) for score in apart(parse(record.answer))]
    if record.task == "page":  # its systems are not told apart in the answer
        return []
    if len(systems) != 1 or len(texts) != len(every):
        raise ScorelmError(f"{len(every)} staves in {len(systems)} systems were found, {len(texts)} are there")
    return [
        Sample((strip,), "", text, ALIGNMENT, f"{record.source}.{number}")
        for number, (strip, text) in enumerate(zip(every, texts), 1)
    ]


def kept(dataset: str | Path, split: str, workers: int = 0) -> list[Path]:
    """The files of strips of a split; those that are missing are made, by so many processes (0: this one), with
    progress on stderr."""
    paths = shards(dataset, split)
    out = [Path(dataset, "strips", split, shard.stem + ".npz") for shard in paths]
    missing = [(shard, path) for shard, path in zip(paths, out) if not _current(path)]
    with ProcessPoolExecutor(workers, get_context("fork")) if workers and missing else nullcontext() as pool:
        made = (pool.map if pool else map)(_make, *zip(*missing)) if missing else ()
        for number, ((_, path), refused) in enumerate(zip(missing, made), 1):
            said = "".join(f"; {count} left out: {why}" for why, count in refused.most_common())
            print(f"{path}: {number} of {len(missing)}{said}", file=sys.stderr, flush=True)
    return out


def _current(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return int(file["version"]) == VERSION
    except (OSError, ValueError, KeyError):
        return False


def _make(shard: Path, path: Path) -> Counter[str]:
    refused: Counter[str] = Counter()
    found: list[Sample] = []
    for record in read_records(shard):
        try:
            found += samples_of(record)
        except ScorelmError as error:
            refused["staves in another number than there are" if "are there" in str(error) else str(error)] += 1
    every = [strip for sample in found for strip in sample.strips]
    about = [
        {"strips": len(s.strips), "prompt": s.prompt, "answer": s.answer, "phase": s.phase, "source": s.source}
        for s in found
    ]
    out = io.BytesIO()
    np.savez_compressed(
        out, version=VERSION, widths=np.array([strip.shape[1] for strip in every], np.int32),
        pixels=np.concatenate(every, axis=1) if every else np.zeros((HEIGHT, 0), np.uint8),
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, out.getvalue())
    return refused


def read_samples(path: Path) -> list[Sample]:
    """The samples of one file of strips."""
    with np.load(path, allow_pickle=False) as file:
        pixels, widths = file["pixels"], file["widths"]
        about = json.loads(file["about"].tobytes())
    ends = np.cumsum(widths)
    out, at = [], 0
    for row in about:
        some = tuple(pixels[:, ends[i] - widths[i] : ends[i]] for i in range(at, at + row["strips"]))
        at += row["strips"]
        out.append(Sample(some, row["prompt"], row["answer"], row["phase"], row["source"]))
    return out


@dataclass(frozen=True)
class Spoken:
    """A sample's tokens. ``ids``: question and answer; those from ``judged`` on are learnt"""

    ids: list[int]
    positions: list[float]
    judged: int


def spoken(sample: Sample, tokens: Tokens) -> Spoken:
    """Score text as the language model has it; words letter by letter, behind the question."""
    if not sample.prompt:
        ids = [*tokens.encode(sample.answer), tokens.end]
        where = tokens.positions(ids)
        return Spoken(ids, where or [float(i) for i in range(len(ids))], 1)
    asked = question(sample.prompt, tokens)
    ids = [*asked, *letters(sample.answer, tokens), tokens.end]
    return Spoken(ids, [float(i) for i in range(len(ids))], len(asked))


def question(prompt: str, tokens: Tokens) -> list[int]:
    """The tokens of a question, up to the sign that the answer comes."""
    return [*letters(prompt, tokens), tokens.vocabulary.ids[PADDING]]


def letters(words: str, tokens: Tokens) -> list[int]:
    """Words as tokens of letters and bytes. The delimiter of measures is none of them; "/" stands for it."""
    ids = tokens.vocabulary.ids
    out = []
    for char in words.replace("|", "/"):
        if char.isascii():
            out.append(ids.get(char, ids[" "]))
        else:
            out += [ids[f"<0x{byte:02X}>"] for byte in char.encode()]
    return out


def words(some: Sequence[int], tokens: Tokens) -> str:
    """What ``letters`` wrote."""
    out = bytearray()
    for i in some:
        token = "".join(tokens.vocabulary.tokens[i])
        out += bytes([int(token[3:5], 16)]) if token.startswith("<0x") else token.encode()
    return out.decode("utf-8", "replace")


@dataclass(frozen=True)
class Place:
    """Where in the order of batches training stands."""

    epoch: int = 0
    block: int = 0
    batch: int = 0


class Batches:
    """Endless batches of one phase, in an order that the seed and the place tell."""

    SHARDS = 8  # read together, whose samples are batched with others of like width

    def __init__(
        self, files: Sequence[Path], phase: str, size: int, fits: Any, seed: int, place: Place,
        taught: Taught | None = None,
    ) -> None:  # fmt: skip
        """fits: of a sample, whether it is learnt from; taught: gives some samples a teacher's words"""
        self.files, self.phase, self.size, self.fits, self.seed, self.place = files, phase, size, fits, seed, place
        self.read: dict[Path, list[Sample]] = {}  # the samples of files that stay in memory
        self.taught = taught or Taught(None, 0.0, seed)

    def __iter__(self) -> Iterator[list[Sample]]:
        while True:
            epoch = self.place.epoch
            order = list(self.files)
            random.Random(f"{self.seed} {epoch}").shuffle(order)
            some, whole = 0, self.place == Place(epoch)
            for block in range(self.place.block, -(-len(order) // self.SHARDS)):
                batches = self._block(order[block * self.SHARDS : (block + 1) * self.SHARDS], epoch, block)
                some += len(batches)
                for number in range(self.place.batch, len(batches)):
                    self.place = Place(epoch, block, number + 1)
                    yield batches[number]
                self.place = Place(epoch, block + 1)
            if not some and whole:
                raise self.nothing()
            self.place = Place(epoch + 1)

    def _block(self, files: Sequence[Path], epoch: int, block: int) -> list[list[Sample]]:
        chance = random.Random(f"{self.seed} {epoch} {block}")
        every = (s for path in files for s in (self.read[path] if path in self.read else self.samples(path)))
        found = [sample for sample in every if self.fits(sample)]
        chance.shuffle(found)
        found.sort(key=lambda sample: sample.width)
        batches = [found[at : at + self.size] for at in range(0, len(found), self.size)]
        chance.shuffle(batches)
        return batches

    def nothing(self) -> ScorelmError:
        return ScorelmError(f"there is nothing to learn for the phase {self.phase}")

    def samples(self, path: Path) -> list[Sample]:
        """Those of the phase in a file."""
        return [self._said(sample) for sample in read_samples(path) if sample.phase == self.phase]

    def _said(self, sample: Sample) -> Sample:
        """With a teacher's answer, where there is one; score text is the score's own."""
        if sample.phase == ALIGNMENT:
            return sample
        return replace(sample, answer=self.taught.answer(sample.source, sample.prompt, sample.answer))
