"""Voices that lead well, learnt from a rule: the student comes to say what it says already, without pitches that lead ill.

What a student writes is not what it has read: where it has gone astray it holds parallel fifths likely that it would
not write in Bach's place. So it reads, beside chorales, texts that it wrote itself under the rule (``infer.py
--strict``), and at each place is taught its own distribution from before, less the pitches that the rule refuses there
(``bound.strict.Voices.ill_led``), but for one that stands in the text. And it reads texts that it has written free since
then, where what stands is refused as well: how to come out of octaves in which two singers have begun. Its rows of
intervals alone learn, so that what the rest of it makes of each place is worked out once and kept.

    texts -> moments (what the model makes of each place, what the rule refuses) -> lead (the rows learn)
    loss     the divergence (Kullback and Leibler) of what it says from what it is taught, in nats a place
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from scorelm import recalled, related
from scorelm.bound.strict import Voices
from scorelm.errors import ConfigError
from scorelm.hearing import RelatingHead
from scorelm.training.batches import IGNORED, Batch
from scorelm.vocabulary import Vocabulary

LEAST_PITCH = 0.01  # of what is said: where pitches have less, there is nothing to learn
LEAST = 0.02  # of what it said before; where less is left, the rule teaches nothing
PLACES = (2048, 1024, 1024)  # a step, of the texts that were read, those written under the rule, and those written free
WARMUP = 10  # steps
DECAY = 0.97  # of the average over steps
SAID = 100  # steps between reports


@dataclass(frozen=True)
class Moments:
    """Places of texts where a pitch may come."""

    states: torch.Tensor  # (places, hidden), what the last norm gives
    shown: torch.Tensor  # (places, FEATURES), what is heard there, as ``Ear.heard`` has it
    said: torch.Tensor  # (places, tokens) logits
    refused: torch.Tensor  # (places, tokens), by the rule

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, places: Any) -> Moments:
        return Moments(*(getattr(self, field.name)[places] for field in fields(self)))


class Leading:
    """A model that learns to lead. Raises ConfigError where it has no rows of intervals, or its tokens are not single
    lexemes.

    vocabulary: its tokens
    """

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        if any(len(lexemes) > 1 for lexemes in vocabulary.tokens):
            raise ConfigError("to lead voices is learnt by models whose tokens are single lexemes (cut: lexemes)")
        if not isinstance(model.get_output_embeddings(), RelatingHead):
            raise ConfigError("to lead voices is learnt by models that know intervals (related: true)")
        self.model = model.eval().requires_grad_(False)
        self.head = model.get_output_embeddings()
        self.lexemes = [lexemes[0] if lexemes else "" for lexemes in vocabulary.tokens]
        self.numbers = {lexeme: number for number, lexeme in enumerate(self.lexemes)}
        self.pitches = torch.tensor([lexeme in related.PITCHES for lexeme in self.lexemes])
        self.rows = self.head.weight[self.head.relates].clone()

    @torch.no_grad()
    def moments(self, batches: Iterable[Batch], free: bool = False) -> Moments:
        """What the model makes of some texts. free: what stands in them is refused like the rest"""
        found = []
        for batch in batches:
            ids = batch.ids[:, :-1]
            states = self.model.gpt_neox(**batch.inputs(), use_cache=False).last_hidden_state
            said = self.head(states).float()
            pitched = torch.softmax(said, -1)[..., self.pitches].sum(-1) > LEAST_PITCH
            chosen = pitched & (batch.targets() != IGNORED)
            refused = self.refused(batch, chosen, free)
            shown = ids[..., 1 : recalled.READ][chosen].long() - len(self.lexemes)
            found.append(Moments(states[chosen].float(), shown, said[chosen], refused[chosen]))
        return Moments(*(torch.cat([getattr(x, field.name) for x in found]) for field in fields(Moments)))

    def refused(self, batch: Batch, chosen: torch.Tensor, free: bool = False) -> torch.Tensor:
        """(batch, time, tokens) which lead ill behind each token, and do not stand there unless the text was written
        ``free``; of ``chosen`` places alone, (batch, time)."""
        targets = batch.targets()
        out = torch.zeros(*targets.shape, len(self.lexemes), dtype=torch.bool)
        for row, (tokens, stand, wanted) in enumerate(
            zip(batch.ids[:, :-1, 0].tolist(), targets.tolist(), chosen.tolist())
        ):
            voices = Voices()
            for time in range(max((time for time, one in enumerate(wanted) if one), default=-1) + 1):
                voices = voices.push(self.lexemes[tokens[time]])
                if wanted[time]:
                    ill_led = (self.numbers[x] for x in voices.ill_led() if x in self.numbers)
                    out[row, time, [number for number in ill_led if free or number != stand[time]]] = True
        return out

    def loss(self, some: Moments, unrelated: torch.Tensor) -> torch.Tensor:
        """unrelated: (places, tokens) logits without what the rows add"""
        before = torch.log_softmax(some.said, -1).masked_fill(some.refused, -math.inf)
        left = torch.logsumexp(before, -1, keepdim=True)
        taught = (before - left).clamp(min=-50)  # e^-50 is nothing, and times 0 it is a number
        counts = left[:, 0] > math.log(LEAST)
        now = torch.log_softmax(unrelated + self.added(some), -1)
        divergence = (taught.exp() * (taught - now)).sum(-1)
        return (divergence * counts).sum() / counts.sum().clamp(min=1)

    def added(self, some: Moments) -> torch.Tensor:
        """(places, tokens) what the rows add to the logits."""
        rows = torch.cat([self.rows, self.rows.new_zeros(1, self.rows.shape[1])])
        return self.head.intervals().added(torch.nn.functional.linear(some.states, rows), some.shown)

    def lead(
        self, texts: Sequence[Moments], steps: int, lr: float, seed: int, say: Callable[[str], None] = print
    ) -> None:
        """Let the rows learn. texts: those that were read, that it has written under the rule, and, or not, free;
        lr: the highest one, of AdamW"""
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            unrelated = [torch.cat([part.said - self.added(part) for part in parts(x)]) for x in texts]
        self.rows.requires_grad_(True)
        averaged = self.rows.detach().clone()
        optimizer = torch.optim.AdamW([self.rows], lr=lr, weight_decay=0.0, betas=(0.9, 0.99))
        for step in range(steps):
            rate = min(1.0, (step + 1) / WARMUP) * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)
            optimizer.param_groups[0]["lr"] = lr * rate
            loss = torch.zeros(())
            for some, logits, count in zip(texts, unrelated, PLACES):
                places = torch.randint(len(some), (count,), generator=chance)
                loss = loss + self.loss(some[places], logits[places]) * count / sum(PLACES[: len(texts)])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([self.rows], 1.0)
            optimizer.step()
            decay = min(DECAY, (step + 1) / (step + 10))
            averaged.lerp_(self.rows.detach(), 1 - decay)
            if (step + 1) % SAID == 0:
                say(f"step {step + 1}: loss {float(loss.detach()):.5f}")
        self.rows = averaged
        with torch.no_grad():
            self.head.weight[self.head.relates] = averaged

    @torch.no_grad()
    def ill_led(self, some: Moments) -> float:
        """The mean share that the model gave to what the rule refuses, when it made these moments."""
        shares = [(torch.softmax(part.said, -1) * part.refused).sum(-1) for part in parts(some)]
        return float(torch.cat(shares).mean())


def parts(some: Moments, size: int = 8192) -> Iterable[Moments]:
    """So many places at a time."""
    return (some[at : at + size] for at in range(0, len(some), size))
