"""Records as a stream for a DataLoader, made while they are needed: never the same engraving twice.

    DataLoader(RecordStream(DataConfig(), "train"), batch_size=None, num_workers=4)

Each worker takes every n-th engraving; what an engraving is does not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from scorelm.errors import ConfigError, ScorelmError
from vlm.data.config import DataConfig
from vlm.data.pieces import Pieces, texts_of
from vlm.data.record import Record
from vlm.data.rendered import engraving


class RecordStream(IterableDataset):  # type: ignore[type-arg]
    """Rendered records of a split. A run over it is an epoch; ``epoch`` moves on by itself, or is set to resume.

    phase: only this one; mix: records among which the next is drawn, so that those of a page do not come in a row
    """

    def __init__(self, config: DataConfig, split: str = "train", phase: str | None = None, mix: int = 64) -> None:
        self.config, self.split, self.phase, self.mix = config, split, phase, max(1, mix)
        self.pieces = Pieces(texts_of(config), split, config.licence)
        if not len(self.pieces):
            raise ConfigError(f"{self.pieces.path}: there are no pieces of {split}")
        self.epoch = 0

    def __iter__(self) -> Iterator[Record]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.pieces))
        chance = np.random.default_rng([self.config.seed, epoch, first, step])
        held: list[Record] = []
        for number in order[first::step]:
            for record in self._engraved(int(number), epoch):
                held.append(record)
                if len(held) >= self.mix:
                    yield _drawn(held, chance)
        while held:
            yield _drawn(held, chance)

    def _engraved(self, number: int, epoch: int) -> list[Record]:
        try:
            records = engraving(self.pieces[number], self.config, epoch)
        except ScorelmError:
            return []
        return [record for record in records if self.phase in (None, record.phase)]


def _drawn(held: list[Record], chance: np.random.Generator) -> Record:
    at = int(chance.integers(len(held)))
    held[at], held[-1] = held[-1], held[at]
    return held.pop()
