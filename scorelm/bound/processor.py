"""transformers' generate, bound to the grammar.

    model.generate(**prompt, do_sample=True, logits_processor=[SoundLogitsProcessor(tokenizer, measures=8)])

The prompt is score text that may break off anywhere, in a lexeme too, or nothing but the token that begins a text.
"""

from __future__ import annotations

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from scorelm.bound.tokens import bound_tokens
from scorelm.bound.walk import Walk
from scorelm.errors import FormatError
from scorelm.notation.plan import Plan
from scorelm.notation.planned import EVER, walk_of
from scorelm.notation.sound import Sound


def bound_logits(logits: torch.Tensor, walk: Walk) -> torch.Tensor:
    """(vocabulary,) with what a model means of the tokens that may come (see ``walk.meant``), and nothing of others."""
    ids = torch.from_numpy(walk.choices()).to(logits.device)
    out = torch.full_like(logits, -torch.inf)
    out[ids] = logits[ids]
    if line_end := walk.line_end():
        own, others = line_end
        out[own] = torch.logsumexp(logits[[own, *others]], 0)
    return out


class SoundLogitsProcessor(LogitsProcessor):  # type: ignore[misc]
    """Leaves those tokens alone that can still lead to a sound text.

    tokenizer: of the project's lexemes, joined ones too, or a byte-level BPE such as Pythia's. ConfigError for others
    measures: each whole text has exactly so many, those of the prompt counted; None: ``at_least`` to ``at_most``
    plan: what is given, for prompts that are the text of its measures at the start (see ``planned.lead``)

    A row that is the last one of its call and a token goes on from there; any other row is a new prompt. FormatError
    where a prompt breaks the format or is not sound.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        measures: int | None = None,
        at_least: int = 1,
        at_most: int = EVER,
        plan: Plan | None = None,
    ) -> None:
        self.tokens = bound_tokens(tokenizer)
        self.bounds = measures, at_least, at_most
        self.plan = plan
        self._walks: dict[bytes, Walk] = {}  # by the ids of the rows of the last call

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """ids (rows, time), scores (rows, vocabulary) -> scores (rows, vocabulary)"""
        out = torch.empty_like(scores)
        walks = {}
        for number, row in enumerate(input_ids.cpu().numpy()):
            before = self._walks.get(row[:-1].tobytes())
            if before is None:
                walk = self._start(row.tolist())
            else:
                walk = before.copy()
                walk.push(int(row[-1]))
            walks[row.tobytes()] = walk
            out[number] = bound_logits(scores[number], walk)
        self._walks = walks
        return out

    def _start(self, ids: list[int]) -> Walk:
        text = self.tokens.text(ids)
        at = text.rfind("|") + 1
        if text.strip() and not at:
            raise FormatError("expected '|', with which every text begins", text, 0)
        if self.plan is not None:
            sound = walk_of(self.plan, *self.bounds)
        else:
            sound = Sound(text[:at] or "|", *self.bounds)
        try:
            return self.tokens.walk(sound, text[at:], fresh=not at)
        except ValueError as error:
            raise FormatError(f"{error} in sound text", text, at) from None
