"""Samples -> the arrays that the student learns from, made beforehand by other processes where a GPU would wait.

Each process goes through the same order of batches and makes every so-many-th of them, so that what comes depends on
the seed and the place alone, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from scorelm.tokenizer import Tokens
from vlm.reading.staves import HEIGHT
from vlm.student.samples import Batches, Place, Sample, spoken
from vlm.student.vary import vary

AHEAD = 3  # batches that wait in each process


@dataclass(frozen=True)
class Ready:
    """A batch: of each strip its pixels and width, of each sample its number of strips, ids, positions, and where it
    begins to be judged. ``place``: where the next batch comes from"""

    strips: torch.Tensor  # (strips, 1, HEIGHT, widest), bytes; 255 is ink
    widths: torch.Tensor
    counts: list[int]
    ids: list[torch.Tensor]
    positions: list[torch.Tensor]
    judged: list[int]
    place: Place = Place()

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, device: Any) -> tuple[Any, ...]:
        """strips, widths, counts, ids, positions, judged, with ink from 0 to 1."""
        strips = self.strips.to(device).float() / 255
        ids, positions = ([row.to(device) for row in rows] for rows in (self.ids, self.positions))
        return strips, self.widths.to(device), self.counts, ids, positions, self.judged


def made_ready(batch: Sequence[Sample], tokens: Tokens, varied: np.random.Generator | None = None) -> Ready:
    """varied: draws each strip a little otherwise"""
    every = [strip if varied is None else vary(strip, varied) for sample in batch for strip in sample.strips]
    said = [spoken(sample, tokens) for sample in batch]
    strips = np.zeros((len(every), 1, HEIGHT, max(strip.shape[1] for strip in every)), np.uint8)
    for i, strip in enumerate(every):
        strips[i, 0, :, : strip.shape[1]] = strip
    return Ready(
        torch.from_numpy(strips), torch.tensor([strip.shape[1] for strip in every]),
        [len(sample.strips) for sample in batch], [torch.tensor(s.ids) for s in said],
        [torch.tensor(s.positions) for s in said], [s.judged for s in said],
    )  # fmt: skip


def feed(batches: Batches, make: Callable[[list[Sample], Place], Ready], workers: int) -> Iterator[Ready]:
    """The batches from ``batches.place`` on, endless. make: of a batch and the place it comes from

    workers: processes that make them, each with all samples in memory; 0: this one does
    """
    if not workers:
        place = batches.place
        for batch in batches:
            yield replace(make(batch, place), place=batches.place)
            place = batches.place
        return
    with ThreadPoolExecutor(workers) as pool:
        batches.read = dict(zip(batches.files, pool.map(batches.samples, batches.files)))
    context: Any = get_context("fork")
    queues = [context.Queue(AHEAD) for _ in range(workers)]
    processes = [
        context.Process(target=partial(_work, batches, make, number, queues), daemon=True) for number in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        while True:
            for queue in queues:
                yield _received(queue.get())
    finally:
        for process in processes:
            process.terminate()


def _work(batches: Batches, make: Callable[[list[Sample], Place], Ready], number: int, queues: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    place = batches.place
    for count, batch in enumerate(batches):
        if count % len(queues) == number:
            queues[number].put(_sent(replace(make(batch, place), place=batches.place)))
        place = batches.place


def _sent(ready: Ready) -> tuple[Any, ...]:
    """As arrays: tensors would go through shared memory that another process must keep open."""
    return (
        ready.strips.numpy(), ready.widths.numpy(), ready.counts, [row.numpy() for row in ready.ids],
        [row.numpy() for row in ready.positions], ready.judged, ready.place,
    )  # fmt: skip


def _received(sent: tuple[Any, ...]) -> Ready:
    strips, widths, counts, ids, positions, judged, place = sent
    as_tensor = torch.from_numpy
    return Ready(
        as_tensor(strips), as_tensor(widths), counts, list(map(as_tensor, ids)), list(map(as_tensor, positions)),
        judged, place,
    )  # fmt: skip
