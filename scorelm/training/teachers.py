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
    def expected(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean of what the teachers of each row expect, (rows, time, vocabulary), and which rows have any, (rows,)."""
        inputs = batch.inputs()
        total: torch.Tensor | None = None
        voices = torch.zeros(len(batch.texts), device=batch.ids.device)
        for model, speak in zip(self.models, self.speak):
            rows = torch.tensor([i for i, text in enumerate(batch.texts) if speak[text]], device=batch.ids.device)
            if not len(rows):
                continue
            found = model(**{name: value[rows] for name, value in inputs.items()}).logits.float().softmax(-1)
            if total is None:
                total = found.new_zeros(len(batch.texts), *found.shape[1:])
            total[rows] += found
            voices[rows] += 1
        if total is None:
            total = torch.zeros(*inputs["input_ids"].shape, 1, device=batch.ids.device)
        return total / voices.clamp(min=1)[:, None, None], voices > 0


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
