"""Records -> what a model of pictures and words learns from: a turn of the user, a turn of the assistant.

Only the answer is learnt. Models that transformers has a class for are fed by their processor; those with code of
their own (Nemotron Nano VL) get ``<img>``, one ``<image>`` for each vector of the picture, ``</img>``, and the turns of
their tokenizer's chat template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scorelm.errors import ScorelmError
from vlm.data.record import Record

IGNORED = -100


class Feeder:
    """Makes the inputs of a model. ``own``: it has code of its own"""

    def __init__(self, model: Any, processor: Any, tokenizer: Any, max_length: int) -> None:
        self.processor, self.tokenizer, self.max_length = processor, tokenizer, max_length
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.own = hasattr(base, "chat")
        self.base = base

    def inputs(self, record: Record) -> dict[str, torch.Tensor]:
        """input_ids, attention_mask and labels, (1, time), and the picture. ScorelmError where it is too long."""
        out = self._by_own(record) if self.own else self._by_processor(record)
        if out["input_ids"].shape[1] > self.max_length:
            raise ScorelmError("longer than max_length")
        if not bool((out["labels"] != IGNORED).any()):
            raise ScorelmError("no answer in the turn of the assistant")
        return out

    def loss(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean nats a token of the answer."""
        if self.own:
            inputs = self._embedded(inputs)
            found: torch.Tensor = self.base.language_model(**inputs).loss
        else:
            found = model(**inputs).loss
        return found

    # -- models of transformers ----------------------------------------------------------------

    def _by_processor(self, record: Record) -> dict[str, torch.Tensor]:
        picture = {"type": "image", "image": record.picture().convert("RGB")}
        user = {"role": "user", "content": [picture, {"type": "text", "text": record.prompt}]}
        said = {"role": "assistant", "content": [{"type": "text", "text": record.answer}]}
        made = self._made([user, said], False)
        asked = self._made([user], True)["input_ids"].shape[1]
        labels = made["input_ids"].clone()
        labels[:, :asked] = IGNORED
        return {**made, "labels": labels}

    def _made(self, turns: Sequence[dict[str, Any]], open_turn: bool) -> dict[str, torch.Tensor]:
        return dict(
            self.processor.apply_chat_template(
                turns, add_generation_prompt=open_turn, tokenize=True, return_dict=True, return_tensors="pt"
            )
        )

    # -- models with code of their own ---------------------------------------------------------

    def _by_own(self, record: Record) -> dict[str, torch.Tensor]:
        pixels = self.processor([record.picture().convert("RGB")], return_tensors="pt")["pixel_values"]
        seen = f"<img>{'<image>' * self.base.num_image_token * len(pixels)}</img>\n"
        user = {"role": "user", "content": seen + record.prompt}
        asked = self._ids([user], True)
        whole = self._ids([user, {"role": "assistant", "content": record.answer}], False)
        ids = torch.tensor([whole])
        labels = ids.clone()
        labels[:, : len(asked)] = IGNORED
        return {
            "input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, "pixel_values": pixels,
        }  # fmt: skip

    def _ids(self, turns: list[dict[str, str]], open_turn: bool) -> list[int]:
        text = self.tokenizer.apply_chat_template(turns, add_generation_prompt=open_turn, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _embedded(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The vectors of the picture in place of its tokens."""
        with torch.no_grad():
            seen = self.base.extract_feature(inputs["pixel_values"])
        ids = inputs["input_ids"]
        vectors = self.base.language_model.get_input_embeddings()(ids).clone()  # (1, time, hidden)
        there = ids == self.tokenizer.convert_tokens_to_ids("<image>")
        vectors[there] = seen.reshape(-1, seen.shape[-1]).to(vectors.dtype)
        return {"inputs_embeds": vectors, "attention_mask": inputs["attention_mask"], "labels": inputs["labels"]}
