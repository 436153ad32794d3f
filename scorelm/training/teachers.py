"""Models that were trained before, as teachers: what they expect next is learnt beside what came.

A model knows the texts that it was trained on nearly by heart, so what it expects there says little more than the
texts do. A teacher that left a fold of them out (``fold``) says what it expects of that fold; one that left none out
speaks of every text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from scorelm.config import TrainConfig
from scorelm.errors import ConfigError
from scorelm.tokenizer import Tokens
from scorelm.training.batches import IGNORED, Batch
from scorelm.training.corpus import Corpus
from scorelm.training.models import started


class Teachers:
    """The teachers of a run, on the device that it runs on. ConfigError where one does not fit."""

    def __init__(self, config: TrainConfig, tokens: Tokens, corpus: Corpus, device: Any) -> None:
        self.models: list[Any] = []
        self.speak: list[list[bool]] = []  # of each teacher: of which texts it speaks
        for folder in str(config.teachers).split(","):
            model, own = started(folder)
            if own.tokenizer.get_vocab() != tokens.tokenizer.get_vocab() or own.timed != tokens.timed:
                raise ConfigError(f"teachers: {folder} has other tokens or positions than the model that learns")
            try:
                about = json.loads(Path(folder, "train_cfg.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigError(f"teachers: {folder}: train_cfg.json cannot be read: {error}") from None
            fold = about.get("fold")
            self.models.append(model.to(device).eval().requires_grad_(False))
            self.speak.append([fold is None or corpus.in_fold(number, fold) for number in range(len(corpus))])
        if not any(map(any, self.speak)):
            raise ConfigError("teachers: none speaks of any training text")

    @torch.no_grad()
    def expected(self, batch: Batch, turn: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What a teacher of each row expects, (rows, time, vocabulary), and which rows have one, (rows,).

        A row's teachers speak in turn, one a step: the loss is linear in what is expected, so that over the steps it is
        the mean of them all that is learnt.
        """
        inputs = batch.inputs()
        device = batch.ids.device
        rows_of: dict[int, list[int]] = {}
        for row, text in enumerate(batch.texts):
            own = [number for number, speak in enumerate(self.speak) if speak[text]]
            if own:
                rows_of.setdefault(own[turn % len(own)], []).append(row)
        found: torch.Tensor | None = None
        for number, own_rows in rows_of.items():
            rows = torch.tensor(own_rows, device=device)
            logits = self.models[number](**{name: value[rows] for name, value in inputs.items()}).logits
            if found is None:
                found = logits.new_zeros(len(batch.texts), *logits.shape[1:], dtype=torch.float32)
            found[rows] = logits.float().softmax(-1)
        taught = torch.zeros(len(batch.texts), dtype=torch.bool, device=device)
        taught[[row for own_rows in rows_of.values() for row in own_rows]] = True
        return (torch.zeros(*inputs["input_ids"].shape, 1, device=device) if found is None else found), taught


def loss_with(
    logits: torch.Tensor, targets: torch.Tensor, expected: torch.Tensor, taught: torch.Tensor, share: float
) -> torch.Tensor:
    """Cross entropy a token: ``share`` of it against what is expected in the rows that are taught, the rest against
    what came. logits, expected: (rows, time, vocabulary); targets: (rows, time); taught: (rows,)"""
    said = logits.float().log_softmax(-1)
    known = targets != IGNORED
    came = -said.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    hoped = -(expected * said).sum(-1)
    weight = share * taught[:, None].float()
    return (((1 - weight) * came + weight * hoped) * known).sum() / known.sum()
