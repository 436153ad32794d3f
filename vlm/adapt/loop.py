"""Three phases of LoRA, each from the adapter of the one before, each judged on validation before and behind it.

OUTPUT/alignment/   adapter_model.safetensors, adapter_config.json, adaptation.json
OUTPUT/extraction/
OUTPUT/analysis/
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from scorelm.errors import ConfigError, ScoreError, ScorelmError
from scorelm.files import write_atomically
from vlm.adapt.batches import IGNORED, Feeder
from vlm.adapt.config import AdaptConfig
from vlm.adapt.models import adapted
from vlm.data.answers import Taught
from vlm.data.record import ALIGNMENT, Record, read_records, read_split, shards

SAID = 20  # steps between two lines of progress


class Adaptation:
    """One run. What is missing or does not fit is refused while it is built."""

    def __init__(self, config: AdaptConfig) -> None:
        self.config = config
        self.taught = Taught(config.answers_dir, config.teacher_share, config.seed)
        self.files = shards(config.dataset_dir, "train")
        self.held = {
            phase: list(itertools.islice(read_split(config.dataset_dir, "validation", phase), config.eval_records))
            for phase in config.listed()
        }
        for phase, records in self.held.items():
            if not records:
                raise ConfigError(f"{config.dataset_dir}: validation has no records of {phase}")
        torch.manual_seed(config.seed)
        self.model, processor, tokenizer = adapted(config)
        self.feeder = Feeder(self.model, processor, tokenizer, config.max_length)
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.device = self.weights[0].device
        self.refused: Counter[str] = Counter()
        count, every = sum(w.numel() for w in self.weights), sum(w.numel() for w in self.model.parameters())
        self._say(f"{count:,} of {every:,} weights learn")

    def run(self) -> list[dict[str, Any]]:
        """The rows of all phases: nats a token of validation before and behind each, and where its adapter lies."""
        rows = []
        for phase in self.config.listed():
            steps = int(getattr(self.config, f"{phase}_steps"))
            if steps:
                rows.append(self._phase(phase, steps))
        return rows

    def _phase(self, phase: str, steps: int) -> dict[str, Any]:
        config = self.config
        before = self.nats(phase)
        optimizer = torch.optim.AdamW(self.weights, lr=config.lr, weight_decay=config.weight_decay)
        stream = self._records(phase)
        for step in range(steps):
            rate = min(1.0, (step + 1) / max(config.warmup_steps, 1)) * 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = config.lr * rate
            loss = self._learn(stream, optimizer)
            if not math.isfinite(loss):
                raise ScoreError(f"the loss is {loss} at step {step + 1} of {phase}: lower lr")
            if (step + 1) % SAID == 0 or step + 1 == steps:
                self._say(f"{phase} {step + 1} of {steps}: loss {loss:.3f}")
        folder = Path(config.output_dir, phase)
        row = {"phase": phase, "steps": steps, "before": before, "after": self.nats(phase), "folder": str(folder)}
        self.model.save_pretrained(folder)
        write_atomically(folder / "adaptation.json", json.dumps({**row, "config": asdict(config)}, indent=2) + "\n")
        for cause, count in self.refused.most_common():
            self._say(f"{count} left out: {cause}")
        self.refused.clear()
        return row

    def _learn(self, stream: Iterator[dict[str, torch.Tensor]], optimizer: Any) -> float:
        """One step: records one by one, for pictures have tiles in different numbers."""
        self.model.train()
        count = self.config.batch_size * self.config.gradient_accumulation_steps
        total = 0.0
        for _ in range(count):
            loss = self.feeder.loss(self.model, next(stream)) / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if all(weight.grad is None for weight in self.weights):
            raise ScorelmError("the adapter gets no gradients from this model")
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return total

    def nats(self, phase: str) -> float:
        """Nats a token of the answers of validation, the tokens before them given."""
        self.model.eval()
        total, tokens = 0.0, 0
        with torch.no_grad():
            for record in self.held[phase]:
                try:
                    inputs = self._placed(self.feeder.inputs(record))
                except ScorelmError:
                    continue
                count = int((inputs["labels"] != IGNORED).sum())
                total += float(self.feeder.loss(self.model, inputs)) * count
                tokens += count
        if not tokens:
            raise ConfigError(f"all records of {phase} in validation are longer than max_length")
        return total / tokens

    def _records(self, phase: str) -> Iterator[dict[str, torch.Tensor]]:
        """The inputs of a phase without end, in an order that the seed tells."""
        for epoch in itertools.count():
            chance = random.Random(f"{self.config.seed} {phase} {epoch}")
            found = 0
            for path in chance.sample(self.files, len(self.files)):
                records = [record for record in read_records(path) if record.phase == phase]
                for record in chance.sample(records, len(records)):
                    try:
                        inputs = self.feeder.inputs(self._said(record))
                    except ScorelmError as error:
                        self.refused[str(error)] += 1
                        continue
                    found += 1
                    yield self._placed(inputs)
            if not found:
                raise ConfigError(f"{self.config.dataset_dir}: train has no records of {phase} to learn from")

    def _said(self, record: Record) -> Record:
        """With a teacher's answer, where there is one; score text is the score's own."""
        if record.phase == ALIGNMENT:
            return record
        return replace(record, answer=self.taught.answer(record.source, record.prompt, record.answer))

    def _placed(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """On the device of the weights; pictures in the model's precision."""
        precision = self.feeder.base.dtype
        return {
            name: value.to(self.device, precision) if value.is_floating_point() else value.to(self.device)
            for name, value in inputs.items()
        }

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
