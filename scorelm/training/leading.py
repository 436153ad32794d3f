"""Voices that lead well, learnt from a rule: the student comes to say what it says already, without pitches that lead ill.

What a student writes is not what it has read: where it has gone astray it holds parallel fifths likely that it would
not write in Bach's place. So it reads, beside chorales, texts that it wrote itself under the rule (``infer.py
--strict``), and at each place is taught its own distribution from before, less the pitches that the rule refuses there
(``bound.strict.Voices.ill_led``), but for one that stands in the text. Its rows of intervals alone learn.

    loss    the divergence (Kullback and Leibler) of what it says from that, in nats a token
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch

from scorelm.bound.strict import Voices
from scorelm.errors import ConfigError
from scorelm.training.batches import IGNORED, Batch
from scorelm.vocabulary import Vocabulary

LEAST = 0.02  # of what it said before; where less is left, the rule teaches nothing


class Leading:
    """What ``model`` says at first, less what leads ill.

    vocabulary: its tokens, each of which is one lexeme
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, device: Any = "cpu") -> None:
        if any(len(lexemes) > 1 for lexemes in vocabulary.tokens):
            raise ConfigError("learn: leading is learnt by models whose tokens are single lexemes (cut: lexemes)")
        self.before = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        self.lexemes = [lexemes[0] if lexemes else "" for lexemes in vocabulary.tokens]
        self.numbers = {lexeme: number for number, lexeme in enumerate(self.lexemes)}

    def loss(self, batch: Batch, logits: torch.Tensor) -> torch.Tensor:
        """logits: (batch, time, vocabulary), what the model says now of ``batch``, under the same precision"""
        with torch.no_grad():
            before = torch.log_softmax(self.before(**batch.inputs(), use_cache=False).logits.float(), -1)
            before = before.masked_fill(self.refused(batch), -math.inf)
            left = torch.logsumexp(before, -1, keepdim=True)
            taught = (before - left).clamp(min=-50)  # e^-50 is nothing, and times 0 it is a number
            counts = (batch.targets() != IGNORED) & (left[..., 0] > math.log(LEAST))
        now = torch.log_softmax(logits.float(), -1)
        divergence = (taught.exp() * (taught - now)).sum(-1)
        return (divergence * counts).sum() / counts.sum().clamp(min=1)

    def refused(self, batch: Batch) -> torch.Tensor:
        """(batch, time, vocabulary) which tokens lead ill behind each."""
        ids = batch.ids if batch.ids.ndim == 2 else batch.ids[..., 0]
        targets = batch.targets()
        out = torch.zeros(*targets.shape, len(self.lexemes), dtype=torch.bool)
        pieces = torch.zeros_like(ids) if batch.pieces is None else batch.pieces
        for row, (tokens, own, learnt) in enumerate(zip(ids.tolist(), pieces.tolist(), targets.tolist())):
            for time, numbers in self._refused(tokens[:-1], own, learnt):
                out[row, time, numbers] = True
        return out.to(ids.device)

    def _refused(
        self, tokens: Sequence[int], pieces: Sequence[int], targets: Sequence[int]
    ) -> list[tuple[int, list[int]]]:
        out = []
        voices, piece = Voices(), pieces[0]
        end = max((time for time, target in enumerate(targets) if target != IGNORED), default=-1)
        for time, token in enumerate(tokens[: end + 1]):
            if pieces[time] != piece:
                voices, piece = Voices(), pieces[time]
            voices = voices.push(self.lexemes[token])
            stands = targets[time]
            numbers = [self.numbers[x] for x in voices.ill_led() if x in self.numbers]
            if numbers := [number for number in numbers if number != stands]:
                out.append((time, numbers))
        return out
