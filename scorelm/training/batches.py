"""Windows -> batches, in an order that the seed, the epoch and the place in it tell: nothing else need be remembered.

An epoch has every text once, in a random key. Texts are read a block at a time; the windows of a block are batched
with others of like length.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError, ScoreError
from scorelm.notation.reader import parse
from scorelm.notation.transform import extract, transpose
from scorelm.notation.writer import write
from scorelm.part_names import shared_names
from scorelm.tokenizer import Tokens
from scorelm.training.corpus import Corpus, intervals_of
from scorelm.training.keys import Keys
from scorelm.training.windows import Window, windows

if TYPE_CHECKING:
    import torch

IGNORED = -100  # a label that counts for nothing
BATCHES_A_BLOCK = 32  # so many that little is padding
LENGTHS = 32  # rows are a multiple of it long: oneDNN compiles for every new shape, and keeps what it compiled
REMEMBERED_BYTES = 2**30  # of windows that were made before


@dataclass(frozen=True)
class Place:
    """Where in the order of batches training stands."""

    epoch: int = 0
    block: int = 0
    batch: int = 0  # in the block


@dataclass(frozen=True)
class Batch:
    """Right padding needs no mask in a causal model, and a mask would cost attention its fast path."""

    ids: torch.Tensor  # (batch, time), or (batch, time, 1 + features) where the model is shown what is heard
    labels: torch.Tensor  # (batch, time); IGNORED where nothing is learnt
    positions: torch.Tensor | None = None  # (batch, time); None: 0, 1, 2, ...
    pieces: torch.Tensor | None = None  # (batch, time), which window each token is of; None: a row is one

    def inputs(self) -> dict[str, torch.Tensor]:
        """What the model is called with."""
        import torch

        ids = self.ids[:, :-1]
        if self.pieces is not None:  # no token looks into another window
            own = self.pieces[:, :-1]
            mask = (own[:, None, :, None] == own[:, None, None, :]) & torch.ones(
                ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device
            ).tril()
        else:
            mask = torch.ones_like(self.labels[:, :-1])
        if self.positions is None:
            return {"input_ids": ids} if self.pieces is None else {"input_ids": ids, "attention_mask": mask}
        # transformers takes positions that do not count up for packed pieces, unless a mask is there
        return {"input_ids": ids, "position_ids": self.positions[:, :-1], "attention_mask": mask}

    def targets(self) -> torch.Tensor:
        return self.labels[:, 1:]

    def to(self, device: Any) -> Batch:
        return replace(
            self,
            **{name: None if value is None else value.to(device) for name, value in vars(self).items()},
        )


class Batches:
    """Endless batches for one of several processes; ``place`` is where the next one comes from."""

    def __init__(
        self, corpus: Corpus, tokens: Tokens, config: TrainConfig, place: Place, process: int = 0, processes: int = 1
    ) -> None:
        self.corpus = corpus
        self.tokens = tokens
        self.config = config
        self.place = place
        self.process = process
        self.processes = processes
        self.remembered: OrderedDict[tuple[int, str, tuple[int, ...] | None], list[Window]] = OrderedDict()
        self.remembered_bytes = 0
        self.keys = _keys(tokens)
        self.variants: dict[int, tuple[list[str], int]] = {}  # of each text: intervals to its keys, number of parts

    def __iter__(self) -> Iterator[Batch]:
        """Each batch of this process; all processes get equally many."""
        size = self.config.batch_size * self.processes * BATCHES_A_BLOCK
        while True:
            epoch = self.place.epoch
            order = list(range(len(self.corpus)))
            self._random(epoch).shuffle(order)
            for block in range(self.place.block, -(-len(order) // size)):
                batches = self._block(order[block * size : (block + 1) * size], epoch, block)
                for number in range(self.place.batch, len(batches)):
                    self.place = Place(epoch, block, number + 1)
                    yield batches[number]
                self.place = Place(epoch, block + 1)
            self.place = Place(epoch + 1)

    def _random(self, *place: int) -> random.Random:
        return random.Random(" ".join(map(str, (self.config.seed, *place))))

    def _block(self, numbers: list[int], epoch: int, block: int) -> list[Batch]:
        chance = self._random(epoch, block)
        found = [window for number in numbers for window in self._windows(number, chance)]
        chance.shuffle(found)
        found.sort(key=lambda window: len(window.ids))
        rows = _packed(found, self.config.max_length) if self.config.packing else [[window] for window in found]
        size = self.config.batch_size * self.processes
        groups = [rows[at : at + size] for at in range(0, len(rows), size)]  # of like length: no process waits for one
        chance.shuffle(groups)
        for group in groups:  # some rows go round again until each process has one
            group += [group[i % len(group)] for i in range(self.processes - len(group))]
        return [_batch(group[self.process :: self.processes], self.tokens, self.config.max_length) for group in groups]

    def prepare(self, workers: int) -> None:
        """Cut all texts in all keys, as far as they are remembered, by so many processes: what a GPU would wait for."""
        pool = ProcessPoolExecutor(workers, get_context("fork"), initializer=_begin, initargs=(self,))
        with pool:
            for number, (variants, found) in enumerate(pool.map(_cut, range(len(self.corpus)), chunksize=8)):
                self.variants[number] = variants
                for interval, some in found:
                    self._remember((number, interval, None), some)

    def _windows(self, number: int, chance: random.Random) -> list[Window]:
        """The windows of a text in a key, and sometimes with some of its parts alone, as chance chooses."""
        intervals, parts = self._variants(number)
        interval = chance.choice(intervals)
        chosen = None
        if parts > 1 and chance.random() < self.config.part_subsets:
            chosen = tuple(sorted(chance.sample(range(1, parts + 1), chance.randrange(1, parts))))
        if self.config.other_names and chance.random() < self.config.other_names:
            text = _variant(self.corpus.row(number)[0], interval, chosen)
            return self._windows_of(_renamed(text, np.random.default_rng(chance.getrandbits(64))))
        return self._in_key(number, interval, chosen)

    def _variants(self, number: int) -> tuple[list[str], int]:
        """The intervals to a text's keys, and its number of parts."""
        if number not in self.variants:
            score = parse(self.corpus.row(number)[0])
            self.variants[number] = intervals_of(score) if self.config.transpose else ["P1"], len(score.parts)
        return self.variants[number]

    def _in_key(self, number: int, interval: str, parts: tuple[int, ...] | None = None) -> list[Window]:
        """The windows of a text in a key; parts: some of its parts alone, from 1."""
        if (number, interval, parts) not in self.remembered and interval != "P1" and self.keys is not None:
            found = self._in_key(number, "P1", parts)
            moved = [self.keys.moved(np.asarray(window.ids), interval) for window in found]
            if all(ids is not None for ids in moved):
                return [replace(window, ids=ids) for window, ids in zip(found, moved)]
        found = self.remembered.pop((number, interval, parts), None)
        if found is not None:
            self.remembered_bytes -= sum(map(_size, found))
        else:
            found = self._windows_of(_variant(self.corpus.row(number)[0], interval, parts))
        self._remember((number, interval, parts), found)
        return found

    def _windows_of(self, text: str) -> list[Window]:
        """The windows of a text, each as the model is shown it."""
        found = []
        for window in windows(text, self.tokens.encode, self.tokens.end, self.config.max_length):
            ids, positions = self.tokens.shown(window.ids)
            where = None if positions is None else np.array(positions, np.float32)
            found.append(replace(window, ids=ids, positions=where))
        return found

    def _remember(self, kept: tuple[int, str, tuple[int, ...] | None], found: list[Window]) -> None:
        self.remembered[kept] = found
        self.remembered_bytes += sum(map(_size, found))
        while self.remembered_bytes > REMEMBERED_BYTES:
            _, old = self.remembered.popitem(last=False)
            self.remembered_bytes -= sum(map(_size, old))


def with_places(batches: Batches, ahead: bool) -> Iterator[tuple[Batch, Place]]:
    """Each batch, and the place that the next one comes from. ahead: another process makes some of them beforehand"""
    from torch.utils.data import DataLoader, IterableDataset

    class Stream(IterableDataset[tuple[Batch, Place]]):
        def __iter__(self) -> Iterator[tuple[Batch, Place]]:
            for batch in batches:
                yield batch, batches.place

    if not ahead:
        return iter(Stream())
    return iter(DataLoader(Stream(), batch_size=None, num_workers=1, prefetch_factor=4, multiprocessing_context="fork"))


def _size(window: Window) -> int:
    return np.asarray(window.ids).nbytes + (0 if window.positions is None else np.asarray(window.positions).nbytes)


_of_this_process: Batches  # what a process of ``prepare`` works for


def _begin(batches: Batches) -> None:
    global _of_this_process
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads are not in a forked process
    _of_this_process = batches


def _cut(number: int) -> tuple[tuple[list[str], int], list[tuple[str, list[Window]]]]:
    """A text's variants, and its windows in those keys that no table leads to."""
    batches = _of_this_process
    batches.remembered.clear()
    variants = batches._variants(number)
    for interval in variants[0]:
        batches._in_key(number, interval)
    return variants, [(interval, found) for (_, interval, _), found in batches.remembered.items()]


def _keys(tokens: Tokens) -> Keys | None:
    """How tokens go to other keys; None where they are a Pythia's sub-words."""
    try:
        return Keys(tokens.vocabulary, tokens.heard, tokens.recalled_from)
    except ConfigError:
        return None


def _variant(text: str, interval: str, parts: tuple[int, ...] | None) -> str:
    """A text transposed, and of some of its parts alone (numbers from 1); as it is where that cannot be written."""
    if interval == "P1" and parts is None:
        return text
    score = parse(text)
    with contextlib.suppress(ScoreError):  # beyond the range of pitches
        score = transpose(score, interval)
    if parts is not None:
        score = extract(score, parts=parts)
    return write(score)


def _renamed(text: str, rng: np.random.Generator) -> str:
    """A text whose parts have other names."""
    score = parse(text)
    found = shared_names([part.name for part in score.parts], rng)
    return write(replace(score, parts=tuple(replace(part, name=name) for part, name in zip(score.parts, found))))


def _packed(found: list[Window], longest: int) -> list[list[Window]]:
    """Rows of several windows each, first fit, the longest first."""
    rows: list[list[Window]] = []
    room: list[int] = []
    for window in sorted(found, key=lambda window: -len(window.ids)):
        at = next((i for i, left in enumerate(room) if left >= len(window.ids)), None)
        if at is None:
            rows.append([])
            room.append(longest)
            at = len(rows) - 1
        rows[at].append(window)
        room[at] -= len(window.ids)
    return rows


def _batch(rows: list[list[Window]], tokens: Tokens, most: int) -> Batch:
    import torch

    longest = max(sum(len(window.ids) for window in row) for row in rows)
    longest = min(-(-(longest - 1) // LENGTHS) * LENGTHS + 1, most)  # the last token is not read, only written
    labels = torch.full((len(rows), longest), IGNORED)
    ids = torch.zeros(*labels.shape, *np.shape(rows[0][0].ids)[1:], dtype=torch.long)
    positions = torch.zeros(len(rows), longest)
    pieces = torch.full_like(labels, -1)
    packed = any(len(row) > 1 for row in rows)
    for i, row in enumerate(rows):
        at = 0
        for number, window in enumerate(row):
            stop = at + len(window.ids)
            shown = torch.as_tensor(window.ids, dtype=torch.long)
            ids[i, at:stop] = shown
            labels[i, at + window.judged : stop] = (shown if shown.ndim == 1 else shown[:, 0])[window.judged :]
            pieces[i, at:stop] = number
            where = window.positions
            if where is None and packed:
                where = list(range(len(window.ids)))
            if where is not None:
                positions[i, at:stop] = torch.tensor(where)
            at = stop
    return Batch(ids, labels, positions if tokens.timed or packed else None, pieces if packed else None)
