"""Samples -> the arrays that the student learns from, made beforehand by other processes where a GPU would wait.

Each process goes through the same order of batches and makes every so-many-th of them, so that what comes depends on
the seed and the place alone, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from queue import Empty
from typing import Any

import numpy as np

from scorelm.errors import ScorelmError
from scorelm.tokenizer import Tokens
from vlm.reading.staves import HEIGHT
from vlm.student.samples import Batches, Pixels, Place, Sample, spoken
from vlm.student.vary import vary

Numbers = np.ndarray[Any, np.dtype[Any]]
AHEAD = 3  # batches that wait in each process


@dataclass(frozen=True)
class Ready:
    """A batch, all of it arrays: of each strip its pixels and width, of each sample its number of strips, ids, positions,
    and where it begins to be judged. ``place``: where the next batch comes from"""

    strips: Pixels  # (strips, 1, HEIGHT, widest); 255 is ink
    widths: Numbers  # (strips,)
    counts: list[int]
    ids: list[Numbers]
    positions: list[Numbers]
    judged: list[int]
    place: Place = field(default_factory=Place)

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, device: Any) -> tuple[Any, ...]:
        """strips, widths, counts, ids, positions, judged as tensors, with ink from 0 to 1."""
        import torch

        def tensor(array: Any) -> Any:
            return torch.from_numpy(array).to(device)

        ids, positions = [tensor(row) for row in self.ids], [tensor(row) for row in self.positions]
        return tensor(self.strips).float() / 255, tensor(self.widths), self.counts, ids, positions, self.judged


def made_ready(batch: Sequence[Sample], tokens: Tokens, varied: np.random.Generator | None = None) -> Ready:
    """varied: draws each strip a little otherwise"""
    every = [strip if varied is None else vary(strip, varied) for sample in batch for strip in sample.strips]
    said = [spoken(sample, tokens) for sample in batch]
    strips = np.zeros((len(every), 1, HEIGHT, max(strip.shape[1] for strip in every)), np.uint8)
    for i, strip in enumerate(every):
        strips[i, 0, :, : strip.shape[1]] = strip
    return Ready(
        strips, np.array([strip.shape[1] for strip in every]), [len(sample.strips) for sample in batch],
        [np.array(s.ids) for s in said], [np.array(s.positions, np.float32) for s in said], [s.judged for s in said],
    )  # fmt: skip


Make = Callable[[list[Sample], Place], Ready]  # of a batch and the place that it comes from


class Feed:
    """The batches from ``batches.place`` on, endless.

    workers: processes that make them, each with all samples in memory; 0: this one does. They are begun at once, before
    this process has threads that a forked one would miss.
    """

    def __init__(self, batches: Batches, make: Make, workers: int) -> None:
        self.batches, self.make = batches, make
        context: Any = get_context("fork")
        self.queues = [context.Queue(AHEAD) for _ in range(workers)]
        if workers:
            with ThreadPoolExecutor(workers) as pool:
                batches.read = dict(zip(batches.files, pool.map(batches.samples, batches.files)))
            if not any(batches.fits(sample) for some in batches.read.values() for sample in some):
                raise batches.nothing()
        self.processes = [context.Process(target=self._work, args=(number,), daemon=True) for number in range(workers)]
        for process in self.processes:
            process.start()

    def __iter__(self) -> Iterator[Ready]:
        if not self.queues:
            yield from self._made()
        while True:
            for queue, process in zip(self.queues, self.processes):
                ready = None
                while ready is None:
                    try:
                        ready = queue.get(timeout=10)
                    except Empty:
                        if not process.is_alive():
                            raise ScorelmError(
                                "a process that made batches has ended; is there memory for all?"
                            ) from None
                yield ready

    def close(self) -> None:
        for process in self.processes:
            process.terminate()

    def _made(self, number: int = 0, of: int = 1) -> Iterator[Ready]:
        place = self.batches.place
        for count, batch in enumerate(self.batches):
            if count % of == number:
                yield replace(self.make(batch, place), place=self.batches.place)
            place = self.batches.place

    def _work(self, number: int) -> None:
        for ready in self._made(number, len(self.queues)):
            self.queues[number].put(ready)
