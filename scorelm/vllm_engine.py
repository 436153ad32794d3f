"""vLLM writes: it draws the tokens of many texts at once, each bound to the grammar by a logits processor of its own.

For models on a GPU whose positions are places in the row, as a Pythia's are. vLLM runs in this process, so that a text's
walk can be handed to the processor; its sampler takes temperature, top-k, top-p, min-p and seed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"  # the other runner has other logits processors
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

import torch
from vllm import LLM, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from scorelm.bound.processor import bound_logits
from scorelm.bound.walk import Walk
from scorelm.sampling import Sampling

OURS = "scorelm"  # of a request's extra arguments: which of the walks is its own
_walks: dict[str, Walk] = {}


class BoundLogits(AdapterLogitsProcessor):  # type: ignore[misc]
    """Leaves those tokens alone that a request's walk allows."""

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Any:
        name = (params.extra_args or {}).get(OURS)
        return _Bound(_walks[name].copy()) if name in _walks else None


class _Bound:
    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.seen = 0  # tokens

    def __call__(self, written: list[int], logits: torch.Tensor) -> torch.Tensor:
        """written: ids behind the prompt; logits: (vocabulary,)"""
        for token in written[self.seen :]:
            self.walk.push(token)
        self.seen = len(written)
        return bound_logits(logits, self.walk)


class VllmEngine:
    """Texts are added and dropped; each step brings the next token of those that are there."""

    def __init__(self, folder: Path, room: int, dtype: str = "auto") -> None:
        """room: tokens that a text may have; dtype: of the weights and of what is computed, as vLLM names it"""
        self.room = room
        self.engine = LLM(
            model=str(folder), dtype=dtype, skip_tokenizer_init=True, max_model_len=room, async_scheduling=False,
            logits_processors=[BoundLogits], hf_overrides={"max_position_embeddings": room},
        ).llm_engine  # fmt: skip
        self._names: dict[int, str] = {}
        self._texts: dict[str, int] = {}
        self._added = 0

    def add(self, text: int, ids: Sequence[int], walk: Walk, sampling: Sampling, seed: int) -> None:
        """A text that goes on behind these tokens; ``walk`` stands there."""
        name = self._names[text] = f"{OURS}-{self._added}"
        self._added += 1
        self._texts[name] = text
        _walks[name] = walk.copy()
        params = SamplingParams(
            temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p, min_p=sampling.min_p, seed=seed,
            max_tokens=self.room - len(ids), ignore_eos=True, detokenize=False, output_kind=RequestOutputKind.DELTA,
            extra_args={OURS: name},
        )  # fmt: skip
        self.engine.add_request(name, {"prompt_token_ids": list(ids)}, params)

    def drop(self, text: int) -> None:
        name = self._names.pop(text)
        del self._texts[name], _walks[name]
        self.engine.abort_request([name])

    def step(self) -> list[tuple[int, list[int]]]:
        """(text, its next tokens)"""
        return [
            (self._texts[out.request_id], list(out.outputs[0].token_ids))
            for out in self.engine.step()
            if out.request_id in self._texts
        ]
